"""flake.lock after an update: the commit message, and the notes."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from typing import Any

import pytest

from nixfleet_core.facts.model import Checkout, Facts
from nixfleet_core.job.outcome import Kind, Outcome
from nixfleet_core.judge.lock_sharing import lock_notes, share_failure
from nixfleet_core.log.failures import find_failure
from nixfleet_core.nix.lock import FlakeLock, parse_lock
from nixfleet_core.plan.steps import lock_message

OLD, NEW = "1" * 40, "2" * 40
MESSAGE = "flake.lock: nixfleet 1111111 -> 2222222"
ISOLATED = "/var/lib/nixfleet-agent/repo"
DONE = Outcome(kind="done")


def lock(rev: str | None) -> FlakeLock:
    locked = {"rev": rev} if rev else {}
    nodes = {"root": {"inputs": {"nixfleet": "n"}}, "n": {"locked": locked}}
    return parse_lock(json.dumps({"nodes": nodes, "root": "root", "version": 7}))


def seen(path: str = "/home/it's me/nixcfg", **changes: Any) -> Facts:
    """A host whose flake.lock has moved and is not committed, unless told otherwise."""
    checkout = Checkout(path, "ok", lock=lock(NEW), head_lock=lock(OLD))
    return Facts(hostname="h", os="", platform="nixos", checkout=replace(checkout, **changes))


def notes(facts: Facts | None, kind: Kind = "updated", outcome: Outcome | None = DONE) -> str:
    return "\n".join(lock_notes(kind, facts, outcome, "nixfleet"))


def test_the_message_names_both_commits_or_none() -> None:
    assert lock_message("nixfleet", OLD, NEW) == MESSAGE
    assert lock_message("nixfleet", OLD, "latest") == "flake.lock: nixfleet 1111111 -> latest"
    for old, new in ((None, NEW), (OLD, None)):
        assert lock_message("nixfleet", old, new) == "flake.lock: nixfleet updated"


@pytest.mark.parametrize("kind", ["updated", "current", "partial"])
def test_an_uncommitted_flake_lock_is_told_with_the_exact_command(kind: Kind) -> None:
    said = notes(seen(), kind)
    assert said.startswith("flake.lock is changed, but not committed: the next pull")
    assert "nixfleet commit HOST commits it" in said
    command = shlex.split(said.partition(", or: ")[2])
    assert command == [
        *("git", "-C", "/home/it's me/nixcfg", "commit", "-m", MESSAGE, "--", "flake.lock"),
    ]


def test_the_agents_own_repository_is_reset_by_the_agent() -> None:
    assert "the agent's own pull resets its repository" in notes(seen(ISOLATED))
    committed = replace(DONE, committed=True)
    assert "the agent resets its repository" in notes(seen(ISOLATED), outcome=committed)


def test_a_committed_or_pushed_flake_lock_is_told() -> None:
    said = notes(seen(), outcome=replace(DONE, committed=True))
    assert said.startswith("flake.lock is committed, but not pushed")
    assert MESSAGE in said
    command = shlex.split(said.partition("--push does it, or: ")[2])
    assert command == ["git", "-C", "/home/it's me/nixcfg", "push"]
    said = notes(seen(), outcome=replace(DONE, committed=True, pushed=True))
    assert said.startswith("flake.lock is committed and pushed.")
    assert MESSAGE in said


@pytest.mark.parametrize(
    ("facts", "kind"),
    [
        (None, "updated"),
        (replace(seen(), checkout=None), "updated"),
        (seen(head_lock=None), "updated"),
        (seen(lock=None), "updated"),
        (seen(), "failed"),
        (seen(), "stale"),
        (seen(head_lock=None), "rolled-back"),
    ],
    ids=["not seen", "no checkout", "clean", "unreadable", "failed", "stale", "back and clean"],
)
def test_other_verdicts_get_no_note_on_flake_lock(facts: Facts | None, kind: Kind) -> None:
    assert notes(facts, kind) == ""


def test_a_committed_flake_lock_shows_as_changed_after_a_rollback() -> None:
    said = notes(seen(lock=lock(OLD), head_lock=lock(NEW)), "rolled-back")
    assert said.startswith(
        "flake.lock is back at 1111111, but HEAD has 2222222: it shows as changed"
    )
    for rev in (None, OLD):  # unknown, or the same: then another input differs
        said = notes(seen(lock=lock(rev)), "rolled-back")
        assert said.startswith("flake.lock is as it was before that update, and differs")


@pytest.mark.parametrize(
    ("step", "reason", "cause", "why", "advice"),
    [
        ("commit", "signing", "commit-failed", "could not sign", "by hand"),
        ("commit", "lock-changed", "commit-failed", "somebody changed flake.lock", "git diff"),
        ("commit", "", "commit-failed", "code 128", "the log"),
        ("push", "refused", "push-refused", "the remote refused it", "update again"),
        ("push", "others", "push-failed", "commits that were never pushed", "git push"),
        ("push", "upstream", "push-failed", "changed its branch", "git status"),
        ("push", "", "push-failed", "code 128", "the log"),
    ],
)
def test_each_reason_for_an_unshared_flake_lock_has_its_words(
    step: Any, reason: str, cause: str, why: str, advice: str
) -> None:
    found = share_failure(replace(DONE, failed_step=step, reason=reason, rc=128))
    assert found is not None
    assert found[0] == cause
    done = {"commit": "committed", "push": "pushed"}[step]
    assert found[1].startswith(f"flake.lock was not {done}: ")
    assert why in found[1]
    assert advice in found[2].text


def test_a_known_failure_of_git_gives_the_advice() -> None:
    failure = find_failure(["fatal: Authentication failed for 'https://h/'"])
    assert failure is not None
    found = share_failure(replace(DONE, failed_step="push", rc=128, failure=failure))
    assert found is not None
    assert found[2] == failure.advised


@pytest.mark.parametrize("step", [None, "verify", "rebuild"])
def test_other_steps_are_judged_elsewhere(step: Any) -> None:
    assert share_failure(replace(DONE, failed_step=step)) is None
