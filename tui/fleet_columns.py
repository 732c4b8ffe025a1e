"""The columns of the fleet's table, and those of them that the operator chooses."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tui.widgets.columns import Column

if TYPE_CHECKING:
    from collections.abc import Sequence

COLUMNS: Final = (
    Column("host", "Host", worth=9, least=8),
    Column("where", "Where", worth=2, least=10),
    Column("running", "Running", worth=7, least=7),
    Column("installed", "Installed", worth=5, least=9),
    Column("latest", "Latest", worth=4, least=7),
    Column("state", "State", worth=8, least=11),
    Column("built", "Built from", worth=1, least=10, spare=True),
    Column("commit", "Commit", worth=0, least=7, spare=True),
    Column("checkout", "Checkout", worth=-1, least=8, spare=True),
    Column("started", "Agent since", worth=-2, least=10, spare=True),
    Column("job", "Last job", worth=-3, least=10, spare=True),
)

NAMES: Final = tuple(column.key for column in COLUMNS)

SPARE: Final = frozenset(column.key for column in COLUMNS if column.spare)
"""The columns for large terminals; in a small one only who has named them sees them."""


def chosen_columns(names: Sequence[str]) -> tuple[Column, ...]:
    """The columns that somebody has named, in their order; all columns if nobody has.

    Without host and state no row can be understood: if they are not named, the host comes first,
    and the state last. A column that is named needs no large terminal; it gives way by its worth.
    """
    if not names:
        return COLUMNS
    first = () if "host" in names else ("host",)
    last = () if "state" in names else ("state",)
    by_name = dict(zip(NAMES, COLUMNS, strict=True))
    return tuple(replace(by_name[name], spare=False) for name in (*first, *names, *last))
