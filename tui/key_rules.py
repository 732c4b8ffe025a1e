"""Which keys the actions of the app may have, as config.toml's [keys] asks for them. Pure.

It knows every binding, so it loads all screens: it is imported only if somebody chooses keys.
"""

from __future__ import annotations

import re
from itertools import combinations
from typing import TYPE_CHECKING, Final

from textual._keyboard_protocol import FUNCTIONAL_KEYS
from textual.binding import Binding
from textual.keys import REPLACED_KEYS, _character_to_key, key_to_character
from textual.keys import Keys as TextualKeys
from textual.widgets import Input

from nixfleet_core.cli.key_settings import Action, Clash, WrongKeysError
from nixfleet_core.toml_file import did_you_mean
from tui.app import NixFleetApp
from tui.bindings import PLACES, app_keys
from tui.screens.base import Dialog
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
from tui.screens.plan import PlanDialog, RollbackDialog, UpdateDialog
from tui.screens.remedy import RemedyNotice
from tui.screens.update import UpdateScreen
from tui.widgets.fact_list import FactList
from tui.widgets.filter_bar import FilterBar
from tui.widgets.log_panel import SearchField
from tui.widgets.log_view import LogView
from tui.widgets.row_table import RowTable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from textual.dom import DOMNode

    from nixfleet_core.config import Keys

VIEWS: Final[Mapping[str, tuple[type[DOMNode], ...]]] = {
    "among the hosts": (RowTable, FleetScreen, NixFleetApp),
    "in the filter of the hosts": (FilterBar, FleetScreen, NixFleetApp),
    "where there are no hosts": (FirstRunScreen, NixFleetApp),
    "in what is known of a host": (FactList, HostScreen, NixFleetApp),
    "in the restart debt of a host": (FactList, DebtScreen, NixFleetApp),
    "in the agent's log": (LogView, JournalScreen, NixFleetApp),
    "where a text of the agent's log is typed": (SearchField, JournalScreen, NixFleetApp),
    "in the history": (RowTable, HistoryScreen, NixFleetApp),
    "in an update": (LogView, UpdateScreen, NixFleetApp),
    "where a log's text is typed": (SearchField, UpdateScreen, NixFleetApp),
    "in updates of several hosts": (RowTable, ManyScreen, NixFleetApp),
    "in a dialog": (Dialog,),
    "in a plan": (PlanDialog,),
    "in the plan of an update": (UpdateDialog,),
    "in plans of several hosts": (ManyPlansDialog,),
    "in rollbacks of several hosts": (TurnsDialog,),
    "in the plan of a rollback": (RollbackDialog,),
    "among the force levels": (LevelDialog,),
    "among the generations": (GenerationDialog,),
    "in the host's menu": (HostMenu,),
    "in a notice": (RemedyNotice,),
}
"""The classes whose keys work at the same time. A dialog hides the keys of all else."""

_NEEDED: Final = ("app.quit", "dialog.accept", "dialog.leave")
"""Without a key for these, one could not go on, or out."""

_FIELDS: Final = ("dialog.accept", "filter.", "search.")
"""Actions whose keys must work while one types into a field."""

_MODIFIERS: Final = ("alt", "ctrl", "hyper", "meta", "shift", "super")

_BASES: Final = frozenset(
    name
    for key in (*(key.value for key in TextualKeys), *FUNCTIONAL_KEYS.values())
    if re.fullmatch(r"[a-z0-9_]{2,}", name := key.rpartition("+")[2])
) - {"ignore"}
"""The keys that are no characters."""

_SAME: Final = {
    "ctrl+i": "tab",
    "ctrl+m": "enter",
    "ctrl+left_square_bracket": "escape",
    "del": "delete",
    "esc": "escape",
    "ins": "insert",
    "pgdn": "pagedown",
    "pgup": "pageup",
    "return": "enter",
}
"""What terminals send as another key, and what people call keys."""

_EXAMPLES: Final = "keys are such as f2, u, ?, ctrl+g, alt+x, enter, escape, space, pageup"


class AppKeyRules:
    """The rules, as the core knows them (`nixfleet_core.cli.key_settings.KeyRules`)."""

    def __init__(self) -> None:
        self.actions: Mapping[str, Action] = {
            key.id: Action(key.id, key.description, key.keys) for key in app_keys()
        }
        self._views = {view: _defaults(nodes) for view, nodes in VIEWS.items()}

    def spelled(self, action: str, keys: Keys) -> Keys:
        """The same keys as Textual names them. Raises WrongKeysError."""
        names = tuple(dict.fromkeys(map(spelled, keys)))
        if not names and action in _NEEDED:
            (default, *_) = self.actions[action].keys
            raise WrongKeysError("must have a key", f"its default is {default!r}")
        in_field = names[:1] if action == "dialog.leave" else names
        for key in in_field if action.startswith((*_FIELDS, "dialog.leave")) else ():
            if action == "dialog.accept" and key == "enter":  # a field leaves it to its dialog
                continue
            if key in _FIELD_KEYS or _character(key):
                first = "as its first key, " if action == "dialog.leave" else ""
                raise WrongKeysError(
                    f"{key!r} is for what one types there", f"{first}give it one such as 'f2'"
                )
        return names

    def clashes(self, chosen: Mapping[str, Keys]) -> Iterator[Clash]:
        """The pairs of actions that would share a key in one view, and do not by default."""
        for view, defaults in self._views.items():
            now = {action: chosen.get(action, keys) for action, keys in defaults.items()}
            for one, other in combinations(now, 2):
                shared = [key for key in now[one] if key in now[other]]
                if shared and not {*defaults[one]} & {*defaults[other]}:
                    yield Clash(shared[0], (one, other), view)


def _defaults(nodes: tuple[type[DOMNode], ...]) -> dict[str, Keys]:
    """The keys of each action in some classes. A class may take a key from one that it inherits."""
    found: dict[str, Keys] = {}
    for node in nodes:
        bindings = node._merged_bindings
        assert bindings is not None
        for key, binding in bindings:
            if binding.id is not None:
                found[binding.id] = (*found.get(binding.id, ()), key)
    return found


_FIELD_KEYS: Final = frozenset(
    key
    for binding in Input.BINDINGS
    if isinstance(binding, Binding)
    for key in binding.key.split(",")
)
"""The keys that a field keeps for itself."""


def _character(key: str) -> str:
    """What the key types, if it is named as Textual names it; else empty."""
    character = key_to_character(REPLACED_KEYS.get(key, key)) or ""
    if len(character) != 1 or not character.isprintable():
        return ""
    return character if _character_to_key(character) == key else ""


def spelled(key: str) -> str:
    """The key as Textual names it. Raises WrongKeysError if there is no such key."""
    *modifiers, last = key.split("+") if len(key) > 1 else [key]
    if len(last) == 1 and last.isprintable():
        last = _character_to_key(last)
    name = "+".join((*sorted(modifiers), last))
    if "," in key[1:]:
        written = ", ".join(f'"{part.strip()}"' for part in key.split(","))
        raise WrongKeysError(f"{key!r} is not one key", f"write [{written}]")
    if name in _SAME:
        raise WrongKeysError(f"{key!r} is no key's name here", f"write {_SAME[name]!r}")
    if modifiers == ["shift"] and len(last) == 1:
        raise WrongKeysError(f"{key!r} is no key", f"write {last.upper()!r}")
    if not _is_key(modifiers, last):
        small = key.casefold().split("+")
        if _is_key(small[:-1], small[-1]):
            raise WrongKeysError(f"{key!r} is no key", f"write {key.casefold()!r}")
        raise WrongKeysError(f"{key!r} is no key", did_you_mean(key, [*_BASES]) or _EXAMPLES)
    return name


def _is_key(modifiers: list[str], last: str) -> bool:
    """Whether a terminal can tell it; with another key, it tells the small letter."""
    if len({*modifiers} & {*_MODIFIERS}) < len(modifiers):
        return False
    return last in _BASES or bool(_character(last) and (not modifiers or not last.isupper()))


def with_partners(chosen: Mapping[str, Keys]) -> dict[str, Keys]:
    """The same, and the defaults of all that shares a key with these in its class: Textual forgets
    what it does not find in a keymap there."""
    found: dict[str, Keys] = {}
    for _, node in PLACES:
        bindings = node._merged_bindings
        assert bindings is not None
        for shared in bindings.key_to_bindings.values():
            names = [binding.id for binding in shared if binding.id is not None]
            if not chosen.keys().isdisjoint(names):
                found |= {name: _defaults((node,))[name] for name in names}
    return {**found, **chosen}
