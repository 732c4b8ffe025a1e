"""The password dialog."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content
from textual.widgets import Input

from tui.screens.base import Dialog
from tui.text import plain

if TYPE_CHECKING:
    from textual.app import ComposeResult


class PasswordDialog(Dialog[str]):
    """Asks for sudo's password on one host; it is kept in memory only."""

    AUTO_FOCUS = "Input"

    def __init__(self, host: str, *, wrong: bool) -> None:
        body = Content.assemble(
            ("wrong password\n" if wrong else "", "bold $text-error"),
            f"sudo on {plain(host)} wants your password. It is kept in memory until NixFleet ends.",
        )
        super().__init__(f"Password for {host}", body, accept="go on", leave="cancel")

    def compose_fields(self) -> ComposeResult:
        field = Input(password=True, id="password")
        field.cursor_blink = False
        yield field

    def on_input_submitted(self) -> None:
        self.action_accept()

    def action_accept(self) -> None:
        field = self.query_one(Input)
        password = field.value
        if password:
            field.value = ""
            self.dismiss(password)
