"""When the app looks at its hosts by itself."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

    from tui.fleet import HostEntry

SECOND: Final = 1.0
"""Seconds between two calls of `Refresh.due`."""

LONGEST_PAUSE: Final = 900.0
"""Seconds between two looks at a host that does not answer, at most; but never less than the
interval."""


@dataclass(frozen=True, slots=True)
class Refresh:
    """Looks at each host `interval` seconds after the last look at it; None: never.

    A host that does not answer is left alone for twice as long after each further try, up to
    `LONGEST_PAUSE`. Hosts that were seen at the same moment take their turns.
    """

    interval: float | None

    def due(self, entries: Collection[HostEntry], now: float) -> list[HostEntry]:
        """The hosts to look at now, those first that were seen first. Call it each second; `now` is
        by the clock of `seen_at`."""
        if self.interval is None:
            return []
        # twice as many as are needed, so that none falls behind
        most = math.ceil(2 * len(entries) * SECOND / self.interval)
        found = [entry for entry in entries if entry.is_idle and self._is_due(entry, now)]
        return sorted(found, key=lambda entry: entry.seen_at)[:most]

    def _is_due(self, entry: HostEntry, now: float) -> bool:
        age = now - entry.seen_at
        return age < 0 or age >= self._pause(entry.misses)  # a clock may be set back

    def _pause(self, misses: int) -> float:
        assert self.interval is not None
        doublings = min(max(0, misses - 1), 30)  # a float has an end
        return min(self.interval * 2.0**doublings, max(self.interval, LONGEST_PAUSE))
