"""Following jobs. Watchers live here, not in a screen: leaving a screen stops nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from nixfleet_core.errors import NoSuchJob
from nixfleet_core.job.durations import Usual
from nixfleet_core.job.events import (
    CopyHalt,
    Heartbeat,
    JobStart,
    LineTime,
    Link,
    LogGrew,
    StepPlace,
    Tick,
)
from nixfleet_core.job.progress import JobState
from nixfleet_core.job.work import BuildTimes, Work
from nixfleet_core.log.line_times import LineTimes
from nixfleet_core.nix.log_state import Progress
from nixfleet_core.session.conduct import Watcher
from tui.text import plain

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nixfleet_core.facts.model import Snapshot
    from nixfleet_core.host import Host
    from nixfleet_core.job.copies import JobFiles
    from nixfleet_core.job.events import JobEvent
    from nixfleet_core.job.progress import StepState
    from nixfleet_core.judge.verdict import Verdict
    from nixfleet_core.plan.model import Plan
    from nixfleet_core.session.conduct import Conductor, Report
    from nixfleet_core.session.protocol import HostSession
    from nixfleet_core.vocabulary import StepId

GUESS_LIMIT: Final = 0.95
"""The largest share of a step that a guess may reach: only the step's end says that it is done."""


class JobWatcher(Watcher):
    """Follows one job from its first event to its verdict, folding events into a JobState."""

    def __init__(
        self,
        session: HostSession,
        job: str,
        *,
        clock: Callable[[], float],
        changed: Callable[[], None],
        plan: Plan | None = None,
        before: Snapshot | None = None,
        past: bool = False,
    ) -> None:
        """`changed` is called on news. `plan` is given for a job that was launched here; a `past`
        job has ended and is only shown again.
        """
        self.session = session
        self.job = job
        self.plan = plan
        self._launched = plan is not None
        self.before = before
        """The facts before the launch; None for a job that somebody else started."""
        self.state = JobState.of(plan) if plan else JobState(steps=())
        self.times = LineTimes()
        self.places: dict[StepId, int] = {}
        """Where in log.txt each step began, in bytes."""
        self.report: Report | None = None
        """The report on the job."""
        self.problem = ""
        """Why the app no longer follows the job; empty while it does."""
        self.past = past
        self.usual = Usual()
        """How long such a job's parts usually take on this host."""
        self.log_dirty = True
        self.ended = asyncio.Event()
        self._changed = changed
        self._clock = clock
        self._heard = clock()
        self._raw_times = LineTimes()
        self._log_seen = False
        self._shown: dict[StepId, float] = {}
        """The largest share of each step that was shown."""
        self._shown_fraction = 0.0

    @property
    def host(self) -> str:
        """The host's name."""
        return self.session.host.name

    @property
    def verdict(self) -> Verdict | None:
        """The verdict on the host; None while there is none, or if we could not get one."""
        return self.report.verdict if self.report is not None and not self.problem else None

    @property
    def label(self) -> str:
        """The host's name as a screen shows it."""
        return plain(self.host)

    @property
    def text_path(self) -> Path:
        return self.session.files(self.job).text

    @property
    def is_active(self) -> bool:
        return not self.ended.is_set()

    @property
    def is_over(self) -> bool:
        """Whether the job itself has ended, as far as we know: a verdict judges an ended job."""
        return self.state.outcome is not None or self.verdict is not None

    @property
    def host_now(self) -> int | None:
        """The host's clock: its last known time, plus the time since."""
        if self.state.now is None:
            return None
        if self.state.ended is not None or not self.is_active:
            return self.state.now
        return self.state.now + int(self._clock() - self._heard)

    @property
    def elapsed(self) -> int | None:
        """Seconds that the job has taken so far."""
        if self.state.started is None or self.host_now is None:
            return None
        return max(0, (self.state.ended or self.host_now) - self.state.started)

    @property
    def step_words(self) -> str:
        """The number and the title of the running step, for every view; "" between two steps."""
        current, (number, count) = self.state.current, self.state.position
        return f"{number}/{count} {plain(current.title)}" if current is not None else ""

    @property
    def left(self) -> int | None:
        """A guess how many seconds the job still takes, by its last jobs; None if nobody knows."""
        step, now = self.state.current, self.host_now
        if step is None or step.started is None or now is None:
            return None
        rest = self.usual.rest.get(step.id)
        return None if rest is None else rest - max(0, now - step.started)

    def guess(self, step: StepState) -> float | None:
        """A guess how much of the running step is done, by the time that it usually takes."""
        usual, now = self.usual.steps.get(step.id), self.host_now
        if not usual or step.status != "running" or step.started is None or now is None:
            return None
        return min(GUESS_LIMIT, max(0, now - step.started) / usual)

    def share(self, step: StepState) -> float | None:
        """How much of the running step is done, 0 to 1: by Nix's counts, else a guess; None if
        nothing is known. It is never less than what was shown before."""
        counted = step.progress is not None and step.progress.expected > 0
        found = step.reached if counted else self.guess(step)
        if found is None:
            found = self._shown.get(step.id)
        elif step.status == "running":
            self._shown[step.id] = found = max(found, self._shown.get(step.id, 0.0))
        return found

    @property
    def fraction(self) -> float:
        """How far the job is, 0 to 1, with the share of the running step. It never goes back."""
        current, found = self.state.current, self.state.fraction
        if current is not None and (share := self.share(current)) is not None:
            weights = sum(step.weight for step in self.state.steps)
            found += max(0.0, share - current.reached) * current.weight / weights
        self._shown_fraction = min(1.0, max(found, self._shown_fraction))
        return self._shown_fraction

    def follows(self, host: Host, job: str, plan: Plan, files: JobFiles) -> None:  # noqa: ARG002
        """Begin: the job's events follow, from the first one."""
        self.plan = plan
        self.state = JobState.of(plan)
        self.usual = self.session.usual(plan)

    def event(self, host: Host, event: JobEvent, state: JobState) -> None:  # noqa: ARG002
        """Take in one event."""
        self.state = state
        self._changed()
        match event:
            case JobStart():
                self._log_seen = False
                self._heard = self._clock()
            case LogGrew(size=size, text_size=text_size):
                self.log_dirty = True
                self._note_time(size, text_size)
            case Tick(at=at, log=size) | Heartbeat(at=at, log=size):
                self._heard = self._clock()
                self._raw_times.add_time(at, size)
            case LineTime(at=at, text_offset=size):
                self.times.add_time(at, size)
            case StepPlace(step=step, text_offset=offset):
                self.places[step] = offset
            case Link() | CopyHalt() | Progress() | Work() | BuildTimes():
                pass
            case _:
                self._heard = self._clock()

    def _note_time(self, size: int, text_size: int) -> None:
        """The log has grown: its new lines get the time at which the host had a log of that size.

        The part that was here before the app looked came at once, so only its ticks have times.
        """
        at = self._raw_times.time_of(size - 1) or self.state.now
        if not self._log_seen and self.state.ended is None:
            self.times.skip(text_size)
        elif at is not None:
            self.times.add_time(at, text_size)
        self._log_seen = True

    async def run(self, conductor: Conductor) -> None:
        """Follow the job to its end and get the verdict. An error goes into `problem`."""
        self.problem = ""
        self.ended.clear()
        self._changed()
        plan = self.plan if self._launched else None
        try:
            self.report = await conductor.watch(self.session, self.job, plan=plan, watcher=self)
        except NoSuchJob as error:
            self.problem = str(error)
        else:
            if self.report.declined:
                self.problem = f"sudo on {self.host} wants a password, and you gave none"
            elif self.report.failed and self.report.verdict is not None:
                self.problem = self.report.verdict.sentence
        self.log_dirty = True
        self.ended.set()
        self._changed()
