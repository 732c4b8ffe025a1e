"""Finding lines in log.txt without reading it into memory."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Final

from nixfleet_core.log.index import CLIP
from nixfleet_core.log.kinds import derivation_of
from nixfleet_core.log.plain_file import reading
from tui.ansi import SGR_BYTES, plain_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path
    from typing import BinaryIO

CHUNK: Final = 1024 * 1024
"""Bytes searched in one go: Python's lock is held meanwhile, and the screen stands still."""

HIT_LIMIT: Final = 100_000
_SGR: Final = rb"(?:\x1b\[[0-9;]*m)*"
FILTER_LIMIT: Final = 2_000_000
"""So many lines are found at most; a filter shows them, and needs more."""


LONGEST: Final = 4 * 1024 * 1024
"""Bytes of a line; log.txt has none of a quarter of that."""


class Hits:
    """Where the lines that were found begin, in file order; each takes 8 bytes."""

    def __init__(self, limit: int = HIT_LIMIT) -> None:
        self._limit = limit
        self._starts = array("Q")

    @classmethod
    def of(cls, starts: Iterable[int]) -> Hits:
        """These lines."""
        hits = cls()
        for start in sorted(starts):
            hits.add(start)
        return hits

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, number: int) -> int:
        return self._starts[number]

    def __contains__(self, start: object) -> bool:
        at = self.not_before(start) if isinstance(start, int) else len(self)
        return at < len(self) and self._starts[at] == start

    @property
    def is_full(self) -> bool:
        """Whether there may be more."""
        return len(self) >= self._limit

    @property
    def count(self) -> str:
        """How many, for people."""
        return f"{len(self):,}{'+' if self.is_full else ''}"

    def add(self, start: int) -> None:
        self._starts.append(start)

    def after(self, offset: int) -> int | None:
        """The first hit after `offset`, else the first of all."""
        if not self._starts:
            return None
        at = bisect_right(self._starts, offset)
        return self._starts[at if at < len(self) else 0]

    def before(self, offset: int) -> int | None:
        """The last hit before `offset`, else the last of all."""
        return self._starts[bisect_left(self._starts, offset) - 1] if self._starts else None

    def not_before(self, offset: int) -> int:
        """The index of the first hit at `offset` or after it; their number if there is none."""
        return bisect_left(self._starts, offset)

    def shared_with(self, other: Hits) -> Hits:
        """The lines that are in both."""
        return Hits.of({*self._starts}.intersection(other._starts))

    def number(self, hit: int) -> int:
        """The number of the hit, counted from 1."""
        return self.not_before(hit) + 1


@dataclass(frozen=True, slots=True)
class Query:
    """What lines are looked for: a text, or all that one build printed.

    Case matters only if a text has an upper-case letter. Colour changes inside it do not hide it.
    """

    text: str
    derivation: str
    """The build's name; "" if a text is looked for."""
    word: bytes
    """What every line has that matches, in lower case if case does not matter."""
    folds: bool
    """Whether case does not matter."""
    coloured: re.Pattern[bytes]
    """The word, perhaps with colours inside it."""

    @classmethod
    def of(cls, text: str) -> Query:
        """The query as typed: `NAME>` is one for a build."""
        name = derivation_of(f"{text} ")
        if name and text == f"{name}>":
            return cls(text, name, name.encode(), False, _coloured(name))
        return cls(text, "", text.encode(), text == text.lower(), _coloured(text))

    def matches(self, line: bytes) -> bool:
        """Whether a line matches."""
        if self.derivation:
            return derivation_of(plain_line(line[:CLIP])) == self.derivation
        bare = SGR_BYTES.sub(b"", line)
        return self.word in (bare.lower() if self.folds else bare)

    def spans(self, line: str) -> list[tuple[int, int]]:
        """The places of the text in a line, in characters of the line without colours."""
        flags = re.IGNORECASE if self.folds else re.NOFLAG
        return [match.span() for match in re.finditer(re.escape(self.text), line, flags)]


def _coloured(text: str) -> re.Pattern[bytes]:
    return re.compile(_SGR.join(re.escape(letter.encode()) for letter in text))


class Search:
    """The lines of a file that match, in the part that has been searched so far.

    `scan` may run in a thread while others read.
    """

    def __init__(
        self, path: Path, query: Query, *, within: Query | None = None, limit: int = HIT_LIMIT
    ) -> None:
        """`within`: only lines that match that, too."""
        self._path = path
        self._within = within
        self._lock = Lock()
        self.query = query
        self.hits = Hits(limit)
        self.sizes = array("Q", [0])
        """The sizes that the lines found so far have together: of none, of the first, and so on."""
        self.scanned = 0
        """Bytes searched so far; whole lines."""

    def scan(self, size: int, is_unwanted: Callable[[], bool] = lambda: False) -> None:
        """Search the lines that are left, up to byte `size`; stop if nobody wants it any more."""
        with self._lock:
            try:
                with reading(self._path) as file:
                    while self.scanned < size and not self.hits.is_full and not is_unwanted():
                        block = read_lines(file, self.scanned, size)
                        if not block:
                            return
                        self._scan_block(block)
                        self.scanned += len(block)
            except OSError:
                return

    def _scan_block(self, block: bytes) -> None:
        query, within = self.query, self._within
        folded = block.lower() if query.folds else block
        begins = set(lines_with(folded, query.word))
        if b"\x1b" in block:
            begins.update(
                block.rfind(b"\n", 0, match.start()) + 1
                for match in query.coloured.finditer(folded)
            )
        for begin in sorted(begins):
            end = block.find(b"\n", begin) + 1 or len(block)
            line = block[begin:end]
            is_certain = not query.derivation and b"\x1b" not in line
            if not (is_certain or query.matches(line)):
                continue
            if within is None or within.matches(line):
                self.sizes.append(self.sizes[-1] + end - begin)
                self.hits.add(self.scanned + begin)
                if self.hits.is_full:
                    return


def read_lines(file: BinaryIO, start: int, end: int, size: int = CHUNK) -> bytes:
    """About `size` bytes of whole lines from `start` on, and nothing after `end`; b"" if the next
    line is not there as a whole. Of a line that is too long for log.txt we give a part."""
    file.seek(start)
    block = file.read(max(0, min(size, end - start)))
    while (newline := block.rfind(b"\n")) < 0 and len(block) < LONGEST:
        more = file.read(max(0, min(size, end - start - len(block))))
        if not more:
            return b""
        block += more
    return block[: newline + 1] if newline >= 0 else block


def lines_with(block: bytes, word: bytes) -> Iterator[int]:
    """Where the lines of the block begin that have the word."""
    at = block.find(word)
    while at >= 0:
        yield block.rfind(b"\n", 0, at) + 1
        end = block.find(b"\n", at)
        at = block.find(word, end) if end >= 0 else -1
