"""The chosen cases are played several at a time; a test waits for its own; a table at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from ..run import why_not
from .cases import CASES
from .pool import Pool
from .table import LAST_RUN, markdown, plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .case import Row

_ROWS: Final = pytest.StashKey[list["Row"]]()


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
def rows(request: pytest.FixtureRequest) -> list[Row]:
    """Of the cases that ended as they must."""
    return request.config.stash.setdefault(_ROWS, [])


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if found := config.stash.get(_ROWS, []):
        terminalreporter.section("chaos")
        terminalreporter.write_line(plain(found))
        if len(found) == len(CASES):
            LAST_RUN.parent.mkdir(exist_ok=True)
            LAST_RUN.write_text(markdown(found))
            terminalreporter.write_line(f"as docs/chaos.md it is in {LAST_RUN}")
