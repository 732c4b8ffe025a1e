"""Nix's work at one place of its log: which builds run, and how far it is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nixfleet_core.nix.activity import (
    BuildLine,
    Counts,
    PlainText,
    StartBuild,
    StartCounter,
    StartEvaluation,
    StopActivity,
    Tally,
)
from nixfleet_core.nix.sessions import ASIDE, Session, session_of_attribute, session_of_line

if TYPE_CHECKING:
    from nixfleet_core.nix.activity import Activity

_BUILDS_LIMIT: Final = 4096
_NAME_LIMIT: Final = 211
"""Characters; the longest name that Nix allows in the store."""

_HASH: Final = re.compile(r"^[0-9a-z]{32}-")
_VERSION: Final = re.compile(r"-[^A-Za-z]")
"""Where Nix cuts a name (DrvName): a dash that no letter follows."""


class Progress(Tally, frozen=True):
    """How far the session is that counts, and what else Nix does."""

    session: Session = ""
    aside: Session = ""
    """The session that runs, if it is one that does not count."""
    beside: Tally | None = None
    """How far that one is; None while it builds nothing yet."""


class LogState:
    """Takes one activity after the other and changes in place: a log has a million activities, and
    thousands of builds may run."""

    def __init__(self) -> None:
        self.builds: dict[int, bytes] = {}
        """The builds that run: their names, by the id of their activity."""
        self._session: Session = ""
        """What the running or the next process of Nix builds."""
        self._runs = False
        """Whether that process evaluates or builds."""
        self._evaluation: int | None = None
        """The activity of the evaluation that runs."""
        self._worker: _Worker | None = None
        """The live one; it has the counters."""
        self._counting: _Worker | None = None
        """The last one of a session that counts."""

    @property
    def progress(self) -> Progress | None:
        """How far the running command is; None while nothing is known.

        A rebuild runs several workers one after another, each counting from nothing. `expected`
        grows, and need not be reached: Nix 2.34 ends at 6 of 7.
        """
        now = self._worker.session if self._worker else self._session if self._runs else ""
        aside: Session = now if now in ASIDE else ""
        beside = self._worker.tally if aside and self._worker else None
        if self._counting is not None:
            tally = self._counting.tally
            return Progress(tally.done, tally.expected, self._counting.session, aside, beside)
        return Progress(0, 0, "" if aside else now, aside, beside) if now else None

    def take(self, activity: Activity) -> None:
        if type(activity) is BuildLine:
            return  # most activities
        if type(activity) is StopActivity:
            self.builds.pop(activity.id, None)
            self._stop(activity.id)
        elif type(activity) is Counts:
            if self._worker is not None:
                self._worker.count(activity)
        elif type(activity) is StartBuild:
            self.builds[activity.id] = package_name(activity.drv_path)
            if len(self.builds) > _BUILDS_LIMIT:
                del self.builds[next(iter(self.builds))]
        elif type(activity) is StartCounter:
            self._start_counter(activity)
        elif type(activity) is StartEvaluation:
            self._begin(session_of_attribute(activity.installable) or self._session)
            self._evaluation, self._runs = activity.id, True
        elif type(activity) is PlainText:
            self._hear(activity.line)

    def _hear(self, line: bytes) -> None:
        session = session_of_line(line)
        if session is None:
            return
        if line.startswith(b"$ "):
            self._counting = None  # another command
        self._begin(session)

    def _begin(self, session: Session) -> None:
        self._session, self._runs = session, False
        self._evaluation = self._worker = None

    def _stop(self, activity: int) -> None:
        if activity == self._evaluation:
            self._evaluation = self._worker = None
        elif self._worker is not None and activity == self._worker.built.id:
            self._worker, self._runs = None, self._evaluation is not None

    def _start_counter(self, counter: StartCounter) -> None:
        """A worker has two counters, that of its builds first. A build on another machine copies
        paths with a counter of its own."""
        if counter.kind == "copies":
            if self._worker is not None and self._worker.copied is None:
                self._worker.copied = Counts(0, 0, counter.id)
            return
        self.builds.clear()
        session = self._session if self._evaluation is None else "evaluation"
        self._worker, self._runs = _Worker(session, Counts(0, 0, counter.id)), True
        if session not in ASIDE:
            self._counting = self._worker


@dataclass(slots=True)
class _Worker:
    """What builds and substitutes for one session; its two counters."""

    session: Session
    built: Counts
    copied: Counts | None = None

    @property
    def tally(self) -> Tally:
        copied = self.copied or Tally(0, 0)
        return Tally(self.built.done + copied.done, self.built.expected + copied.expected)

    def count(self, counts: Counts) -> None:
        if self.built.id == counts.id:
            self.built = counts
        if self.copied is not None and self.copied.id == counts.id:
            self.copied = counts


def package_name(drv_path: str) -> bytes:
    """Nix's name for a build: the package's name without the version."""
    base = drv_path.rpartition("/")[2].removesuffix(".drv")
    name = _HASH.sub("", base)[:_NAME_LIMIT] or "unnamed"
    version = _VERSION.search(name)
    return name[: version.start() if version else None].encode("utf-8", "replace")
