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
    from collections.abc import Sequence
    from io import FileIO
    from pathlib import Path

    from tui.log_search import Search

GROW_BUDGET: Final = 1024 * 1024
"""Bytes indexed in one go: bounds how long the loop stands still, some 10 ms."""

_PAGES: Final = 16


_PIECES: Final = 256 * 1024
"""The same of matching lines, which lie apart."""
_SPAN: Final = 256 * 1024
"""Bytes of the file that are read at once for the matching lines in them."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the file, which begins at byte `start`; `row` is the first row it takes."""

    start: int
    data: bytes
    row: int


@dataclass(frozen=True, slots=True)
class _Page:
    """The lines of one segment, where each begins, and the row behind the last one."""

    lines: list[bytes]
    starts: list[int]
    rows: Sequence[int]


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
        self.rewrites = 0
        """How often it was found to be written anew."""

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
            self.rewrites += 1
        size = self._end()
        if size < self._index.size:
            self._reset()
            self.rewrites += 1
        data = self._read(self._index.size, min(budget, size - self._index.size))
        self._index.feed(data)
        return bool(data) and self._index.size < size

    def holds(self, offset: int) -> bool:
        """Whether what belongs to the file's byte can be shown already."""
        return offset < self.size

    def line_at_row(self, row: int) -> Line | None:
        """The line to which the row belongs."""
        return self.lines_at_rows(row, row + 1)[0]

    def lines_at_rows(self, first: int, end: int) -> list[Line | None]:
        """The lines to which these rows belong, one for each row; None where there is no row."""
        lines: list[Line | None] = []
        rows, page, number = self.rows, _NO_PAGE, 0
        for row in range(first, end):
            if not 0 <= row < rows:
                lines.append(None)
                continue
            if not page.rows[0] <= row < page.rows[-1]:
                segment = self._index.segment_with_row(row)
                page = self._page(segment.start, segment.read_size, segment.row)
                number = min(bisect_right(page.rows, row), len(page.lines)) - 1
            elif row >= page.rows[number + 1]:
                number += 1
            lines.append(self._line(page, number) if page.lines else None)
        return lines

    def line_at_offset(self, offset: int) -> Line | None:
        """The line to which the byte of the file belongs."""
        place = self._place(offset)
        if not 0 <= place < self.size:
            return None
        segment = self._index.segment_with_offset(place)
        page = self._page(segment.start, segment.read_size, segment.row)
        return self._line(page, bisect_right(page.starts, place) - 1) if page.lines else None

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

    def _line(self, page: _Page, number: int) -> Line:
        start = self._start(page.starts[number])
        return Line(start, page.lines[number], page.rows[number])

    # What is read; of the whole file, places are the file's own

    def _end(self) -> int:
        """Bytes there are to read."""
        file = self._open()
        return file.seek(0, 2) if file is not None else 0

    def _start(self, place: int) -> int:
        """Where in the file the line begins that begins at this place."""
        return place

    def _place(self, offset: int) -> int:
        """The place of the file's byte."""
        return offset

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
        sizes = map((1).__add__, map(len, lines))
        starts = list(accumulate(sizes, initial=start))[:-1]
        if self._width is None:
            return _Page(lines, starts, range(row, row + len(lines) + 1))
        counts = [count_wrapped_rows(line, self._width) or 1 for line in lines]
        return _Page(lines, starts, list(accumulate(counts, initial=row)))


_NO_PAGE: Final = _Page([], [], (0, 0))


class MatchingLines(LogFile):
    """Only the lines that a search has found so far, as if the file had no others.

    A place counts the bytes of these lines alone; `size` does so too.
    """

    def __init__(self, path: Path, search: Search) -> None:
        super().__init__(path)
        self._search = search

    def grow(self, budget: int = _PIECES) -> bool:
        return super().grow(budget)

    def holds(self, offset: int) -> bool:
        return offset < self._search.scanned and self._place(offset) < self.size

    def _end(self) -> int:
        return self._search.sizes[len(self._search.hits)]

    def _start(self, place: int) -> int:
        return self._search.hits[self._number(place)]

    def _place(self, offset: int) -> int:
        """The place of the first line that matches and ends after the file's byte, else of the
        last one."""
        hits, sizes = self._search.hits, self._search.sizes
        number = hits.not_before(offset + 1) - 1
        if number < 0 or hits[number] + sizes[number + 1] - sizes[number] <= offset:
            number += 1
        return sizes[min(number, len(hits) - 1)] if len(hits) else 0

    def _number(self, place: int) -> int:
        """The number of the line with that place, from 0."""
        return bisect_right(self._search.sizes, place) - 1

    def _read(self, start: int, size: int) -> bytes:
        sizes, parts = self._search.sizes, []
        end = min(start + size, self._end())
        while start < end:
            first, last = self._near_lines(start, end)
            if first == last:  # no more of it than is asked for: a line may be a giant
                stop = min(end, sizes[first + 1])
                offset = self._search.hits[first] + start - sizes[first]
                parts.append(super()._read(offset, stop - start))
            else:
                stop = min(end, sizes[last + 1])
                lines = self._read_lines(first, last)
                parts.append(lines[start - sizes[first] : stop - sizes[first]])
            start = stop
        return b"".join(parts)

    def _near_lines(self, start: int, end: int) -> tuple[int, int]:
        """The numbers of the first line from `start` on, and of the last one before `end` that is
        so near to it in the file that both are read at once."""
        hits, sizes = self._search.hits, self._search.sizes
        first, last = self._number(start), self._number(end - 1)
        last = min(last, max(first, hits.not_before(hits[first] + _SPAN) - 1))
        if last > first and hits[last] + sizes[last + 1] - sizes[last] > hits[first] + _SPAN:
            last -= 1
        return first, last

    def _read_lines(self, first: int, last: int) -> bytes:
        hits, sizes = self._search.hits, self._search.sizes
        begin = hits[first]
        lengths = [sizes[n + 1] - sizes[n] for n in range(first, last + 1)]
        block = super()._read(begin, hits[last] + lengths[-1] - begin)
        offsets = (hits[n] - begin for n in range(first, last + 1))
        return b"".join(
            [block[at : at + length] for at, length in zip(offsets, lengths, strict=True)]
        )
