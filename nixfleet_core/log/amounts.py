"""How amounts are said, in logs, commands, reports and on screens. Pure."""

from __future__ import annotations


def plural(number: int, what: str) -> str:
    """`build` for one of it, else `builds`."""
    return what if number == 1 else f"{what}s"


def counted(number: int, what: str) -> str:
    """`1 build`, `0 builds`, `2 builds`."""
    return f"{number} {plural(number, what)}"


def duration(seconds: int) -> str:
    """`4 s`, `1m 58s`, `2h 05m`."""
    minutes, rest = divmod(max(0, seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h {minutes:02d}m"
    return f"{minutes}m {rest:02d}s" if minutes else f"{rest} s"
