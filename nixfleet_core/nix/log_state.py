"""How far Nix is at one place of its log, by its counts; running.py has what it does there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nixfleet_core.nix.activity import (
    BuildLine,
    Counts,
    Message,
    PlainText,
    StartCounter,
    StartEvaluation,
    StopActivity,
    Tally,
)
from nixfleet_core.nix.running import Running
from nixfleet_core.nix.sessions import ASIDE, Session, session_of_attribute, session_of_line

if TYPE_CHECKING:
    from nixfleet_core.nix.activity import Activity


class Progress(Tally, frozen=True):
    """How far the session is that counts, and what else Nix does."""

    session: Session = ""
    aside: Session = ""
    """The session that runs, if it is one that does not count."""
    beside: Tally | None = None
    """How far that one is; None while it builds nothing yet."""


class LogState:
    """Takes one activity after the other and changes in place: a log has a million activities."""

    def __init__(self) -> None:
        self.running = Running()
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

    def take(self, activity: Activity, at: int = 0) -> None:
        """`at` is the place in the log behind the activity's line."""
        if type(activity) is BuildLine:
            return  # most activities
        if type(activity) is not Message:
            self._count(activity)
        self.running.take(activity, at)

    def _count(self, activity: Activity) -> None:
        if type(activity) is StopActivity:
            self._stop(activity.id)
        elif type(activity) is Counts:
            if self._worker is not None:
                self._worker.count(activity)
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
        self.running.forget()

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
