"""The table of keys in the README, made of the bindings of the app: `make keys` writes it again."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from textual.keys import format_key

from tui.bindings import app_keys

README: Final = Path(__file__).parents[1] / "README.md"
BEGIN: Final = "<!-- keys: `make keys` writes this table -->\n"
END: Final = "<!-- keys end -->\n"


def keys_table() -> str:
    """Each key with the places where it does the same."""
    places: dict[tuple[str, str], list[str]] = {}
    for one in app_keys():
        keys = " ".join(f"`{written(key)}`" for key in one.keys)
        text = one.description[:1].upper() + one.description[1:]
        places.setdefault((keys, text), []).append(one.place)
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
