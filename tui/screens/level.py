"""The dialog that asks for the force level."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content

from nixfleet_core.plan.levels import LEVEL_NOTES, LEVELS
from tui.screens.base import Dialog
from tui.stage import stage
from tui.widgets.choice_line import ChoiceLine

if TYPE_CHECKING:
    from textual.app import ComposeResult


class LevelDialog(Dialog[int]):
    """Shows each level with its use and cost; a digit goes to one, and enter chooses it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False, id="level.up"),
        Binding("down,j", "move(1)", "Down", show=False, id="level.down"),
        *(
            Binding(str(level), f"pick({level})", f"Level {level}", show=False, id=f"level.{level}")
            for level in LEVELS
        ),
    ]

    def __init__(self, host: str, level: int) -> None:
        body = Content("How much to distrust; each level also does what the lower ones do:\n")
        super().__init__(f"Force level for {host}", body, accept="choose")
        self._level = level

    def compose_fields(self) -> ComposeResult:
        for level in LEVELS:
            text, sign = self._note(level), self._cursor(level)
            yield ChoiceLine(
                self._heading(level), text, id=f"level-{level}", sign=sign, action=f"pick({level})"
            )

    def on_mount(self) -> None:
        self.call_after_refresh(self._show_cursor)  # before that, nothing has a place

    def action_move(self, count: int) -> None:
        at = LEVELS.index(self._level) + count
        self.action_pick(LEVELS[max(0, min(at, len(LEVELS) - 1))])

    def action_pick(self, chosen: int) -> None:
        self._level = chosen
        for level in LEVELS:
            line = self.query_one(f"#level-{level}", ChoiceLine)
            line.choose(self._note(level), self._cursor(level))
        self._show_cursor()

    def action_accept(self) -> None:
        self.dismiss(self._level)

    def _show_cursor(self) -> None:
        self.query_one(f"#level-{self._level}").scroll_visible(animate=False, immediate=True)

    def _heading(self, level: int) -> str:
        """The level, and its key if that is another one."""
        app, name = stage(self), str(level)
        key = app.keys.shown(LevelDialog, f"level.{level}", app.glyphs)
        return name if key in (name, "") else f"{name} {key}"

    def _note(self, level: int) -> Content:
        return Content.styled(f"{LEVEL_NOTES[level]}\n", "bold" if level == self._level else "")

    def _cursor(self, level: int) -> str:
        return f"{stage(self).glyphs.cursor} " if level == self._level else "  "
