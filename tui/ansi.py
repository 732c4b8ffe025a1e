"""One line of log.txt as styled segments, by the policy of `nixfleet_core.log.characters`.

The file is already clean when it is written. We clean it again here, because text that reaches the
terminal could clear the screen, set its title or fill the clipboard.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from rich.cells import cell_len
from rich.color import Color
from rich.segment import Segment
from rich.style import Style

from nixfleet_core.log.characters import SGR, log_line, without_colours
from nixfleet_core.log.index import CLIP
from nixfleet_core.log.sgr import NO_PEN, drawn_pieces

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nixfleet_core.log.sgr import Colour, Pen

SGR_BYTES: Final = re.compile(SGR.pattern.encode())
_ODD: Final = re.compile(rb"[^ -~\n]")
"""A byte that is not one cell."""
TAB: Final = 8


def clip_line(line: bytes) -> bytes:
    """The part of a raw line that is shown: after its last carriage return, at most CLIP bytes."""
    return line[:CLIP].rstrip(b"\r").rpartition(b"\r")[2]


def clean_line(line: bytes) -> str:
    """The part of a line that is shown, as text with SGR sequences only."""
    text = log_line(clip_line(line).decode("utf-8", "replace"))
    return text.expandtabs(TAB) if "\t" in text and "\x1b" not in text else _expand(text)


def plain_line(line: bytes) -> str:
    """The part of a line that is shown, as text alone."""
    return without_colours(clean_line(line))


def plain_text(line: bytes) -> str:
    """A whole line as text alone, tabs kept."""
    return without_colours(log_line(line.decode("utf-8", "replace")))


def parse_line(line: bytes) -> list[Segment]:
    """A line as segments, in the colours that it asks for."""
    text = clean_line(line)
    if "\x1b" not in text:
        return [Segment(text)] if text else []
    return [Segment(piece, _style(pen)) for piece, pen in drawn_pieces(text)]


def count_wrapped_rows(lines: bytes, width: int) -> int:
    """How many rows of `width` cells the lines take. Adds up over lines, as LogIndex requires."""
    if not lines:
        return 0
    pieces = lines.split(b"\n")
    if not pieces[-1]:
        pieces.pop()
    if max(map(len, pieces)) > CLIP:
        return sum(_cell_rows(piece, width) for piece in pieces)
    # in most lines a cell is a byte, which is twenty times as fast to count
    bare = SGR_BYTES.sub(b"", lines)
    rows = sum((len(piece) + width - 1) // width or 1 for piece in bare.split(b"\n"))
    for line in _odd_lines(bare):
        rows += _cell_rows(line, width) - ((len(line) + width - 1) // width or 1)
    return rows - bare.endswith(b"\n")


def _cell_rows(line: bytes, width: int) -> int:
    return (cell_len(plain_line(line)) + width - 1) // width or 1


def _odd_lines(lines: bytes) -> Iterator[bytes]:
    """The lines with a byte that is not one cell."""
    at = 0
    while (odd := _ODD.search(lines, at)) is not None:
        end = lines.find(b"\n", odd.end())
        at = len(lines) if end < 0 else end
        yield lines[lines.rfind(b"\n", 0, odd.start()) + 1 : at]


def _expand(text: str) -> str:
    """Expand tabs in a line with colours; colours take no room."""
    if "\t" not in text:
        return text
    column, parts = 0, []
    for part in re.split(r"(\x1b\[[0-9;]*m|\t)", text):
        if part == "\t":
            part = " " * (TAB - column % TAB)
        parts.append(part)
        if not part.startswith("\x1b"):
            column += len(part)
    return "".join(parts)


@lru_cache(maxsize=512)
def _style(pen: Pen) -> Style | None:
    if pen == NO_PEN:
        return None
    return Style(
        color=_rich_colour(pen.fg),
        bgcolor=_rich_colour(pen.bg),
        bold=pen.bold or None,
        dim=pen.dim or None,
        italic=pen.italic or None,
        underline=pen.underline or None,
        reverse=pen.reverse or None,
        strike=pen.strike or None,
    )


def _rich_colour(colour: Colour | None) -> Color | None:
    match colour:
        case None:
            return None
        case int():
            return Color.from_ansi(colour)
        case red, green, blue:
            return Color.from_rgb(red, green, blue)
