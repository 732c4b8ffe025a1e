"""The state of a job, folded from its events. Every view (app, command, JSON) shows this state."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import msgspec

from nixfleet_core.job.events import (
    CancelSeen,
    Check,
    CopyHalt,
    Heartbeat,
    JobEnd,
    JobEvent,
    JobStart,
    Link,
    LogGrew,
    Retry,
    Slept,
    StepEnd,
    StepStart,
    StepStatus,
    Tick,
    Waiting,
)
from nixfleet_core.job.work import BuildTime, BuildTimes, Work
from nixfleet_core.limits import PLAN_STEPS
from nixfleet_core.nix.log_state import Progress

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nixfleet_core.plan.model import Plan
    from nixfleet_core.vocabulary import StepId


@dataclass(frozen=True, slots=True)
class StepState:
    """One step as seen so far. Times are the host's clock, in seconds since the epoch."""

    id: StepId
    title: str
    weight: int = 1
    status: StepStatus = "pending"
    started: int | None = None
    ended: int | None = None
    attempts: int = 0
    reason: str = ""
    log_start: int | None = None
    log_end: int | None = None
    retry: Retry | None = None
    progress: Progress | None = None
    reached: float = 0.0
    """The largest share of it that was done by Nix's counts, 0 to 1. What Nix expects can grow, and
    a step that is tried again counts anew."""

    @property
    def seconds(self) -> int | None:
        """How long it took; None while it has not ended."""
        if self.started is None or self.ended is None:
            return None
        return max(0, self.ended - self.started)


@dataclass(frozen=True, slots=True)
class JobState:
    """A whole job. `now` is the latest time heard from the host."""

    steps: tuple[StepState, ...]
    started: int | None = None
    ended: int | None = None
    now: int | None = None
    outcome: str | None = None
    failed_checks: tuple[Check, ...] = ()
    waiting: Waiting | None = None
    cancelling: CancelSeen | None = None
    link: Link = field(default_factory=lambda: Link(up=True))
    halt: CopyHalt | None = None
    """Why nothing is seen of the job at the moment, if that lies with the client's own files."""
    work: Work | None = None
    """What Nix does now; None before it does anything, and after the job's end."""
    built: tuple[BuildTime, ...] = ()
    """What the job has built, the slowest first; it is known at the end."""
    fraction: float = 0.0
    """How far the whole job is, 0 to 1, by the steps' weights; it never goes back."""

    @classmethod
    def of(cls, plan: Plan) -> JobState:
        """The state before the job's first event."""
        return cls(
            steps=tuple(
                StepState(id=step.id, title=step.title, weight=step.weight) for step in plan.steps
            )
        )

    @property
    def current(self) -> StepState | None:
        return next((step for step in self.steps if step.status == "running"), None)

    @property
    def position(self) -> tuple[int, int]:
        """The number of the running step (from 1), or else of the one after the last that has
        ended; and the number of all steps. After a killed runner the chain has gaps."""
        begun = (number for number, step in enumerate(self.steps, 1) if step.status != "pending")
        running = (number for number, step in enumerate(self.steps, 1) if step.status == "running")
        count = len(self.steps)
        return next(running, min(max(begun, default=0) + 1, count)), count

    def step(self, step_id: StepId) -> StepState | None:
        return next((step for step in self.steps if step.id == step_id), None)

    def after(self, event: JobEvent) -> JobState:
        """The state once `event` has happened."""
        state = self._changed_by(event)
        if state.steps is self.steps:
            return state
        return replace(state, fraction=max(self.fraction, _done(state.steps)))

    def _changed_by(self, event: JobEvent) -> JobState:
        match event:
            case JobStart(at=at):
                return replace(self, started=at, now=at)
            case StepStart(step=step, at=at, log=log):
                return replace(
                    self._with(
                        step, status="running", started=at, ended=None, attempts=1, log_start=log
                    ),
                    now=at,
                    waiting=None,
                )
            case Retry(step=step, at=at, attempt=attempt):
                return replace(self._with(step, attempts=attempt, retry=event), now=at)
            case StepEnd(step=step, at=at):
                return replace(
                    self._with(
                        step,
                        status=event.status,
                        ended=at,
                        attempts=0 if event.status == "skipped" else event.attempts,
                        reason=event.reason,
                        log_end=event.log,
                        retry=None,
                    ),
                    now=at,
                    waiting=None,
                )
            case Check(at=at, ok=ok):
                more = not ok and len(self.failed_checks) < PLAN_STEPS
                failed = (*self.failed_checks, event) if more else self.failed_checks
                return replace(self, now=at, failed_checks=failed, waiting=None)
            case Waiting(at=at):
                return replace(self, now=at, waiting=event)
            case Slept(at=at, seconds=seconds):
                return replace(self, now=at, waiting=_longer(self.waiting, seconds))
            case CancelSeen(at=at):
                return replace(self, now=at, cancelling=event)
            case JobEnd(at=at, outcome=outcome):
                return replace(self, now=at, ended=at, outcome=outcome, waiting=None, work=None)
            case Work():
                return self if self.outcome is not None else replace(self, work=event)
            case BuildTimes(builds=builds):
                return replace(self, built=builds)
            case Tick(at=at) | Heartbeat(at=at):
                return replace(self, now=max(at, self.now or at), link=Link(up=True))
            case Link():
                return replace(self, link=event)
            case CopyHalt():
                return replace(self, halt=event, link=Link(up=True))
            case LogGrew():
                return replace(self, halt=None)
            case Progress():
                current = self.current
                if current is None:
                    return self
                share = min(1.0, event.done / event.expected) if event.expected else 0.0
                return self._with(current.id, progress=event, reached=max(current.reached, share))
            case _:
                return self

    def _with(self, step_id: StepId, **changes: object) -> JobState:
        return replace(
            self,
            steps=tuple(
                replace(step, **changes) if step.id == step_id else step  # type: ignore[arg-type]
                for step in self.steps
            ),
        )


def _done(steps: Iterable[StepState]) -> float:
    """The share that is done.

    A step that was skipped because it had nothing to do counts as done. Steps after a failed one
    are skipped, and do not count.
    """
    total, done, broken = 0, 0.0, False
    for step in steps:
        total += step.weight
        match step.status:
            case "ok" | "failed" | "cancelled":
                done += step.weight
                broken = broken or step.status != "ok"
            case "skipped":
                done += 0 if broken else step.weight
            case _:
                done += step.weight * step.reached
    return done / (total or 1)


def _longer(waiting: Waiting | None, seconds: int) -> Waiting | None:
    """A wait does not count the time for which the host slept."""
    if waiting is None:
        return None
    return msgspec.structs.replace(waiting, limit=waiting.limit + seconds)
