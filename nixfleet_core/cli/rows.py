"""Cuts a line into rows that fit a terminal, so the terminal itself never breaks a line.

Otherwise text from outside could fill a row and go on at the left edge like a line of ours. Pure.
"""

from __future__ import annotations

import re
from typing import Final
from unicodedata import east_asian_width

from nixfleet_core.log.characters import end_colours

_PIECE: Final = re.compile(r"\x1b\[[0-9;]{0,64}m|.", re.DOTALL)
_RESETS: Final = ("\x1b[m", "\x1b[0m")
_TAB: Final = 8
_LEAST: Final = 8
"""The least cells of a row, however narrow the terminal."""
_PEN: Final = 8
"""So many colours go on from one row into the next; this bounds a row's length."""


def split_rows(line: str, width: int, first: int | None = None) -> list[str]:
    """`line` in rows of at most `width` cells; the first has `first` cells. A cut is behind a space
    if one is near.

    Colours end with each row and go on in the next. A character that some terminals draw in two
    cells counts as two.
    """
    room = max(_LEAST, width if first is None else first)
    if len(line) <= room and line.isascii() and line.isprintable():
        return [line]
    rows: list[str] = []
    row: list[str] = []
    pen: list[str] = []
    used = space = 0
    for piece in _PIECE.findall(line):
        if piece.startswith("\x1b"):
            row.append(piece)
            pen = [] if piece in _RESETS else [*pen, piece][-_PEN:]
            space = 0
            continue
        cells = _cells(piece)
        if used + cells > room:
            cut = space if space and len(row) - space <= room // 3 else len(row)
            rows.append(end_colours("".join(row[:cut])))
            row, used = row[cut:], sum(map(_cells, row[cut:]))
            row[:0] = pen
            room, space = max(_LEAST, width), 0
        row.append(piece)
        used += cells
        if piece == " ":
            space = len(row)
    return [*rows, end_colours("".join(row))]


def _cells(character: str) -> int:
    if character == "\t":
        return _TAB
    if character.isascii():
        return 1
    return 2 if east_asian_width(character) in "WFA" or character >= "\U0001f000" else 1
