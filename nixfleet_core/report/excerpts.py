"""The parts of a job's log that a report shows: the lines around errors, and the last lines.

Whatever the log's size, the time and the memory that this takes are bounded.
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from typing import TYPE_CHECKING, BinaryIO, Final

from nixfleet_core.log.characters import log_line, without_colours
from nixfleet_core.log.index import CLIP
from nixfleet_core.log.kinds import kind_of, lines_of_note
from nixfleet_core.log.plain_file import reading
from nixfleet_core.log.redact import Redactor
from nixfleet_core.report.model import Excerpt, LogLine, LogPart

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

FIRST_ERRORS: Final = 10
LAST_ERRORS: Final = 5
"""Of so many errors at the log's beginning and at its end the lines around are shown. The last ones
are often what the first ones led to."""
BEFORE: Final = 5
AFTER: Final = 10
"""So many lines before and after each."""
LAST_LINES: Final = 15
"""So many of the log's last lines are shown in any case."""

MOST_COUNTED: Final = 1000
"""So many errors are counted."""
_TAIL: Final = 256 * 1024
"""Bytes at the log's end in which the last errors are looked for, however many came before."""
_BLOCK: Final = 1024 * 1024
_LINE: Final = 4 * CLIP
"""Bytes of a line that are read; a report shows fewer characters of it."""
_LONGEST: Final = 1024 * 1024
"""Bytes of a line that are read at once."""


def read_excerpts(path: Path, steps: Sequence[tuple[int, str]] = ()) -> LogPart:
    """Read log.txt. `steps`: where the output of steps begins, in bytes, and their titles. Raises
    OSError; a log that is not there is empty."""
    try:
        with reading(path) as file:
            return _read(file, sorted(steps))
    except FileNotFoundError:
        return LogPart()


_Place = tuple[int, int]
"""A line's number, and its first byte."""


def _read(file: BinaryIO, steps: Sequence[tuple[int, str]]) -> LogPart:
    size = file.seek(0, 2)
    first: list[_Place] = []
    last: deque[_Place] = deque(maxlen=LAST_ERRORS)
    errors = lines = 0
    skipped, is_whole = False, True
    end = deque([(1, 0)], maxlen=LAST_LINES + 1)
    """The places of the last lines, and where the next one would begin."""
    for at, block in _blocks(file):
        if errors < MOST_COUNTED or at + len(block) > size - _TAIL:
            for place in _errors(block, lines, at):
                errors += 1
                (first if len(first) < FIRST_ERRORS else last).append(place)
        else:
            skipped = True
        count = block.count(b"\n")
        end.extend(_last_places(block, lines + count, at))
        lines += count
        is_whole = block.endswith(b"\n")
    if not is_whole:
        lines += 1  # the last one has no newline
    chosen = [*first, *last]
    found: dict[int, tuple[int, bytes]] = {}
    for number, offset in chosen:
        found |= _lines_before(file, number, offset)
        found |= _lines_from(file, number, offset, AFTER + 1)
    if lines:
        number, offset = next(place for place in end if place[0] > lines - LAST_LINES)
        found |= _lines_from(file, number, offset, LAST_LINES)
    return LogPart(
        lines=lines,
        errors=min(errors, MOST_COUNTED) if skipped else errors,
        counted_all=not skipped,
        around=len(chosen),
        excerpts=tuple(_excerpts(found, {number for number, _ in chosen}, steps)),
    )


def _blocks(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Whole lines, with the place of the first; only a line beyond `_LONGEST` may be cut."""
    at = 0
    file.seek(0)
    while block := file.read(_BLOCK):
        if not block.endswith(b"\n"):
            block += file.readline(_LONGEST)
        yield at, block
        at += len(block)


def _errors(block: bytes, lines: int, at: int) -> Iterator[_Place]:
    """The errors in a block that begins after so many lines, at that byte."""
    number, seen = lines + 1, 0
    for begin in sorted(lines_of_note(block)):
        line = block[begin : begin + CLIP].partition(b"\n")[0].decode("utf-8", "replace")
        number += block.count(b"\n", seen, begin)
        seen = begin
        if kind_of(without_colours(log_line(line))) == "error":
            yield number, at + begin


def _last_places(block: bytes, number: int, at: int) -> Iterator[_Place]:
    """Where the lines after the block's last newlines begin; `number` lines are before the last of
    them."""
    begins: list[int] = []
    newline = len(block)
    while len(begins) < LAST_LINES + 1 and (newline := block.rfind(b"\n", 0, newline)) >= 0:
        begins.append(newline + 1)
    for back, begin in reversed(list(enumerate(begins))):
        yield number + 1 - back, at + begin


def _lines_before(file: BinaryIO, number: int, offset: int) -> dict[int, tuple[int, bytes]]:
    start = max(0, offset - BEFORE * _LINE)
    file.seek(start)
    lines = file.read(offset - start).split(b"\n")[:-1]
    if start:
        del lines[:1]  # it may be half a line, and half a credential would not be recognised
    lines = lines[-BEFORE:]
    found: dict[int, tuple[int, bytes]] = {}
    for line in reversed(lines):
        offset -= len(line) + 1
        number -= 1
        found[number] = (offset, line[:_LINE])
    return found


def _lines_from(
    file: BinaryIO, number: int, offset: int, count: int
) -> dict[int, tuple[int, bytes]]:
    found: dict[int, tuple[int, bytes]] = {}
    file.seek(offset)
    for more in range(count):
        place = file.tell()
        line = file.readline(_LINE)
        if not line:
            break
        found[number + more] = (place, line.removesuffix(b"\n"))
        while line and not line.endswith(b"\n"):
            line = file.readline(_LONGEST)
    return found


def _excerpts(
    found: dict[int, tuple[int, bytes]], errors: set[int], steps: Sequence[tuple[int, str]]
) -> Iterator[Excerpt]:
    """The lines that follow one another as one."""
    numbers = sorted(found)
    if not numbers:
        return
    begins = [0, *(at for at, (a, b) in enumerate(pairwise(numbers), 1) if b > a + 1)]
    for begin, end in pairwise((*begins, len(numbers))):
        part = numbers[begin:end]
        texts = [found[number][1].decode("utf-8", "replace") for number in part]
        clean = Redactor().lines(texts)
        step = next((title for at, title in reversed(steps) if at <= found[part[0]][0]), "")
        lines = (LogLine(n, t, n in errors) for n, t in zip(part, clean, strict=True))
        yield Excerpt(tuple(lines), step)
