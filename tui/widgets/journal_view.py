"""The view of an agent's log: a log whose oldest lines go, and whose lines have their own times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nixfleet_core.log.line_times import LineTimes
from tui.keys import AS_BUILT
from tui.widgets.log_view import LogView

if TYPE_CHECKING:
    from nixfleet_core.journal.copy import JournalCopy
    from tui.glyphs import Glyphs
    from tui.keys import Keys

_OF_A_JOB: Final = ("times", "step", "only")
"""The actions that need steps, builds, or lines without times."""


class JournalView(LogView):
    """Where the operator looks stays in place when the oldest lines go; so do their marks."""

    def __init__(self, copy: JournalCopy, glyphs: Glyphs, bound: Keys = AS_BUILT) -> None:
        super().__init__(copy.text, LineTimes(), {}, glyphs, bound, id="log-view")
        self._copy = copy
        self._dropped = 0
        self._top: int | None = None
        """Where the first shown line began when the file was last looked at."""

    def flush(self) -> None:
        top = self._lines.line_at_row(self.scroll_offset.y)
        self._top = top.start if top is not None else None
        super().flush()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return action not in _OF_A_JOB and super().check_action(action, parameters)

    def _begin_anew(self) -> None:
        gone, self._dropped = self._copy.dropped - self._dropped, self._copy.dropped
        marks = [mark - gone for mark in self._marks if mark >= gone]
        super()._begin_anew()
        self._marks += marks
        if self._top is not None and not self.following:
            self._restore_at = max(0, self._top - gone)
