"""A job that leaves flake.lock as it is: it asks nobody what is newer, and builds that."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import msgspec
import pytest
from fake_host import CHAIN, FakeHost, git, lock_text

from nixfleet_core.facts.parse import parse_probe

if TYPE_CHECKING:
    from nixfleet_core.plan.model import Plan

GIT = shutil.which("git")
STEPS = tuple(step for step in CHAIN if step != "update")
one_shell = pytest.mark.parametrize("shell", ["dash"], indirect=True)


def locked(host: FakeHost, *, pull: bool = True) -> Plan:
    made = host.plan(as_locked=True, pull=pull)
    return msgspec.structs.replace(
        made, steps=tuple(step for step in made.steps if step.id != "update")
    )


def test_what_is_locked_is_built_and_flake_lock_stays(host: FakeHost) -> None:
    host.run_job(locked(host))
    assert host.steps == dict.fromkeys(STEPS, "ok"), host.log
    # as the pull has brought it
    assert host.lock.read_text() == lock_text(host.upstream.old, "5" * 40)
    assert git(host.checkout, "status", "--porcelain") == ""
    assert f"flake.lock has nixfleet at {host.upstream.old}, and stays as it is" in host.log
    assert not host.calls("nix flake update", "nix flake lock")
    assert len(host.calls("nixos-rebuild switch")) == 1
    # what the update wanted is not what flake.lock is measured against later
    assert not (host.job / "latest").exists()
    assert (host.job / "flake.lock.before").read_text() == lock_text(host.upstream.old)
    after = parse_probe((host.job / "after").read_bytes())
    assert after.running is not None
    assert "2.0" in after.running.binary.path


def test_the_commit_that_the_pull_brings_is_the_one_that_is_named(host: FakeHost) -> None:
    """The lock that the preflight has read is not the one that is built."""
    brings = 'case "$*" in *merge\\ *) cp "$s/new-values" "$s/lock-values" ;; esac'
    host.on("git", f'{GIT} "$@" || exit; {brings}')
    host.run_job(locked(host))
    assert f"flake.lock has nixfleet at {host.upstream.new}, and stays" in host.log, host.log


@one_shell
def test_a_repository_that_does_not_answer_is_in_nobodys_way(host: FakeHost) -> None:
    gone = host.lock_values(host.upstream.old).replace(host.upstream.nixfleet, "file:///nowhere")
    host.set("lock-values", gone)
    host.run_job(locked(host))
    assert host.steps == dict.fromkeys(STEPS, "ok"), host.log


@one_shell
def test_the_usual_update_needs_that_repository(host: FakeHost) -> None:
    gone = host.lock_values(host.upstream.old).replace(host.upstream.nixfleet, "file:///nowhere")
    host.set("lock-values", gone)
    host.run_job()
    assert (host.result["failed"], host.result["reason"]) == ("preflight", "input")


@one_shell
def test_a_flake_without_that_input_is_refused(host: FakeHost) -> None:
    host.set("lock-values", "missing")
    host.run_job(locked(host))
    assert host.steps["preflight"] == "failed"
    assert (host.result["failed"], host.result["reason"]) == ("preflight", "input")


@one_shell
def test_a_changed_flake_lock_is_not_overwritten_by_the_pull(host: FakeHost) -> None:
    mine = lock_text(host.upstream.new)
    host.lock.write_text(mine)
    host.run_job(locked(host))
    assert (host.result["failed"], host.result["reason"]) == ("preflight", "pull"), host.log
    assert host.lock.read_text() == mine


@one_shell
def test_without_a_pull_the_lock_is_built_as_it_lies_there(host: FakeHost) -> None:
    mine = lock_text(host.upstream.new)
    host.lock.write_text(mine)
    host.run_job(locked(host, pull=False))
    assert host.steps == dict.fromkeys((s for s in STEPS if s != "pull"), "ok"), host.log
    assert host.lock.read_text() == mine


@one_shell
def test_a_failed_rebuild_leaves_flake_lock_alone_too(host: FakeHost) -> None:
    host.on("nixos-rebuild", "exit 1")
    host.run_job(locked(host))
    assert host.steps["rebuild"] == "failed"
    assert host.agent_runs()
    assert host.lock.read_text() == lock_text(host.upstream.old, "5" * 40)
    assert git(host.checkout, "status", "--porcelain") == ""
