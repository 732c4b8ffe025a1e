"""Every key of the app: its id, what it does, and the part of the app where it works. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from textual.binding import Binding

from tui.app import NixFleetApp
from tui.screens.base import Dialog, Page
from tui.screens.batch import ManyPlansDialog, TurnsDialog
from tui.screens.debt import DebtScreen
from tui.screens.first_run import FirstRunScreen
from tui.screens.fleet import FleetScreen
from tui.screens.generation import GenerationDialog
from tui.screens.history import HistoryScreen
from tui.screens.host import HostScreen
from tui.screens.host_menu import HostMenu
from tui.screens.journal import JournalScreen
from tui.screens.level import LevelDialog
from tui.screens.many import ManyScreen
from tui.screens.options import ChoiceDialog, OptionsDialog
from tui.screens.plan import RollbackDialog
from tui.screens.remedy import RemedyNotice
from tui.screens.update import UpdateScreen
from tui.widgets.fact_list import FactList
from tui.widgets.filter_bar import FilterBar
from tui.widgets.log_panel import SearchField
from tui.widgets.log_view import LogView
from tui.widgets.row_table import RowTable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from textual.dom import DOMNode

PLACES: Final[tuple[tuple[str, type[DOMNode]], ...]] = (
    ("everywhere", NixFleetApp),
    ("everywhere", Page),
    ("the fleet", FleetScreen),
    ("the fleet", FilterBar),
    ("a list", RowTable),
    ("no hosts", FirstRunScreen),
    ("all about a host (`d`)", HostScreen),
    ("all about a host (`d`)", FactList),
    ("the restart debt (`D`)", DebtScreen),
    ("the agent's log (`a`)", JournalScreen),
    ("the history (`H`)", HistoryScreen),
    ("a dialog", Dialog),
    ("a plan", ChoiceDialog),
    ("a plan", OptionsDialog),
    ("plans of several hosts", TurnsDialog),
    ("plans of several hosts", ManyPlansDialog),
    ("the force level (`L`)", LevelDialog),
    ("the host's menu (`.`)", HostMenu),
    ("the generations (`b`)", GenerationDialog),
    ("the plan of a rollback", RollbackDialog),
    ("an update", UpdateScreen),
    ("a log", LogView),
    ("a log", SearchField),
    ("updates of several hosts", ManyScreen),
    ("a notice", RemedyNotice),
)
"""The classes that have bindings of their own, and the part of the app where these work."""


@dataclass(frozen=True, slots=True)
class KeyOfApp:
    """One binding: its id, its keys in Textual's spelling, and what it does, in a few words."""

    id: str
    keys: tuple[str, ...]
    description: str
    place: str


def app_keys() -> Iterator[KeyOfApp]:
    """All bindings of the app, place by place, in the order in which each place has them."""
    for place, node in PLACES:
        for binding in node.BINDINGS:
            assert isinstance(binding, Binding)
            assert binding.id is not None
            yield KeyOfApp(
                id=binding.id,
                keys=tuple(binding.key.split(",")),
                description=binding.tooltip or binding.description,
                place=place,
            )
