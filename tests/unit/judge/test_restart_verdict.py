"""The verdict on a job that restarts the agent: the installed one runs, in a new process."""

from __future__ import annotations

from dataclasses import replace

import pytest
from test_verdict import AFTER, DOWN, EXPECT, NEW_AGENT, OLD, OLD_AGENT, UP, failed, lock, running

from nixfleet_core.facts.model import Checkout, Facts, Running
from nixfleet_core.job.outcome import Outcome
from nixfleet_core.judge.causes import Expectation
from nixfleet_core.judge.verdict import Verdict, judge

DONE = Outcome(kind="done", goal="restart")
OLD_RAN = replace(AFTER, running=running(OLD_AGENT))
"""The new agent is installed, and the old one runs."""
RESTARTED = replace(AFTER, unit=replace(UP, pid=8), running=Running(NEW_AGENT, "exe", pid=8))


def verdict(before: Facts | None, after: Facts | None, expect: Expectation = EXPECT) -> Verdict:
    return judge(before, after, expect, DONE)


def test_the_installed_agent_is_proven_and_the_old_one_named() -> None:
    found = verdict(OLD_RAN, RESTARTED)
    assert (found.kind, found.cause, found.exit_code, found.advice) == ("restarted", "", 0, "")
    assert found.sentence.startswith("restarted, and proven: the agent that runs is 2.2.0")
    assert "it was 2.1.0" in found.sentence
    assert "it was" not in verdict(AFTER, RESTARTED).sentence


def test_what_a_restart_does_not_cure_is_said_with_its_own_cure() -> None:
    behind = replace(RESTARTED, checkout=Checkout("/c", "ok", lock=lock(OLD)))
    found = verdict(OLD_RAN, behind)
    assert (found.kind, found.cause, found.exit_code) == ("restarted", "lock-behind", 0)
    assert "; but flake.lock has nixfleet at 1111111" in found.sentence
    assert found.remedies == ("update",)


def test_without_a_checkout_the_restart_is_proven_all_the_same() -> None:
    found = verdict(OLD_RAN, replace(RESTARTED, checkout=None, expected=None))
    assert (found.kind, found.cause) == ("restarted", "")
    assert "whether it is the latest is not proven" in found.sentence


@pytest.mark.parametrize(
    ("after", "kind", "cause"),
    [
        (None, "stale", "proof-missing"),
        (OLD_RAN, "stale", "not-restarted"),
        (replace(RESTARTED, running=running(NEW_AGENT, "claimed")), "stale", "proof-missing"),
        (replace(RESTARTED, running=None), "stale", "proof-missing"),
        (DOWN, "agent-down", "agent-down"),
    ],
)
def test_a_restart_without_a_proof_is_not_believed(
    after: Facts | None, kind: str, cause: str
) -> None:
    found = verdict(OLD_RAN, after)
    assert (found.kind, found.cause) == (kind, cause)
    assert found.exit_code != 0


def test_the_same_process_was_not_restarted() -> None:
    found = verdict(AFTER, AFTER)
    assert (found.kind, found.cause, found.exit_code) == ("failed", "restart-failed", 1)
    # the number can be the same after a boot
    began = replace(AFTER, unit=replace(UP, began="2"))
    assert verdict(AFTER, began).kind == "restarted"
    # what waited, as for the network, has become the agent
    waits = replace(AFTER, unit=replace(UP, waits=True))
    assert verdict(waits, AFTER).kind == "restarted"


def test_a_failed_restart_says_so() -> None:
    found = judge(OLD_RAN, DOWN, EXPECT, replace(failed("restart"), goal="restart"))
    assert (found.kind, found.cause, found.exit_code) == ("agent-down", "agent-down", 1)
    up = judge(OLD_RAN, OLD_RAN, EXPECT, replace(failed("restart"), goal="restart"))
    assert (up.kind, up.cause) == ("failed", "restart-failed")
