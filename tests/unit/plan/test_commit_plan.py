"""The plan that commits the flake.lock of an earlier update."""

from __future__ import annotations

from dataclasses import replace

from fakes import CURRENT, HOST, NEW, OLD, OLD_PATH, make_facts

from nixfleet_core.facts.model import Facts
from nixfleet_core.plan.model import Options, Plan, Refusal
from nixfleet_core.plan.rules import make_commit_plan


def uncommitted(**changes: object) -> Facts:
    before = make_facts(running=OLD_PATH, rev=OLD).checkout
    assert before is not None
    assert CURRENT.checkout is not None
    tools = frozenset({"git", "nix", "systemctl", "systemd-run"})
    checkout = replace(CURRENT.checkout, head_lock=before.lock, lock_cksum="1 2")
    return replace(CURRENT, tools=tools, checkout=replace(checkout, **changes))  # type: ignore[arg-type]


def test_it_proves_and_commits_and_leaves_the_agent_alone() -> None:
    plan = make_commit_plan(HOST, uncommitted(), Options())
    assert isinstance(plan, Plan)
    assert [step.id for step in plan.steps] == ["preflight", "verify", "commit"]
    assert (plan.goal, plan.lock_seen, plan.options.pull) == ("commit", "1 2", False)
    commit = plan.step("commit")
    assert commit is not None
    assert f"flake.lock: nixfleet {OLD[:7]} -> {NEW[:7]}" in commit.argv


def test_it_pushes_to_the_upstream_when_asked() -> None:
    plan = make_commit_plan(HOST, uncommitted(upstream="origin/main"), Options(push=True))
    assert isinstance(plan, Plan)
    assert plan.steps[-1].argv[-2:] == ("origin", "HEAD:refs/heads/main")
    refused = make_commit_plan(HOST, uncommitted(), Options(push=True))
    assert isinstance(refused, Refusal)
    assert refused.check == "push"


def test_it_is_refused_where_nothing_can_be_committed() -> None:
    for changes in ({"head_lock": None}, {"branch": None}):
        refused = make_commit_plan(HOST, uncommitted(**changes), Options())
        assert isinstance(refused, Refusal)
        assert refused.check == "commit"
