"""The verdict on a job that commits flake.lock: it is the proof's, and says what was committed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fakes import CURRENT, HOST, NEW, OLD, OLD_PATH, make_facts

from nixfleet_core.facts.model import Binary, Facts
from nixfleet_core.job.outcome import Outcome
from nixfleet_core.judge.causes import Expectation
from nixfleet_core.judge.left_behind import left_behind
from nixfleet_core.judge.verdict import Verdict, judge
from nixfleet_core.vocabulary import KEYS

COMMITTED = Outcome(kind="done", goal="commit", committed=True)


EXPECT = Expectation(input="nixfleet", latest=NEW)


def proven() -> Facts:
    """What the proof saw, before the commit."""
    assert CURRENT.checkout is not None
    assert CURRENT.running is not None
    before = make_facts(running=OLD_PATH, rev=OLD).checkout
    assert before is not None
    return replace(
        CURRENT,
        running=replace(CURRENT.running, proof="exe"),
        expected=CURRENT.installed,
        checkout=replace(CURRENT.checkout, head_lock=before.lock),
    )


def verdict(after: Facts, outcome: Outcome) -> Verdict:
    return judge(after, after, EXPECT, outcome)


def test_a_commit_after_a_proof_is_current() -> None:
    found = verdict(proven(), COMMITTED)
    assert (found.kind, found.cause, found.exit_code) == ("current", "", 0)
    assert found.sentence.startswith("flake.lock is committed; proven: ")
    assert "not committed" not in found.sentence
    assert found.notes[0].startswith("flake.lock is committed, but not pushed")


def test_without_a_proof_the_verdict_says_why_nothing_is_committed() -> None:
    other = replace(proven(), expected=Binary(OLD_PATH, "2.1.0"))
    found = verdict(other, replace(COMMITTED, committed=False))
    assert (found.kind, found.cause, found.exit_code) == ("stale", "switch-incomplete", 3)
    assert found.sentence.startswith("flake.lock is not committed: the flake builds")
    assert found.advice


def test_a_job_that_skipped_its_commit_is_never_good() -> None:
    found = verdict(proven(), replace(COMMITTED, committed=False))
    assert (found.kind, found.cause, found.exit_code) == ("failed", "commit-failed", 1)


@pytest.mark.parametrize(
    ("step", "reason", "cause"),
    [
        ("commit", "lock-changed", "commit-failed"),
        ("commit", "signing", "commit-failed"),
        ("push", "refused", "push-refused"),
    ],
)
def test_a_failed_commit_or_push_fails_the_job(step: str, reason: str, cause: str) -> None:
    failed = Outcome(kind="failed", goal="commit", failed_step=step, rc=1, reason=reason)  # type: ignore[arg-type]
    found = verdict(proven(), failed)
    assert (found.kind, found.cause, found.exit_code) == ("failed", cause, 1)
    assert found.advice
    left = left_behind(proven(), proven(), failed, HOST, EXPECT)
    assert left[0].what == "flake.lock is changed, and not committed, as before"
    assert left[0].key == KEYS["commit"]
