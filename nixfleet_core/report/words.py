"""How a report says times and foreign text. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from nixfleet_core.log.display import safe

TEXT_LIMIT: Final = 1000
"""So many characters of one foreign text are shown outside the log at most."""
_READ_LIMIT: Final = 4 * TEXT_LIMIT
"""More is read than shown: a credential that is cut in half would not be recognised."""


def shown(text: str) -> str:
    """Foreign text on one line, without credentials and without what drives a terminal."""
    clean = safe(text[:_READ_LIMIT]).replace("\t", " ")
    return clean if len(clean) <= TEXT_LIMIT else f"{clean[:TEXT_LIMIT]} …"


def duration(seconds: int) -> str:
    """`4 s`, `1m 58s`, `2h 05m`."""
    minutes, rest = divmod(max(0, seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h {minutes:02d}m"
    return f"{minutes}m {rest:02d}s" if minutes else f"{rest} s"


def moment(at: int) -> str:
    """`2026-11-23 00:41:01 +01:00`, by this machine's clock; empty for a time that no calendar
    has."""
    try:
        when = datetime.fromtimestamp(at).astimezone()
        return f"{when:%Y-%m-%d %H:%M:%S} {when.isoformat()[-6:]}"
    except (OverflowError, OSError, ValueError):
        return ""
