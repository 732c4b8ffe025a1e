"""The host's restart debt: which units run programs of an older system, and how each is paid."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from nixfleet_core.errors import HostError
from nixfleet_core.session.boundary import one_host
from tui.debt_facts import debt_sections, headline
from tui.known_debt import SeenDebt
from tui.screens.facts_page import FactsPage
from tui.screens.host_page import LOOK, host_key, host_keys
from tui.stage import stage
from tui.text import ago, plain
from tui.why_not import why_not
from tui.widgets.fact_list import FactList
from tui.widgets.key_bar import KeyBar

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from tui.fleet import HostEntry
    from tui.host_facts import Section


class DebtScreen(FactsPage):
    """Shows at once what is known; then it looks. Leaving it ends the look."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "back", id="debt.leave", tooltip="To the screen before"),
        Binding(
            *("R", "again", "look again"),
            id="debt.again",
            tooltip="Look again what is old",
            group=LOOK,
        ),
        Binding("y", "copy", "copy", id="debt.copy", tooltip="Copy this value, all of it"),
        Binding("Y", "copy_all", "Copy everything", show=False, id="debt.copy-all"),
        *host_keys("debt", without=("debt", "refresh")),
        host_key("debt", "details", show=False),
    ]
    BINDING_GROUP_TITLE = "Restart debt"
    AUTO_FOCUS = "FactList"
    SUBJECT = "restart debt"
    ALL = "the restart debt"

    def __init__(self, entry: HostEntry) -> None:
        super().__init__(entry)
        self._is_looking = False
        self._problem = ""
        """Why the last look has seen nothing."""
        self._shown: SeenDebt | None = None
        """The finding that the list shows."""

    def compose_page(self) -> ComposeResult:
        yield Static(id="title", markup=False)
        yield Static(id="said", markup=False)
        with Vertical(id="host") as box:
            box.border_title = Content("Restart debt")
            yield FactList(stage(self).glyphs, stage(self).keys, id="debt-facts", where="debt")
        yield KeyBar()

    def on_mount(self) -> None:
        self.show_on_ticks(self.update_debt)
        self.show_each_second(self.update_age)
        self.update_debt(None)
        self.action_again()

    def on_screen_resume(self) -> None:
        self.update_debt(None)

    def update_debt(self, _: object) -> None:
        """Show what is known by now; it may have come by another way, or be of an older system."""
        seen = self._entry.debt
        if seen is not self._shown:
            self._shown = seen
            self.query_one(FactList).show(self.sections())
        self._say()
        self.update_commit_key()
        self.update_age()

    def update_age(self) -> None:
        """Show how old the finding is by now."""
        seen = self._shown
        self.show_subject(f"seen {ago(stage(self).clock() - seen.at)}" if seen is not None else "")

    def action_again(self) -> None:
        self._problem, self._is_looking = "", True
        self._say()
        self.run_worker(self._look(), group="debt", exclusive=True)

    def sections(self) -> tuple[Section, ...]:
        seen = self._shown
        return debt_sections(self._entry, seen, stage(self).glyphs) if seen is not None else ()

    async def _look(self) -> None:
        """Look for it, unless a job runs or the host does not answer."""
        app, entry = stage(self), self._entry
        await app.fleet.look_if_old(entry, app.tick)
        self._problem = plain(why_not("debt", entry))
        if not self._problem:
            self._problem = await self._ask()
        self._is_looking = False
        self.update_debt(None)

    async def _ask(self) -> str:
        """Ask the host, and learn what it owes. Return why that cannot be known."""
        app, entry = stage(self), self._entry
        facts, asked = entry.facts, entry.ask()
        assert facts is not None
        try:
            with entry.busy("asking", app.tick), one_host(entry.name):
                debt = await app.conductor.debt(entry.session)
        except HostError as error:
            return plain(str(error))
        seen = SeenDebt.of(debt, facts, app.clock())
        entry.learn_debt(asked, seen)
        return "" if debt.is_known else headline(seen, app.glyphs)

    def _say(self) -> None:
        """Say what was found, or why nothing was."""
        app, seen = stage(self), self._shown
        found = headline(seen, app.glyphs) if seen is not None else ""
        if self._is_looking:
            said, tone = f"looking for old programs on {self._entry.label} ...", ""
        elif self._problem:
            last = f"\nAt the last look: {found}" if found else ""
            said, tone = f"{self._problem}{last}", "$text-error"
        else:
            said, tone = found, ""
        text = Content.styled(said, tone)
        line = self.query_one("#said", Static)
        if line.content != text:
            line.update(text)
            line.display = bool(said)
