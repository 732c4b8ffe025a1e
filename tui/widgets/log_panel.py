"""The log with its title, its search field, and saving."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from textual import on
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input

from nixfleet_core.log.plain_file import open_plain
from nixfleet_core.log.redact import Redactor
from tui.ansi import plain_text
from tui.widgets.log_view import LogView

if TYPE_CHECKING:
    from pathlib import Path

    from textual.app import ComposeResult

    from tui.glyphs import Glyphs
    from tui.line_times import LineTimes


class SearchField(Input):
    """Where the text to find is typed."""

    BINDINGS = [Binding("escape", "leave", "Leave", show=False, id="search.leave")]  # noqa: RUF012

    def action_leave(self) -> None:
        self.value = ""
        self.display = False
        self.screen.query_one(LogView).focus()


class LogPanel(Vertical):
    """A titled box around a LogView."""

    def __init__(
        self,
        path: Path,
        times: LineTimes,
        glyphs: Glyphs,
        *,
        id: str,  # noqa: A002
    ) -> None:
        super().__init__(id=id)
        self._view = LogView(path, times, glyphs, id="log-view")
        self._glyphs = glyphs
        self._title = ""
        self._is_whole = False

    @property
    def view(self) -> LogView:
        return self._view

    def compose(self) -> ComposeResult:
        yield self._view
        field = SearchField(placeholder="find in the log", id="log-search", compact=True)
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
    def _set_title(self) -> None:
        view, dot = self._view, f" {self._glyphs.dot} "
        parts = ["Log", f"{view.file.lines:,} lines"]
        if view.columns is not None:
            first, last = view.columns
            parts += [f"columns {first}-{last}", f"{self._glyphs.back} back"]
        if view.following:
            parts.append("the end" if self._is_whole else "following")
        elif (below := view.rows_below) > 0:
            parts += [f"+{below:,} {'rows' if view.wrapped else 'lines'}", "G to follow"]
        if view.search_status:
            parts.append(f"hit {view.search_status}")
        if (title := dot.join(parts)) != self._title:
            self._title = title
            self.border_title = Content(title)

    @on(LogView.SearchWanted)
    def _open_search(self) -> None:
        field = self.query_one(SearchField)
        field.display = True
        field.focus()

    @on(Input.Submitted)
    def _start_search(self, event: Input.Submitted) -> None:
        event.stop()
        event.input.display = False
        self._view.focus()
        self._view.search(event.value)

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
        with os.fdopen(open_plain(source), "rb") as log, os.fdopen(descriptor, "wb") as copy:
            redactor = Redactor()
            for line in log:
                copy.write(redactor.line(plain_text(line.removesuffix(b"\n"))).encode())
                copy.write(b"\n" if line.endswith(b"\n") else b"")
    except FileExistsError:
        return f"{target} is there already; nothing was written", True
    except OSError as error:
        return f"not saved: {error}", True
    return f"saved to {target}", False
