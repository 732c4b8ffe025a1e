"""What this machine lacks is left out of the tests, counted, and named in the last line.

A test says what it needs: ``@pytest.mark.needs("busybox")``, or ``need(request, "busybox")`` in a
fixture. Where all of that is missing, and for any other skip, the last line says how many tests
were left out and how to get what they need. With ``--all`` (``make test ALL=1``) nothing may be
left out: each skip is a failure.
"""

from __future__ import annotations

import shutil
from collections import Counter
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from _pytest.mark import ParameterSet

PACKAGES: Final = {
    "grep": "grep",
    "ps": "procps",
    "setfacl": "acl",
    "setsid": "util-linux",
    "ssh": "openssh-client",
    "unshare": "util-linux",
}
"""Debian's package of a program, where it has another name."""

_PROPERTY: Final = "left out for want of"


def need(request: pytest.FixtureRequest, *programs: str) -> None:
    """Leave the test out where one of these programs is not in PATH."""
    _need(request.node, programs)


def commands(*argvs: tuple[str, ...]) -> list[ParameterSet]:
    """Each command line as a test's parameter; the test needs its program."""
    return [
        pytest.param(argv, marks=pytest.mark.needs(argv[0]), id=" ".join(argv)) for argv in argvs
    ]


def packages(programs: Iterable[str]) -> list[str]:
    """The Debian packages that have these programs, each once."""
    return sorted({PACKAGES.get(program, program) for program in programs})


def last_line(wanted: Sequence[Sequence[str]], others: Sequence[str]) -> str:
    """What was left out; empty when nothing was.

    `wanted`: for each test that lacks programs, which. `others`: for each other one, the reason.
    """
    parts = []
    if wanted:
        missing = sorted({program for programs in wanted for program in programs})
        get = " ".join(packages(missing))
        how = f"apt-get install {get}" if shutil.which("apt-get") else f"install {get}"
        parts.append(f"{_tests(len(wanted))} that need {_listed(missing)} (to get it: {how})")
    parts += [f"{_tests(count)} ({reason})" for reason, count in sorted(Counter(others).items())]
    return f"Left out: {'; '.join(parts)}" if parts else ""


def _need(node: pytest.Item, programs: Iterable[str]) -> None:
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        node.user_properties.append((_PROPERTY, ",".join(missing)))
        pytest.skip(
            f"{_listed(missing)} not here: install {', '.join(packages(missing))} to run this"
        )


def _tests(count: int) -> str:
    return f"{count} test" if count == 1 else f"{count} tests"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + " or " + names[-1] if names[1:] else names[0]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--all", action="store_true", help="nothing may be left out: a skip is a failure"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(program…): programs that the test runs")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    _need(item, [program for mark in item.iter_markers("needs") for program in mark.args])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if item.config.getoption("all") and not hasattr(report, "wasxfail"):
        _forbid_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if collector.config.getoption("all"):
        _forbid_skip(report)
    return report


def _forbid_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped:
        report.outcome = "failed"
        report.longrepr = f"left out, although --all was given: {_reason(report)}"


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Why a test was skipped, as it said."""
    where = report.longrepr
    text = where[2] if isinstance(where, tuple) else str(where)
    return text.removeprefix("Skipped: ")


def pytest_unconfigure(config: pytest.Config) -> None:
    """After pytest's own last line. Workers of pytest-xdist have no terminal."""
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    if terminal is None or hasattr(config, "workerinput"):
        return
    wanted, others = [], []
    for report in terminal.stats.get("skipped", []):
        properties = dict(getattr(report, "user_properties", ()))
        if _PROPERTY in properties:
            wanted.append(properties[_PROPERTY].split(","))
        else:
            others.append(_reason(report))
    if line := last_line(wanted, others):
        terminal.write_line(line)
