"""The dialog that asks where a log is saved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content
from textual.widgets import Input

from tui.screens.base import Dialog

if TYPE_CHECKING:
    from textual.app import ComposeResult


class PathDialog(Dialog[str]):
    """Asks for a path on the operator's machine."""

    AUTO_FOCUS = "Input"

    def __init__(self, path: str) -> None:
        body = Content("The whole log, without colours, goes to a new file on this machine:")
        super().__init__("Save the log", body, accept="save", leave="cancel")
        self._path = path

    def compose_fields(self) -> ComposeResult:
        field = Input(self._path, id="path", select_on_focus=False)
        field.cursor_blink = False
        yield field

    def on_input_submitted(self) -> None:
        self.action_accept()

    def action_accept(self) -> None:
        if path := self.query_one(Input).value.strip():
            self.dismiss(path)
