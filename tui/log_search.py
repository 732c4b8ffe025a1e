"""Finding text in log.txt without reading it into memory. Runs in a thread."""

from __future__ import annotations

import mmap
import os
import re
from array import array
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Final

from nixfleet_core.log.plain_file import open_plain

if TYPE_CHECKING:
    from pathlib import Path

CHUNK: Final = 1024 * 1024
"""Bytes searched in one go; `re` holds Python's lock meanwhile, and the screen stands still."""

HIT_LIMIT: Final = 100_000
_OVERLAP: Final = 4096
_SGR: Final = rb"(?:\x1b\[[0-9;]*m)*"

ERROR_WORDS: Final = rb"(?i:\berror\b|\bfatal\b|\bfailed\b|\bfailure\b|\bpanicked\b|\btraceback\b)"
"""What `e` looks for."""


class Search:
    """The lines of a file that match, in the part that has been searched so far."""

    def __init__(self, path: Path, literal: re.Pattern[bytes], coloured: re.Pattern[bytes]) -> None:
        self._path = path
        self._literal = literal
        self._coloured = coloured
        self._hits = array("Q")
        self._scanned = 0

    @classmethod
    def of_text(cls, path: Path, text: str) -> Search:
        """Search for a text as typed. Case matters only if the text has an upper-case letter.

        Colour changes inside the text do not hide it.
        """
        flags = re.NOFLAG if text != text.lower() else re.IGNORECASE
        letters = [re.escape(letter.encode()) for letter in text]
        return cls(
            path, re.compile(b"".join(letters), flags), re.compile(_SGR.join(letters), flags)
        )

    @classmethod
    def of_errors(cls, path: Path) -> Search:
        pattern = re.compile(ERROR_WORDS)
        return cls(path, pattern, pattern)

    @property
    def count(self) -> int:
        """Lines found so far."""
        return len(self._hits)

    @property
    def is_full(self) -> bool:
        """Whether the search stopped because it found so much."""
        return len(self._hits) >= HIT_LIMIT

    def spans(self, line: str) -> list[tuple[int, int]]:
        """The places of the text in a line, in characters of the line without colours."""
        pattern = re.compile(self._literal.pattern.decode(), self._literal.flags & re.IGNORECASE)
        return [match.span() for match in pattern.finditer(line)]

    def scan(self, size: int) -> None:
        """Search the part of the file that is left, up to byte `size`."""
        try:
            with os.fdopen(open_plain(self._path), "rb") as file:
                size = min(size, file.seek(0, 2))
                if size <= self._scanned:
                    return
                with mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) as data:
                    while self._scanned < size and not self.is_full:
                        self._scan_chunk(data, size)
        except OSError:
            return

    def after(self, offset: int) -> int | None:
        """The first hit after `offset`, else the first of all."""
        if not self._hits:
            return None
        at = bisect_right(self._hits, offset)
        return self._hits[at if at < len(self._hits) else 0]

    def before(self, offset: int) -> int | None:
        """The last hit before `offset`, else the last of all."""
        return self._hits[bisect_left(self._hits, offset) - 1] if self._hits else None

    def number(self, hit: int) -> int:
        """The number of the hit, counted from 1."""
        return bisect_left(self._hits, hit) + 1

    def _scan_chunk(self, data: mmap.mmap, size: int) -> None:
        begin = self._scanned
        newline = data.find(b"\n", begin + CHUNK, begin + 2 * CHUNK)
        end = min(size, newline + 1 if newline >= 0 else begin + 2 * CHUNK)
        coloured = data.find(b"\x1b", begin, end) >= 0
        pattern = self._coloured if coloured else self._literal
        at = begin
        while at < end and not self.is_full:
            match = pattern.search(data, at, end)
            if match is None:
                break
            hit = data.rfind(b"\n", 0, match.start()) + 1
            if not self._hits or self._hits[-1] < hit:
                self._hits.append(hit)
            line_end = data.find(b"\n", match.start(), end)
            at = line_end + 1 if line_end >= 0 else end
        cut_inside_line = newline < 0 and end < size
        self._scanned = end - _OVERLAP if cut_inside_line else end
