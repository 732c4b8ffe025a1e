"""A job that commits the flake.lock of an earlier update: after a new proof, and nothing else."""

from __future__ import annotations

import re
import subprocess
from shlex import quote

import msgspec
import pytest
from fake_host import AGENTS, CHAIN, JOB, UNIT, FakeHost, git
from test_dirty_trees import STRICT, again
from test_share_lock import COMMIT, PUSH, READ_LOCK, heads, owned, stage_something, status, subject

from nixfleet_core.job.events import Check
from nixfleet_core.plan.model import Plan, Step
from nixfleet_core.plan.steps import lock_message
from nixfleet_core.vocabulary import StepId

__all__ = ["owned"]

EARLIER = "20260101-000000-0000"
ALONE = ("preflight", "verify", "commit")


def updated(host: FakeHost) -> Plan:
    """The host after an update that has left flake.lock, and the plan that commits that."""
    host.run_job()
    assert host.steps == dict.fromkeys(CHAIN, "ok"), host.log
    if (host.jobs.parent / "commits" / JOB).exists():
        again(host, EARLIER)
    else:
        again(host)
    (host.state / "calls").unlink()
    return commit_plan(host)


def commit_plan(host: FakeHost, *, push: bool = False) -> Plan:
    made = host.plan()
    argv: dict[StepId, tuple[str, ...]] = {"commit": COMMIT, **({"push": PUSH} if push else {})}
    shared = tuple(
        Step(id=step, title=step, argv=words, run_as="owner", limit=30)
        for step, words in argv.items()
    )
    own = tuple(step for step in made.steps if step.id in ALONE)
    return msgspec.structs.replace(
        made, goal="commit", lock_seen=cksum(host), steps=(*own, *shared)
    )


def cksum(host: FakeHost) -> str:
    lock = (host.checkout / "flake.lock").read_bytes()
    return subprocess.run(["cksum"], input=lock, capture_output=True).stdout.decode().strip()


def refused(host: FakeHost) -> str:
    check = next(e for e in host.events if isinstance(e, Check) and not e.ok)
    assert host.steps == {"preflight": "failed", "verify": "skipped", "commit": "skipped"}
    return f"{check.check} {check.reason}"


def test_a_proven_flake_lock_is_committed_and_the_agent_is_left_alone(owned: FakeHost) -> None:
    plan = updated(owned)
    stage_something(owned)
    owned.run_job(plan)
    assert owned.steps == dict.fromkeys(ALONE, "ok"), owned.log
    assert subject(owned).startswith(
        lock_message("nixfleet", owned.upstream.old, owned.upstream.new)
    )
    assert git(owned.checkout, "show", "--format=", "--name-only") == "flake.lock"
    assert status(owned) == ["A  mine"]
    assert owned.result["outcome"] == "done"
    calls = owned.calls()
    assert not [
        call
        for call in calls
        if re.search(r"^(nixos-rebuild|systemctl (stop|restart|start)) ", call)
    ]
    assert git(owned.checkout, "for-each-ref", "refs/nixfleet") == ""


def test_the_commit_is_pushed_when_asked(owned: FakeHost) -> None:
    updated(owned)
    owned.run_job(commit_plan(owned, push=True))
    assert owned.steps == dict.fromkeys((*ALONE, "push"), "ok"), owned.log
    here, there = heads(owned)
    assert here == there


def test_a_failed_push_fails_the_job_and_takes_the_commit_back(owned: FakeHost) -> None:
    updated(owned)
    plan = commit_plan(owned, push=True)
    before = heads(owned)
    owned.on(
        "git", 'case "$*" in *push*) echo "! [rejected]" >&2; exit 1 ;; *) default "$@" ;; esac'
    )
    owned.run_job(plan)
    assert owned.steps["push"] == "failed", owned.log
    assert (owned.result["outcome"], owned.result["failed"]) == ("failed", "push")
    assert heads(owned) == before
    assert status(owned) == [" M flake.lock"]


def test_without_a_proof_nothing_is_committed(owned: FakeHost) -> None:
    plan = updated(owned)
    before = heads(owned)
    # the flake builds another agent than the one that runs
    owned.set("expected", AGENTS["1.0"])
    owned.run_job(plan)
    assert owned.steps == {"preflight": "ok", "verify": "ok", "commit": "skipped"}, owned.log
    assert heads(owned) == before
    assert status(owned) == [" M flake.lock"]


def test_a_flake_lock_that_was_not_agreed_on_is_not_committed(owned: FakeHost) -> None:
    plan = updated(owned)
    before = heads(owned)
    with (owned.checkout / "flake.lock").open("a") as lock:
        lock.write("\n")
    owned.run_job(plan)
    assert refused(owned) == "commit lock-changed"
    assert heads(owned) == before


def test_a_flake_lock_that_changes_during_the_proof_is_not_committed(owned: FakeHost) -> None:
    plan = updated(owned)
    before = heads(owned)
    lock = quote(str(owned.checkout / "flake.lock"))
    # the first evaluation is the look before, the second one the proof
    second = f'if [ -e "$s/evaluated" ]; then echo >>{lock}; fi; : >"$s/evaluated"'
    owned.on(
        "nix", READ_LOCK.replace("  *) ", f'*" eval --raw "*) default "$@"; {second} ;;\n  *) ')
    )
    owned.run_job(plan)
    assert owned.steps == {"preflight": "ok", "verify": "ok", "commit": "failed"}, owned.log
    assert owned.step("commit").reason == "lock-changed"
    assert (owned.result["failed"], owned.result["reason"]) == ("commit", "lock-changed")
    assert heads(owned) == before


@pytest.mark.parametrize("state", ["detached", "unfinished"])
def test_a_checkout_without_a_free_branch_is_refused(owned: FakeHost, state: str) -> None:
    plan = updated(owned)
    if state == "detached":
        git(owned.checkout, "checkout", "-q", "--detach")
    else:
        (owned.checkout / ".git/MERGE_HEAD").write_text(heads(owned)[0] + "\n")
    before = heads(owned)
    owned.run_job(plan)
    assert refused(owned) == f"commit {state}"
    assert heads(owned) == before


def test_the_commit_is_the_one_that_was_built_for_a_strict_flake(owned: FakeHost) -> None:
    owned.on("nix", STRICT)
    plan = updated(owned)
    ref = git(owned.checkout, "for-each-ref", "refs/nixfleet", "--format=%(objectname)")
    assert ref
    owned.run_job(plan)
    assert owned.steps == dict.fromkeys(ALONE, "ok"), owned.log
    assert heads(owned)[0] == ref
    assert status(owned) == []


def test_a_job_that_commits_starts_no_agent_after_its_end(owned: FakeHost) -> None:
    owned.run_job(updated(owned))
    owned.tool("systemctl", "stop", UNIT)
    (owned.state / "calls").unlink()
    owned.run_job(command="finish")
    assert not [call for call in owned.calls() if "start" in call]
