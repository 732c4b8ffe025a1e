"""The password dialog."""

from __future__ import annotations

from typing import ClassVar

from textual.content import Content
from textual.widgets import Input

from tui.screens.base import FieldDialog
from tui.text import plain


class PasswordDialog(FieldDialog):
    """Asks for sudo's password on one host; it is kept in memory only."""

    PAUSES: ClassVar[bool] = False  # an enter alone is not taken, and a password can be pasted

    def __init__(self, host: str, *, wrong: bool, said: str = "") -> None:
        """`said` is what sudo said about the wrong password."""
        told = f" ({plain(said)})" if said else ""
        body = Content.assemble(
            (f"wrong password{told}\n" if wrong else "", "bold $text-error"),
            f"sudo on {plain(host)} wants your password. It is kept in memory until NixFleet ends.",
        )
        field = Input(password=True, id="password")
        super().__init__(f"Password for {host}", body, field, accept="go on")
