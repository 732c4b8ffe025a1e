"""A job's events as a time line: steps with how they ended, new tries, waits, checks. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from nixfleet_core.job.events import (
    CancelSeen,
    Check,
    JobEnd,
    JobStart,
    Retry,
    Slept,
    StepEnd,
    StepStart,
    Waiting,
)
from nixfleet_core.log.amounts import duration
from nixfleet_core.report.model import Moment
from nixfleet_core.vocabulary import STEP_REASONS, TITLES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nixfleet_core.job.events import JobEvent
    from nixfleet_core.plan.model import Plan
    from nixfleet_core.vocabulary import StepId

FIRST_MOMENTS: Final = 150
LAST_MOMENTS: Final = 50
"""So many are shown from the beginning and from the end of a longer time line."""


def time_line(plan: Plan, events: Iterable[JobEvent]) -> tuple[tuple[Moment, ...], int]:
    """What happened, in its order; and how many moments in the middle were left out."""
    moments: list[Moment] = []
    begun: dict[StepId, int] = {}
    """Where the steps that have begun stand among the moments."""
    for event in events:
        match event:
            case StepStart(step=step, at=at):
                begun[step] = len(moments)
                moments.append(Moment(at, step_title(plan, step), "began"))
            case StepEnd(step=step) if step in begun:
                place = begun.pop(step)
                took = max(0, event.at - moments[place].at)
                moments[place] = replace(moments[place], how=_ending(event), seconds=took)
            case _:
                if (moment := _moment(plan, event)) is not None:
                    moments.append(moment)
    more = len(moments) - FIRST_MOMENTS - LAST_MOMENTS
    if more <= 0:
        return tuple(moments), 0
    return (*moments[:FIRST_MOMENTS], *moments[-LAST_MOMENTS:]), more


def step_title(plan: Plan, step: StepId) -> str:
    """The step's title, as the plan has it."""
    found = plan.step(step)
    return found.title if found is not None else TITLES[step].format(input=plan.input)


def _moment(plan: Plan, event: JobEvent) -> Moment | None:
    """What is told of an event that is no step's; None for most."""
    match event:
        case JobStart(at=at):
            return Moment(at, "The job began")
        case StepEnd(step=step, at=at):
            return Moment(at, step_title(plan, step), _ending(event))
        case Retry(step=step, at=at):
            how = f"try {event.attempt} of {event.tries} begins in {duration(event.wait)}"
            return Moment(at, f"New try: {step_title(plan, step)}", how)
        case Waiting(at=at, limit=limit):
            return Moment(at, f"Waits for {event.words}", f"at most {duration(limit)}")
        case Check(at=at, check=check, ok=False):
            return Moment(at, f"Check {check}", f"failed: {event.reason or 'no reason given'}")
        case Check(at=at, check=check, ok=True) if event.reason:
            return Moment(at, f"Check {check}", f"{event.reason}; the job goes on")
        case Slept(at=at, seconds=seconds):
            return Moment(at, "The host slept", f"for {duration(seconds)}")
        case CancelSeen(at=at, deferred=deferred):
            how = "it takes effect after the activation" if deferred else ""
            return Moment(at, "The job was cancelled", how)
        case JobEnd(at=at, outcome=outcome):
            return Moment(at, "The job ended", outcome)
        case _:
            return None


def _ending(event: StepEnd) -> str:
    words: list[str] = [event.status]
    if event.status == "failed":
        words.append(f"code {event.rc}")
    if event.reason:
        known = STEP_REASONS.get(event.reason)
        words.append(f"{event.reason}: {known.meaning}" if known else event.reason)
    if event.attempts > 1 and event.status != "skipped":
        words.append(f"{event.attempts} tries")
    return ", ".join(words)
