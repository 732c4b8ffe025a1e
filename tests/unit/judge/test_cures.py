"""The cheapest cure that is enough comes first, and it is right for what was seen of the host."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pytest
from seen_hosts import HEALTHY, HOST, NEW, OLD, OLD_AGENT, PROFILE, changed, lock
from test_causes import EVERY, LOCK_BEHIND, NEXT_AGENT, NOT_BUILT, REMARKS, RULES, down
from test_verdict import AFTER, BEFORE, CANCELLED, DOWN, KILLED, failed, running

from nixfleet_core.facts.model import LastJob
from nixfleet_core.job.outcome import Outcome
from nixfleet_core.judge.causes import Expectation, expectation, find_cause
from nixfleet_core.judge.cures import cheapest, cures, lock_has_it
from nixfleet_core.judge.diagnosis import diagnose
from nixfleet_core.judge.finding import AS_LOCKED, RESTART, UPDATE
from nixfleet_core.judge.verdict import judge
from nixfleet_core.nix.git_url import NotKnown
from nixfleet_core.vocabulary import CAUSES, KEYS, Advice

if TYPE_CHECKING:
    from nixfleet_core.facts.model import Facts
    from nixfleet_core.judge.finding import Finding
    from nixfleet_core.nix.git_url import Latest
    from nixfleet_core.vocabulary import FoundCause, Remedy

NEWER: Final = "3" * 40
EXPECT: Final = Expectation(input="nixfleet", latest=NEW)
HAS_IT: Final = "flake.lock has the commit already"
LOCKED: Final = f"a rebuild as locked is enough: {HAS_IT}"
THEN_LOCKED: Final = f"; {HAS_IT}, so it can stay as it is"
BY_LOCKED: Final[tuple[Remedy, ...]] = ("as-locked", "update")
BY_RESTART: Final[tuple[Remedy, ...]] = ("restart", "update")


def find(facts: dict[str, Any], **more: Any) -> Finding:
    """What is found where the facts of a rule hold; flake.lock and latest are at the same commit,
    unless the rule or `more` says otherwise."""
    facts = {"latest": NEW, "input": HOST.input, **facts, **more}
    host, latest = replace(HOST, input=facts.pop("input")), facts.pop("latest")
    seen = changed(HEALTHY, **facts)
    return find_cause(seen, expectation(host, seen, latest))


CHEAPER: Final[dict[FoundCause, tuple[Remedy, ...]]] = {
    "unit-masked": BY_RESTART,
    "start-limit-hit": BY_RESTART,
    "agent-down": BY_RESTART,
    "not-restarted": BY_RESTART,
    "switch-incomplete": BY_LOCKED,
    "built-elsewhere": BY_LOCKED,
    "job-failed": ("log", *BY_LOCKED),
    "lock-not-built": BY_LOCKED,
}
"""What cures, where flake.lock is at the latest commit."""


@pytest.mark.parametrize(("cause", "rule"), RULES, ids=[cause for cause, _ in RULES])
def test_where_flake_lock_has_the_latest_commit_less_than_an_update_comes_first(
    cause: FoundCause, rule: dict[str, Any]
) -> None:
    found = find(rule)
    is_behind = rule.get("checkout_lock") == lock(OLD)
    if found.cause != cause or cause not in CHEAPER or is_behind:
        # a job runs; or the rule needs a flake.lock that is behind, or no update cures it
        assert HAS_IT not in found.advice
        assert "as-locked" not in found.remedies
        return
    assert found.remedies == CHEAPER[cause]
    assert (HAS_IT in found.advice) == ("as-locked" in found.remedies)
    assert ("a restart is enough" in found.advice) == ("restart" in found.remedies)


def test_each_cause_that_has_a_cheaper_cure_was_seen_with_it() -> None:
    seen = {cause for cause, rule in RULES if find(rule).remedies == CHEAPER.get(cause)}
    assert seen == {*CHEAPER}


@pytest.mark.parametrize(
    ("latest", "checkout"),
    [
        pytest.param(None, {}, id="unknown"),
        pytest.param(NotKnown("the client may not ask", "set forges"), {}, id="not asked"),
        pytest.param(NEWER, {}, id="newer"),
        pytest.param(NEW, {"checkout_behind": 1}, id="the pull brings commits"),
        pytest.param(NEW, {"checkout_incoming": "9" * 40}, id="upstream has a commit"),
        pytest.param(NEW, {"checkout_state": "unreadable"}, id="not read"),
    ],
)
@pytest.mark.parametrize(("_", "rule"), EVERY, ids=[cause for cause, _ in EVERY])
def test_a_flake_lock_that_may_lack_the_latest_commit_is_no_cure(
    _: FoundCause, rule: dict[str, Any], latest: Latest, checkout: dict[str, Any]
) -> None:
    found = find(rule, latest=latest, **checkout)
    assert "as-locked" not in found.remedies
    assert HAS_IT not in found.advice
    assert "--as-locked" not in found.command
    if found.cause not in ("not-restarted", "proof-missing"):
        assert "restart" not in found.remedies


def test_the_words_name_the_cheapest_cure_first_or_behind_what_comes_before_it() -> None:
    assert find(NOT_BUILT).advice == LOCKED
    assert find(NOT_BUILT, latest=None).advice == CAUSES["switch-incomplete"].cure
    stopped = down("loaded", "inactive", "dead")
    assert find(stopped).advice.startswith("a restart is enough; its log: ")
    masked = find(down("masked", "inactive"))
    assert masked.advice.endswith(", then force update; a restart is enough")
    failed_job = find(NOT_BUILT, last_job=LastJob("failed", "rebuild", rc=1))
    assert failed_job.advice == CAUSES["job-failed"].cure + THEN_LOCKED
    staged = find({**NOT_BUILT, "system": PROFILE})
    assert staged.advice == f"{LOCKED}; if it was staged, a reboot is enough"


def test_an_agent_that_is_down_needs_the_lowest_step_that_is_missing() -> None:
    stopped = down("loaded", "inactive", "dead")
    assert find(stopped).remedies == BY_RESTART
    assert find(stopped, expected=NEXT_AGENT).remedies == BY_LOCKED
    assert find(stopped, expected=None).remedies == BY_LOCKED
    assert find(stopped, installed=None).remedies == BY_LOCKED
    assert find(stopped, **LOCK_BEHIND).remedies == ("update",)
    seen = changed(HEALTHY, **down("loaded", "active", "running"))
    assert cures("agent-down", ("update",), replace(seen, unit=None), EXPECT) == BY_LOCKED


@pytest.mark.parametrize(
    ("facts", "cure"),
    [
        (NOT_BUILT, ("update", "--as-locked")),
        ({**NOT_BUILT, "latest": None}, ("update", "--force")),
        ({**NOT_BUILT, "latest": NEWER}, ("update", "--force")),
        (down("loaded", "inactive", "dead"), ("restart",)),
        # an update that is not forced does nothing where the proof holds
        (dict(REMARKS)["switch-incomplete"], ("update", "--as-locked", "--force")),
    ],
)
def test_the_command_is_that_of_the_first_cure(
    facts: dict[str, Any], cure: tuple[str, ...]
) -> None:
    facts = {"latest": NEW, **facts}
    latest = facts.pop("latest")
    seen = changed(HEALTHY, **facts)
    told = diagnose(seen, expectation(HOST, seen, latest))
    name, *options = cure
    assert told.command == cure
    assert told.cure("csb0") == shlex.join(("nixfleet", name, "csb0", *options))


def test_a_pinned_commit_and_one_that_was_asked_for_count_as_the_latest() -> None:
    pinned = find(NOT_BUILT, latest=None, checkout_lock=lock(NEW, rev=NEW))
    assert pinned.remedies == BY_LOCKED
    as_locked = msgspec.structs.replace(EXPECT, as_locked=True, newest=NEWER)
    assert lock_has_it(HEALTHY, as_locked)


def test_a_rollback_is_not_cured_by_what_flake_lock_has() -> None:
    back = msgspec.structs.replace(EXPECT, system="/nix/store/old")
    assert not lock_has_it(HEALTHY, back)
    stopped = changed(HEALTHY, **down("loaded", "inactive", "dead"))
    assert find_cause(stopped, back).remedies == ("update",)


# Verdicts.

HALF_WAY: Final = replace(AFTER, running=running(OLD_AGENT), installed=OLD_AGENT)
"""flake.lock is at the latest commit, and the old agent is installed: the incident."""


@pytest.mark.parametrize("outcome", [CANCELLED, KILLED])
def test_a_job_that_was_broken_off_after_its_lock_goes_on_as_locked(outcome: Outcome) -> None:
    found = judge(BEFORE, HALF_WAY, EXPECT, outcome)
    assert (found.advice, found.remedies) == (LOCKED, BY_LOCKED)
    found = judge(BEFORE, replace(HALF_WAY, checkout=BEFORE.checkout), EXPECT, outcome)
    assert (found.advice, found.remedies) == ("force update starts anew", ("update",))
    stopped = judge(BEFORE, replace(AFTER, running=running(OLD_AGENT)), EXPECT, outcome)
    assert (stopped.advice, stopped.remedies) == ("a restart is enough", BY_RESTART)


def test_verify_and_a_failed_step_name_it_too() -> None:
    assert judge(HALF_WAY, HALF_WAY, EXPECT, None).remedies == BY_LOCKED
    said = "error: unable to download 'https://c/x': HTTP error 500"
    half_way = replace(HALF_WAY, system=BEFORE.system)
    found = judge(BEFORE, half_way, EXPECT, failed("rebuild", said=said))
    assert found.advice.endswith(f"try again{THEN_LOCKED}")
    assert "as-locked" in found.remedies
    before_lock = judge(BEFORE, BEFORE, EXPECT, failed("update", said=said))
    assert found.advice == before_lock.advice.removesuffix(".") + THEN_LOCKED
    assert "as-locked" not in before_lock.remedies


def test_a_job_that_was_refused_rests_on_the_look_before_it() -> None:
    busy = failed("preflight", reason="idle")
    found = judge(HALF_WAY, None, EXPECT, busy)
    assert (found.cause, found.remedies) == ("preflight-idle", BY_LOCKED)
    assert judge(BEFORE, None, EXPECT, busy).remedies == ("update",)
    # of any other job, only a look after it tells
    assert judge(HALF_WAY, None, EXPECT, CANCELLED).remedies == ("update",)


def test_jobs_for_something_else_are_not_cured_so() -> None:
    for goal in ("commit", "rollback"):
        outcome = Outcome(kind="cancelled", goal=goal)
        assert judge(BEFORE, HALF_WAY, EXPECT, outcome).remedies == ("update",)
    refused = failed("push", reason="refused")
    found = judge(BEFORE, AFTER, EXPECT, refused)
    assert (found.cause, found.remedies) == ("push-refused", ("update",))


@pytest.mark.parametrize("goal", ["update", "restart"])
def test_a_start_that_a_job_has_tried_is_no_cure(goal: Any) -> None:
    assert judge(DOWN, DOWN, EXPECT, None).remedies == BY_RESTART
    for outcome in (failed("start"), failed("rebuild"), CANCELLED, KILLED):
        found = judge(BEFORE, DOWN, EXPECT, replace(outcome, goal=goal))
        assert (found.cause, found.remedies) == ("agent-down", ("update",))
        assert "is enough" not in found.advice


def test_a_restart_that_was_broken_off_is_taken_up_again() -> None:
    for outcome in (CANCELLED, KILLED):
        found = judge(AFTER, AFTER, EXPECT, replace(outcome, goal="restart"))
        assert found.remedies == ("restart",)
        assert found.advice.startswith("nixfleet restart starts anew")


def test_what_names_no_update_stays() -> None:
    facts: Facts = changed(HEALTHY, installed=OLD_AGENT)
    for remedies in ((), ("verify",), ("restart", "update"), ("as-locked", "update")):
        advice = Advice("do it", remedies)
        assert cheapest("not-restarted", advice, facts, EXPECT) == advice


def test_the_docs_name_the_cures_in_this_order_with_their_keys() -> None:
    text = (Path(__file__).parents[3] / "docs/why.md").read_text()
    _, _, table = text.partition("| what was seen | first cure |\n|---|---|\n")
    rows = table.partition("\n\n")[0].splitlines()
    for row, command, key in zip(
        rows, (RESTART, AS_LOCKED, UPDATE), ("restart", "as-locked", "update"), strict=True
    ):
        name, *options = command
        said = shlex.join(("nixfleet", name, "HOST", *options))
        assert row.endswith(f"| `{said}`, `{KEYS[key]}` |")  # type: ignore[index]
