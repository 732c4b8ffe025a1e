"""The agent's own log, live."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Static
from textual.worker import Worker, WorkerCancelled, WorkerFailed

from nixfleet_core.errors import HostError, PasswordRefused
from nixfleet_core.facts.service import Service
from nixfleet_core.job.events import Link
from nixfleet_core.journal.wanted import Grew, Opened, Wanted
from nixfleet_core.session.boundary import one_host
from tui.link_words import link_words, title_line
from tui.screens.host_page import LOOK, host_key, host_keys
from tui.screens.log_page import LogPage
from tui.stage import stage
from tui.text import plain
from tui.widgets.journal_view import JournalView
from tui.widgets.key_bar import KeyBar
from tui.widgets.log_panel import LogPanel

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from nixfleet_core.facts.service import Manager
    from nixfleet_core.journal.copy import JournalCopy
    from nixfleet_core.journal.wanted import JournalEvent
    from tui.fleet import HostEntry


class JournalScreen(LogPage):
    """Follows the log as long as the page is open, also while another page covers it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "back", id="journal.leave", tooltip="To the screen before"),
        Binding("R", "again", "Ask the host again", show=False, id="journal.again", group=LOOK),
        *host_keys("journal", without=("journal",)),
        host_key("journal", "details", show=False),
    ]
    BINDING_GROUP_TITLE = "Agent's log"

    def __init__(self, entry: HostEntry, copy: JournalCopy) -> None:
        super().__init__()
        self._entry, self._copy = entry, copy
        self._manager: Manager | None = None
        self._link = Link(up=True)
        self._reading: Worker[None]
        self._problem = ""
        """Why the log is not followed; empty while it is."""
        self._grew = True

    @property
    def host_entry(self) -> HostEntry:
        return self._entry

    @property
    def save_as(self) -> str:
        return plain(f"~/nixfleet-{self._entry.name}-agent.log")

    def compose_page(self) -> ComposeResult:
        glyphs, bound = stage(self).glyphs, stage(self).keys
        yield Static(id="title", markup=False)
        yield Static(id="said", markup=False)
        yield LogPanel(JournalView(self._copy, glyphs, bound), glyphs, bound, id="log")
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one("#said").display = False
        self.show_on_ticks(self.update_log)
        self._follow()
        self.update_log(None)

    def on_screen_resume(self) -> None:
        self.update_log(None)

    def on_resize(self) -> None:
        self.update_log(None)

    async def on_unmount(self) -> None:
        """The copy ends when nobody writes to it any more."""
        self._reading.cancel()
        with suppress(WorkerFailed, WorkerCancelled):
            await self._reading.wait()
        self._copy.close()

    def update_log(self, _: object) -> None:
        """Show the log as it is now; called a few times a second while it changes."""
        self._show_title()
        self.update_commit_key()
        view = self.query_one(JournalView)
        if self._grew:
            self._grew = False
            view.mark_dirty()
        view.flush()

    def action_again(self) -> None:
        self._follow()

    def why_absent(self, action: str, entry: HostEntry | None) -> str:
        """Ask again only after a problem; else the same key looks at the host."""
        if action == "again" and not self._problem:
            return "the log is followed"
        if action == "look" and self._problem:
            return "the log is not followed: ask for it again"
        return super().why_absent(action, entry)

    def _follow(self) -> None:
        self._problem = ""
        self._reading = self.run_worker(self._read(), group="journal")

    async def _read(self) -> None:
        """It goes on where the copy ends, and ends with the screen."""
        app, session = stage(self), self._entry.session
        try:
            with one_host(self._entry.name):
                await app.conductor.journal(session, self._copy, Wanted(), self._take)
        except PasswordRefused:
            self._problem = "only root may read it, and you gave no password"
        except HostError as error:
            self._problem = plain(str(error))
        self.refresh_bindings()
        app.tick()

    def _take(self, event: JournalEvent) -> None:
        match event:
            case Opened(manager=manager):
                self._manager, self._link = manager, Link(up=True)
            case Link():
                self._link = event
            case Grew():
                self._grew = True
        stage(self).tick()

    def _show_title(self) -> None:
        app, glyphs = stage(self), stage(self).glyphs
        said = self.query_one("#said", Static)
        if (problem := Content(self._problem)) != said.content:
            said.update(problem)
            said.display = bool(self._problem)
        unit = Service(manager=self._manager).name if self._manager else ""
        of_user = "of the user" if self._manager == "user" else ""
        words = (self._entry.label, "the agent's log", f"{unit} {of_user}".strip())
        if self._problem:
            status, style = "not followed", "$text-error"
        elif self._manager is None and self._link.up:
            status, style = "asking", ""
        else:
            status, style = link_words(self._link, glyphs)
        left = f" {glyphs.dot} ".join(word for word in words if word)
        width = self.size.width or app.size.width
        self.set_title(title_line(left, f"{status} ", style, width, glyphs))
