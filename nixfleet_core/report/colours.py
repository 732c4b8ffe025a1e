"""A log line as pieces of one colour each: the 16 colours of terminals, and bold. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nixfleet_core.log.characters import SGR
from nixfleet_core.log.display import safe_log_line

if TYPE_CHECKING:
    from collections.abc import Iterator

LINE_LIMIT: Final = 500
"""So many characters of one line are shown."""

COLOURS: Final = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
"""The eight colours; the other eight are `bright-` of each."""

_EXTENDED: Final = {5: 2, 2: 4}
"""How many parameters stand after 38, 48 or 58, by the first of them."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Text without anything that a terminal obeys."""

    text: str
    colour: str = ""
    bold: bool = False


def pieces(line: str) -> tuple[Piece, ...]:
    """A line of log.txt, made safe and cut to LINE_LIMIT characters."""
    return tuple(_cut(_coloured(safe_log_line(line, colour=True))))


def plain_text(line: str) -> str:
    """The same without colours."""
    return "".join(piece.text for piece in pieces(line))


def _coloured(line: str) -> Iterator[Piece]:
    colour, bold, at = "", False, 0
    for match in SGR.finditer(line):
        if match.start() > at:
            yield Piece(line[at : match.start()], colour, bold)
        colour, bold = _after(colour, bold, match[1])
        at = match.end()
    if at < len(line):
        yield Piece(line[at:], colour, bold)


def _cut(found: Iterator[Piece]) -> Iterator[Piece]:
    left = LINE_LIMIT
    for piece in found:
        if len(piece.text) > left:
            yield Piece(f"{piece.text[:left]} …", piece.colour, piece.bold)
            return
        left -= len(piece.text)
        yield piece


def _after(colour: str, bold: bool, parameters: str) -> tuple[str, bool]:
    numbers = [int(part) if part else 0 for part in parameters.split(";")]
    while numbers:
        match numbers.pop(0):
            case 0:
                colour, bold = "", False
            case 1:
                bold = True
            case 22:
                bold = False
            case 39:
                colour = ""
            case 38 | 48 | 58 as what:
                if what == 38:
                    colour = _of_palette(numbers)
                del numbers[: _EXTENDED.get(next(iter(numbers), 0), len(numbers))]
            case number if 30 <= number < 38:
                colour = COLOURS[number - 30]
            case number if 90 <= number < 98:
                colour = f"bright-{COLOURS[number - 90]}"
            case _:
                pass
    return colour, bold


def _of_palette(numbers: list[int]) -> str:
    """The colour after 38, if it is one of the 16."""
    match numbers:
        case [5, index, *_] if index < 8:
            return COLOURS[index]
        case [5, index, *_] if index < 16:
            return f"bright-{COLOURS[index - 8]}"
        case _:
            return ""
