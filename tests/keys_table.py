"""The table of keys in the README, made of the bindings of the app: `make keys` writes it again."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from textual.binding import Binding
from textual.dom import DOMNode
from textual.keys import format_key

import tui

if TYPE_CHECKING:
    from collections.abc import Iterator

README: Final = Path(__file__).parents[1] / "README.md"
BEGIN: Final = "<!-- keys: `make keys` writes this table -->\n"
END: Final = "<!-- keys end -->\n"

GROUPS: Final = {
    "NixFleetApp": "everywhere",
    "Page": "everywhere",
    "FleetScreen": "the fleet",
    "FilterBar": "the fleet",
    "RowTable": "a list",
    "FirstRunScreen": "no hosts",
    "HostScreen": "all about a host (`d`)",
    "FactList": "all about a host (`d`)",
    "HistoryScreen": "the history (`H`)",
    "Dialog": "a dialog",
    "ChoiceDialog": "a plan",
    "OptionsDialog": "a plan",
    "TurnsDialog": "plans of several hosts",
    "ManyPlansDialog": "plans of several hosts",
    "LevelDialog": "the force level (`L`)",
    "GenerationDialog": "the generations (`b`)",
    "RollbackDialog": "the plan of a rollback",
    "UpdateScreen": "an update",
    "LogView": "a log",
    "SearchField": "a log",
    "ManyScreen": "updates of several hosts",
    "RemedyNotice": "a notice",
}
"""Where each class of the app has its keys, in the table's order."""


def nodes() -> Iterator[type[DOMNode]]:
    """Every class of the app that has keys of its own."""
    for module in pkgutil.walk_packages(tui.__path__, "tui."):
        for one in vars(importlib.import_module(module.name)).values():
            if (
                isinstance(one, type)
                and issubclass(one, DOMNode)
                and one.__module__ == module.name
                and vars(one).get("BINDINGS")
            ):
                yield one


def keys_table() -> str:
    """Each key with the places where it does the same. Raises KeyError for a class that GROUPS
    does not have."""
    order = list(GROUPS)
    if unknown := {node.__name__ for node in nodes()} - set(order):
        raise KeyError(f"GROUPS in {__name__} lacks {', '.join(sorted(unknown))}")
    places: dict[tuple[str, str], list[str]] = {}
    for node in sorted(nodes(), key=lambda one: order.index(one.__name__)):
        for binding in node.BINDINGS:
            assert isinstance(binding, Binding)
            text = binding.tooltip or binding.description
            keys = " ".join(f"`{written(key)}`" for key in binding.key.split(","))
            places.setdefault((keys, text[:1].upper() + text[1:]), []).append(GROUPS[node.__name__])
    groups: dict[str, list[str]] = {}
    for (keys, text), found in places.items():
        groups.setdefault(", ".join(dict.fromkeys(found)), []).append(f"{keys} | {text}")
    lines = ["| where | key | does |", "|---|---|---|"]
    for place, rows in groups.items():
        lines += [f"| {place} | {rows[0]} |", *(f"| | {row} |" for row in rows[1:])]
    return "\n".join(lines) + "\n"


def written(key: str) -> str:
    """A key as one reads it: `ctrl+p`, `?`, `esc`."""
    *modifiers, last = key.split("+")
    if last == "enter":
        return "enter"
    return "+".join((*modifiers, format_key(last)))


def table_in(text: str) -> str:
    """The table that stands in the README."""
    return text.partition(BEGIN)[2].partition(END)[0]


def main() -> None:
    text = README.read_text()
    README.write_text(text.replace(BEGIN + table_in(text) + END, BEGIN + keys_table() + END))


if __name__ == "__main__":
    main()
