"""An update that leaves flake.lock as it is: what its plan leaves out, refuses and says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from test_rules import CHAIN, CHECKOUT, FACTS, HOST, NEW, OLD, REV, argv, checkout, lock, plan

from nixfleet_core.facts.model import Binary, Facts, Running
from nixfleet_core.job.compile import compile_plan
from nixfleet_core.plan.levels import LEVELS
from nixfleet_core.plan.model import Options, Plan, Refusal
from nixfleet_core.plan.rules import make_plan

JOB = "20260101-000000-0000"
AGENT = Binary(f"/nix/store/{'a' * 32}-nixfleet-agent-2.1.0/bin/agent", "2.1.0")
OTHER = Binary(f"/nix/store/{'b' * 32}-nixfleet-agent-2.2.0/bin/agent", "2.2.0")


def locked(facts: Facts = FACTS, **options: Any) -> Plan:
    return plan(facts, as_locked=True, **options)


def refusal(facts: Facts = FACTS, **options: Any) -> Refusal:
    made = make_plan(HOST, facts, Options(as_locked=True, **options))
    assert isinstance(made, Refusal), made
    return made


def ids(made: Plan) -> tuple[str, ...]:
    return tuple(step.id for step in made.steps)


def test_only_the_step_that_moves_the_input_is_left_out() -> None:
    made = locked()
    assert ids(made) == tuple(step for step in CHAIN if step != "update")
    assert made.options.as_locked
    assert argv(made, "rebuild") == argv(plan(), "rebuild")
    assert "NF_AS_LOCKED=1\n" in compile_plan(made, JOB)
    assert "NF_AS_LOCKED=''\n" in compile_plan(plan(), JOB)


@pytest.mark.parametrize("level", LEVELS)
def test_each_level_does_the_rest_of_what_it_does(level: int) -> None:
    made, usual = locked(level=level), plan(level=level)
    assert ids(made) == tuple(step for step in ids(usual) if step != "update")
    assert argv(made, "rebuild") == argv(usual, "rebuild")
    assert any("level 3 has no effect" in said for said in made.warnings) == (level >= 3)


def test_the_plan_says_which_commit_stays_and_what_the_pull_may_change() -> None:
    (said,) = locked().warnings
    assert said == (
        f"flake.lock keeps nixfleet at {OLD[:7]}, unless the pull brings another flake.lock: the "
        "step update is left out"
    )
    (said,) = locked(pull=False).warnings
    assert said == f"flake.lock keeps nixfleet at {OLD[:7]}: the step update is left out"


@pytest.mark.parametrize(("expected", "says"), [(AGENT, True), (OTHER, False), (None, False)])
def test_the_plan_says_if_that_commit_runs_already(expected: Binary | None, says: bool) -> None:
    facts = replace(FACTS, running=Running(AGENT, "exe", 1), expected=expected)
    assert ("is what this flake.lock builds already" in locked(facts).warnings[0]) == says


@pytest.mark.parametrize(
    ("options", "check", "advice"),
    [
        ({"commit_lock": True}, "commit", "nixfleet commit HOST"),
        ({"commit_lock": True, "push": True}, "commit", "nixfleet commit HOST"),
        ({"input_rev": REV}, "input", "--input-rev"),
    ],
)
def test_what_would_move_or_commit_flake_lock_is_refused(
    options: dict[str, Any], check: str, advice: str
) -> None:
    found = refusal(**options)
    assert found.check == check
    assert advice in found.advice


def test_a_changed_flake_lock_is_set_back_only_if_the_operator_throws_it_away() -> None:
    """A usual update writes the input anew. Here the change would be lost."""
    dirty = checkout(lock=lock(nixfleet=NEW), head_lock=lock())
    assert plan(dirty).restore_lock == CHECKOUT.lock_cksum
    assert locked(dirty).restore_lock is None
    assert locked(dirty, discard_lock=True).restore_lock == CHECKOUT.lock_cksum


def test_an_input_that_nix_cannot_move_can_be_built_as_it_is_locked() -> None:
    follows = checkout(lock=lock(follows=True))
    assert isinstance(make_plan(HOST, follows, Options()), Refusal)
    assert "update" not in ids(locked(follows))
    hidden = lock(type="git", url="https://token@h/nixfleet")
    assert isinstance(make_plan(HOST, checkout(lock=hidden), Options(level=3)), Refusal)
    assert "update" not in ids(locked(checkout(lock=hidden), level=3))


def test_a_strict_flake_is_built_from_a_commit_only_if_flake_lock_is_changed() -> None:
    clean = checkout(dirty_trees="refuses")
    assert argv(locked(clean), "rebuild")[3].startswith("/home/ops/nixcfg#")
    assert not any("dirty tree" in said for said in locked(clean).warnings)
    dirty = checkout(dirty_trees="refuses", lock=lock(nixfleet=NEW), head_lock=lock())
    assert "refs/nixfleet/JOB" in argv(locked(dirty), "rebuild")[3]
    assert any("nixfleet commit keeps it" in said for said in locked(dirty).warnings)
    assert not any("--commit-lock" in said for said in locked(dirty).warnings)
