"""What the table of `make bench` says of measurements."""

from __future__ import annotations

from dataclasses import replace

import pytest
from bench.figures import Row, Sample, table


def row(own: float, goal: float, peer: float | None = None, *, more: bool = False) -> Row:
    return Row(
        *("a thing", Sample([own, own, own]), "ms", goal, Sample([peer]) if peer else None),
        better="more" if more else "less",
    )


@pytest.mark.parametrize(
    ("found", "met", "passes"),
    [
        (row(20, 25), True, True),
        (row(60, 25), False, True),  # only ratios fail the short form
        (row(20, 2, peer=10), True, True),
        (row(39, 2, peer=10), False, True),
        (row(41, 2, peer=10), False, False),
        (row(500, 50, peer=10, more=True), True, True),
        (row(251, 50, peer=10, more=True), False, True),
        (row(249, 50, peer=10, more=True), False, False),
        (replace(row(41, 2, peer=10), decides=False), False, True),
    ],
)
def test_a_row_is_judged_by_its_goal(found: Row, met: bool, passes: bool) -> None:
    assert (found.is_met, found.passes_short) == (met, passes)


def test_the_table_has_medians_spread_and_ratio() -> None:
    found = Row("start", Sample([2, 4, 3]), "s", 2.0, Sample([1, 1, 2]), "click")
    assert table([found]).splitlines()[2] == (
        "| start | 3.00 s ± 33% | click | 1.00 s ± 50% | 3.00 × | ≤ 2.00 × | **no** |"
    )
