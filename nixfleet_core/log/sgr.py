"""What colour sequences (SGR) mean, for all who draw a log line: the app, and reports. Pure.

Which of them a line keeps is decided before (`nixfleet_core.log.characters`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from nixfleet_core.log.characters import EXTENDED, EXTENDED_VALUES, SGR

if TYPE_CHECKING:
    from collections.abc import Iterator

Colour = int | tuple[int, int, int]
"""A number of the palette of 256 colours, of which terminals name the first 16; or red, green and
blue."""


class Pen(NamedTuple):
    """How a terminal draws what comes next. It is a tuple, as it is looked up for each piece of a
    line that is painted."""

    fg: Colour | None = None
    bg: Colour | None = None
    bold: bool = False
    dim: bool = False
    italic: bool = False
    underline: bool = False
    reverse: bool = False
    strike: bool = False


NO_PEN: Final = Pen()


def drawn_pieces(line: str) -> Iterator[tuple[str, Pen]]:
    """The texts of a line from `log_line`, each with its pen; none is empty."""
    pen, at = NO_PEN, 0
    for match in SGR.finditer(line):
        if match.start() > at:
            yield line[at : match.start()], pen
        pen, at = _after(pen, match[1]), match.end()
    if at < len(line):
        yield line[at:], pen


@lru_cache(maxsize=2048)
def _after(pen: Pen, parameters: str) -> Pen:
    """The pen after `ESC [ parameters m` (ECMA-48; colours as xterm has them)."""
    numbers = [int(part[:4]) if part else 0 for part in parameters.split(";")]
    at = 0
    while at < len(numbers):
        number = numbers[at]
        at += 1
        if number == 0:
            pen = NO_PEN
        elif number in EXTENDED:
            colour, used = _extended(numbers[at:])
            at += used
            if colour is not None and number == _FG:
                pen = pen._replace(fg=colour)
            elif colour is not None and number == _BG:
                pen = pen._replace(bg=colour)
        elif (change := _CHANGES.get(number)) is not None:
            pen = pen._replace(**change)
    return pen


def _extended(numbers: list[int]) -> tuple[Colour | None, int]:
    """The colour after 38, 48 or 58, if there is such a colour; and how many parameters it took."""
    count = EXTENDED_VALUES.get(numbers[0]) if numbers else None
    if count is None:
        return None, len(numbers)
    values = numbers[1 : 1 + count]
    if len(values) == count and max(values) <= _MOST:
        match values:
            case [index]:
                return index, 1 + count
            case [red, green, blue]:
                return (red, green, blue), 1 + count
    return None, 1 + count


_FG: Final = 38
_BG: Final = 48
_MOST: Final = 255

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
    **{30 + colour: {"fg": colour} for colour in range(8)},
    **{40 + colour: {"bg": colour} for colour in range(8)},
    **{90 + colour: {"fg": 8 + colour} for colour in range(8)},
    **{100 + colour: {"bg": 8 + colour} for colour in range(8)},
}
"""What a parameter does to the pen."""
