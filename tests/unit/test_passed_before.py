"""What passed on one machine is not run again on another, and no test can be lost between them."""

from __future__ import annotations

from pathlib import Path

import pytest

TESTS = """
    import time

    import pytest
    from left_out import need

    def test_quick():
        pass

    @pytest.mark.parametrize("side", ["left", "right"])
    def test_slow(side):
        time.sleep(0.2)

    @pytest.mark.parametrize("shell", ["dash", "bash"])
    def test_both(shell):
        time.sleep(0.2)

    @pytest.mark.parametrize("shell", ["dash"])
    def test_one(shell):
        time.sleep(0.2)

    @pytest.mark.xfail(reason="known")
    def test_known():
        time.sleep(0.2)
        assert False

    @pytest.fixture
    def breaks():
        yield
        time.sleep(0.2)
        raise OSError

    def test_undone(breaks):
        pass

    def test_tool(request):
        need(request, "no-such-tool")
"""
SLOW = [
    "test_what.py::test_both[bash]",
    "test_what.py::test_both[dash]",
    "test_what.py::test_one[dash]",
    "test_what.py::test_slow[left]",
    "test_what.py::test_slow[right]",
]
LOSES = """
pytest_plugins = ['left_out', 'passed_before']

def pytest_runtest_protocol(item):
    return True if "quick" in item.name else None
"""
WORKERS = pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])


@pytest.fixture
def machine(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A folder of tests; its run gets no options or variables from ours."""
    pytester.makeini("[pytest]\naddopts = --strict-markers\nxfail_strict = true\n")
    pytester.makeconftest("pytest_plugins = ['left_out', 'passed_before']")
    pytester.makepyfile(test_what=TESTS)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    for name in ("NF_SHELL", "PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER"):
        monkeypatch.delenv(name, raising=False)
    return pytester


@WORKERS
def test_slow_tests_that_passed_are_written(
    machine: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    machine.runpytest_subprocess("--passed-to", "passed", *workers)
    assert (machine.path / "passed").read_text().splitlines() == SLOW


@WORKERS
def test_only_the_other_tests_run(machine: pytest.Pytester, workers: tuple[str, ...]) -> None:
    """A test with a shell is one of them, unless it has another shell here."""
    (machine.path / "passed").write_text("\n".join(SLOW[1:]) + "\n")
    done = machine.runpytest_subprocess("--passed-in", "passed", "-v", *workers)
    text = "\n".join(done.outlines)
    assert "Of 9 tests 6 ran, and 3 have passed before (4 of 4 known)" in done.outlines
    assert "test_both[bash]" in text
    assert "test_one[dash]" in text
    assert "test_both[dash]" not in text
    assert "test_slow" not in text


@WORKERS
def test_a_file_that_does_not_fit_fails_the_run(
    machine: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    (machine.path / "passed").write_text("\n".join([*SLOW, "test_gone.py::test_it"]) + "\n")
    done = machine.runpytest_subprocess("--passed-in", "passed", "-k", "not undone", *workers)
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    said = "Of 8 tests 4 ran, and 4 have passed before (5 of 6 known); that does not add up"
    assert said in done.outlines


@WORKERS
def test_a_test_that_runs_on_neither_machine_fails_the_run(
    machine: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    (machine.path / "passed").write_text("\n".join(SLOW) + "\n")
    machine.path.joinpath("conftest.py").write_text(LOSES)
    done = machine.runpytest_subprocess("--passed-in", "passed", "-k", "not undone", *workers)
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    said = "Of 8 tests 3 ran, and 4 have passed before (5 of 5 known); that does not add up"
    assert said in done.outlines
