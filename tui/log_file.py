"""A growing log.txt, read by row, with bounded reads whatever its size."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections import OrderedDict
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from nixfleet_core.log.index import LogIndex
from nixfleet_core.log.plain_file import open_plain
from tui.ansi import count_wrapped_rows

if TYPE_CHECKING:
    from io import FileIO
    from pathlib import Path

GROW_BUDGET: Final = 8 * 1024 * 1024
"""Bytes indexed in one go: bounds how long the loop stands still."""

_PAGES: Final = 16


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the file; `row` is the first row it takes."""

    start: int
    data: bytes
    row: int


@dataclass(frozen=True, slots=True)
class _Page:
    """The lines of one segment."""

    lines: list[bytes]
    starts: list[int]
    rows: list[int]

    def line(self, number: int) -> Line:
        return Line(self.starts[number], self.lines[number], self.rows[number])


class LogFile:
    """Rows of the file at `path`; `width` is the cells of a row if long lines are wrapped.

    A file that is not there yet counts as empty. A file that got shorter, or that is another one,
    was written anew, so we read it again from its start.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: FileIO | None = None
        self._pages: OrderedDict[tuple[int, int], _Page] = OrderedDict()
        self._width: int | None = None
        self._index = LogIndex()

    @property
    def path(self) -> Path:
        return self._path

    @property
    def size(self) -> int:
        """Bytes indexed so far."""
        return self._index.size

    @property
    def rows(self) -> int:
        return self._index.rows

    @property
    def lines(self) -> int:
        return self._index.lines

    def set_width(self, width: int | None) -> None:
        """Wrap at so many cells; None for one row a line. A new width starts the index anew."""
        if width != self._width:
            self._width = width
            self._reset()

    def grow(self, budget: int = GROW_BUDGET) -> bool:
        """Index what was appended, at most `budget` bytes. Return whether there is more."""
        if self._is_replaced():
            self.close()
            self._reset()
        file = self._open()
        if file is None:
            return False
        size = file.seek(0, 2)
        if size < self._index.size:
            self._reset()
        data = self._read(self._index.size, min(budget, size - self._index.size))
        self._index.feed(data)
        return bool(data) and self._index.size < size

    def line_at_row(self, row: int) -> Line | None:
        """The line to which the row belongs."""
        if not 0 <= row < self.rows:
            return None
        segment = self._index.segment_with_row(row)
        page = self._page(segment.start, segment.read_size, segment.row)
        return page.line(bisect_right(page.rows, row) - 1) if page.lines else None

    def line_at_offset(self, offset: int) -> Line | None:
        """The line to which the byte belongs."""
        if not 0 <= offset < self.size:
            return None
        segment = self._index.segment_with_offset(offset)
        page = self._page(segment.start, segment.read_size, segment.row)
        return page.line(bisect_right(page.starts, offset) - 1) if page.lines else None

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _reset(self) -> None:
        width = self._width
        self._index = LogIndex(
            None if width is None else lambda lines: count_wrapped_rows(lines, width)
        )
        self._pages.clear()

    def _is_replaced(self) -> bool:
        """Whether another file lies there now than the one that we read."""
        if self._file is None:
            return False
        try:
            return not os.path.samestat(os.fstat(self._file.fileno()), self._path.lstat())
        except OSError:
            return False

    def _open(self) -> FileIO | None:
        if self._file is None:
            try:
                self._file = os.fdopen(open_plain(self._path), "rb", buffering=0)
            except OSError:
                return None
        return self._file

    def _read(self, start: int, size: int) -> bytes:
        file = self._open()
        if file is None or size <= 0:
            return b""
        file.seek(start)
        return file.read(size) or b""

    def _page(self, start: int, size: int, row: int) -> _Page:
        key = (start, size)
        page = self._pages.get(key)
        if page is None:
            page = self._pages[key] = self._split(start, self._read(start, size), row)
            if len(self._pages) > _PAGES:
                self._pages.popitem(last=False)
        else:
            self._pages.move_to_end(key)
        return page

    def _split(self, start: int, data: bytes, row: int) -> _Page:
        lines = data.split(b"\n")
        if not lines[-1]:
            lines.pop()
        starts = accumulate((len(line) + 1 for line in lines[:-1]), initial=start)
        width = self._width
        counts = (1 if width is None else count_wrapped_rows(line, width) or 1 for line in lines)
        return _Page(lines, list(starts) if lines else [], list(accumulate(counts, initial=row)))
