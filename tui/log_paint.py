"""One line of the log as it is drawn: with its kind, its build and what is found in colour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from nixfleet_core.log.kinds import derivation_of, kind_of
from tui.ansi import parse_line
from tui.log_colours import derivation_style

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nixfleet_core.log.kinds import Kind
    from tui.log_search import Query


@dataclass(frozen=True, slots=True)
class Painted:
    """A whole line, not cut to the window."""

    strip: Strip
    kind: Kind | None


def paint(
    line: bytes, styles: Mapping[Kind, Style], found: Query | None, hit: Style, *, dark: bool
) -> Painted:
    """Draw a raw line. Where the log itself asks for a colour, it has that one."""
    segments = parse_line(line)
    text = "".join([segment.text for segment in segments])
    kind = kind_of(text)
    name = derivation_of(text)
    if name and segments[0].text.startswith(name):
        first, style, _ = segments[0]
        named = Segment(name, derivation_style(name, dark=dark))
        segments[:1] = [named, Segment(first[len(name) :], style)]
    strip = Strip(segments)
    if kind is not None:
        strip = strip.apply_style(styles[kind])
    if found is not None:
        for start, end in found.spans(text):
            strip = restyle(strip, cell_len(text[:start]), cell_len(text[:end]), hit)
    return Painted(strip, kind)


def restyle(strip: Strip, start: int, end: int, style: Style) -> Strip:
    """The cells `start` to `end` in another style."""
    length = strip.cell_length
    start, end = max(0, min(start, length)), max(0, min(end, length))
    if start >= end:
        return strip
    middle = Strip(
        [Segment(text, (old + style) if old else style) for text, old, _ in strip.crop(start, end)]
    )
    return Strip.join([strip.crop(0, start), middle, strip.crop(end, length)])


def characters_in(strip: Strip, cells: int) -> int:
    """How many characters the first cells have: what the mouse selects is counted in these."""
    text = strip.text
    return min(cells, len(text)) if text.isascii() else len(strip.crop(0, cells).text)


def at_one_offset(strip: Strip, x: int, y: int) -> Strip:
    """The strip, for which the mouse selects from one place in the text, at whatever cell it is."""
    place = Style.from_meta({"offset": (x, y)})
    letters = [
        Segment(letter, style + place if style else place)
        for text, style, _ in strip
        for letter in text
    ]
    return Strip(letters, strip.cell_length)
