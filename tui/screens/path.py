"""The dialog that asks where to save a log."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Input

from tui.screens.base import FieldDialog


class PathDialog(FieldDialog):
    """Asks for a path on the operator's machine."""

    def __init__(self, path: str) -> None:
        body = Content("The whole log, without colours, goes to a new file on this machine:")
        field = Input(path, id="path", select_on_focus=False)
        super().__init__("Save the log", body, field, accept="save")
