"""The host's menu: everything that can be done to one host now, each with its key, or why not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Static

from tui.keys import shown_key
from tui.screens.base import Dialog
from tui.stage import stage
from tui.widgets.choice_line import ChoiceLine

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from textual import events
    from textual.app import ComposeResult


@dataclass(frozen=True, slots=True)
class MenuRow:
    """One action, by the id of its binding. `keys` are those that it has on the page below."""

    id: str
    group: str
    keys: tuple[str, ...]
    text: str
    why_not: str = ""
    """Why it can do nothing now; empty if it can, as far as is known."""
    absent: bool = False
    """Whether its key is not there now, so that nothing would happen at all."""


def listed_rows(rows: Sequence[MenuRow]) -> list[MenuRow]:
    """The rows without those whose key does something else now."""
    used = {key for row in rows if not row.absent for key in row.keys}
    return [row for row in rows if not row.absent or not used.intersection(row.keys)]


class HostMenu(Dialog[str]):
    """Lists the actions in groups; the answer is the id of the chosen one. An action's own key
    chooses it, too."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False, id="menu.up"),
        Binding("down,j", "move(1)", "Down", show=False, id="menu.down"),
        Binding("pageup", "move(-10)", "Page up", show=False, id="menu.page-up"),
        Binding("pagedown", "move(10)", "Page down", show=False, id="menu.page-down"),
    ]
    PAUSES: ClassVar[bool] = False  # what changes something asks first, and that dialog pauses

    def __init__(self, host: str, rows: Callable[[], Sequence[MenuRow]]) -> None:
        """`rows` gives those of all actions, as they are now."""
        super().__init__(f"What to do with {host}", Content(), accept="do it")
        self._ask_rows = rows
        self._rows = tuple(listed_rows(rows()))
        self._at = 0

    def compose_fields(self) -> ComposeResult:
        keys = [self._shown_key(row) for row in self._rows]
        width = max(map(len, keys))
        group = ""
        for index, (row, key) in enumerate(zip(self._rows, keys, strict=True)):
            if row.group != group:
                group = row.group
                heading = Content.styled(group, "bold $text-accent")
                yield Static(heading, markup=False)
            yield ChoiceLine(
                *(key.ljust(width), self._text(index)),
                id=f"menu-{index}",
                sign=self._cursor(index),
                action=f"pick({index})",
            )

    def on_mount(self) -> None:
        self.query_one("#text").display = False
        stage(self).ticked.subscribe(self, self._update)
        self.call_after_refresh(self._show_cursor)  # before that, nothing has a place

    def on_key(self, event: events.Key) -> None:
        """An action's own key comes before the menu's, but for those that answer a dialog."""
        app = stage(self)
        if event.key in app.accept_keys or event.key in app.keys.of(Dialog, "dialog.leave"):
            return
        for index, row in enumerate(self._rows):
            if event.key in row.keys:
                event.stop()
                self.action_pick(index)
                return

    def action_move(self, count: int) -> None:
        self._go(max(0, min(self._at + count, len(self._rows) - 1)))

    def action_pick(self, index: int) -> None:
        self._go(index)
        self.action_accept()

    def action_accept(self) -> None:
        """Choose the action under the cursor, unless nothing would happen."""
        row = self._rows[self._at]
        if row.absent:
            self.notify(row.why_not)
        else:
            self.dismiss(row.id)

    def _update(self, _: object) -> None:
        """Show what can be done by now; the list stays the same."""
        now = {row.id: row for row in self._ask_rows()}
        before, self._rows = self._rows, tuple(now[row.id] for row in self._rows)
        for index, row in enumerate(self._rows):
            if row != before[index]:
                self._show(index)

    def _go(self, index: int) -> None:
        was, self._at = self._at, index
        for at in (was, index):
            self._show(at)
        self._show_cursor()

    def _show(self, index: int) -> None:
        line = self.query_one(f"#menu-{index}", ChoiceLine)
        line.choose(self._text(index), self._cursor(index))

    def _show_cursor(self) -> None:
        if self._at == 0:  # with the heading above it
            self.query_one("#body").scroll_home(animate=False, immediate=True)
        self.query_one(f"#menu-{self._at}").scroll_visible(animate=False, immediate=True)

    def _shown_key(self, row: MenuRow) -> str:
        return shown_key(next(iter(row.keys), ""), stage(self).glyphs)

    def _text(self, index: int) -> Content:
        row = self._rows[index]
        style = "bold" if index == self._at else "$text-muted" if row.why_not else ""
        why = (f"\nnot now: {row.why_not}", "$text-warning") if row.why_not else ""
        return Content.assemble((row.text, style), why)

    def _cursor(self, index: int) -> str:
        return f"{stage(self).glyphs.cursor} " if index == self._at else "  "
