"""The dialog that asks which generation a host goes back to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message

from nixfleet_core.judge.ways_back import WayBack
from tui.screens.base import Dialog
from tui.stage import stage
from tui.text import plain, short_store_path
from tui.widgets.choice_line import ChoiceLine

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from nixfleet_core.judge.ways_back import WaysBack
    from tui.glyphs import Glyphs


class WayLine(ChoiceLine):
    """One generation; a click chooses it."""

    @dataclass
    class Picked(Message):
        """The operator has clicked this line."""

        index: int

    def __init__(self, index: int, key: str, text: Content, sign: str) -> None:
        super().__init__(key, text, id=f"way-{index}", sign=sign)
        self._index = index

    async def on_click(self) -> None:
        self.post_message(self.Picked(self._index))


class GenerationDialog(Dialog[WayBack]):
    """Lists the generations with what is known of each; the default is under the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False, id="generation.up"),
        Binding("down,j", "move(1)", "Down", show=False, id="generation.down"),
        Binding("pageup", "move(-10)", "Page up", show=False, id="generation.page-up"),
        Binding("pagedown", "move(10)", "Page down", show=False, id="generation.page-down"),
        Binding("y", "copy", "Copy this row", show=False, id="generation.copy"),
    ]

    def __init__(self, host: str, ways: WaysBack) -> None:
        body = Content("Only what somebody saw active is known to have run:\n")
        super().__init__(f"What should {host} go back to?", body, accept="choose")
        self._ways = ways.options
        self._at = next((at for at, way in enumerate(self._ways) if way.why), 0)

    def compose_fields(self) -> ComposeResult:
        width = max(len(way_key(way)) for way in self._ways)
        for index, way in enumerate(self._ways):
            key = way_key(way).rjust(width)
            yield WayLine(index, key, self._text(index), self._cursor(index))

    def on_mount(self) -> None:
        self.call_after_refresh(self._show_cursor)  # before that, nothing has a place

    def on_way_line_picked(self, event: WayLine.Picked) -> None:
        self._go(event.index)

    def action_move(self, count: int) -> None:
        self._go(max(0, min(self._at + count, len(self._ways) - 1)))

    def action_copy(self) -> None:
        """Copy the row, with the whole path."""
        way = self._ways[self._at]
        text = f"{way_key(way)}  {way.system}  {way.words}"
        stage(self).copy(text, "this generation's row")

    def action_accept(self) -> None:
        self.dismiss(self._ways[self._at])

    def _go(self, index: int) -> None:
        was, self._at = self._at, index
        for at in (was, index):
            line = self.query_one(f"#way-{at}", WayLine)
            line.choose(self._text(at), self._cursor(at))
        self._show_cursor()

    def _show_cursor(self) -> None:
        self.query_one(f"#way-{self._at}").scroll_visible(animate=False, immediate=True)

    def _text(self, index: int) -> Content:
        text = way_text(self._ways[index], stage(self).glyphs)
        return Content.styled(text, "bold" if index == self._at else "")

    def _cursor(self, index: int) -> str:
        return f"{stage(self).glyphs.cursor} " if index == self._at else "  "


def way_key(way: WayBack) -> str:
    """The generation's number, if it is one."""
    return str(way.number) if way.is_generation else "*"


def way_text(way: WayBack, glyphs: Glyphs) -> str:
    """What is known of a way back; of the default also why it is that."""
    where = short_store_path(way.system, glyphs)
    if not way.is_generation and way.number is not None:
        where += f", with generation {way.number} in the profile"
    why = f"\ndefault: {plain(way.why)}" if way.why else ""
    return f"{where}, {plain(way.words)}{why}"
