"""What can go wrong with a host, or on the way to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Self

if TYPE_CHECKING:
    from nixfleet_core.vocabulary import NoAnswer, Remedy


class HostError(Exception):
    """The only errors that a session raises: a state of one host, not a fault of the program."""


class Unreachable(HostError):  # noqa: N818 - a state of the host, not a fault of the program
    """The host did not answer, or refused us. `str()` is what ssh said; `advice` is what to try.
    `at_terminal`: a person helps whom ssh can ask at the terminal (`nixfleet connect`)."""

    cause: ClassVar[NoAnswer] = "unreachable"
    """The verdict's cause."""

    def __init__(self, why: str, advice: str = "", *, at_terminal: bool = False) -> None:
        super().__init__(why)
        self.advice, self.at_terminal = advice, at_terminal

    @property
    def remedies(self) -> tuple[Remedy, ...]:
        """What of the advice can be done at once."""
        return ("connect",) if self.at_terminal else ()

    def without_jobs(self) -> Self:
        """The same error, where we would have shown the jobs that we know, and know none."""
        why = f"no job is known here, and the host cannot be asked: {self}"
        return type(self)(why, self.advice, at_terminal=self.at_terminal)


class NoShell(Unreachable):
    """The host let us in, but its login shell runs nothing. `str()` has what it printed."""

    cause: ClassVar[NoAnswer] = "no-shell"


class BadAnswer(Unreachable):
    """The host's answer cannot be used. `str()` says what is wrong with it."""

    cause: ClassVar[NoAnswer] = "bad-answer"


class ClientFailed(Unreachable):
    """This machine could not do its part: its disk is full, or a program is missing."""

    cause: ClassVar[NoAnswer] = "client-failed"

    @property
    def remedies(self) -> tuple[Remedy, ...]:
        """A job goes on, and its copy can: the advice is to attach."""
        return ("attach",)


NO_ANSWER: Final = frozenset(kind.cause for kind in (Unreachable, NoShell, BadAnswer, ClientFailed))
"""The causes of a verdict `unreachable`."""


class NeedsPassword(HostError):  # noqa: N818
    """sudo on the host wants a password, and we gave none, or a wrong one (`wrong`). `said` is
    what sudo said about the wrong one."""

    def __init__(self, host: str, *, wrong: bool = False, said: str = "") -> None:
        what = f"refused the password ({said})" if said else "wants a password"
        super().__init__(f"sudo on {host} {what}")
        self.host, self.wrong, self.said = host, wrong, said


class PasswordRefused(NeedsPassword):
    """The operator gave no password, or there is no terminal to ask at."""


class NotAllowed(HostError):  # noqa: N818
    """We cannot become root on the host. The message says what was tried; `setting` is what the
    host lacks, with USER for the user who logs in there."""

    def __init__(self, why: str, setting: str = "") -> None:
        super().__init__(why)
        self.setting = setting


class NoSuchJob(HostError, LookupError):  # noqa: N818
    """The host does not have that job (only the last 20 are kept)."""


class LaunchFailed(HostError, RuntimeError):  # noqa: N818
    """The host could not start the job. The message is what it said."""


class NoLog(HostError, LookupError):  # noqa: N818
    """The host has no log of the agent that we could read. The message says why."""


class NoTimes(NoLog):
    """A log is wanted from some time on, but its lines have no times."""

    def __init__(self) -> None:
        super().__init__(
            "launchd keeps the agent's output in files whose lines have no times: --since cannot "
            "be used there; -n N prints the last N lines of each"
        )
