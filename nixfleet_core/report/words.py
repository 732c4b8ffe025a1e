"""How a report says times and foreign text. Pure."""

from __future__ import annotations

from datetime import datetime

from nixfleet_core.log.display import TEXT_LIMIT, safe_beginning


def shown(text: str) -> str:
    """A foreign text as it may be shown; whether it goes on is seen."""
    clean = safe_beginning(text)
    return clean if len(clean) <= TEXT_LIMIT else f"{clean[:TEXT_LIMIT]} …"


def moment(at: int) -> str:
    """`2026-11-23 00:41:01 +01:00`, by this machine's clock; empty for a time that no calendar
    has."""
    try:
        when = datetime.fromtimestamp(at).astimezone()
        return f"{when:%Y-%m-%d %H:%M:%S} {when.isoformat()[-6:]}"
    except (OverflowError, OSError, ValueError):
        return ""
