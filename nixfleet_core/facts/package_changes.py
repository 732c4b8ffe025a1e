"""What changed between two generations: the packages that differ, as Nix lists them.

Parsing only, of `nix store diff-closures`. A line is `NAME: OLD → NEW, SIZE`; the versions or the
size may be missing. `∅` stands for no such package, `ε` for a package without a version. Nix always
colours the size, and newer versions of Nix leave out the plus.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Final

import msgspec
from humanize import naturalsize

if TYPE_CHECKING:
    from nixfleet_core.facts.model import Snapshot

CHANGES_LIMIT: Final = 256 * 1024
"""Bytes; if every package of a large system changes, that is some 100 KiB."""

CHANGES_MOST: Final = 4000
"""Packages; 100 KiB name about 2000."""

_ESCAPES: Final = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|\r")
_LINE: Final = re.compile(r"(?P<name>[0-9A-Za-z+\-._?=]{1,211}): (?P<rest>.+)")
_SIZE: Final = re.compile(r"(?P<number>[+-]?[0-9]{1,12}(?:\.[0-9]{1,3})?) (?P<unit>[KMGT]?i?B)")
_UNITS: Final = {
    "B": 1,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
    "TiB": 1024**4,
}
_STORE_NAME: Final = re.compile(r"/nix/store/[0-9a-z]{32}-(?P<name>.+?)(?:-(?=[0-9])|$)")


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One package. `before` is None if the package is new, `after` if it is gone; "" is an unnamed
    version. `size` is the growth in bytes; None if Nix does not mention it.
    """

    name: str
    before: str | None
    after: str | None
    size: int | None = None


def parse_changes(data: bytes) -> tuple[Change, ...]:
    """Read the output of `nix store diff-closures`; other lines are left out."""
    text = _ESCAPES.sub("", data[:CHANGES_LIMIT].decode("utf-8", "replace"))
    found = (_change(line) for line in text.split("\n"))
    return tuple(islice((change for change in found if change is not None), CHANGES_MOST))


def with_agent(
    changes: tuple[Change, ...], before: Snapshot, after: Snapshot
) -> tuple[Change, ...]:
    """The changes with the agent's own first, even if only its path is new.

    Nix leaves out a change of the path alone. And the agent that ran before may be older than the
    generation.
    """
    if before.store_path is None or after.store_path in (None, before.store_path):
        return changes
    name = _package(after.store_path) or "nixfleet-agent"
    size = next((change.size for change in changes if change.name == name), None)
    agent = Change(name=name, before=before.version or "", after=after.version or "", size=size)
    return agent, *(change for change in changes if change.name != name)


def change_text(change: Change, arrow: str = "→") -> str:
    """`glibc 2.40-61 → 2.40-66, +1.2 MiB`; words say where a version only came or went."""
    words = change.name
    if change.before is None:
        words += f" {change.after} is new" if change.after else " is new"
    elif change.after is None:
        words += f" {change.before} is gone" if change.before else " is gone"
    elif change.before != change.after:
        words += f" {change.before or '?'} {arrow} {change.after or '?'}"
    elif change.before:
        words += f" {change.before}, rebuilt"
    return f"{words}, {_size_text(change.size)}" if change.size is not None else words


def _change(line: str) -> Change | None:
    match = _LINE.fullmatch(line.strip())
    if match is None:
        return None
    versions, size = _split(match["rest"])
    if versions is None:
        return Change(name=match["name"], before="", after="", size=size)
    old, arrow, new = versions.partition(" → ")
    if not arrow:
        return None
    return Change(name=match["name"], before=_version(old), after=_version(new), size=size)


def _split(rest: str) -> tuple[str | None, int | None]:
    """The versions and the growth. Commas also separate several versions."""
    versions, comma, last = rest.rpartition(", ")
    size = _SIZE.fullmatch(last)
    if size is None:
        return rest, None
    grown = round(float(size["number"]) * _UNITS.get(size["unit"], 0))
    return (versions if comma else None), grown


def _version(text: str) -> str | None:
    return None if text == "∅" else ", ".join(v for v in text.split(", ") if v != "ε")


def _package(path: str) -> str | None:
    """The name before the version. Like Nix, we split at the first dash before a digit."""
    match = _STORE_NAME.match(path)
    return match["name"] if match else None


def _size_text(size: int) -> str:
    return f"{'-' if size < 0 else '+'}{naturalsize(abs(size), binary=True)}"
