"""What `--since` takes: the spans and times of journalctl, read here and sent as a number. Pure.

A host gets nothing that somebody typed: a span becomes seconds before its own clock's time, and a
date or a time of day, which people mean by the clock of this machine, seconds since the epoch.
"""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta
from typing import Final

from nixfleet_core.limits import LAST_SECOND

EXAMPLES: Final = '"10 min ago", -1h, today, yesterday, 14:30 or "2026-11-30 14:30"'

_UNITS: Final = {
    name: seconds
    for seconds, names in (
        (1, "s sec second seconds"),
        (60, "m min minute minutes"),
        (3600, "h hr hour hours"),
        (86400, "d day days"),
        (7 * 86400, "w week weeks"),
        (2_629_800, "M month months"),
        (31_557_600, "y year years"),
    )
    for name in names.split()
}
"""As systemd.time(7) has them, but for those below a second."""

_PART: Final = r"([0-9]{1,9}) ?([A-Za-z]+)"
_SPAN: Final = re.compile(rf"(?P<before>-)?(?P<parts>{_PART}(?: ?{_PART})*)(?P<ago> ago)?")
_CLOCK: Final = ("%H:%M", "%H:%M:%S")
_DATES: Final = ("%Y-%m-%d", *(f"%Y-%m-%d{gap}{clock}" for gap in (" ", "T") for clock in _CLOCK))


def read_since(text: str, now: datetime) -> str:
    """The same for `journalctl --since=`: `-600s`, or `@1796038053`. `now` is here, with its time
    zone. Raises ValueError with what would be right."""
    words = " ".join(text.split())
    span = _SPAN.fullmatch(words)
    if span and bool(span["before"]) != bool(span["ago"]):
        return f"-{_seconds(span['parts'], text)}s"
    if re.fullmatch(r"@[0-9]{1,10}", words):
        return f"@{min(int(words[1:]), LAST_SECOND)}"
    at = _time(words, now)
    if at is None:
        raise ValueError(f"{text!r} is no time: {EXAMPLES}")
    return f"@{max(0, int(at.timestamp()))}"


def _seconds(parts: str, text: str) -> int:
    total = 0
    for number, unit in re.findall(_PART, parts):
        if unit not in _UNITS:
            raise ValueError(f"{text!r}: no unit {unit!r}; some are s, min, h, d, w, month")
        total += int(number) * _UNITS[unit]
    if total > LAST_SECOND:
        raise ValueError(f"{text!r} is longer ago than any log")
    return total


def _time(words: str, now: datetime) -> datetime | None:
    """By the clock of this machine, whatever the time zone's rules were at that time."""
    midnight = datetime.combine(now.date(), time())
    match words:
        case "today":
            return midnight
        case "yesterday":
            return midnight - timedelta(days=1)
    for pattern in _CLOCK:
        try:
            return datetime.combine(now.date(), datetime.strptime(words, pattern).time())  # noqa: DTZ007
        except ValueError:
            continue
    for pattern in _DATES:
        try:
            return datetime.strptime(words, pattern)  # noqa: DTZ007
        except ValueError:
            continue
    return None
