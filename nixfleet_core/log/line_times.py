"""When the lines of log.txt were written, by the host's clock."""

from __future__ import annotations

from array import array
from bisect import bisect_right

_UNKNOWN = -1
_PAIRS = 64 * 1024
"""So many pairs are kept; beyond that we forget every other one, and its bytes count as later."""


class LineTimes:
    """Pairs of (time, size that log.txt had by then), both only growing."""

    def __init__(self) -> None:
        self._sizes = array("Q")
        self._times = array("q")

    def add_time(self, at: int, text_size: int) -> None:
        """log.txt held `text_size` bytes at `at`, in seconds since the epoch."""
        self._add(max(at, self._times[-1]) if self._times else at, text_size)

    def skip(self, text_size: int) -> None:
        """The bytes of log.txt between the last pair and `text_size` have no known time."""
        self._add(_UNKNOWN, text_size)

    def time_of(self, offset: int) -> int | None:
        """The first known time at which that byte was there; None if there is none."""
        at = bisect_right(self._sizes, offset)
        found = self._times[at] if at < len(self._sizes) else _UNKNOWN
        return None if found == _UNKNOWN else found

    def _add(self, at: int, text_size: int) -> None:
        if not self._sizes or text_size > self._sizes[-1]:
            self._sizes.append(text_size)
            self._times.append(at)
            if len(self._sizes) == _PAIRS:
                self._sizes, self._times = self._sizes[1::2], self._times[1::2]
