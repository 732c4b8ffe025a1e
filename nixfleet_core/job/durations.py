"""How long a host's steps usually take, from its last jobs. Pure."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Final

from nixfleet_core.job.events import StepEnd, StepStart

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nixfleet_core.job.events import JobEvent
    from nixfleet_core.vocabulary import StepId

RECENT: Final = 10
"""So many of the last jobs count: what a host builds changes with time."""


def expected_seconds(jobs: Iterable[Iterable[JobEvent]]) -> dict[StepId, int]:
    """The median duration, in seconds, of each step that succeeded in one of these jobs."""
    taken: dict[StepId, list[int]] = {}
    for events in jobs:
        for step, seconds in _durations(events).items():
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
