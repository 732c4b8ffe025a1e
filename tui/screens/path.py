"""The dialog that asks where to save something."""

from __future__ import annotations

from typing import Final

from textual.content import Content
from textual.widgets import Input

from tui.screens.base import FieldDialog

_LOG: Final = "The whole log, without colours, goes to a new file on this machine:"

REPORT: Final = "Save a report on this job, as HTML or Markdown"
"""What the key does that saves a report on one job."""


class PathDialog(FieldDialog):
    """Asks for a path on the operator's machine."""

    def __init__(self, path: str, *, title: str = "Save the log", what: str = _LOG) -> None:
        """`path` is proposed; `what` says what goes there."""
        field = Input(path, id="path", select_on_focus=False)
        super().__init__(title, Content(what), field, accept="save")
