"""Tests that are left out are counted and named; with --all they are failures."""

from __future__ import annotations

from pathlib import Path

import pytest
from left_out import last_line

TESTS = """
    import pytest
    from left_out import commands, need

    @pytest.mark.parametrize("shell", commands(("sh",), ("no-such-shell", "-x")))
    def test_shells(shell):
        pass

    @pytest.fixture
    def tool(request):
        need(request, "no-such-tool", "sh")

    def test_tool(tool):
        pass

    @pytest.mark.needs("no-such-tool", "no-such-shell")
    def test_both():
        pass

    @pytest.mark.skipif(True, reason="of the moon")
    def test_moon():
        pass

    @pytest.mark.xfail(reason="known")
    def test_known():
        assert False
"""
HOW = "(to get it: * no-such-shell no-such-tool)"


@pytest.fixture
def machine(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A folder of tests; its run gets no options or variables from ours."""
    pytester.makeini("[pytest]\naddopts = --strict-markers\nxfail_strict = true\n")
    pytester.makeconftest("pytest_plugins = ['left_out']")
    pytester.makepyfile(test_what=TESTS)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    for name in ("NF_SHELL", "PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER"):
        monkeypatch.delenv(name, raising=False)
    return pytester


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
def test_the_last_line_names_what_was_left_out(
    machine: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    done = machine.runpytest_subprocess(*workers)
    assert done.ret == 0
    done.assert_outcomes(passed=1, skipped=4, xfailed=1)
    summary, last = done.outlines[-2:]
    assert "1 passed, 4 skipped, 1 xfailed in" in summary
    pytest.LineMatcher([last]).fnmatch_lines(
        [f"Left out: 3 tests for want of no-such-shell or no-such-tool {HOW}; 1 test (of the moon)"]
    )


def test_a_module_that_is_skipped_whole_is_named(machine: pytest.Pytester) -> None:
    machine.makepyfile(
        test_sunday="import pytest; pytest.skip('on Sundays', allow_module_level=True)"
    )
    done = machine.runpytest_subprocess()
    assert done.outlines[-1].endswith("1 test (on Sundays)")
    done = machine.runpytest_subprocess("--all")
    assert done.ret
    assert any("although --all was given: on Sundays" in line for line in done.outlines)


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
def test_all_forbids_to_leave_a_test_out(
    machine: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    done = machine.runpytest_subprocess("--all", *workers)
    assert done.ret == 1
    done.assert_outcomes(passed=1, errors=4, xfailed=1)
    text = "\n".join(done.outlines)
    assert "it needs no-such-tool (to get it: " in text
    assert "although --all was given: of the moon" in text
    assert "Left out" not in done.outlines[-1]


def test_one_shell_option_runs_each_test_with_one_shell(machine: pytest.Pytester) -> None:
    machine.makepyfile(
        test_what="""
    import pytest
    from left_out import need, only_first

    @pytest.mark.parametrize("shell", ["no-such-shell", "sh", "env"])
    def test_shells(request, shell):
        only_first(request, shell, ["no-such-shell", "sh", "env"])
        need(request, shell)
    """
    )
    done = machine.runpytest_subprocess("--one-shell")
    done.assert_outcomes(passed=1, skipped=2)
    left = "Left out: 2 tests (with shells other than sh; to run them: make test ALL=1)"
    assert done.outlines[-1] == left
    machine.runpytest_subprocess().assert_outcomes(passed=2, skipped=1)


IN_OLD_BASH = """
    import subprocess

    import pytest
    from left_out import OLD_BASH, only_first, shells

    @pytest.mark.parametrize("shell", shells())
    def test_shells(shell):
        assert subprocess.run([*shell, "-c", "exit 3"]).returncode == 3

    @pytest.mark.needs(OLD_BASH)
    def test_with_one_shell(request):
        only_first(request, OLD_BASH, ["sh", OLD_BASH])
"""


def test_all_leaves_only_tests_in_an_old_bash_out(machine: pytest.Pytester) -> None:
    machine.makepyfile(test_what=IN_OLD_BASH)
    done = machine.runpytest_subprocess("--all", "-k", "older or one_shell")
    assert done.ret == 0
    left = "Left out: 2 tests for want of a bash older than 4 (to get it: NF_SHELL=/path/to/bash)"
    assert done.outlines[-1] == left


@pytest.mark.parametrize(("says", "fits"), [("3.2.57(1)-release", True), ("4.0", False), ("", 0)])
def test_the_given_bash_runs_what_is_left_out_without_it(
    machine: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, says: str, fits: bool
) -> None:
    bash = machine.path / "bash"
    bash.write_text('#!/bin/sh\ncase $* in *BASH_VERSION*) echo "$says" ;; *) exit 3 ;; esac\n')
    bash.write_text(bash.read_text().replace("$says", says))
    bash.chmod(0o755)
    monkeypatch.setenv("NF_SHELL", str(bash))
    machine.makepyfile(test_what=IN_OLD_BASH)
    done = machine.runpytest_subprocess("--one-shell", "-k", "older or one_shell")
    if fits:
        done.assert_outcomes(passed=2)
    else:
        assert f"NF_SHELL={bash} is no path of a bash older than 4" in "\n".join(done.errlines)


def test_the_last_line_is_pytests_when_nothing_is_left_out(machine: pytest.Pytester) -> None:
    machine.makepyfile(test_what="def test_it(): pass")
    done = machine.runpytest_subprocess("--all")
    assert done.ret == 0
    assert "1 passed in" in done.outlines[-1]


def test_a_program_is_got_by_its_package() -> None:
    line = last_line([["ps"], ["ssh", "ps"]], [])
    assert line.startswith("Left out: 2 tests for want of ps or ssh (to get it: ")
    assert line.endswith("install openssh-client procps)")
    assert last_line([], []) == ""


def test_root_has_its_own_way_to_get_it() -> None:
    assert last_line([["root"]], []) == "Left out: 1 test for want of root (to get it: run as root)"
    line = last_line([["root"], ["zsh", "ps"]], [])
    assert line.startswith("Left out: 2 tests for want of ps, root or zsh (to get it: ")
    assert line.endswith("install procps zsh, run as root)")
