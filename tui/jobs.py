"""Following jobs. Watchers live here, not in a screen: leaving a screen stops nothing."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from nixfleet_core.job.events import Heartbeat, LineTime, Link, LogGrew, Tick
from nixfleet_core.job.progress import JobState
from nixfleet_core.nix.activity import Progress
from tui.elevation import FAILURES, PasswordRefused
from tui.line_times import LineTimes
from tui.text import plain

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nixfleet_core.facts.model import Snapshot
    from nixfleet_core.job.events import JobEvent
    from nixfleet_core.job.progress import StepState
    from nixfleet_core.judge.verdict import Verdict
    from nixfleet_core.plan.model import Plan
    from nixfleet_core.session.protocol import HostSession
    from nixfleet_core.vocabulary import StepId
    from tui.elevation import Elevation

GUESS_LIMIT: Final = 0.95
"""The share of a step beyond which a guess does not go: only its end says that it is done."""


class JobWatcher:
    """Follows one job from its first event to its verdict, folding events into a JobState."""

    def __init__(
        self,
        session: HostSession,
        job: str,
        *,
        plan: Plan | None,
        before: Snapshot | None,
        clock: Callable[[], float],
        changed: Callable[[], None],
        latest: Callable[[], str | None],
        past: bool = False,
    ) -> None:
        """`changed` is called when there is news; `latest` is asked for the commit that the host
        should be at, once there is something to judge. `past`: a job that is only looked at again.
        """
        self.session = session
        self.job = job
        self.plan = plan
        self.before = before
        """What was seen before the launch; None for a job that somebody else started."""
        self.state = JobState.of(plan) if plan else JobState(steps=())
        self.times = LineTimes()
        self.verdict: Verdict | None = None
        self.problem = ""
        """Why the app no longer follows, if it does not."""
        self.past = past
        self.expected: dict[StepId, int] = {}
        """Seconds that the steps usually take on this host."""
        self.log_dirty = True
        self.ended = asyncio.Event()
        self._changed = changed
        self._clock = clock
        self._latest = latest
        self._heard = clock()
        self._raw_times = LineTimes()
        self._log_seen = False

    @property
    def host(self) -> str:
        """The host's name."""
        return self.session.host.name

    @property
    def label(self) -> str:
        """The host's name, as it is shown."""
        return plain(self.host)

    @property
    def text_path(self) -> Path:
        return self.session.files(self.job).text

    @property
    def is_active(self) -> bool:
        return not self.ended.is_set()

    @property
    def host_now(self) -> int | None:
        """The host's clock: what was last heard of it, and the time since."""
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
    def position(self) -> tuple[int, int]:
        """Number of the step that runs (counted from 1), and how many there are."""
        steps = self.state.steps
        done = sum(step.status not in ("pending", "running") for step in steps)
        return min(done + 1, len(steps)), len(steps)

    def guess(self, step: StepState) -> float | None:
        """How much of the running step may be done, by the time that it usually takes."""
        usual, now = self.expected.get(step.id), self.host_now
        if not usual or step.status != "running" or step.started is None or now is None:
            return None
        return min(GUESS_LIMIT, max(0, now - step.started) / usual)

    @property
    def fraction(self) -> float:
        """How far the job is, 0 to 1; the running step is guessed at if it does not tell."""
        steps, current = self.state.steps, self.state.current
        if current is None or (current.progress is not None and current.progress.expected):
            return self.state.fraction
        weights = sum(step.weight for step in steps)
        return self.state.fraction + (self.guess(current) or 0) * current.weight / weights

    def fold(self, event: JobEvent) -> None:
        """Take in one event."""
        self.state = self.state.after(event)
        self._changed()
        match event:
            case LogGrew(size=size, text_size=text_size):
                self.log_dirty = True
                self._note_time(size, text_size)
            case Tick(at=at, log=size) | Heartbeat(at=at, log=size):
                self._heard = self._clock()
                self._raw_times.add_time(at, size)
            case LineTime(at=at, text_offset=size):
                self.times.add_time(at, size)
            case Link() | Progress():
                pass
            case _:
                self._heard = self._clock()

    def _note_time(self, size: int, text_size: int) -> None:
        """The log has grown: by then it was as late as the host said it had that size.

        What was here before the app looked has arrived at once: only its ticks tell its times.
        """
        at = self._raw_times.time_of(size - 1) or self.state.now
        if not self._log_seen and self.state.ended is None:
            self.times.skip(text_size)
        elif at is not None:
            self.times.add_time(at, text_size)
        self._log_seen = True

    async def run(self, elevation: Elevation) -> None:
        """Follow to the end, then fetch the verdict. What goes wrong ends up in `problem`."""
        self.problem = ""
        self.ended.clear()
        session = self.session
        try:
            if self.plan is None:
                self.plan = await elevation.run(session, lambda: session.fetch_plan(self.job))
            await elevation.run(session, self._follow)
            self.verdict = await elevation.run(
                session, lambda: session.verdict(self.job, self._latest())
            )
        except FAILURES as error:
            self.problem = str(error)
        except PasswordRefused:
            self.problem = f"sudo on {self.host} wants a password and got none"
        self.log_dirty = True
        self.ended.set()
        self._changed()

    async def _follow(self) -> None:
        assert self.plan is not None
        session = self.session
        self.state = JobState.of(self.plan)
        self.expected = session.expected(step.id for step in self.plan.steps)
        self._log_seen = False
        async with aclosing(session.follow(self.job)) as events:
            async for event in events:
                self.fold(event)
