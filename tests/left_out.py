"""Tests that need more than this machine has are left out, counted, and named in the last line.

A test says what it needs: ``@pytest.mark.needs("busybox")``, or ``need(request, "busybox")`` in a
fixture; ``"root"`` is a need, too. The last line says how many tests were left out or skipped, and
how to get what they need. With ``--one-shell`` (``make test``) a test for each shell of a host runs
with one shell. With ``--all`` (``make test ALL=1``) each skip is a failure, but for one need: a
bash older than 4, as /bin/sh of a Mac is, which no system packages. ``NF_SHELL`` names it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from _pytest.mark import ParameterSet

PACKAGES: Final = {
    "pkill": "procps",
    "ps": "procps",
    "setfacl": "acl",
    "setsid": "util-linux",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "unshare": "util-linux",
}
"""Debian's package of a program, if it has another name."""

ROOT: Final = "root"
"""The need of a test that only root can run."""

OLD_BASH: Final = "a bash older than 4"
"""The need of a test that runs in one. The scripts of hosts run in it, too, if there is one."""

_OLD_BASH_PATH: Final = os.environ.get("NF_SHELL", "")
OLD_BASH_ARGV: Final = (_OLD_BASH_PATH, "--posix")

_PROPERTY: Final = "left out for want of"


def need(request: pytest.FixtureRequest, *needs: str) -> None:
    """Leave the test out if one of these programs is not in PATH, or we are not root."""
    _need(request.node, needs)


def only_first(request: pytest.FixtureRequest, program: str, programs: Iterable[str]) -> None:
    """With --one-shell: leave the test out unless its program is the first of these here, or an
    old bash that somebody gave."""
    first = next(filter(_is_here, programs), program)
    chosen = (first, OLD_BASH) if _is_here(OLD_BASH) else (first,)
    if request.config.getoption("one_shell") and program not in chosen:
        pytest.skip(f"with shells other than {first}; to run them: make test ALL=1")


def commands(*argvs: tuple[str, ...]) -> list[ParameterSet]:
    """Each command line as a test's parameter; the test needs its program."""
    return [
        pytest.param(argv, marks=pytest.mark.needs(argv[0]), id=" ".join(argv)) for argv in argvs
    ]


def shells() -> list[ParameterSet]:
    """The shells that read a host's files."""
    old = pytest.param(OLD_BASH_ARGV, marks=pytest.mark.needs(OLD_BASH), id=OLD_BASH)
    return [*commands(("dash",), ("bash", "--posix"), ("busybox", "ash")), old]


def how_to_get(needs: Iterable[str]) -> str:
    """How to get all of these."""
    needs = frozenset(needs)
    ways = {ROOT: "run as root", OLD_BASH: "NF_SHELL=/path/to/bash"}
    packages = " ".join(sorted({PACKAGES.get(need, need) for need in needs if need not in ways}))
    install = "apt-get install" if shutil.which("apt-get") else "install"
    others = [way for need, way in ways.items() if need in needs]
    return ", ".join([f"{install} {packages}"] * bool(packages) + others)


def last_line(wanted: Sequence[Sequence[str]], others: Sequence[str]) -> str:
    """What was left out; empty when nothing was.

    `wanted`: the missing needs of each test that lacks some. `others`: why each other one skips.
    """
    parts = []
    if wanted:
        missing = sorted({need for needs in wanted for need in needs})
        how = how_to_get(missing)
        parts.append(f"{_tests(len(wanted))} for want of {_listed(missing)} (to get it: {how})")
    parts += [f"{_tests(count)} ({reason})" for reason, count in sorted(Counter(others).items())]
    return f"Left out: {'; '.join(parts)}" if parts else ""


def _need(node: pytest.Item, needs: Iterable[str]) -> None:
    missing = [need for need in needs if not _is_here(need)]
    if missing:
        node.user_properties.append((_PROPERTY, ",".join(missing)))
        pytest.skip(f"it needs {_listed(missing)} (to get it: {how_to_get(missing)})")


def _is_here(need: str) -> bool:
    if need == ROOT:
        return os.geteuid() == 0
    if need == OLD_BASH:
        return _OLD_BASH_PATH != ""
    return shutil.which(need) is not None


def _tests(count: int) -> str:
    return f"{count} test" if count == 1 else f"{count} tests"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + " or " + names[-1] if names[1:] else names[0]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--one-shell", action="store_true", help="test with one shell what is tested with each"
    )
    parser.addoption(
        "--all", action="store_true", help="nothing may be left out: a skip is a failure"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(program…): programs that the test runs, or root")
    if _OLD_BASH_PATH and not _is_old_bash(_OLD_BASH_PATH):
        raise pytest.UsageError(f"NF_SHELL={_OLD_BASH_PATH} is no path of {OLD_BASH}")


def _is_old_bash(path: str) -> bool:
    """Whether that is the whole path of a bash before 4."""
    try:
        done = subprocess.run(
            [path, "-c", 'echo "${BASH_VERSION-}"'], capture_output=True, text=True, check=False
        )
    except OSError:
        return False
    return Path(path).is_absolute() and done.stdout[:2] in ("1.", "2.", "3.")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    _need(item, [program for mark in item.iter_markers("needs") for program in mark.args])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    # none is packaged, so no machine must have one
    may = dict(report.user_properties).get(_PROPERTY) == OLD_BASH
    if item.config.getoption("all") and not may and not hasattr(report, "wasxfail"):
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
