"""Steps × faults and special cases; see cases.py for what, and checks.py for what must hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .cases import CASES

if TYPE_CHECKING:
    from .case import Case, Row
    from .pool import Pool


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case, pool: Pool, rows: list[Row]) -> None:
    rows.append(pool.outcomes[case.name].result())
