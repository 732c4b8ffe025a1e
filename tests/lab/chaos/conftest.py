"""The chosen cases are played several at a time; a test waits for its own; a table at the end."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Final

import pytest

from ..run import why_not
from .case import Row
from .cases import CASES
from .pool import Pool
from .table import LAST_RUN, markdown, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ROW: Final = "row"
"""The property that takes a case's row to the table, from whichever worker played it."""


@pytest.fixture(scope="session")
def pool(request: pytest.FixtureRequest) -> Iterator[Pool]:
    """Plays every case that this run has chosen."""
    if reason := why_not():
        pytest.exit(f"the lab cannot run: {reason}", returncode=1)
    specs = [getattr(item, "callspec", None) for item in request.session.items]
    pool = Pool(spec.params["case"] for spec in specs if spec and "case" in spec.params)
    yield pool
    pool.close()


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Callable[[Row], None]:
    """Put the row of a case that ended as it must into the table."""
    return lambda row: record_property(_ROW, asdict(row))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    passed = terminalreporter.stats.get("passed", [])
    told = (dict(getattr(report, "user_properties", ())).get(_ROW) for report in passed)
    if found := [Row(**row) for row in told if row]:
        terminalreporter.section("chaos")
        terminalreporter.write_line(plain(found))
        if len(found) == len(CASES):
            LAST_RUN.parent.mkdir(exist_ok=True)
            LAST_RUN.write_text(markdown(found))
            terminalreporter.write_line(f"as docs/chaos.md it is in {LAST_RUN}")
