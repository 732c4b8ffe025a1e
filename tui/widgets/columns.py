"""The columns of a table, and how they fit its room: the least worthy ones give way.

This needs no Textual: commands read the names of columns without it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

GAP: Final = 2
"""Cells between two columns."""

_LARGE: Final = 100
"""From so many cells on a table has room for spare columns."""


@dataclass(frozen=True, slots=True)
class Column:
    """`worth`: if room is short, the column with the least worth goes first."""

    key: str
    title: str
    worth: int
    least: int = 4
    """The width in cells to which it may shrink before a column is dropped."""
    spare: bool = False
    """It is there only in a large table, and if no column has to shrink for it."""


def offered(columns: Sequence[Column], room: int) -> list[Column]:
    """The columns that a table of so many cells may have: spare ones only if it is large."""
    return [column for column in columns if room >= _LARGE or not column.spare]


def fit_columns(columns: Sequence[Column], wanted: Mapping[str, int], room: int) -> dict[str, int]:
    """Widths for the columns that fit, in their order.

    If they do not all fit, spare columns are left out. Then columns shrink to their least width one
    by one, and then they are left out, too. The least worthy go first; the worthiest always stays.
    """
    kept = sorted(offered(columns, room), key=lambda column: column.worth)
    while kept[0].spare and _width(kept, wanted) > room:
        del kept[0]
    kept = [column for column in columns if column in kept]
    while len(kept) > 1 and _width(kept, {c.key: min(c.least, wanted[c.key]) for c in kept}) > room:
        kept.remove(min(kept, key=lambda column: column.worth))
    widths = {column.key: wanted[column.key] for column in kept}
    for column in sorted(kept, key=lambda column: column.worth):
        over = _width(kept, widths) - room
        if over > 0:
            least = min(column.least, widths[column.key])
            widths[column.key] = max(least, widths[column.key] - over)
    return widths


def _width(columns: Sequence[Column], widths: Mapping[str, int]) -> int:
    return sum(widths[column.key] for column in columns) + GAP * (len(columns) - 1)
