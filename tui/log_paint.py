"""One line of the log as it is drawn: with its kind, its build and what is found in colour."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from nixfleet_core.log.kinds import derivation_of, kind_of
from tui.ansi import parse_line
from tui.log_colours import derivation_style

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from nixfleet_core.log.kinds import Kind
    from tui.log_search import Query


@dataclass(frozen=True, slots=True)
class Look:
    """The styles of all rows. They change with the theme, not from row to row."""

    base: Style
    """Of text that has no style of its own, and of what is empty."""
    gutter: Style
    marked: Style
    hit: Style
    kinds: Mapping[Kind, Style]
    dark: bool


class Painted(NamedTuple):
    """A whole line, not cut to the window."""

    text: str
    segments: list[Segment]
    cells: int
    kind: Kind | None

    @property
    def strip(self) -> Strip:
        return Strip(self.segments, self.cells)


class Row(NamedTuple):
    """One row of the window: the signs at its left, and its part of the line."""

    gutter: list[Segment]
    body: list[Segment]
    first: int = 0
    """The character of the line with which the body begins; of a wrapped line, of the row."""

    def painted(self) -> list[Segment]:
        """What is sent to the terminal, in few pieces. Some programs that show a screenshot leave
        out blanks at the beginning of a piece, so the gutter is one of its own."""
        return [*self.gutter, *joined(self.body)]

    def for_mouse(self, row: int) -> Strip:
        """The same, for which the mouse selects from a place in the text."""
        signs = at_one_offset(Strip(self.gutter), self.first, row)
        return Strip.join([signs, Strip(self.body).apply_offsets(self.first, row)])


def paint(line: bytes, look: Look, found: Query | None) -> Painted:
    """Draw a raw line. Where the log itself asks for a colour, it has that one."""
    segments = parse_line(line)
    text = segments[0].text if len(segments) == 1 else "".join([part.text for part in segments])
    kind, name = kind_of(text), derivation_of(text)
    if name and segments[0].text.startswith(name):
        first, style, _ = segments[0]
        named = Segment(name, derivation_style(name, dark=look.dark))
        segments[:1] = [named, Segment(first[len(name) :], style)]
    base = look.base if kind is None else look.base + look.kinds[kind]
    drawn = [Segment(part, base + style if style else base) for part, style, _ in segments]
    painted = Painted(text, drawn, _cells(text, drawn), kind)
    if found is not None:
        for start, end in found.spans(text):
            painted = restyle(painted, cell_len(text[:start]), cell_len(text[:end]), look.hit)
    return painted


def _cells(text: str, segments: list[Segment]) -> int:
    return len(text) if text.isascii() else Strip(segments).cell_length


def window_of(line: Painted, left: int, width: int, base: Style) -> list[Segment]:
    """The cells of a line that a window of so many shows, the empty ones behind its end too."""
    segments, right = line.segments, left + width
    if left or line.cells > width:
        is_ascii = line.text.isascii()  # then a cell is a character
        segments = _between(segments, left, right) if is_ascii else [*line.strip.crop(left, right)]
    empty = min(width, right - line.cells)
    return [*segments, Segment(" " * empty, base)] if empty > 0 else segments


def _between(segments: list[Segment], left: int, right: int) -> list[Segment]:
    """The characters from `left` to `right`."""
    kept: list[Segment] = []
    at = 0
    for segment in segments:
        end = at + len(segment.text)
        if left <= at and end <= right:
            kept.append(segment)
        elif left < end and at < right:
            kept.append(Segment(segment.text[max(0, left - at) : right - at], segment.style))
        at = end
    return kept


def joined(segments: Iterable[Segment]) -> list[Segment]:
    """The same text, with neighbours as one piece where that looks the same: each piece that is
    sent to a terminal names its whole style. Of blanks only the background is seen."""
    pieces: list[Segment] = []
    for piece in segments:
        if pieces and _looks_the_same(piece, before := pieces[-1].style):
            pieces[-1] = Segment(pieces[-1].text + piece.text, before)
        else:
            pieces.append(piece)
    return pieces


def _looks_the_same(piece: Segment, style: Style | None) -> bool:
    """Whether it does in that other style."""
    if piece.style == style:
        return True
    if not piece.text.isspace() or piece.style is None or style is None:
        return False
    return piece.style.bgcolor == style.bgcolor and not (_draws(piece.style) or _draws(style))


@lru_cache(maxsize=1024)
def _draws(style: Style) -> bool:
    """Whether blanks show more of the style than its background."""
    return bool(
        style.reverse or style.underline or style.underline2 or style.strike or style.overline
    )


def restyle(line: Painted, start: int, end: int, style: Style) -> Painted:
    """The cells `start` to `end` in another style."""
    length = line.cells
    start, end = max(0, min(start, length)), max(0, min(end, length))
    if start >= end:
        return line
    strip = line.strip
    middle = [
        Segment(text, (old + style) if old else style) for text, old, _ in strip.crop(start, end)
    ]
    return line._replace(segments=[*strip.crop(0, start), *middle, *strip.crop(end, length)])


def characters_in(line: Painted, cells: int) -> int:
    """How many characters the first cells have: what the mouse selects is counted in these."""
    text = line.text
    return min(cells, len(text)) if text.isascii() else len(line.strip.crop(0, cells).text)


def at_one_offset(strip: Strip, x: int, y: int) -> Strip:
    """The strip, for which the mouse selects from one place in the text, at whatever cell it is."""
    place = Style.from_meta({"offset": (x, y)})
    letters = [
        Segment(letter, style + place if style else place)
        for text, style, _ in strip
        for letter in text
    ]
    return Strip(letters, strip.cell_length)
