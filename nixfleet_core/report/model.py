"""What a report says of hosts: values only. All text in them may be foreign, and whoever shows it
makes it safe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from nixfleet_core.job.work import BuildTime
    from nixfleet_core.judge.coming import Coming
    from nixfleet_core.judge.diagnosis import Evidence
    from nixfleet_core.judge.verdict import Verdict

Progress = Literal["over", "running", "not known"]
"""Whether the job has ended. `not known`: it had not when we last heard of it."""


InputPlace = Literal["in the running agent", "in flake.lock"]
"""Where the input's commit has changed."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened during a job. Times are the host's clock, in seconds since the
    epoch."""

    at: int
    what: str
    how: str = ""
    """How it ended, or why it is so."""
    seconds: int | None = None
    """How long it took, if it has ended."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One thing before and after; None where it could not be seen."""

    what: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class InputChange:
    """The commits of the input that lie between before and after."""

    input: str
    place: InputPlace
    commits: Coming


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of log.txt, numbered from 1; it may have colours (SGR)."""

    number: int
    text: str
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Lines that follow one another."""

    lines: tuple[LogLine, ...]
    step: str = ""
    """The title of the step that printed the first one; "" if that is not known."""


@dataclass(frozen=True, slots=True)
class LogPart:
    """What a report has of a job's log: the lines around errors, and the last ones."""

    lines: int = 0
    """How many the whole log has."""
    errors: int = 0
    """How many of its lines are errors, as far as they were counted."""
    counted_all: bool = True
    around: int = 0
    """Of how many errors the lines around are there: of the first ones, and of the last ones."""
    excerpts: tuple[Excerpt, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One job on one host."""

    host: str
    job: str
    goal: str
    """What it was for, with the options that matter."""
    asked_by: str
    progress: Progress
    began: int | None = None
    ended: int | None = None
    verdict: Verdict | None = None
    """None if the job has not ended, or if it cannot be judged."""
    remarks: tuple[str, ...] = ()
    """What the report does not know, and why."""
    compared: tuple[Compared, ...] = ()
    commits: tuple[Compared, ...] = ()
    """The repositories whose commits could change."""
    brought: InputChange | None = None
    """None if the input's commit stayed, or if this machine does not know what lies between."""
    evidence: Evidence = ()
    evidence_from: str = ""
    """Which look at the host it is from."""
    moments: tuple[Moment, ...] = ()
    left_out: int = 0
    """So many moments in the middle of the time line are not there."""
    slowest: tuple[BuildTime, ...] = ()
    log: LogPart = LogPart()


@dataclass(frozen=True, slots=True)
class NoIncident:
    """A host of which there is nothing to tell, and why."""

    host: str
    why: str


@dataclass(frozen=True, slots=True)
class IncidentReport:
    """All of it. `at` is when it was made, in seconds since the epoch, by this machine's clock."""

    at: int
    hosts: tuple[Incident | NoIncident, ...]
