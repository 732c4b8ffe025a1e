"""What Nix does now; after the end, the slowest builds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from tui.widgets.live import LivePanel
from tui.widgets.titled import Titled
from tui.work_rows import (
    SLOWEST,
    slowest_in_one_line,
    slowest_lines,
    work_in_one_line,
    work_lines,
    work_parts,
)

if TYPE_CHECKING:
    from textual.geometry import Size

    from tui.glyphs import Glyphs
    from tui.jobs import JobWatcher


class WorkPanel(LivePanel, Titled):
    """It is there from the moment that Nix does something. Its height does not change while the
    job runs: nothing below it jumps."""

    def __init__(self, watcher: JobWatcher, glyphs: Glyphs) -> None:
        super().__init__(id="work")
        self.host = watcher.host
        self._watcher = watcher
        self._glyphs = glyphs
        self.lines = 1
        """So many lines there are while the job runs; with one it is folded."""

    @property
    def is_due(self) -> bool:
        """Whether there is something to tell."""
        state = self._watcher.state
        if state.outcome is not None:
            return bool(state.built)
        return state.work is not None and self._watcher.is_active

    @property
    def title(self) -> str:
        work = self._watcher.state.work
        parts = ["Now", *work_parts(work)] if work is not None else ["Slowest builds"]
        return f" {self._glyphs.dot} ".join(parts)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002
        built = self._watcher.state.built
        return min(self.lines, len(built), SLOWEST) if built else self.lines

    def picture(self) -> Content:
        watcher, glyphs, width = self._watcher, self._glyphs, self.size.width
        state = watcher.state
        if state.work is None:
            if self.lines == 1:
                return slowest_in_one_line(state.built, glyphs, width)
            return Content("\n").join(slowest_lines(state.built, glyphs, width))
        told = (state.work, watcher.usual, watcher.host_now, glyphs, width)
        if self.lines == 1:
            return work_in_one_line(*told)
        return Content("\n").join(work_lines(*told, count=self.lines))
