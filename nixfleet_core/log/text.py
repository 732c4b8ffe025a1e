"""log.txt: a job's raw log as readable, safe text that a view may read while it grows.

It depends on the raw log alone: the same bytes give the same text however they arrive, and a longer
raw log only appends to it. Nix's JSON is decoded, credentials are hidden, and besides plain text
only tabs and colours are left (nixfleet_core.log.characters).
"""

from __future__ import annotations

import os
from array import array
from bisect import bisect_right
from contextlib import suppress
from itertools import accumulate, compress
from operator import add
from typing import TYPE_CHECKING, Final

from nixfleet_core.log.plain_file import open_plain, reading
from nixfleet_core.log.redact import Redactor
from nixfleet_core.nix.log_lines import NixLogDecoder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from nixfleet_core.nix.log_state import Progress
    from nixfleet_core.nix.running import Running

LINE_LIMIT: Final = 64 * 1024
"""Bytes; a longer line is shown in pieces."""

JSON_LIMIT: Final = 1024 * 1024
"""Bytes; the same limit for Nix's JSON, which must be read whole (an error with its trace)."""

_BLOCK: Final = 1024 * 1024
_LOOK_BACK: Final = 1024
"""We look in this many bytes before a cut for a space, or else for another place between two words.
A cut must not halve a word: half a credential may not look like one."""

_BETWEEN_WORDS: Final = (b" ", b",", b";", b"&")

_MARKS: Final = 64 * 1024
"""So many places of the log are remembered exactly; beyond that we forget every other one."""


class LogText:
    """Writes log.txt from raw log bytes.

    Its calls work in the calling thread: 64 KiB of log take some milliseconds. Raises OSError when
    the file cannot be written; a new LogText then mends it.
    """

    def __init__(self, raw: Path, text: Path) -> None:
        """Go on from a raw log, which may not be there yet; log.txt, which only its owner can read,
        may be missing or wrong.

        The raw log is decoded again, and log.txt rewritten from where it differs.
        """
        self._file = open_plain(text, os.O_RDWR | os.O_CREAT)
        self._decoder = TextDecoder()
        self._size = 0
        self._old = os.fstat(self._file).st_size
        """The size of an earlier log.txt; as far as we have compared it, it is right."""
        try:
            self._read(raw)
        except OSError:
            self.close()
            raise

    def _read(self, raw: Path) -> None:
        with suppress(FileNotFoundError), reading(raw) as file:
            while block := file.read(_BLOCK):
                self.feed(block)
        self._forget_old()

    @property
    def size(self) -> int:
        """Bytes of log.txt."""
        return self._size

    @property
    def progress(self) -> Progress | None:
        """What Nix has built so far; see NixLogDecoder."""
        return self._decoder.progress

    @property
    def running(self) -> Running:
        """What Nix does at the raw log's end. It changes with the log."""
        return self._decoder.running

    def text_offset(self, raw: int) -> int:
        """The place in log.txt of the line that begins at `raw` in the raw log.

        It is exact while the log has fewer than 65,536 shown lines; beyond that it is too early by
        at most 1/32,768 of them.
        """
        return self._decoder.marks.find(raw)

    def feed(self, data: bytes) -> int:
        """Append the text of the raw log's next bytes. Return log.txt's new size."""
        return self._append(self._decoder.feed(data))

    def finish(self) -> int:
        """At the job's end: show a last line without newline. Return log.txt's final size."""
        return self._append(self._decoder.finish())

    def close(self) -> None:
        os.close(self._file)

    def _append(self, data: bytes) -> int:
        if self._old > self._size:
            if os.pread(self._file, len(data), self._size) == data:
                self._size += len(data)
                return self._size
            self._forget_old()
        rest = memoryview(data)
        while rest:
            written = os.pwrite(self._file, rest, self._size)
            self._size += written
            rest = rest[written:]
        return self._size

    def _forget_old(self) -> None:
        if self._old > self._size:
            os.ftruncate(self._file, self._size)
        self._old = 0


class TextDecoder:
    """The decoding alone: raw bytes in, readable bytes out."""

    def __init__(self) -> None:
        self._nix = NixLogDecoder()
        self._redactor = Redactor()
        self._rest = bytearray()
        """The beginning of a line that has not ended yet."""
        self._raw = self._text = 0
        self.marks = _Marks()

    @property
    def progress(self) -> Progress | None:
        return self._nix.progress

    @property
    def running(self) -> Running:
        return self._nix.running

    def feed(self, data: bytes) -> bytes:
        """The readable text of all lines that `data` completes."""
        self._rest += data
        if b"\n" not in data and len(self._rest) <= _limit(self._rest):
            return b""
        *lines, rest = bytes(self._rest).split(b"\n")
        parts, newlines = _pieces_of_lines(lines)
        pieces, end = pieces_of(rest)
        self._rest = bytearray(end)
        return self._read(parts + pieces, newlines + [0] * len(pieces))

    def finish(self) -> bytes:
        """The readable text of a last line that has no newline."""
        last = bytes(self._rest)
        self._rest.clear()
        return self._read([last], [0]) if last else b""

    def _read(self, parts: list[bytes], newlines: list[int]) -> bytes:
        """The readable text of lines, or of pieces of them; to each the bytes of its newline."""
        ends = list(accumulate(map(add, map(len, parts), newlines), initial=self._raw))
        self._raw = ends[-1]
        shown, counts = self._nix.feed_all(parts, ends[1:])
        if not shown:
            return b""
        texts = b"\n".join(shown).decode("utf-8", "replace").split("\n")
        encoded = "\n".join([*self._redactor.log_lines(texts), ""]).encode()
        sizes = map((1).__add__, map(len, encoded.split(b"\n")))
        places = list(accumulate(sizes, initial=self._text))
        self.marks.add(
            list(compress(ends[1:], counts)),
            [places[count] for count in compress(accumulate(counts), counts)],
        )
        self._text += len(encoded)
        return encoded


def _pieces_of_lines(lines: list[bytes]) -> tuple[list[bytes], list[int]]:
    """Lines with those that are too long in pieces; to each the bytes of its newline."""
    if max(map(len, lines), default=0) <= LINE_LIMIT:
        return lines, [1] * len(lines)
    parts: list[bytes] = []
    newlines: list[int] = []
    for line in lines:
        pieces, end = pieces_of(line)
        parts += (*pieces, end)
        newlines += (*[0] * len(pieces), 1)
    return parts, newlines


def _limit(line: bytes | bytearray, start: int = 0) -> int:
    return JSON_LIMIT if line.startswith(b"@nix {", start) else LINE_LIMIT


def pieces_of(line: bytes) -> tuple[list[bytes], bytes]:
    """Cut pieces off the front of a line that is too long; its end may not have arrived yet.

    The place of a cut depends only on the line's bytes before it and on the one byte after it.
    """
    pieces: list[bytes] = []
    start = 0
    while True:
        if len(line) - start <= _limit(line, start):
            return pieces, line[start:]
        end = start + LINE_LIMIT
        cut = next(
            (at for sign in _BETWEEN_WORDS if (at := line.rfind(sign, end - _LOOK_BACK, end) + 1)),
            end,
        )
        while cut > end - 3 and line[cut] & 0xC0 == 0x80:  # inside a UTF-8 character
            cut -= 1
        pieces.append(line[start:cut])
        start = cut


class _Marks:
    """Pairs of offsets that belong together, in bounded memory."""

    def __init__(self) -> None:
        self._raw, self._text = array("Q"), array("Q")
        self._seen, self._every = 0, 1

    def add(self, raw: Sequence[int], text: Sequence[int]) -> None:
        """Add a pair for each two offsets of these."""
        at = 0
        while at < len(raw):
            first = at + -(self._seen + 1) % self._every
            end = min(len(raw), first + (_MARKS - len(self._raw) - 1) * self._every + 1)
            self._raw.extend(raw[first : end : self._every])
            self._text.extend(text[first : end : self._every])
            self._seen += end - at
            at = end
            if len(self._raw) == _MARKS:
                self._raw, self._text = self._raw[1::2], self._text[1::2]
                self._every *= 2

    def find(self, raw: int) -> int:
        index = bisect_right(self._raw, raw)
        return self._text[index - 1] if index else 0
