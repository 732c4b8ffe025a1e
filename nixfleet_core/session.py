"""One host, and everything that can be asked of it or done to it. The doors use only this."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from nixfleet_core.events import JobEvent
    from nixfleet_core.facts import Facts
    from nixfleet_core.host import Host
    from nixfleet_core.nix.git_url import Latest
    from nixfleet_core.nix.lock import Source
    from nixfleet_core.plan import Options, Plan, Refusal, StepId
    from nixfleet_core.verdict import Verdict
    from nixfleet_core.why import Diagnosis


class HostError(Exception):
    """All that the methods of a session raise: a state of one host, not a fault of the program."""


class Unreachable(HostError):  # noqa: N818 - a state of the host, not a fault of the program
    """The host did not answer, or refused us. `str()` is what ssh said; `advice` is what to try."""

    cause = "unreachable"
    """The verdict's cause."""

    def __init__(self, why: str, advice: str = "") -> None:
        super().__init__(why)
        self.advice = advice


class BadAnswer(Unreachable):
    """The host answered what cannot be used. `str()` says what was wrong with it."""

    cause = "bad-answer"


class ClientFailed(Unreachable):
    """This machine could not do its part: its disk is full, or a program is missing."""

    cause = "client-failed"


NO_ANSWER: Final = frozenset(kind.cause for kind in (Unreachable, BadAnswer, ClientFailed))
"""The causes of a verdict `unreachable`."""


class NeedsPassword(HostError):  # noqa: N818
    """sudo on the host wants a password and none was given, or a wrong one (`wrong`)."""

    def __init__(self, host: str, *, wrong: bool = False) -> None:
        super().__init__(f"sudo on {host} wants a password")
        self.host, self.wrong = host, wrong


class NotAllowed(HostError):  # noqa: N818
    """Nothing on the host lets us become root. The message says what was tried."""


class NoSuchJob(HostError, LookupError):  # noqa: N818
    """The host does not have that job (only the last 20 are kept)."""


class LaunchFailed(HostError, RuntimeError):  # noqa: N818
    """The host could not start the job. The message is what it said."""


class Launched(msgspec.Struct, frozen=True):
    """The job runs (or ran already: launching the same id twice changes nothing)."""

    job: str


class Busy(msgspec.Struct, frozen=True):
    """Another job is running on the host; attach to that one."""

    job: str


class Commit(msgspec.Struct, frozen=True):
    """A commit of nixcfg that the pull would bring along."""

    rev: str
    title: str


class JobLine(msgspec.Struct, frozen=True):
    """One job of a host's history. `at` is in seconds since the epoch, the host's clock."""

    job: str
    at: int
    asked_by: str
    goal: str
    outcome: str
    """done, failed, cancelled, interrupted, running, or unknown."""
    failed_step: str = ""
    seconds: int | None = None


class JobFiles(msgspec.Struct, frozen=True):
    """The client's copy of a job: raw log, readable text, events."""

    log: Path
    text: Path
    events: Path


class HostSession(Protocol):
    """The engine as the app and the commands see it. Every wait inside has a limit.

    All methods raise HostErrors only, whatever the host says: Unreachable where they ask it, and
    BadAnswer for an answer that cannot be used; those that need root NeedsPassword (call again
    after `give_password`) and NotAllowed. `follow` goes on while the host is unreachable.
    """

    @property
    def host(self) -> Host: ...

    @property
    def connect_argv(self) -> tuple[str, ...]:
        """What opens the connection at the terminal; empty where there is none to open."""
        ...

    def give_password(self, password: str) -> None:
        """Keep sudo's password in memory, for this host, until the program ends."""
        ...

    async def probe(self) -> Facts:
        """Look at the host without root: one round trip, never sudo."""
        ...

    async def examine(self, facts: Facts) -> Facts:
        """What a plan needs: these facts, or a look as root where the checkout is closed to us."""
        ...

    async def incoming(self, facts: Facts) -> tuple[Commit, ...]:
        """The nixcfg commits that a pull would bring; nothing on the host changes."""
        ...

    def plan(self, facts: Facts, options: Options, latest: str | None = None) -> Plan | Refusal:
        """What would be done, or why the host is left alone. Pure. `latest` is the commit that the
        update leads to, where it is known."""
        ...

    async def plan_rollback(
        self, facts: Facts, options: Options, *, keep_lock: bool
    ) -> Plan | Refusal:
        """How to go back to what was active before the last update, or why not."""
        ...

    async def jobs(self) -> tuple[JobLine, ...]:
        """The host's jobs, newest first; what is known here if the host is away."""
        ...

    async def launch(self, plan: Plan, job: str) -> Launched | Busy:
        """Start the job; repeat with the same id when the link broke in between."""
        ...

    def follow(self, job: str) -> AsyncGenerator[JobEvent, None]:
        """All of the job's events from its start, then live, through any number of reconnects.

        Ends when the job has ended and every byte of the log is here. Runs on while the host is
        unreachable, and says so with Link events.
        """
        ...

    def files(self, job: str) -> JobFiles:
        """Where the client's copy of a job is."""
        ...

    def expected(self, steps: Iterable[StepId]) -> dict[StepId, int]:
        """Seconds that these steps usually take, for those that have run before. Asks nobody: it
        knows the jobs that were followed from here."""
        ...

    async def fetch_plan(self, job: str) -> Plan:
        """The plan of a job that somebody else may have started. Raises NoSuchJob."""
        ...

    async def verdict(self, job: str, latest: str | None) -> Verdict:
        """Judge an ended job, that was followed to its end, from the facts that it left."""
        ...

    async def cancel(self, job: str) -> None:
        """Ask the job to stop; it starts the agent again before it ends."""
        ...

    async def verify(self, latest: Latest) -> tuple[Facts, Verdict]:
        """Prove what runs now; changes nothing."""
        ...

    async def explain(self, facts: Facts, latest: Latest) -> Diagnosis:
        """Why the host, which was just seen, does not have the agent that it should."""
        ...

    async def newest_job(self) -> str | None:
        """The running job, else the last one; of what is known here if the host is away."""
        ...

    async def close(self) -> None:
        """Let go of the connection. Jobs on the host go on."""
        ...


class LatestSource(Protocol):
    """Answers what commit a flake input's repository names, once for each URL and ref."""

    async def latest(self, source: Source, host: Host) -> Latest:
        """Ask for the source that `host` names in its flake.lock."""
        ...
