"""What the pages share that list facts of a host: their title, and what is copied from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from tui.host_facts import sections_text
from tui.screens.host_page import HostPage
from tui.stage import stage
from tui.widgets.fact_list import FactList

if TYPE_CHECKING:
    from tui.fleet import HostEntry
    from tui.host_facts import Section


class FactsPage(HostPage):
    """A page with one FactList."""

    SUBJECT = ""
    """What the title says that the page shows."""
    ALL = ""
    """What all of it is: `all that is known`."""

    def __init__(self, entry: HostEntry) -> None:
        super().__init__()
        self._entry = entry

    @property
    def host_entry(self) -> HostEntry:
        return self._entry

    def show_subject(self, when: str) -> None:
        """Show in the title whose page it is, and how old it is, or what is being done."""
        entry = self._entry
        dot = f" {stage(self).glyphs.dot} "
        parts = (entry.label, self.SUBJECT, entry.doing or when)
        self.set_title(Content.styled(f" {dot.join(part for part in parts if part)}", "bold"))

    def action_copy(self) -> None:
        fact = self.query_one(FactList).selected
        if fact is not None:
            stage(self).copy(fact.value, fact.label)

    def action_copy_all(self) -> None:
        text = sections_text(self._entry.name, self.sections())
        stage(self).copy(text, f"{self.ALL} of {self._entry.label}")

    def sections(self) -> tuple[Section, ...]:
        """What the list shows."""
        raise NotImplementedError
