"""A Mac's own git: without Apple's command line tools it opens a dialog, so nothing may run it."""

from __future__ import annotations

import shutil

import pytest
from fake_host import CHECKOUT, FakeHost

from nixfleet_core.facts.model import Facts
from nixfleet_core.facts.parse import parse_probe
from nixfleet_core.job.events import Check

GIT = shutil.which("git")
STUB = f"""#!/bin/sh
if ! xcode-select -p >/dev/null 2>&1; then
  : >"${{0%/usr/bin/git}}/state/dialog"
  echo 'xcode-select: note: No developer tools were found, requesting install.' >&2
  exit 1
fi
exec {GIT} "$@"
"""


@pytest.fixture
def mac(host: FakeHost) -> FakeHost:
    """/usr/bin has git, and git alone; the command line tools are missing."""
    git = host.root / "usr/bin/git"
    git.parent.mkdir(parents=True)
    git.write_text(STUB)
    git.chmod(0o755)
    wrappers = host.root / "run/wrappers/bin"
    host.env["PATH"] = f"{wrappers}:{git.parent}:{host.env['PATH'].partition(':')[2]}"
    has_tools(host, False)
    return host


def has_tools(mac: FakeHost, there: bool) -> None:
    where = "/Library/Developer/CommandLineTools"
    mac.on("xcode-select", f"echo {where}" if there else "exit 2")


def look(mac: FakeHost) -> Facts:
    values = {"NF_PLATFORM_GIVEN": "", "NF_CHECKOUT": CHECKOUT, "NF_INPUT": "nixfleet"}
    done = mac.ask("probe", NF_ATTRIBUTE="h", NF_DEEP="why", **values)
    assert done.returncode == 0, done.stderr
    return parse_probe(done.stdout)


def dialog(mac: FakeHost) -> bool:
    return (mac.state / "dialog").exists()


def test_no_look_runs_the_stub_or_a_nix_that_would(mac: FakeHost) -> None:
    facts = look(mac)
    assert ("git" in facts.tools, dialog(mac)) == (False, False)
    assert not mac.calls("nix eval", "nix --extra-experimental-features nix-command flakes")


@pytest.mark.parametrize("name", ["incoming", "attributes"])
def test_no_question_runs_the_stub(mac: FakeHost, name: str) -> None:
    done = mac.ask(name, NF_CHECKOUT=CHECKOUT)
    assert (done.returncode != 0, dialog(mac)) == (True, False)
    assert b"git is Apple's stub" in done.stderr


def test_a_job_that_finds_the_stub_says_what_helps_and_touches_nothing(mac: FakeHost) -> None:
    mac.run_job()
    (check,) = (event for event in mac.events if isinstance(event, Check))
    assert (check.check, check.ok, check.reason) == ("tools", False, "stub")
    assert (mac.steps["preflight"], mac.steps["stop"], dialog(mac)) == ("failed", "skipped", False)
    assert "git is Apple's stub, which only asks at the screen" in mac.log


def test_apples_git_counts_once_its_tools_are_there(mac: FakeHost) -> None:
    has_tools(mac, True)
    facts = look(mac)
    assert facts.checkout is not None
    assert ("git" in facts.tools, facts.checkout.state, dialog(mac)) == (True, "ok", False)


def test_the_git_that_comes_first_in_path_counts(mac: FakeHost) -> None:
    assert GIT is not None
    nix_git = mac.root / "run/wrappers/bin/git"
    nix_git.symlink_to(GIT)
    facts = look(mac)
    assert facts.checkout is not None
    assert ("git" in facts.tools, facts.checkout.state, dialog(mac)) == (True, "ok", False)
    nix_git.unlink()
    nix_git.symlink_to(mac.root / "usr/bin/git")
    assert ("git" in look(mac).tools, dialog(mac)) == (False, False)
