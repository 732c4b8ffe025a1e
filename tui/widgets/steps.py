"""The steps of a job, each with its bar and its time."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual.content import Content
from textual.message import Message

from tui.text import bar, duration, plain, shorten
from tui.widgets.live import LivePanel
from tui.words import STYLES, step_sign, step_tone

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from textual import events
    from textual.geometry import Size

    from nixfleet_core.job.progress import StepState
    from nixfleet_core.vocabulary import StepId
    from tui.glyphs import Glyphs
    from tui.jobs import JobWatcher

_BAR = 12


def _counts(step: StepState) -> Iterator[str]:
    """Nix's counts, with the name of what is built, and without."""
    progress = step.progress
    if progress is None:
        yield ""
        return
    session, tally = (
        (progress.aside, progress.beside) if progress.aside else (progress.session, progress)
    )
    counted = f" {tally.done}/{tally.expected}" if tally is not None and tally.expected else ""
    if session:
        yield f"{counted} {session}"
    yield counted


class StepsPanel(LivePanel):
    """One line a step; if room is short, only the whole job and the running step."""

    class Chosen(Message):
        """The operator clicked on a step."""

        def __init__(self, step: StepId) -> None:
            super().__init__()
            self.step = step

    def __init__(self, watcher: JobWatcher, glyphs: Glyphs, *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self.host = watcher.host
        self._watcher = watcher
        self._glyphs = glyphs
        self.brief = False

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002
        return 2 if self.brief else max(1, len(self._watcher.state.steps))

    def picture(self) -> Content:
        width = self.size.width
        if self.brief:
            now = [self._line(step, width) for step in self._shown_steps()]
            return Content("\n").join([self._whole(width), *(now or [Content("")])])
        lines = [self._line(step, width) for step in self._shown_steps()]
        return Content("\n").join(lines or [Content("asking what this job does ...")])

    def on_click(self, event: events.Click) -> None:
        at, steps = event.get_content_offset(self), self._shown_steps()
        row = -1 if at is None else at.y - 1 if self.brief else at.y
        if 0 <= row < len(steps):
            self.post_message(self.Chosen(steps[row].id))

    def _whole(self, width: int) -> Content:
        number, count = self._watcher.state.position
        fraction = self._watcher.fraction
        tail = f" {round(fraction * 100):>3} %  step {number} of {count}"
        return Content(bar(fraction, max(4, width - len(tail)), self._glyphs) + tail)

    def _shown_steps(self) -> Sequence[StepState]:
        """All steps; if room is short, the running one or the last that ran."""
        state = self._watcher.state
        if not self.brief:
            return state.steps
        begun = [step for step in state.steps if step.status not in ("pending", "skipped")]
        return [state.current] if state.current else begun[-1:]

    def _line(self, step: StepState, width: int) -> Content:
        sign = step_sign(step.status, self._glyphs)
        style = STYLES[step_tone(step.status)]
        time, usual = self._times(step)
        times = (f"{time} of {usual}" if time and usual else time or usual, time)
        # what is built goes before the usual time
        for counts, taken in product(_counts(step), times):
            room = max(0, width - 2 - cell_len(taken))
            middle = self._middle(step, room - len(step.title) - 4, counts)
            left = f"{plain(step.title)}  {middle}" if middle else plain(step.title)
            if cell_len(left) < room:
                break
        left = shorten(left, room, self._glyphs)
        gap = " " * (room - cell_len(left))
        time_style = "" if time else STYLES["faint"]
        return Content.assemble((f"{sign} ", style), (left, style), gap, (taken, time_style))

    def _middle(self, step: StepState, room: int, counts: str) -> str:
        """The part between title and time: bar, counts, retry, or what went wrong."""
        if step.status != "running":
            words = step.status if step.status in ("skipped", "cancelled", "failed") else ""
            return f"{words}: {plain(step.reason)}" if words and step.reason else words
        watcher = self._watcher
        if step.id == "confirm":
            return self._confirm(step)
        if (retry := step.retry) is not None:
            left = retry.at + retry.wait - (watcher.host_now or retry.at)
            return f"retry {retry.attempt}/{retry.tries}" + (f" in {left} s" if left > 0 else "")
        waiting = watcher.state.waiting
        if waiting is not None:
            left = waiting.at + waiting.limit - (watcher.host_now or waiting.at)
            return f"waits, {duration(left)} left"
        share = watcher.share(step)
        if share is None:
            return counts.lstrip()
        cells = max(3, min(_BAR, room - len(counts)))
        return bar(share if share == 1 else min(share, 1 - 1 / cells), cells, self._glyphs) + counts

    def _confirm(self, step: StepState) -> str:
        """How long the host still waits for a client before it goes back by itself."""
        planned = self._watcher.plan.step("confirm") if self._watcher.plan else None
        began, now = step.started, self._watcher.host_now
        if planned is None or began is None or now is None:
            return ""
        return f"must be reached in {duration(began + planned.limit - now)}"

    def _times(self, step: StepState) -> tuple[str, str]:
        """How long the step has taken; while it runs, also how long it usually takes."""
        if step.status not in ("pending", "running"):
            known = step.seconds is not None and step.status != "skipped"
            return duration(step.seconds or 0) if known else "", ""
        expected, now = self._watcher.usual.steps.get(step.id), self._watcher.host_now
        usual = f"~{duration(expected)}" if expected is not None else ""
        if step.status == "pending" or step.started is None or now is None:
            return "", usual
        return duration(now - step.started), usual
