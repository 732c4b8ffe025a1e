"""What NixOS does not exchange while a system runs: `system.switch.inhibitors` of 26.05. Pure.

Each system names these parts in a file `switch-inhibitors`, and NixOS refuses to switch between
systems that say something else. Today the file is JSON, a name and a text for each part, and only
names that both systems have count. When it was new, in January 2026, it held store paths, a line
each, and any difference counted.
"""

from __future__ import annotations

import msgspec


def changed_inhibitors(old: str | None, new: str | None) -> tuple[str, ...]:
    """The parts by which both systems differ. Empty where one of them names none, and where the two
    files cannot be compared."""
    if not old or not new:
        return ()
    before, after = _named(old), _named(new)
    if before is None and after is None:
        lines = set(old.split()) ^ set(new.split())
        return tuple(sorted({line.rpartition("/")[2][33:] or line for line in lines}))
    if before is None or after is None:
        return ()
    return tuple(name for name in before if after.get(name, before[name]) != before[name])


def _named(text: str) -> dict[str, str] | None:
    """The parts of today's file; None for the older one."""
    try:
        return msgspec.json.decode(text, type=dict[str, str])
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
