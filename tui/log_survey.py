"""The errors, warnings, retries and commands of a whole log, found once, as it grows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nixfleet_core.log.index import CLIP
from nixfleet_core.log.kinds import kind_of, lines_of_note
from nixfleet_core.log.plain_file import reading
from tui.ansi import plain_line
from tui.log_search import Hits, read_lines

if TYPE_CHECKING:
    from pathlib import Path

    from nixfleet_core.log.kinds import Kind

BUDGET: Final = 64 * 1024
"""Bytes looked at in one go: a fraction of a millisecond, ten if every line is an error."""


class Survey:
    """Where they are, in the part that has been looked at so far."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._scanned = 0
        self._hits: dict[Kind, Hits] = {}

    def of(self, kind: Kind) -> Hits:
        """All lines of that kind, but for phases: nobody counts these."""
        return self._hits.setdefault(kind, Hits())

    def scan(self, size: int) -> bool:
        """Look at the next lines, at most up to byte `size`. Return whether more are left."""
        try:
            with reading(self._path) as file:
                block = read_lines(file, self._scanned, size, BUDGET)
        except OSError:
            return False
        for begin in sorted(lines_of_note(block)):
            self._add(block, begin)
        self._scanned += len(block)
        return bool(block) and self._scanned < size

    def _add(self, block: bytes, begin: int) -> None:
        line = block[begin : begin + CLIP].partition(b"\n")[0]
        kind = kind_of(plain_line(line))
        if kind is not None and not (hits := self.of(kind)).is_full:
            hits.add(self._scanned + begin)
