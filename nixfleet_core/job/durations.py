"""How long things usually take on a host, from its last jobs. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Final

from nixfleet_core.job.events import JobEnd, StepEnd, StepStart
from nixfleet_core.job.work import BuildTimes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nixfleet_core.job.events import JobEvent
    from nixfleet_core.vocabulary import StepId

RECENT: Final = 10
"""So many of the last jobs count: what a host builds changes with time."""

_ENOUGH: Final = 2
"""So many jobs make an estimate of a whole job."""


@dataclass(frozen=True, slots=True)
class PastJob:
    """What is known here of a job: the steps of its plan, its events, and what it built."""

    steps: tuple[StepId, ...]
    events: Sequence[JobEvent]
    built: BuildTimes = field(default_factory=BuildTimes)


@dataclass(frozen=True, slots=True)
class Usual:
    """How long things usually take, in seconds."""

    steps: Mapping[StepId, int] = field(default_factory=dict)
    """The median of each step's good runs."""
    rest: Mapping[StepId, int] = field(default_factory=dict)
    """From a step's start to the job's end: the median of the jobs with the same steps that were
    done; known once there are two."""
    builds: Mapping[str, int] = field(default_factory=dict)
    """By package: how long its last build took, in a job that was done."""


def usual_durations(jobs: Sequence[PastJob], steps: tuple[StepId, ...]) -> Usual:
    """What the jobs tell, oldest first, of a job with these steps."""
    same = [_rests(job.events) for job in jobs if job.steps == steps and _is_done(job.events)]
    return Usual(
        steps=_medians(_durations(job.events) for job in jobs),
        rest=_medians(same) if len(same) >= _ENOUGH else {},
        builds={
            build.package: build.seconds
            for job in jobs
            if _is_done(job.events)
            for build in reversed(job.built.builds)  # the slowest of a package stays
        },
    )


def _medians(found: Iterable[dict[StepId, int]]) -> dict[StepId, int]:
    taken: dict[StepId, list[int]] = {}
    for durations in found:
        for step, seconds in durations.items():
            taken.setdefault(step, []).append(seconds)
    return {step: round(median(seconds)) for step, seconds in taken.items()}


def _durations(events: Iterable[JobEvent]) -> dict[StepId, int]:
    started: dict[StepId, int] = {}
    taken: dict[StepId, int] = {}
    for event in events:
        match event:
            case StepStart(step=step, at=at):
                started[step] = at
            case StepEnd(step=step, at=at, status="ok") if step in started:
                taken[step] = max(0, at - started[step])
    return taken


def _rests(events: Iterable[JobEvent]) -> dict[StepId, int]:
    """For each step that began: the seconds from there to the job's end."""
    started: dict[StepId, int] = {}
    rests: dict[StepId, int] = {}
    for event in events:
        match event:
            case StepStart(step=step, at=at):
                started[step] = at
            case JobEnd(at=at):
                rests = {step: max(0, at - begun) for step, begun in started.items()}
    return rests


def _is_done(events: Iterable[JobEvent]) -> bool:
    return any(isinstance(event, JobEnd) and event.outcome == "done" for event in events)
