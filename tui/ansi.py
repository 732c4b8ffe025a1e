"""One line of log.txt as styled segments, by the policy of `nixfleet_core.log.characters`.

The file is already clean when it is written. We clean it again here, because text that reaches the
terminal could clear the screen, set its title or fill the clipboard.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from rich.cells import cell_len
from rich.color import Color
from rich.segment import Segment
from rich.style import Style

from nixfleet_core.log.characters import SGR, log_line, without_colours
from nixfleet_core.log.index import CLIP

if TYPE_CHECKING:
    from collections.abc import Iterator

SGR_BYTES: Final = re.compile(SGR.pattern.encode())
_ODD: Final = re.compile(rb"[^ -~\n]")
"""A byte that is not one cell."""
TAB: Final = 8


@dataclass(frozen=True, slots=True)
class _Pen:
    """The SGR state."""

    fg: Color | None = None
    bg: Color | None = None
    bold: bool = False
    dim: bool = False
    italic: bool = False
    underline: bool = False
    reverse: bool = False
    strike: bool = False


_NO_PEN: Final = _Pen()


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
    pen, at, segments = _NO_PEN, 0, []
    for match in SGR.finditer(text):
        if match.start() > at:
            segments.append(Segment(text[at : match.start()], _style(pen)))
        pen, at = _apply(pen, match[1]), match.end()
    if at < len(text):
        segments.append(Segment(text[at:], _style(pen)))
    return segments


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
def _style(pen: _Pen) -> Style | None:
    if pen == _NO_PEN:
        return None
    return Style(
        color=pen.fg,
        bgcolor=pen.bg,
        bold=pen.bold or None,
        dim=pen.dim or None,
        italic=pen.italic or None,
        underline=pen.underline or None,
        reverse=pen.reverse or None,
        strike=pen.strike or None,
    )


@lru_cache(maxsize=2048)
def _apply(pen: _Pen, parameters: str) -> _Pen:
    """The pen after `ESC [ parameters m` (ECMA-48; colours as xterm has them)."""
    numbers = [int(part[:4]) if part else 0 for part in parameters.split(";")]
    at = 0
    while at < len(numbers):
        number = numbers[at]
        at += 1
        if number == 0:
            pen = _NO_PEN
        elif number in (38, 48):
            colour, used = _extended(numbers[at:])
            at += used
            if colour is not None:
                pen = replace(pen, fg=colour) if number == 38 else replace(pen, bg=colour)
        else:
            pen = replace(pen, **_CHANGES.get(number, {}))
    return pen


_CHANGES: Final[dict[int, dict[str, Any]]] = {
    1: {"bold": True},
    2: {"dim": True},
    3: {"italic": True},
    4: {"underline": True},
    7: {"reverse": True},
    9: {"strike": True},
    22: {"bold": False, "dim": False},
    23: {"italic": False},
    24: {"underline": False},
    27: {"reverse": False},
    29: {"strike": False},
    39: {"fg": None},
    49: {"bg": None},
    **{30 + colour: {"fg": Color.from_ansi(colour)} for colour in range(8)},
    **{40 + colour: {"bg": Color.from_ansi(colour)} for colour in range(8)},
    **{90 + colour: {"fg": Color.from_ansi(8 + colour)} for colour in range(8)},
    **{100 + colour: {"bg": Color.from_ansi(8 + colour)} for colour in range(8)},
}
"""What a parameter does to the pen."""


def _extended(numbers: list[int]) -> tuple[Color | None, int]:
    """The colour after 38 or 48, and how many parameters it took."""
    match numbers:
        case [5, index, *_] if index < 256:
            return Color.from_ansi(index), 2
        case [2, red, green, blue, *_] if max(red, green, blue) < 256:
            return Color.from_rgb(red, green, blue), 4
        case _:
            return None, len(numbers)
