"""A test that passed on one machine needs not run again on another that has more.

``--passed-to FILE`` writes the tests that passed, but for the quick ones. ``--passed-in FILE`` runs
all but those. A test with a shell runs again, too, unless it runs here with another shell: what
else this machine has could change it. What ran and what was left to the other machine must add up
to the whole collection, and the file must fit it, or the run fails.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

QUICK: Final = 0.1
"""Seconds. What takes less runs on both machines: their Pythons may differ."""

_COUNTS: Final = "passed before"
"""The key under which a worker tells its counts."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--passed-to", type=Path, help="write the tests that passed to this file")
    parser.addoption("--passed-in", type=Path, help="do not run the tests in this file again")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Before(config), "passed-before")


class Before:
    """One run, or one worker of pytest-xdist."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._file: Path | None = config.getoption("passed_to")
        path: Path | None = config.getoption("passed_in")
        self._passed = frozenset(path.read_text().splitlines()) if path else frozenset[str]()
        self._seconds: dict[str, float] = {}
        self._not_passed: set[str] = set()
        self._counts: set[tuple[int, int, int]] = set()
        """How many tests there are, how many of them are left to the other machine, and how many of
        the file are known; the same for each worker."""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if not self._passed:
            return
        shells = Counter(map(_but_for_the_shell, items))
        known = [item for item in items if item.nodeid in self._passed]
        left = [item for item in known if not _shell(item) or shells[_but_for_the_shell(item)] > 1]
        self._counts.add((len(items), len(left), len(known)))
        self._config.hook.pytest_deselected(items=left)
        names = {item.nodeid for item in left}
        items[:] = [item for item in items if item.nodeid not in names]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = report.nodeid
        self._seconds[name] = self._seconds.get(name, 0.0) + report.duration
        if not report.passed:
            self._not_passed.add(name)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: object) -> None:
        counts = getattr(node, "workeroutput", {}).get(_COUNTS)
        self._counts.add(tuple(counts) if counts else (0, 0, 0))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(self._config, "workeroutput"):
            self._config.workeroutput[_COUNTS] = next(iter(self._counts), None)
        elif self._file:
            self._file.write_text("".join(f"{name}\n" for name in sorted(self._worth_telling())))
        elif self._passed and not self._adds_up() and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._passed:
            for all_, left, known in sorted(self._counts):
                says = "" if self._adds_up() else "; that does not add up"
                terminalreporter.write_line(
                    f"Of {all_} tests {len(self._seconds)} ran, and {left} have passed before "
                    f"({known} of {len(self._passed)} known){says}"
                )

    def _worth_telling(self) -> Iterable[str]:
        for name, seconds in self._seconds.items():
            if seconds >= QUICK and name not in self._not_passed:
                yield name

    def _adds_up(self) -> bool:
        ran, passed = len(self._seconds), len(self._passed)
        return (
            all((ran + left, known) == (all_, passed) for all_, left, known in self._counts)
            and len(self._counts) == 1
        )


def _parameters(item: pytest.Item) -> dict[str, int]:
    """The number of each parameter's value."""
    spec = getattr(item, "callspec", None)
    return dict(spec.indices) if spec else {}


def _shell(item: pytest.Item) -> bool:
    return "shell" in _parameters(item)


def _but_for_the_shell(item: pytest.Item) -> Hashable:
    """The same for a test with one shell and with another."""
    others = {name: at for name, at in _parameters(item).items() if name != "shell"}
    return item.nodeid.partition("[")[0], frozenset(others.items())
