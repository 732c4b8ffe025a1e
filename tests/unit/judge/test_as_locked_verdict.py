"""The verdict on an update that leaves flake.lock as it is: its commit counts, not the latest."""

from __future__ import annotations

from dataclasses import replace

import pytest
from test_verdict import AFTER, BEFORE, DONE, NEW, OLD, OLD_AGENT, running, seen

from nixfleet_core.facts.model import Checkout, Facts
from nixfleet_core.job.outcome import Outcome
from nixfleet_core.judge.causes import Expectation, expect_locked, find_cause
from nixfleet_core.judge.verdict import Verdict, judge
from nixfleet_core.nix.git_url import NotKnown
from nixfleet_core.nix.lock import parse_lock

NEWEST = "3" * 40


def verdict(
    after: Facts, latest: str | None, outcome: Outcome | None = DONE, *, known: bool = True
) -> Verdict:
    expect = Expectation(input="nixfleet", latest=latest, latest_known=known)
    return judge(BEFORE, after, expect_locked(expect, after), outcome)


def test_the_locked_commit_is_proven_and_a_newer_one_is_named() -> None:
    assert judge(BEFORE, AFTER, Expectation(input="nixfleet", latest=NEWEST), DONE).kind == "stale"
    found = verdict(AFTER, NEWEST)
    assert (found.kind, found.cause, found.exit_code) == ("updated", "", 0)
    (note,) = found.notes
    assert note == (
        f"flake.lock stays at {NEW[:7]}, as asked: the latest commit of nixfleet is {NEWEST[:7]}. "
        "nixfleet update HOST --force moves it"
    )


def test_the_newer_commit_has_its_version() -> None:
    expect = Expectation(input="nixfleet", latest=NEWEST, version="2.3.0")
    (note,) = judge(BEFORE, AFTER, expect_locked(expect, AFTER), DONE).notes
    assert f"is {NEWEST[:7]} (2.3.0). " in note


def test_at_the_latest_commit_there_is_nothing_to_note() -> None:
    assert verdict(AFTER, NEW).notes == ()


def test_a_repository_that_does_not_answer_does_not_spoil_the_proof() -> None:
    found = verdict(AFTER, None)
    assert (found.kind, found.cause) == ("updated", "")
    assert "whether nixfleet has a newer commit is not known" in found.notes[0]
    assert "is not known" not in found.sentence
    not_asked = Expectation(input="nixfleet", not_known=NotKnown("we may not ask", "a token"))
    assert find_cause(AFTER, not_asked).cause == "latest-unknown"
    assert find_cause(AFTER, expect_locked(not_asked, AFTER)).holds


def test_an_input_without_commits_is_proven_by_its_path() -> None:
    text = (
        '{"nodes":{"root":{"inputs":{"nixfleet":"n"}},"n":{"locked":{}}},"root":"root","version":7}'
    )
    after = replace(AFTER, checkout=Checkout("/c", "ok", lock=parse_lock(text)))
    found = verdict(after, None, known=False)
    assert (found.kind, found.notes) == ("updated", ())


def test_a_host_that_runs_what_is_locked_needs_nothing() -> None:
    found = verdict(AFTER, NEWEST, None)
    assert (found.kind, found.cause) == ("current", "")
    assert NEWEST[:7] in found.notes[0]


@pytest.mark.parametrize(
    ("after", "cause"),
    [
        (replace(AFTER, running=running(OLD_AGENT)), "not-restarted"),
        (replace(AFTER, running=running(OLD_AGENT), installed=OLD_AGENT), "switch-incomplete"),
        (replace(AFTER, expected=None), "proof-missing"),
        (replace(AFTER, checkout=Checkout("/c", "ok")), "proof-missing"),
    ],
)
def test_every_other_link_of_the_proof_still_counts(after: Facts, cause: str) -> None:
    found = verdict(after, NEWEST)
    assert (found.kind, found.cause) == ("stale", cause)
    assert not any("as asked" in note for note in found.notes)


def test_an_update_that_went_back_says_nothing_of_the_lock_it_had() -> None:
    after = seen(OLD_AGENT, OLD, "/nix/store/old", 1)
    back = replace(DONE, kind="failed", failed_step="verify", reason="unstable", rolled_back=True)
    found = verdict(after, NEWEST, back)
    assert found.kind == "rolled-back"
    assert not any("as asked" in note for note in found.notes)
