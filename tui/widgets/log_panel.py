"""The log with its title, its search field, and saving."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from textual import on
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input

from nixfleet_core.log.amounts import plural
from nixfleet_core.log.plain_file import reading
from nixfleet_core.log.redact import Redactor
from tui.ansi import plain_text
from tui.keys import AS_BUILT
from tui.text import plain, shorten
from tui.widgets.log_view import LogView
from tui.widgets.titled import Titled

if TYPE_CHECKING:
    from pathlib import Path

    from textual.app import ComposeResult

    from nixfleet_core.log.kinds import Kind
    from tui.glyphs import Glyphs
    from tui.keys import Keys
    from tui.widgets.log_view import Field

_COUNTED: Final[dict[Kind, tuple[str, str]]] = {
    "error": ("error", "errors"),
    "warning": ("warning", "warnings"),
    "retry": ("retry", "retries"),
}
"""What the title counts: one of it, and more."""


_TYPED_CELLS: Final = 24
"""So much of a typed text stands in the title."""

_HINTS: Final[dict[Field, str]] = {
    "find": "find in the log",
    "filter": "show only lines with; NAME> for what one build printed",
}


class SearchField(Input):
    """Where a text is typed to find, or to filter by."""

    BINDINGS = [Binding("escape", "leave", "Leave", show=False, id="search.leave")]  # noqa: RUF012

    class Left(Message):
        """The operator does not want what they have typed."""

    field: Field = "find"

    def action_leave(self) -> None:
        self.post_message(self.Left())


class LogPanel(Vertical, Titled):
    """A titled box around a LogView."""

    def __init__(
        self,
        view: LogView,
        glyphs: Glyphs,
        bound: Keys = AS_BUILT,
        *,
        id: str,  # noqa: A002
    ) -> None:
        super().__init__(id=id)
        self._view = view
        self._glyphs = glyphs
        self._bound = bound
        self._is_whole = False

    @property
    def view(self) -> LogView:
        return self._view

    def compose(self) -> ComposeResult:
        yield self._view
        field = SearchField(id="log-search", compact=True)
        field.cursor_blink = False
        field.display = False
        yield field

    def on_mount(self) -> None:
        self._set_title()

    def show_whole(self, whole: bool) -> None:
        """Whether the log has its end: then there is nothing to follow."""
        if whole != self._is_whole:
            self._is_whole = whole
            self._set_title()

    @on(LogView.Changed)
    def _show_change(self, message: LogView.Changed) -> None:
        message.stop()
        self._set_title()

    def _set_title(self) -> None:
        view, dot = self._view, f" {self._glyphs.dot} "
        parts = ["Log", *self._lines_words()]
        if view.columns is not None:
            first, last = view.columns
            parts += [f"columns {first}-{last}", *self._hint("log.left", "back")]
        if view.following:
            parts.append("the end" if self._is_whole else "following")
        elif (below := view.rows_below) > 0:
            parts.append(f"+{below:,} {'rows' if view.wrapped else 'lines'}")
            parts += self._hint("log.bottom", "to follow")
        text, count = view.find_status
        if text:
            parts += [f"find: {self._typed(text)}", count]
        for kind, words in _COUNTED.items():
            count, at = view.count_of(kind), view.place_in(kind)
            if at:
                parts.append(f"{words[0]} {at}")
            elif count:
                parts.append(f"{count} {words[count != '1']}")
        self.show_titles(Content(dot.join(parts)))

    def _hint(self, name: str, does: str) -> list[str]:
        """A key of the log, and what it does; nothing if it has no key."""
        key = self._bound.shown(LogView, name, self._glyphs)
        return [f"{key} {does}"] if key else []

    def _lines_words(self) -> list[str]:
        """How many lines there are, and which of them are shown."""
        number = self._view.file.lines
        lines = f"{number:,} {plural(number, 'line')}"
        text, count = self._view.filter_status
        return [f"filter: {self._typed(text)}", f"{count} of {lines}"] if text else [lines]

    def _typed(self, text: str) -> str:
        return shorten(plain(text), _TYPED_CELLS, self._glyphs)

    @on(LogView.TextWanted)
    def _open_field(self, message: LogView.TextWanted) -> None:
        field = self.query_one(SearchField)
        field.field = message.field
        field.placeholder = _HINTS[message.field]
        field.value = ""
        field.display = True
        field.focus()

    @on(Input.Changed)
    def _count(self, event: Input.Changed) -> None:
        event.stop()
        field = self.query_one(SearchField)
        if field.display:
            self._view.count_typed(field.field, event.value)

    @on(Input.Submitted)
    def _accept(self, event: Input.Submitted) -> None:
        event.stop()
        field = self.query_one(SearchField)
        self._close_field()
        if field.field == "find":
            self._view.search(event.value)
        else:
            self._view.filter(event.value)

    @on(SearchField.Left)
    def _leave_field(self) -> None:
        self._close_field()
        self._view.count_typed(self.query_one(SearchField).field, "")

    def _close_field(self) -> None:
        self.query_one(SearchField).display = False
        self._view.focus()

    @on(LogView.Said)
    def _tell(self, message: LogView.Said) -> None:
        self.app.notify(message.text, timeout=3)

    def save(self, target: Path) -> None:
        """Write the log to a new file, and tell the operator."""
        source = self._view.file.path

        def copy() -> None:
            said, severity = save_plain(source, target)
            self.app.call_from_thread(
                self.app.notify, said, severity="error" if severity else "information"
            )

        self.run_worker(copy, thread=True, group="save")


def save_plain(source: Path, target: Path) -> tuple[str, bool]:
    """Write the log without colours and credentials to a new file, readable by its owner only.

    Return what to tell the operator, and whether it failed. Nothing is overwritten.
    """
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with reading(source) as log, os.fdopen(descriptor, "wb") as copy:
            redactor = Redactor()
            for line in log:
                copy.write(redactor.line(plain_text(line.removesuffix(b"\n"))).encode())
                copy.write(b"\n" if line.endswith(b"\n") else b"")
    except FileExistsError:
        return f"{target} is there already; nothing was written", True
    except OSError as error:
        return f"not saved: {error}", True
    return f"saved to {target}", False
