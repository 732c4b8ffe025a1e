"""Steps × faults and special cases; cases.py has the cases, checks.py the checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .cases import CASES

if TYPE_CHECKING:
    from collections.abc import Callable

    from .case import Case, Row
    from .pool import Pool


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case, pool: Pool, tell: Callable[[Row], None]) -> None:
    tell(pool.outcomes[case.name].result())
