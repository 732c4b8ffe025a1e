"""A page that shows a log, and saves it to a file."""

from __future__ import annotations

from pathlib import Path

from textual import on

from tui.screens.host_page import HostPage
from tui.screens.path import PathDialog
from tui.widgets.log_panel import LogPanel
from tui.widgets.log_view import LogView


class LogPage(HostPage):
    """Its LogPanel shows the log of one host."""

    AUTO_FOCUS = "LogView"

    @property
    def save_as(self) -> str:
        """The path that is proposed to save the log."""
        raise NotImplementedError

    @on(LogView.SaveWanted)
    def _ask_path(self) -> None:
        self.app.push_screen(PathDialog(self.save_as), self._save_log)

    def _save_log(self, chosen: str | None) -> None:
        if chosen is not None and (path := chosen.strip()):
            self.query_one(LogPanel).save(Path(path).expanduser())
