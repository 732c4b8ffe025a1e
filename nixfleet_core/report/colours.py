"""A log line as pieces of one colour each: the 16 colours of terminals, and bold. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nixfleet_core.log.display import safe_log_line
from nixfleet_core.log.sgr import drawn_pieces

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nixfleet_core.log.sgr import Colour

LINE_LIMIT: Final = 500
"""So many characters of one line are shown."""

COLOURS: Final = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
"""The eight colours; the other eight are `bright-` of each."""


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
    for text, pen in drawn_pieces(line):
        yield Piece(text, _name(pen.fg), pen.bold)


def _cut(found: Iterator[Piece]) -> Iterator[Piece]:
    left = LINE_LIMIT
    for piece in found:
        if len(piece.text) > left:
            yield Piece(f"{piece.text[:left]} …", piece.colour, piece.bold)
            return
        left -= len(piece.text)
        yield piece


def _name(colour: Colour | None) -> str:
    """The colour's name, if it is one of the 16."""
    if not isinstance(colour, int) or colour >= 2 * len(COLOURS):
        return ""
    bright, index = divmod(colour, len(COLOURS))
    return f"{'bright-' if bright else ''}{COLOURS[index]}"
