from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any, get_args

import msgspec
import pytest

from nixfleet_core.facts.model import (
    ActiveGeneration,
    Binary,
    Checkout,
    Facts,
    Running,
    Snapshot,
    System,
    Unit,
)
from nixfleet_core.facts.package_changes import Change
from nixfleet_core.facts.service import Service
from nixfleet_core.job.outcome import Outcome
from nixfleet_core.judge.causes import Expectation, find_cause
from nixfleet_core.judge.finding import Finding
from nixfleet_core.judge.verdict import (
    judge,
    no_elevation,
    not_launched,
    refused,
    snapshot,
    unreachable,
)
from nixfleet_core.log.failure_table import FAILURES
from nixfleet_core.log.failures import find_failure
from nixfleet_core.nix.lock import FlakeLock, parse_lock
from nixfleet_core.vocabulary import CheckId

OLD, NEW = "1" * 40, "2" * 40
OLD_AGENT = Binary(f"/nix/store/{'a' * 32}-nixfleet-agent-2.1.0/bin/agent", "2.1.0", "0" * 64)
NEW_AGENT = Binary(f"/nix/store/{'b' * 32}-nixfleet-agent-2.2.0/bin/agent", "2.2.0", "f" * 64)
UP = Unit(load="loaded", active="active", result="success", pid=7)
EXPECT = Expectation(input="nixfleet", latest=NEW)


def lock(rev: str, *more: str) -> FlakeLock:
    inputs = dict.fromkeys(("nixfleet", *more), "n")
    nodes = {"root": {"inputs": inputs}, "n": {"locked": {"rev": rev}}}
    return parse_lock(json.dumps({"nodes": nodes, "root": "root", "version": 7}))


def seen(agent: Binary, rev: str, system: str, generation: int) -> Facts:
    """A host where everything is at that agent."""
    return Facts(
        hostname="csb0",
        os="NixOS",
        platform="nixos",
        unit=UP,
        running=Running(agent, "exe", pid=7),
        installed=agent,
        expected=agent,
        system=System(current=system, profile=system, generation=generation),
        checkout=Checkout(path="/c", state="ok", lock=lock(rev)),
    )


BEFORE = seen(OLD_AGENT, OLD, "/nix/store/old", 1)
AFTER = seen(NEW_AGENT, NEW, "/nix/store/new", 2)

DONE = Outcome(kind="done")
CANCELLED = Outcome(kind="cancelled")
KILLED = Outcome(kind="interrupted", failed_step="rebuild", rc=137, reason="interrupted")


def failed(step: Any, rc: int = 1, reason: str = "", detail: str = "", said: str = "") -> Outcome:
    failure = find_failure([said]) if said else None
    assert bool(said) == (failure is not None)
    return Outcome(
        kind="failed", failed_step=step, rc=rc, reason=reason, detail=detail, failure=failure
    )


def running(agent: Binary, proof: Any = "exe") -> Running:
    return Running(agent, proof, pid=7)


DOWN = replace(AFTER, unit=Unit("loaded", "failed", "failed", "exit-code"), running=None)


def find_gap(facts: Facts | None, expect: Expectation) -> Finding | None:
    """The first link that does not hold; None when the proof is whole."""
    found = find_cause(facts, expect)
    return None if found.holds else found


GAPS = {
    "not looked at": (None, "proof-missing"),
    "no unit seen": (replace(AFTER, unit=None), "proof-missing"),
    "unit failed": (DOWN, "agent-down"),
    "unit without a process": (replace(AFTER, unit=Unit("loaded", "active")), "agent-down"),
    "unit on its way": (replace(AFTER, unit=Unit("loaded", "activating", pid=7)), "agent-down"),
    "no running path": (replace(AFTER, running=None), "proof-missing"),
    "no installed path": (replace(AFTER, installed=None), "proof-missing"),
    "old one runs": (replace(AFTER, running=running(OLD_AGENT)), "not-restarted"),
    "claimed": (replace(AFTER, running=running(NEW_AGENT, "claimed")), "proof-missing"),
    "nothing evaluated": (replace(AFTER, expected=None), "proof-missing"),
    "old one installed": (
        replace(AFTER, running=running(OLD_AGENT), installed=OLD_AGENT),
        "switch-incomplete",
    ),
    "no checkout": (replace(AFTER, checkout=None), "proof-missing"),
    "no lock": (replace(AFTER, checkout=Checkout("/c", "ok")), "proof-missing"),
    "old lock": (replace(AFTER, checkout=Checkout("/c", "ok", lock=lock(OLD))), "lock-behind"),
}


@pytest.mark.parametrize(("facts", "cause"), GAPS.values(), ids=GAPS)
def test_every_link_of_the_proof_counts(facts: Facts | None, cause: str) -> None:
    gap = find_gap(facts, EXPECT)
    assert gap is not None
    assert (gap.cause, gap.down) == (cause, cause == "agent-down")
    assert gap.sentence
    assert gap.advice


@pytest.mark.parametrize(("facts", "cause"), GAPS.values(), ids=GAPS)
@pytest.mark.parametrize("outcome", [None, DONE], ids=["verify", "job done"])
def test_a_verdict_without_the_whole_proof_is_stale_or_agent_down(
    facts: Facts | None, cause: str, outcome: Outcome | None
) -> None:
    verdict = judge(BEFORE, facts, EXPECT, outcome)
    assert (verdict.kind, verdict.cause) == (
        "agent-down" if cause == "agent-down" else "stale",
        cause,
    )


def test_a_script_and_another_file_of_the_package_are_proven() -> None:
    assert find_gap(AFTER, EXPECT) is None
    assert find_gap(replace(AFTER, running=running(NEW_AGENT, "script")), EXPECT) is None
    wrapped = Binary(NEW_AGENT.path.replace("/bin/agent", "/bin/.agent-wrapped"))
    assert find_gap(replace(AFTER, running=running(wrapped)), EXPECT) is None


def test_a_verification_offers_no_cure_while_a_job_runs() -> None:
    busy = replace(AFTER, running=running(OLD_AGENT), job_running="20261123-004101-ab12")
    found = judge(busy, busy, EXPECT, None)
    assert (found.cause, found.advice) == ("job-running", "wait for its verdict")
    assert judge(BEFORE, busy, EXPECT, DONE).cause == "not-restarted"  # that job itself


def test_equal_versions_prove_nothing() -> None:
    rebuilt = Binary(OLD_AGENT.path.replace("a" * 32, "c" * 32), "2.1.0")
    gap = find_gap(replace(AFTER, running=running(OLD_AGENT), installed=rebuilt), EXPECT)
    assert gap is not None
    assert gap.sentence == (
        "not restarted: 2.1.0 (cccccccc…) is installed, but 2.1.0 (aaaaaaaa…) still runs"
    )


def test_the_proof_needs_a_latest_unless_the_input_has_no_commits() -> None:
    gap = find_gap(AFTER, Expectation(input="nixfleet", latest=None))
    assert gap is not None
    assert gap.cause == "latest-unknown"
    assert find_gap(AFTER, Expectation(input="nixfleet", latest=None, latest_known=False)) is None


RATE = (
    "error: unable to download 'https://api.github.com/x': HTTP error 403 API rate limit exceeded"
)
FULL = "error: writing to file: No space left on device"
STALE_LOCK = replace(AFTER, checkout=Checkout("/c", "ok", lock=lock(OLD)))

TABLE: dict[str, tuple[Facts | None, Facts | None, Outcome | None, str, str, str]] = {
    "updated": (BEFORE, AFTER, DONE, "updated", "", r"2\.2\.0 \(bbbbbbbb…\), it was 2\.1\.0"),
    "first look missing": (None, AFTER, DONE, "updated", "", r"runs is 2\.2\.0"),
    "only the system": (
        replace(AFTER, system=System("/nix/store/old")),
        AFTER,
        DONE,
        "updated",
        "",
        r"the system is new; the agent was already 2\.2\.0",
    ),
    "nothing changed": (AFTER, AFTER, DONE, "current", "", "runs, is installed"),
    "verified": (AFTER, AFTER, None, "current", "", "proven"),
    "verified, stale": (BEFORE, BEFORE, None, "stale", "lock-behind", "at 1111111, latest is 2"),
    "done, yet down": (BEFORE, DOWN, DONE, "agent-down", "agent-down", r"failed \(exit-code\)$"),
    "masked": (
        BEFORE,
        replace(DOWN, unit=Unit("masked", "inactive")),
        DONE,
        "agent-down",
        "unit-masked",
        "its unit is masked",
    ),
    "crash loop": (
        BEFORE,
        DOWN,
        failed("verify", 1, "unstable"),
        "agent-down",
        "agent-unstable",
        "did not stay up",
    ),
    "cancelled": (BEFORE, BEFORE, CANCELLED, "cancelled", "cancelled", "cancelled; the agent runs"),
    "cancelled, down": (BEFORE, DOWN, CANCELLED, "agent-down", "agent-down", "was cancelled"),
    "cancelled, unseen": (BEFORE, None, CANCELLED, "cancelled", "cancelled", "could not see"),
    "killed": (BEFORE, BEFORE, KILLED, "interrupted", "killed", "step rebuild; the agent runs"),
    "killed, down": (BEFORE, DOWN, KILLED, "agent-down", "agent-down", "step rebuild"),
    "killed, unseen": (BEFORE, None, KILLED, "interrupted", "killed", "could not see"),
    "rebooted": (
        BEFORE,
        None,
        Outcome(kind="interrupted"),
        "interrupted",
        "killed",
        "in the step start",
    ),
    "pull failed": (BEFORE, BEFORE, failed("pull"), "failed", "pull-failed", "pull .* code 1; the"),
    "known words": (BEFORE, BEFORE, failed("rebuild", said=FULL), "failed", "disk-full", "code 1"),
    "too long": (BEFORE, BEFORE, failed("pull", 124), "failed", "pull-failed", "took too long"),
    "failed, unseen": (BEFORE, None, failed("pull"), "failed", "pull-failed", "could not see"),
    "failed, down": (BEFORE, DOWN, failed("rebuild"), "agent-down", "agent-down", "rebuild failed"),
    "stale success": (
        BEFORE,
        STALE_LOCK,
        failed("update", 65, "stale"),
        "stale",
        "lock-behind",
        "nix exited with 0",
    ),
    "stale, known why": (
        BEFORE,
        STALE_LOCK,
        failed("update", 65, "stale", said=RATE),
        "stale",
        "rate-limit",
        "nix exited with 0",
    ),
    "some units failed": (
        BEFORE,
        AFTER,
        failed("rebuild", 4),
        "partial",
        "units-failed",
        "new agent runs",
    ),
    "switch failed": (
        BEFORE,
        AFTER,
        failed("rebuild", 2),
        "partial",
        "switch-failed",
        "new agent runs",
    ),
    "units named": (
        BEFORE,
        AFTER,
        replace(failed("rebuild", 4), units=("a.service",)),
        "partial",
        "units-failed",
        "a.service",
    ),
    "disk full": (
        BEFORE,
        BEFORE,
        failed("update", 1, "disk-full"),
        "failed",
        "disk-full",
        "update",
    ),
    "the reason is said": (
        BEFORE,
        BEFORE,
        failed("pull", 1, "lock-changed"),
        "failed",
        "pull-failed",
        "code 1: somebody changed flake.lock meanwhile; the agent runs",
    ),
    "the reason is said, not the text": (
        BEFORE,
        BEFORE,
        failed("update", 65, "latest-unknown", said=RATE),
        "failed",
        "rate-limit",
        "code 65: the input's repository did not answer with a commit; the agent runs",
    ),
    "the job could not begin": (
        BEFORE,
        BEFORE,
        failed("preflight", 1, "finish"),
        "failed",
        "preflight-unknown",
        "before anything was touched: the host cannot write what brings the agent back",
    ),
    "rolled back, not asked": (
        BEFORE,
        BEFORE,
        replace(failed("verify", 1, "unstable"), rolled_back=True),
        "rolled-back",
        "agent-unstable",
        r"did not stay up: rolled back, and proven: 2\.1\.0",
    ),
    "rolled back, cut off": (
        BEFORE,
        BEFORE,
        replace(failed("confirm", 1, "unconfirmed"), rolled_back=True),
        "rolled-back",
        "unconfirmed",
        "no client reached the host",
    ),
    "rolled back, asked": (
        AFTER,
        BEFORE,
        replace(DONE, rolled_back=True),
        "rolled-back",
        "",
        "^rolled back, and proven",
    ),
    "rolled back, down": (
        AFTER,
        DOWN,
        replace(DONE, rolled_back=True),
        "agent-down",
        "agent-down",
        "not running",
    ),
    "rolled back, unseen": (
        AFTER,
        None,
        replace(DONE, rolled_back=True),
        "stale",
        "proof-missing",
        "not looked at",
    ),
    "switch failed, nothing new": (
        AFTER,
        AFTER,
        failed("rebuild", 4),
        "failed",
        "rebuild-failed",
        "code 4",
    ),
    "switch failed, not proven": (
        BEFORE,
        replace(AFTER, expected=None),
        failed("rebuild", 4),
        "failed",
        "switch-incomplete",
        "code 4: the profile is new, but the agent that the flake builds",
    ),
}


@pytest.mark.parametrize(
    ("before", "after", "outcome", "kind", "cause", "sentence"), TABLE.values(), ids=TABLE
)
def test_judges(
    before: Facts | None,
    after: Facts | None,
    outcome: Outcome | None,
    kind: str,
    cause: str,
    sentence: str,
) -> None:
    back = outcome is not None and outcome.rolled_back
    expect = msgspec.structs.replace(EXPECT, system="/nix/store/old") if back else EXPECT
    verdict = judge(before, after, expect, outcome)
    assert (verdict.kind, verdict.cause) == (kind, cause)
    assert re.search(sentence, verdict.sentence), verdict.sentence
    assert bool(verdict.advice) == (kind not in ("updated", "current"))


# flake.lock after the proof.


@pytest.mark.parametrize(
    ("step", "reason", "cause", "words"),
    [
        (
            "commit",
            "signing",
            "commit-failed",
            "but flake.lock was not committed: git could not sign",
        ),
        ("push", "refused", "push-refused", "but flake.lock was not pushed: the remote refused"),
        ("push", "", "push-failed", "but flake.lock was not pushed: git ended with code 1"),
    ],
)
def test_an_update_counts_when_its_flake_lock_was_not_committed(
    step: Any, reason: str, cause: str, words: str
) -> None:
    outcome = Outcome(kind="done", failed_step=step, reason=reason, rc=1)
    verdict = judge(BEFORE, AFTER, EXPECT, outcome)
    assert (verdict.kind, verdict.exit_code, verdict.cause) == ("updated", 0, cause)
    assert verdict.sentence.startswith("proven: the agent that runs is 2.2.0")
    assert words in verdict.sentence
    assert verdict.advice
    gap = judge(BEFORE, replace(AFTER, running=running(OLD_AGENT)), EXPECT, outcome)
    assert (gap.kind, gap.cause) == ("stale", "not-restarted")


def test_the_notes_warn_of_flake_lock_and_the_other_checkout() -> None:
    assert AFTER.checkout is not None
    checkout = replace(AFTER.checkout, head_lock=lock(OLD))
    other = Checkout("/var/lib/nixfleet-agent/repo", "ok", lock=lock(OLD))
    assert judge(BEFORE, AFTER, EXPECT, DONE).notes == ()
    notes = judge(BEFORE, replace(AFTER, checkout=checkout, other=other), EXPECT, DONE).notes
    assert [note.split(":")[0] for note in notes] == [
        "flake.lock is changed, but not committed",
        "/var/lib/nixfleet-agent/repo locks nixfleet to 1111111, this one to 2222222",
    ]


def test_the_agents_own_change_comes_first() -> None:
    glibc = Change(name="glibc", before="1", after="2")
    verdict = judge(BEFORE, AFTER, EXPECT, DONE, (glibc,))
    agent = Change(name="nixfleet-agent", before="2.1.0", after="2.2.0")
    assert verdict.changes == (agent, glibc)
    assert judge(AFTER, AFTER, EXPECT, None).changes == ()


PREFLIGHT = [
    *(("tools", ""), ("unit", "missing"), ("disk", "full"), ("idle", "busy"), ("remote", "fetch")),
    *(("pull", detail) for detail in ("diverged", "lock", "collision", "unfinished")),
    *(("checkout", detail) for detail in ("missing", "not-git", "root-owned")),
    *(("input", detail) for detail in ("missing", "unreachable", "no-ref", "refused")),
    ("input", "lock-broken"),
    ("attribute", "missing"),
    ("attribute", "evaluation"),
    ("attribute", "dirty"),
    *(("commit", detail) for detail in ("identity", "signing")),
    ("checkout", "something new"),
    ("something-new", ""),
    ("", ""),
]


@pytest.mark.parametrize(("check", "detail"), PREFLIGHT)
def test_a_preflight_refusal_says_what_is_in_the_way(check: str, detail: str) -> None:
    verdict = judge(BEFORE, None, EXPECT, failed("preflight", 1, check, detail))
    known = f"preflight-{check}" if check in get_args(CheckId) else "preflight-unknown"
    assert (verdict.kind, verdict.cause) == ("failed", known)
    assert verdict.sentence.startswith("refused before anything was touched: ")
    assert verdict.advice
    assert verdict.before == snapshot(BEFORE, "nixfleet")
    assert verdict.after == Snapshot(), "nobody has looked again"


def test_a_changed_flake_lock_that_is_in_the_way_of_the_pull_is_refused_by_its_inputs() -> None:
    checkout = Checkout("/c", "ok", lock=lock(OLD), head_lock=lock(NEW, "nixpkgs", "zeta"))
    before = replace(BEFORE, checkout=checkout)
    verdict = judge(before, None, EXPECT, failed("preflight", 1, "pull", "lock"))
    assert verdict.sentence.endswith("it too (changed inputs: nixfleet, nixpkgs, zeta)")
    other = judge(before, None, EXPECT, failed("preflight", 1, "pull", "diverged"))
    assert "nixpkgs" not in other.sentence


@pytest.mark.parametrize(
    ("detail", "advice"),
    [
        ("missing", "set `attribute`"),
        ("evaluation", "pull a commit"),
        ("dirty", "commit or correct the files"),
    ],
)
def test_a_refused_configuration_shows_what_was_found(detail: str, advice: str) -> None:
    """Nix says the same of each name that a flake does not provide; it has no advice on ours."""
    failure = next(row for row in FAILURES if row.id == "no-such-attribute")
    shown = failure if detail != "evaluation" else None
    outcome = replace(failed("preflight", 1, "attribute", detail), check_words="x", failure=shown)
    verdict = judge(BEFORE, None, EXPECT, outcome)
    assert verdict.sentence.endswith(": x")
    assert advice in verdict.advice


def test_each_preflight_reason_has_words_of_its_own() -> None:
    known = PREFLIGHT[:22]
    sentences = {
        judge(BEFORE, None, EXPECT, failed("preflight", 1, *why)).sentence for why in known
    }
    assert len(sentences) == len(known)


def test_a_known_failure_gives_a_refusal_its_advice() -> None:
    said = "git@git.example.org: Permission denied (publickey)."
    verdict = judge(BEFORE, None, EXPECT, failed("preflight", 1, "remote", "fetch", said=said))
    known = find_failure([said])
    assert known is not None
    assert (verdict.cause, verdict.advice) == ("preflight-remote", known.advice)


@pytest.mark.parametrize(
    "system", [System("/other", "/nix/store/old"), System("/nix/store/old", "/other"), System()]
)
def test_a_rollback_is_proven_by_its_target_system(system: System) -> None:
    expect = msgspec.structs.replace(EXPECT, system="/nix/store/old")
    assert find_gap(BEFORE, expect) is None
    gap = find_gap(replace(BEFORE, system=system), expect)
    assert gap is not None
    assert gap.cause == "switch-incomplete"


@pytest.mark.parametrize(
    ("says", "note"),
    [
        ("ok", "; its own --check agrees"),
        ("failed", "; but its own --check fails"),
        ("timeout", "; but its own --check did not end in time"),
        (None, ""),
        ("something-new", ""),
    ],
)
def test_the_agents_own_check_is_a_note_and_decides_nothing(says: str | None, note: str) -> None:
    for outcome in (DONE, failed("rebuild", 4)):
        plain = judge(BEFORE, AFTER, EXPECT, outcome)
        told = judge(BEFORE, AFTER, EXPECT, replace(outcome, agent_says=says))
        assert told == msgspec.structs.replace(plain, sentence=plain.sentence + note)
    down = judge(BEFORE, DOWN, EXPECT, replace(DONE, agent_says=says))  # nothing is proven
    assert down == judge(BEFORE, DOWN, EXPECT, DONE)


def test_the_advice_on_a_password_in_flake_lock_names_the_ways_out() -> None:
    verdict = judge(BEFORE, BEFORE, EXPECT, failed("update", 1, "credentials"))
    assert (verdict.kind, verdict.cause) == ("failed", "credentials")
    assert "access-tokens" in verdict.advice


def test_a_killed_job_that_went_back_is_rolled_back() -> None:
    expect = msgspec.structs.replace(EXPECT, system="/nix/store/old")
    verdict = judge(BEFORE, BEFORE, expect, replace(KILLED, rolled_back=True))
    assert (verdict.kind, verdict.cause) == ("rolled-back", "killed")
    assert verdict.sentence.startswith("the job was killed: rolled back, and proven")


def test_a_tarball_is_proven_with_a_note_that_latest_is_unknown() -> None:
    nodes = {"root": {"inputs": {"nixfleet": "n"}}, "n": {"locked": {"type": "tarball"}}}
    locked = parse_lock(json.dumps({"nodes": nodes, "root": "root", "version": 7}))
    after = replace(AFTER, checkout=Checkout("/c", "ok", lock=locked))
    expect = Expectation(input="nixfleet", latest_known=False)
    verdict = judge(BEFORE, after, expect, DONE)
    assert verdict.kind == "updated"
    assert verdict.sentence.endswith("; the latest commit of nixfleet is not known")
    refused = judge(BEFORE, after, expect, replace(DONE, git_refused=True))
    assert refused.kind == "updated"
    assert refused.sentence.endswith(
        "; the latest commit of nixfleet could not be asked: its repository refuses git, and only "
        "Nix may fetch it"
    )


def test_a_snapshot_has_the_seen_facts_and_null_for_the_rest() -> None:
    assert snapshot(AFTER, "nixfleet") == Snapshot(
        version="2.2.0",
        commit=NEW,
        store_path=f"/nix/store/{'b' * 32}-nixfleet-agent-2.2.0",
        sha256="f" * 64,
        system="/nix/store/new",
        generation=2,
    )
    assert snapshot(AFTER, "other").commit is None
    bare = Facts(hostname="h", os="", platform="nixos")
    assert snapshot(None, "nixfleet") == snapshot(bare, "nixfleet") == Snapshot()


def test_verdicts_without_a_job() -> None:
    side = Snapshot(version="2.1.0")
    found = {
        unreachable("No route to host", "look"): ("unreachable", "unreachable", 5),
        refused("disk", "full", "free some", side): ("failed", "preflight-disk", 1),
        no_elevation("sudo says no", "ops"): ("failed", "preflight-elevation", 1),
        not_launched("no bus"): ("failed", "launch-failed", 1),
    }
    for verdict, expected in found.items():
        assert (verdict.kind, verdict.cause, verdict.exit_code) == expected
        assert verdict.advice
    assert refused("disk", "full", "x", side).after == side


def test_a_note_says_that_the_proof_of_a_script_is_weaker() -> None:
    running = Running(NEW_AGENT, "script", pid=7)
    verdict = judge(BEFORE, replace(AFTER, running=running), EXPECT, DONE)
    assert verdict.kind == "updated"
    (note,) = verdict.notes
    assert note.startswith("The agent is a script, so its proof is weaker. ")


def test_a_note_names_a_rebuild_that_a_forced_update_ignored() -> None:
    for outcome in (DONE, failed("rebuild")):
        outcome = replace(outcome, went_over=True)
        (note,) = judge(BEFORE, AFTER, EXPECT, outcome).notes
        assert note.startswith("Another rebuild still ran after the longest wait for it, and ")


def test_a_note_says_that_the_host_slept() -> None:
    (note,) = judge(BEFORE, AFTER, EXPECT, replace(DONE, slept=1234)).notes
    assert note.startswith("The host slept for 21 min during the job. ")


OFF_SWITCH = replace(AFTER, system=System("/nix/store/old", "/nix/store/new", 2))


@pytest.mark.parametrize(
    ("rc", "kind", "cause", "words"),
    [
        (100, "stale", "reboot-pending", "needs a reboot"),
        (2, "failed", "switch-incomplete", "code 2: the profile is new, but the old system runs"),
    ],
)
def test_a_moved_profile_without_activation_is_no_success(
    rc: int, kind: str, cause: str, words: str
) -> None:
    verdict = judge(BEFORE, OFF_SWITCH, EXPECT, failed("rebuild", rc))
    assert (verdict.kind, verdict.cause) == (kind, cause)
    assert words in verdict.sentence


def test_a_switch_that_waits_for_a_boot_is_no_failure_to_repeat() -> None:
    waits = System("/nix/store/old", "/nix/store/new", 2, inhibitors=("systemd", "dbus"))
    verdict = judge(BEFORE, replace(AFTER, system=waits), EXPECT, failed("rebuild", 1))
    assert (verdict.kind, verdict.cause) == ("stale", "switch-inhibited")
    assert "while the old one runs: systemd, dbus changed" in verdict.sentence
    assert "switch-to-configuration boot, then reboot" in verdict.advice


def test_the_switchs_own_words_say_that_it_waits_for_a_boot() -> None:
    outcome = failed("rebuild", 1, said="Pre-switch check 'switchInhibitors' failed")
    verdict = judge(BEFORE, OFF_SWITCH, EXPECT, outcome)
    assert (verdict.kind, verdict.cause) == ("failed", "switch-inhibited")
    assert "reboot" in verdict.advice


WORK = ActiveGeneration(2, specialisation="work")


def test_a_specialisation_of_the_new_system_is_a_finished_switch() -> None:
    inner = System("/nix/store/new-work", "/nix/store/new", 2, active=WORK)
    verdict = judge(BEFORE, replace(AFTER, system=inner), EXPECT, failed("rebuild", 4))
    assert (verdict.kind, verdict.cause) == ("partial", "units-failed")


def test_a_specialisation_that_was_left_is_noted() -> None:
    was = replace(BEFORE, system=System("/nix/store/work", "/nix/store/old", 1, active=WORK))
    noted = judge(was, AFTER, EXPECT, DONE).notes
    assert "The host has left its specialisation work" in noted
    kept = replace(AFTER, system=System("/nix/store/new-work", "/nix/store/new", 2, active=WORK))
    assert judge(was, kept, EXPECT, DONE).notes == judge(BEFORE, AFTER, EXPECT, DONE).notes


def test_home_managers_copies_of_applications_are_named_as_the_cause() -> None:
    failure = find_failure(["error: permission denied when trying to update apps, aborting"])
    outcome = replace(failed("rebuild", 1), failure=failure)
    for after, kind in ((OFF_SWITCH, "failed"), (AFTER, "partial")):
        verdict = judge(BEFORE, after, EXPECT, outcome)
        assert (verdict.kind, verdict.cause) == (kind, "apps-denied")
        assert "targets.darwin.copyApps.enable = false" in verdict.advice


@pytest.mark.parametrize(
    ("files", "named"), [(("/h/a",), "/h/a"), (("/h/a", "/h/b"), "/h/a and 1 more")]
)
def test_the_first_file_in_home_managers_way_is_named_and_that_the_profile_has_moved(
    files: tuple[str, ...], named: str
) -> None:
    failure = find_failure([f"Existing file '{file}' would be clobbered" for file in files])
    outcome = replace(failed("rebuild", 1), failure=failure, in_the_way=files)
    home = replace(OFF_SWITCH, platform="home-manager")
    verdict = judge(BEFORE, home, EXPECT, outcome)
    assert (verdict.kind, verdict.cause) == ("failed", "file-in-the-way")
    assert "code 1: the profile is new, but the home is the old one; " in verdict.sentence
    assert verdict.sentence.endswith(f"that it has not made: {named}")
    assert "home-manager switch -b EXT" in verdict.advice
    # an older home-manager moves the profile after its check
    verdict = judge(BEFORE, BEFORE, EXPECT, outcome)
    assert (verdict.kind, verdict.cause) == ("failed", "file-in-the-way")
    assert verdict.sentence.endswith(f"that it has not made: {named}")


def test_an_unseen_profile_counts_as_not_moved() -> None:
    verdict = judge(BEFORE, replace(AFTER, system=System()), EXPECT, failed("rebuild"))
    assert (verdict.kind, verdict.cause) == ("failed", "rebuild-failed")


@pytest.mark.parametrize(
    ("service", "needs_login"),
    [
        (Service(manager="launchd", domain="gui/501"), True),
        (Service(manager="launchd", domain="user/501"), False),
        (Service(), False),
    ],
)
def test_after_a_reboot_a_gui_agent_starts_with_the_login(
    service: Service, needs_login: bool
) -> None:
    assert BEFORE.unit is not None
    before = replace(BEFORE, unit=replace(BEFORE.unit, service=service))
    rebooted = Outcome(kind="interrupted", failed_step="rebuild")
    verdict = judge(before, None, EXPECT, rebooted)
    assert (verdict.kind, verdict.cause) == ("interrupted", "killed")
    assert ("when its user logs in at the screen" in verdict.advice) == needs_login
    assert "logs in" not in judge(before, before, EXPECT, rebooted).advice


@pytest.mark.parametrize(
    ("service", "sub", "needs_login"),
    [
        (Service(manager="launchd"), "not loaded", True),
        (Service(manager="launchd"), "not running", False),
        (Service(), "dead", False),
    ],
)
def test_an_agent_that_launchd_has_not_loaded_comes_with_a_login(
    service: Service, sub: str, needs_login: bool
) -> None:
    unit = Unit("loaded", "inactive", sub, service=service)
    verdict = judge(None, replace(AFTER, unit=unit, running=None), EXPECT, None)
    assert (verdict.kind, verdict.cause) == ("agent-down", "agent-down")
    assert ("when its user logs in at the screen" in verdict.advice) == needs_login


def test_up_to_five_failed_units_are_named_with_any_exit_code() -> None:
    outcome = replace(failed("rebuild", 1), units=tuple("abcdef"))
    verdict = judge(BEFORE, AFTER, EXPECT, outcome)
    assert (verdict.kind, verdict.cause) == ("partial", "units-failed")
    assert verdict.sentence.endswith("left failed units: a, b, c, d, e")


def test_a_step_took_too_long_only_if_the_runner_ended_it_at_its_limit() -> None:
    verdict = judge(BEFORE, BEFORE, EXPECT, failed("pull", 124))
    assert verdict.sentence.startswith("the step pull took too long and was ended")
    for rc in (124, 137):
        killed = judge(BEFORE, DOWN, EXPECT, replace(KILLED, rc=rc))
        assert killed.sentence.endswith(f" after the step rebuild failed with code {rc}")


@pytest.mark.parametrize(
    ("rc", "by"), [(137, "SIGKILL"), (143, "SIGTERM"), (247, "SIGKILL"), (241, "SIGTERM")]
)
def test_a_step_that_somebody_killed_did_not_take_too_long(rc: int, by: str) -> None:
    verdict = judge(BEFORE, BEFORE, EXPECT, failed("rebuild", rc))
    assert verdict.sentence.startswith(f"the step rebuild was killed by {by} (code {rc}); ")
    assert (verdict.kind, verdict.cause) == ("failed", "rebuild-failed")
    assert ("for its memory" in verdict.advice) == (by == "SIGKILL")


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (FULL, "disk-full"),
        ("cannot copy /nix/store/x to /boot/kernels/x.tmp: No space left on device", "disk-full"),
        ("error: out of memory", "oom"),
    ],
)
@pytest.mark.parametrize("rc", [1, 2, 4])
def test_a_switch_that_fails_for_a_known_reason_gives_its_advice(
    said: str, cause: str, rc: int
) -> None:
    failure = find_failure([said])
    assert failure is not None
    outcome = failed("rebuild", rc, said=said)
    for after, kind in ((OFF_SWITCH, "failed"), (AFTER, "partial")):
        verdict = judge(BEFORE, after, EXPECT, outcome)
        assert (verdict.kind, verdict.cause, verdict.advice) == (kind, cause, failure.advice)
        assert "again" not in verdict.advice or "switch again" in verdict.advice


def test_a_passing_fault_explains_no_failed_switch() -> None:
    said = "error: unable to download 'http://nas.lan/x': Couldn't connect to server (7)"
    verdict = judge(BEFORE, OFF_SWITCH, EXPECT, failed("rebuild", 1, said=said))
    assert verdict.cause == "switch-incomplete"


def test_the_verdict_without_a_job_is_current_and_not_updated() -> None:
    assert judge(BEFORE, AFTER, EXPECT, None).kind == "current"
    assert judge(BEFORE, AFTER, EXPECT, DONE).kind == "updated"


def test_an_agent_that_did_not_run_before_is_updated() -> None:
    verdict = judge(replace(AFTER, running=None), AFTER, EXPECT, DONE)
    assert verdict.kind == "updated"
    assert verdict.sentence == "proven: the agent that runs is 2.2.0 (bbbbbbbb…)"


def test_another_file_of_the_same_package_is_the_same_agent() -> None:
    wrapped = Binary(NEW_AGENT.path.replace("/bin/agent", "/bin/.agent-wrapped"), "2.2.0")
    before = replace(AFTER, running=running(wrapped), system=System("/nix/store/old"))
    assert "the agent was already 2.2.0" in judge(before, AFTER, EXPECT, DONE).sentence


@pytest.mark.parametrize(
    ("before", "told"),
    [(Checkout("/c", "ok", lock=lock(OLD)), True), (AFTER.checkout, False), (None, False)],
    ids=["another commit", "the same", "not seen"],
)
def test_the_verdict_tells_that_a_new_commit_builds_the_running_agent(
    before: Checkout | None, told: bool
) -> None:
    verdict = judge(replace(AFTER, checkout=before), AFTER, EXPECT, DONE)
    assert verdict.kind == "current"
    assert ("; the new commit 2222222 builds the same path" in verdict.sentence) == told


def test_a_current_verdict_tells_that_flake_lock_was_not_committed() -> None:
    outcome = Outcome(kind="done", failed_step="commit", reason="signing", rc=1)
    verdict = judge(AFTER, AFTER, EXPECT, outcome)
    assert (verdict.kind, verdict.cause) == ("current", "commit-failed")


def test_a_script_that_proves_nothing_has_no_note_on_its_proof() -> None:
    after = replace(AFTER, running=running(OLD_AGENT, "script"))
    verdict = judge(BEFORE, after, EXPECT, DONE)
    assert (verdict.kind, verdict.notes) == ("stale", ())


def test_a_known_failure_gives_a_stale_flake_lock_its_advice() -> None:
    known = find_failure([RATE])
    assert known is not None
    verdict = judge(BEFORE, STALE_LOCK, EXPECT, failed("update", 65, "stale", said=RATE))
    assert verdict.advice == known.advice


def test_a_rollback_from_an_agent_that_stayed_down_is_unstable() -> None:
    expect = msgspec.structs.replace(EXPECT, system="/nix/store/old")
    verdict = judge(BEFORE, BEFORE, expect, replace(failed("verify", 1, "down"), rolled_back=True))
    assert (verdict.kind, verdict.cause) == ("rolled-back", "agent-unstable")
    assert verdict.sentence.startswith("the new agent did not stay up: rolled back, and proven")


def test_a_commit_that_builds_the_same_agent_is_told_once() -> None:
    nodes = {
        "root": {"inputs": {"nixfleet": "n"}},
        "n": {"locked": {"rev": NEW, "lastModified": 1_784_356_753}},
    }
    dated = parse_lock(json.dumps({"nodes": nodes, "root": "root", "version": 7}))
    after = replace(AFTER, checkout=Checkout("/c", "ok", lock=dated), installed_at=1)
    before = replace(AFTER, checkout=Checkout("/c", "ok", lock=lock(OLD)))
    assert find_cause(after, EXPECT).cause == "same-derivation"
    verdict = judge(before, after, EXPECT, DONE)
    assert verdict.kind == "current"
    assert verdict.sentence.count("builds the same path") == 1
