"""Where the rows of a growing text file begin: one checkpoint for every 64 KiB.

A checkpoint always lies at the beginning of a line. A segment reaches from one checkpoint to the
next: 64 KiB of whole lines, of which the last may be longer. A line is shown up to `CLIP` bytes, so
a reader needs only a segment's first `SEGMENT + CLIP` bytes to show all of its lines. A log with
one line of 50 MB costs no more than any other.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

SEGMENT: Final = 64 * 1024
"""Bytes after which the next line begins a new segment."""

CLIP: Final = 4096
"""Bytes of a line that are shown."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Whole lines: bytes `start` to `end` of the file, rows from `row` on."""

    start: int
    end: int
    row: int

    @property
    def read_size(self) -> int:
        """How many bytes have to be read to show all of its lines."""
        return min(self.end - self.start, SEGMENT + CLIP)


class LogIndex:
    """Counts rows as bytes are fed to it, in file order.

    `count_rows` tells how many rows the given lines take; by default every line is one row. Each
    line ends with a newline, except perhaps the last. It must look at no more than the first `CLIP`
    bytes of a line, and the rows of two lines must be the sum of the rows of each.
    """

    def __init__(self, count_rows: Callable[[bytes], int] | None = None) -> None:
        self._count_rows = count_rows
        self._starts = array("Q", [0])
        self._rows = array("Q", [0])
        self._whole_rows = 0
        self._tail = b""
        self._newlines = 0
        self.size = 0
        """Bytes seen."""

    @property
    def lines(self) -> int:
        """Lines so far; a last one without its newline counts."""
        return self._newlines + (1 if self._tail else 0)

    @property
    def rows(self) -> int:
        """Rows so far; a last line without its newline counts."""
        return self._whole_rows + self._tail_rows()

    def feed(self, data: bytes) -> None:
        """Take the file's next bytes."""
        at = 0
        while at < len(data):
            room = SEGMENT - (self.size - self._starts[-1])
            newline = data.find(b"\n", at + max(0, room - 1))
            end = newline + 1 if newline >= 0 else len(data)
            self._count(data[at:end])
            self.size += end - at
            if newline >= 0:
                self._starts.append(self.size)
                self._rows.append(self._whole_rows)
            at = end

    def segment_with_row(self, row: int) -> Segment:
        return self._segment(bisect_right(self._rows, max(0, row)) - 1)

    def segment_with_offset(self, offset: int) -> Segment:
        return self._segment(bisect_right(self._starts, max(0, offset)) - 1)

    def _segment(self, number: int) -> Segment:
        last = number + 1 == len(self._starts)
        end = self.size if last else self._starts[number + 1]
        return Segment(start=self._starts[number], end=end, row=self._rows[number])

    def _count(self, part: bytes) -> None:
        lines, newline, rest = part.rpartition(b"\n")
        if not newline:
            self._tail = (self._tail + rest)[:CLIP]
            return
        newlines = part.count(b"\n")
        self._newlines += newlines
        if self._count_rows is None:
            self._whole_rows += newlines
        else:
            self._whole_rows += self._count_rows(self._tail + lines + newline)
        self._tail = rest[:CLIP]

    def _tail_rows(self) -> int:
        if not self._tail:
            return 0
        return 1 if self._count_rows is None else self._count_rows(self._tail)
