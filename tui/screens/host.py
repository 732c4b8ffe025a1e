"""Everything that is known of one host, and all that can be done to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from nixfleet_core.errors import HostError, NeedsPassword
from nixfleet_core.session.boundary import one_host
from tui.details import last_look
from tui.host_facts import Jobs, host_sections
from tui.screens.facts_page import FactsPage
from tui.screens.host_page import host_key, host_keys
from tui.stage import stage
from tui.text import plain
from tui.widgets.fact_list import FactList
from tui.widgets.key_bar import KeyBar

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from tui.fleet import HostEntry
    from tui.host_facts import Section


class HostScreen(FactsPage):
    """Shows at once what is known; then it asks the host for its jobs."""

    BINDINGS: ClassVar[list[BindingType]] = [
        host_key("host", "choose"),
        Binding("escape", "leave", "back", id="host.leave", tooltip="To the screen before"),
        Binding("y", "copy", "copy", id="host.copy", tooltip="Copy this value, all of it"),
        Binding("Y", "copy_all", "Copy everything", show=False, id="host.copy-all"),
        *host_keys("host", show=True),
    ]
    BINDING_GROUP_TITLE = "Host"
    AUTO_FOCUS = "FactList"
    SUBJECT = "details"
    ALL = "all that is known"

    def __init__(self, entry: HostEntry) -> None:
        super().__init__(entry)
        self._jobs = Jobs()
        self._newest: tuple[str | None, ...] | None = None
        """What was known of the newest job when the jobs were asked for."""

    def compose_page(self) -> ComposeResult:
        yield Static(id="title", markup=False)
        with Vertical(id="host") as box:
            box.border_title = Content(self._entry.label)
            yield FactList(stage(self).glyphs, stage(self).keys, id="host-facts")
        yield KeyBar()

    def on_mount(self) -> None:
        self.show_on_ticks(self.update_host)
        self.show_each_second(self.update_ages)
        self.update_host(None)

    def on_screen_resume(self) -> None:
        self.update_host(None)

    def update_host(self, _: object) -> None:
        """Show the host as it is known now, and ask for its jobs if there are others by now."""
        facts = self._entry.facts
        newest = (facts.job_running, facts.job_last) if facts else ()
        if newest != self._newest:
            self._newest = newest
            self._ask_for_jobs()
        self.update_commit_key()
        self.update_ages()

    def update_ages(self) -> None:
        """Show how old things are by now."""
        self.show_subject(last_look(self._entry, stage(self).clock()))
        self.query_one(FactList).show(self.sections())

    def action_look(self) -> None:
        """Look at the host again, and ask for its jobs."""
        super().action_look()
        self._ask_for_jobs()

    def sections(self) -> tuple[Section, ...]:
        app, entry = stage(self), self._entry
        made = app.fleet.latest_time(entry.latest) if entry.latest else None
        return host_sections(entry, self._jobs, made, app.glyphs, app.clock())

    def _ask_for_jobs(self) -> None:
        self.run_worker(self._load_jobs(), group="jobs-of-host", exclusive=True)

    async def _load_jobs(self) -> None:
        """Nobody has asked for them by a key: no password is asked for."""
        app = stage(self)
        try:
            with one_host(self._entry.name):
                self._jobs = Jobs(await self._entry.session.jobs(), app.clock())
        except NeedsPassword:
            key = app.keys.shown(HostScreen, "host.history", app.glyphs) or "the history"
            self._jobs = Jobs(why=f"only root can list the jobs: {key} asks for the password")
        except HostError as error:
            self._jobs = Jobs(why=plain(str(error)))
        self.update_ages()
