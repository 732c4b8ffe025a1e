from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import pytest
from seen_hosts import (
    BEHIND,
    BUILT,
    HEALTHY,
    HOST,
    JOB,
    MADE,
    MOVED_JOB,
    NEW,
    NEW_AGENT,
    NOT_BUILT,
    OLD,
    OLD_AGENT,
    OTHER,
    PROFILE,
    STALE_JOB,
    UP,
    changed,
    lock,
)

from nixfleet_core.facts.model import (
    ActiveGeneration,
    Binary,
    Checkout,
    Facts,
    LastJob,
    Running,
    Unit,
)
from nixfleet_core.facts.service import Service
from nixfleet_core.job.outcome import Outcome
from nixfleet_core.judge.causes import SKEW, UNSEEN, expectation, find_cause
from nixfleet_core.judge.diagnosis import PROOFS, diagnose
from nixfleet_core.judge.finding import DOWN
from nixfleet_core.judge.table_state import assess
from nixfleet_core.judge.verdict import judge
from nixfleet_core.nix.git_url import NotKnown
from nixfleet_core.vocabulary import FoundCause


def unit(*state: str, pid: int = 0, restarts: int = 0) -> dict[str, Any]:
    load, active, sub, result = (*state, "", "")[:4]
    found = Unit(load, active, sub, result, pid=pid, restarts=restarts)
    return {"unit": found, "running": None}


def recent(seconds: int) -> Running:
    return Running(NEW_AGENT, "exe", 7, HEALTHY.now - seconds)


CASES: dict[str, tuple[Facts, FoundCause, str]] = {
    "neither NixOS nor a home": (
        changed(os="Debian GNU/Linux 12", platform="unknown", unit=None, running=None),
        "preflight-platform",
        "Debian GNU/Linux 12 is not NixOS, and this user has no Home Manager profile",
    ),
    "nix-darwin without a home": (
        changed(platform="nix-darwin", unit=None, running=None),
        "preflight-platform",
        "nix-darwin manages this Mac, and this user has no Home Manager profile",
    ),
    "unit missing": (changed(**unit("not-found", "inactive")), "unit-missing", "not-found"),
    "unit masked": (changed(**unit("masked", "inactive")), "unit-masked", "masked"),
    "start limit": (
        changed(**unit("loaded", "failed", "failed", "start-limit-hit")),
        "start-limit-hit",
        "failed (start-limit-hit)",
    ),
    "waits to be restarted": (
        changed(**unit("loaded", "activating", "auto-restart", "exit-code", restarts=4)),
        "agent-crash-looping",
        "4 restarts, activating (auto-restart, exit-code)",
    ),
    "restarted again and again": (
        changed(unit=replace(UP, restarts=3), running=recent(59)),
        "agent-crash-looping",
        "3 restarts",
    ),
    "stopped": (
        changed(**unit("loaded", "inactive", "dead", "success")),
        "agent-down",
        "its unit is inactive (dead)",
    ),
    "nobody at the screen": (
        changed(unit=Unit("loaded", "inactive", "not loaded", has_session=False), running=None),
        "agent-down",
        "nobody is",
    ),
    "waits for the network": (
        changed(unit=replace(UP, waits=True), running=None),
        "agent-starting",
        "waits, as for the network",
    ),
    "unit not seen": (changed(unit=None), "proof-missing", "unit could not be seen"),
    "not restarted": (
        changed(running=Running(OLD_AGENT, "exe", 7)),
        "not-restarted",
        "not restarted: 2.2.0 (bbbbbbbb…) is installed, but 2.1.0 (aaaaaaaa…) still runs",
    ),
    "another program": (
        changed(running=Running(Binary("/usr/bin/dash"), "other", 7)),
        "proof-missing",
        "/usr/bin/dash runs as the agent, and nothing shows that it is the agent",
    ),
    "another file at its path": (
        changed(running=Running(NEW_AGENT, "other", 7)),
        "proof-missing",
        "nothing shows that it is the agent",
    ),
    "what a wrapper starts": (
        changed(
            running=Running(OLD_AGENT, "exe", 7),
            installed=replace(NEW_AGENT, starts=(OLD_AGENT.identity,)),
        ),
        "current",
        "runs, is installed, and is what the flake builds",
    ),
    "switch before the activation": (
        changed(NOT_BUILT, system=PROFILE),
        "switch-incomplete",
        "the profile names a new system",
    ),
    "another init": (
        changed(NOT_BUILT, system=replace(PROFILE, needs_reboot=True)),
        "reboot-pending",
        "needs a reboot",
    ),
    "parts that NixOS does not exchange": (
        changed(NOT_BUILT, system=replace(PROFILE, inhibitors=("dbus", "systemd"))),
        "switch-inhibited",
        "does not switch to the new system while the old one runs: dbus, systemd changed",
    ),
    "a new generation below a specialisation": (
        changed(
            NOT_BUILT, system=replace(PROFILE, active=ActiveGeneration(1, specialisation="work"))
        ),
        "switch-incomplete",
        "generation 2, but generation 1 (specialisation work) still runs: nixos-rebuild boot has",
    ),
    "a job that failed in its switch": (
        changed(NOT_BUILT, system=PROFILE, expected=None, last_job=LastJob("failed", "rebuild")),
        "switch-incomplete",
        "still runs: its switch did not get that far",
    ),
    "comin's system, and the profile wants another init": (
        changed(
            NOT_BUILT,
            system=replace(PROFILE, active=ActiveGeneration(9, "comin"), needs_reboot=True),
        ),
        "switch-incomplete",
        "the flake builds",
    ),
    "the switch said reboot": (
        changed(NOT_BUILT, system=PROFILE, last_job=LastJob("failed", "rebuild", rc=100)),
        "reboot-pending",
        "needs a reboot",
    ),
    "not evaluated, but another profile": (
        changed(NOT_BUILT, system=PROFILE, expected=None),
        "switch-incomplete",
        "the profile names",
    ),
    "not rebuilt": (NOT_BUILT, "switch-incomplete", "the flake builds 2.2.0 (bbbbbbbb…), but"),
    "built from the other checkout": (
        changed(NOT_BUILT, other=OTHER, other_expected=OLD_AGENT),
        "built-elsewhere",
        "2.1.0 (aaaaaaaa…) was built from /var/lib/nixfleet-agent/repo, not from /home/ops/Code",
    ),
    "the other builds neither": (
        changed(NOT_BUILT, other=OTHER, other_expected=NEW_AGENT),
        "switch-incomplete",
        "the flake builds",
    ),
    "reset, and rebuilt since": (
        changed(BEHIND, last_job=MOVED_JOB),
        "lock-reset",
        "moved flake.lock to 3333333, but it is at 1111111 again",
    ),
    "reset, the new one installed": (
        changed(BEHIND, expected=OLD_AGENT, last_job=MOVED_JOB),
        "lock-reset",
        "/home/ops/Code/nixcfg was reset",
    ),
    "lock torn": (
        changed(checkout_lock=None, checkout_lock_error="flake.lock cannot be read: torn"),
        "lock-broken",
        "torn",
    ),
    "no such input": (
        changed(checkout_lock=lock(NEW, "agent")),
        "input-missing",
        "flake.lock has no input nixfleet",
    ),
    "stale fetch": (changed(BEHIND, last_job=STALE_JOB), "stale-fetch", "nix could not fetch the"),
    "another branch": (
        changed(BEHIND, checkout_branch="try"),
        "wrong-branch",
        "is on the branch try, not on main",
    ),
    "no branch": (changed(BEHIND, checkout_branch=None), "wrong-branch", "no branch, not on main"),
    "behind its upstream": (
        changed(BEHIND, checkout_behind=2),
        "nixcfg-behind",
        "is 2 commits behind origin/main",
    ),
    "diverged from its upstream": (
        changed(BEHIND, checkout_behind=1, checkout_ahead=1),
        "nixcfg-behind",
        "is 1 commit behind origin/main, and has commits that upstream lacks",
    ),
    "the last pull failed": (
        changed(BEHIND, checkout_behind=1, last_job=LastJob("failed", "pull", rc=1)),
        "job-failed",
        "latest is 2222222: the last job failed in the step pull with code 1",
    ),
    "the last rebuild failed": (
        changed(NOT_BUILT, last_job=LastJob("failed", "rebuild", rc=1)),
        "job-failed",
        "is installed: the last job failed in the step rebuild with code 1",
    ),
    "the last job failed on another branch": (
        changed(BEHIND, checkout_branch="x", last_job=LastJob("failed", "preflight", "remote", 1)),
        "wrong-branch",
        "is on the branch x",
    ),
    "upstream has moved": (
        changed(BEHIND, checkout_incoming="9" * 40),
        "nixcfg-behind",
        "nixcfg is behind origin/main",
    ),
    "lock behind": (BEHIND, "lock-behind", "nixfleet at 1111111, latest is 2222222"),
    "lock not built": (
        changed(NOT_BUILT, expected=None, proofs=(BUILT,)),
        "lock-not-built",
        "the active system was built with 1111111",
    ),
    "no process": (changed(running=None), "proof-missing", "process runs could not be seen"),
    "nothing installed": (
        changed(installed=None),
        "proof-missing",
        "the installed agent could not",
    ),
    "only claimed": (
        changed(running=Running(NEW_AGENT, "claimed", 7)),
        "proof-missing",
        "only the agent itself says",
    ),
    "not evaluated": (changed(expected=None), "proof-missing", "the agent that the flake builds"),
    "no checkout seen": (changed(checkout=None), "proof-missing", "the checkout could not be"),
    "no checkout there": (
        changed(checkout=Checkout("/c", "missing")),
        "proof-missing",
        "the checkout /c is missing",
    ),
    "checkout closed": (
        changed(checkout=Checkout("/c", "unreadable")),
        "proof-missing",
        "the checkout /c is unreadable",
    ),
    "no lock": (changed(checkout_lock=None), "proof-missing", "there is no flake.lock"),
    "same path": (
        changed(installed_at=MADE - SKEW - 1),
        "same-derivation",
        "the commit 2222222 is newer, and builds the same path",
    ),
    "same process": (
        changed(installed_at=None, running=Running(NEW_AGENT, "exe", 7, MADE - SKEW - 1)),
        "same-derivation",
        "builds the same path",
    ),
    "clocks that differ": (changed(installed_at=MADE - SKEW), "current", "proven: 2.2.0"),
    "pinned": (changed(checkout_lock=lock(NEW, rev=NEW)), "pinned", "pins nixfleet to 2222222"),
    "not committed": (
        changed(checkout_head_lock=lock(OLD)),
        "lock-not-pushed",
        "flake.lock is not committed",
    ),
    "another input not committed": (
        changed(checkout_head_lock=lock(NEW)),
        "current",
        "proven: 2.2.0",
    ),
    "not pushed": (changed(checkout_ahead=1), "lock-not-pushed", "HEAD has 1 commit not pushed"),
    "another system for the next boot": (
        changed(system=PROFILE),
        "switch-incomplete",
        "proven: 2.2.0 (bbbbbbbb…) runs",
    ),
    "comin's system": (
        changed(system=replace(PROFILE, active=ActiveGeneration(9, "comin"))),
        "other-system",
        "generation 9 of the profile comin runs, but the system profile names generation 2",
    ),
    "another tool's, in a profile that this user may not read": (
        changed(system=replace(PROFILE, active=None, has_hidden=True)),
        "other-system",
        "no profile that this user may read holds what is active",
    ),
    "a system of nixos-rebuild test": (
        changed(system=replace(PROFILE, active=None, inhibitors=("systemd",))),
        "other-system",
        "no profile holds what is active, as after nixos-rebuild test",
    ),
    "a profile that went back": (
        changed(system=replace(PROFILE, active=ActiveGeneration(3), needs_reboot=True)),
        "other-system",
        "generation 3 runs, but the system profile names generation 2",
    ),
    "a specialisation of the profile's system": (
        changed(system=replace(PROFILE, active=ActiveGeneration(2, specialisation="work"))),
        "current",
        "proven: 2.2.0",
    ),
    "another tool's wrapper around the system": (
        changed(system=replace(PROFILE, active=ActiveGeneration(2))),
        "current",
        "proven: 2.2.0",
    ),
    "healthy": (HEALTHY, "current", "runs, is installed, and is what the flake builds"),
    "restarted long ago": (
        changed(unit=replace(UP, restarts=9), running=recent(60)),
        "current",
        "proven",
    ),
    "on another branch, and yet healthy": (changed(checkout_branch="try"), "current", "proven"),
    "after a stale job, and yet healthy": (changed(last_job=STALE_JOB), "current", "proven"),
}


@pytest.mark.parametrize(("facts", "cause", "says"), CASES.values(), ids=CASES)
def test_names_the_cause(facts: Facts, cause: FoundCause, says: str) -> None:
    found = diagnose(facts, expectation(HOST, facts, NEW))
    assert (found.cause, found.sentence.count(says)) == (cause, 1), found.sentence
    assert bool(found.advice) == (found.cause != "current")
    assert bool(found.cure("csb0")) == bool(found.advice)


@pytest.mark.parametrize(("facts", "cause", "says"), CASES.values(), ids=CASES)
def test_verdict_and_table_agree(facts: Facts, cause: FoundCause, says: str) -> None:
    expect = expectation(HOST, facts, NEW)
    found, verdict = find_cause(facts, expect), judge(facts, facts, expect, None)
    assert (verdict.kind == "current") == found.holds
    assert verdict.cause == ("" if found.holds else cause)
    assert says in verdict.sentence
    assert (verdict.kind == "agent-down") == (cause in DOWN)
    state = assess(facts, NEW, HOST).state
    if found.holds:
        assert state == "current"
    elif facts.unit is None:
        assert state == "unknown"
    else:
        states = dict.fromkeys(UNSEEN, "unproven") | {"agent-starting": "starting"}
        assert state == ("down" if cause in DOWN else states.get(cause, "stale"))


@pytest.mark.parametrize(("facts", "cause", "says"), CASES.values(), ids=CASES)
def test_what_version_the_latest_is_said_to_be_decides_nothing(
    facts: Facts, cause: FoundCause, says: str
) -> None:
    plain, named = (expectation(HOST, facts, NEW, version) for version in (None, "9.9.9"))
    found = diagnose(facts, named)
    assert (found.cause, found.command) == (cause, diagnose(facts, plain).command)
    assert ("latest version", "9.9.9") in found.evidence
    assert "latest version" not in dict(diagnose(facts, plain).evidence)
    assert judge(facts, facts, named, None).kind == judge(facts, facts, plain, None).kind
    assert assess(facts, NEW, HOST, "9.9.9").state == assess(facts, NEW, HOST).state
    for one, other in zip(
        (found.sentence, judge(facts, facts, named, None).sentence),
        (diagnose(facts, plain).sentence, judge(facts, facts, plain, None).sentence),
        strict=True,
    ):
        assert one.replace(f"latest is {NEW[:7]} (9.9.9)", f"latest is {NEW[:7]}") == other
        assert ("latest is" in other) == ("(9.9.9)" in one)


def test_an_input_that_follows_another_is_not_updated_by_its_name() -> None:
    host = replace(HOST, input="alias")
    found = diagnose(BEHIND, expectation(host, BEHIND, NEW))
    assert (found.cause, "follows nixfleet" in found.sentence) == ("follows", True)
    assert diagnose(HEALTHY, expectation(host, HEALTHY, NEW)).cause == "current"


def test_a_running_job_is_the_cause_until_it_is_judged_itself() -> None:
    facts = changed(unit=Unit("loaded", "inactive"), running=None, job_running=JOB)
    found = diagnose(facts, expectation(HOST, facts, NEW))
    assert (found.cause, found.cure("csb0")) == ("job-running", "nixfleet attach csb0")
    assert assess(facts, NEW, HOST).state == "updating"
    expect = expectation(HOST, facts, NEW)
    assert judge(facts, facts, expect, Outcome(kind="done")).cause == "agent-down"
    assert judge(facts, facts, expect, None).cause == "job-running"


def test_the_evidence_says_why_latest_was_not_asked() -> None:
    found = diagnose(HEALTHY, expectation(HOST, HEALTHY, NotKnown("the client may not ask h", "x")))
    assert (found.cause, found.cure("csb0")) == ("latest-unknown", "x")
    assert dict(found.evidence)["latest not asked"] == "the client may not ask h"
    asked = diagnose(HEALTHY, expectation(HOST, HEALTHY, NEW))
    assert "latest not asked" not in dict(asked.evidence)


def test_an_input_whose_url_has_a_query_needs_no_latest() -> None:
    """git would need the query in its arguments; a job's files tell only that there was one."""
    for url in ("https://h/r?x=1", "https://h/r?"):
        query = changed(checkout_lock=lock(NEW, type="git", url=url))
        assert diagnose(query, expectation(HOST, query, None)).cause == "current"


def test_an_unanswered_latest_is_unknown() -> None:
    found = diagnose(HEALTHY, expectation(HOST, HEALTHY, None))
    assert (found.cause, dict(found.evidence)["latest"]) == ("latest-unknown", None)
    tarball = changed(checkout_lock=lock(NEW, type="tarball"))
    found = diagnose(tarball, expectation(HOST, tarball, None))
    assert (found.cause, "latest" in dict(found.evidence)) == ("current", False)


def test_every_cause_has_a_case() -> None:
    others = {"follows", "latest-unknown", "job-running"}
    assert {cause for _, cause, _ in CASES.values()} | others == set(get_args(FoundCause))


def test_the_evidence_has_every_layer_with_null_for_the_unseen() -> None:
    facts = changed(
        NOT_BUILT,
        running=Running(OLD_AGENT, "script", 7),
        other=OTHER,
        other_expected=OLD_AGENT,
        checkout_ahead=1,
        checkout_behind=2,
        checkout_incoming="9" * 40,
        checkout_dirty=("flake.lock",),
        system=replace(PROFILE, booted="/nix/store/first"),
        job_last="20261123-004101-ab12",
        last_job=replace(STALE_JOB, said="fatal: unable to access"),
        journal="panic: no such table",
    )
    seen = dict(diagnose(facts, expectation(HOST, facts, NEW)).evidence)
    assert seen == {
        "unit": "loaded, active (running), result success, 0 restarts",
        "running version": "2.1.0",
        "running path": OLD_AGENT.path,
        "running proof": PROOFS["script"],
        "running commit": None,
        "installed version": "2.1.0",
        "installed path": OLD_AGENT.path,
        "expected path": NEW_AGENT.path,
        "lock": NEW,
        "latest": NEW,
        "checkout": "/home/ops/Code/nixcfg, branch main, at cccccccccccc, 1 ahead and 2 behind "
        "origin/main as fetched, lacks its newest commit 999999999999, uncommitted: flake.lock",
        "other checkout": "/var/lib/nixfleet-agent/repo, no branch, at unknown",
        "other lock": OLD,
        "other expected path": OLD_AGENT.path,
        "system": "/nix/store/old",
        "profile": "/nix/store/new",
        "running generation": "generation 1",
        "booted": "/nix/store/first",
        "last job": "20261123-004101-ab12: failed in update with code 65, stale",
        "last job said": "fatal: unable to access",
        "agent said": "panic: no such table",
    }
    nothing = Facts(hostname="h", os="", platform="nixos")
    unseen = dict(diagnose(nothing, expectation(HOST, nothing, None)).evidence)
    assert set(unseen.values()) == {None}
    assert {"unit", "running path", "installed path", "expected path", "lock", "latest"} < set(
        unseen
    )


def test_a_cure_quotes_the_words_of_the_host() -> None:
    evil = changed(
        BEHIND, checkout_path="/a; b", checkout_branch="x", checkout_default_branch="$(y)"
    )
    found = diagnose(evil, expectation(HOST, evil, NEW))
    assert found.cure("csb0") == "on the host: git -C '/a; b' switch '$(y)', then force update"
    stale = changed(BEHIND, checkout_lock=lock(OLD, rev="$(y)"), last_job=STALE_JOB)
    found = diagnose(stale, expectation(HOST, stale, None))
    assert found.cure("csb0") == "nixfleet update csb0 --input-rev '$(y)'"


def test_the_cure_is_one_command_for_that_host() -> None:
    found = diagnose(changed(BEHIND, last_job=STALE_JOB), expectation(HOST, BEHIND, NEW))
    assert found.cure("csb0") == f"nixfleet update csb0 --input-rev {NEW}"


def test_the_cure_of_a_lock_that_is_not_shared_shares_it() -> None:
    uncommitted = changed(checkout_head_lock=lock(OLD))
    found = find_cause(uncommitted, expectation(HOST, uncommitted, NEW))
    assert (found.command, found.remedies) == (("commit", "--push"), ("commit",))
    ahead = changed(checkout_ahead=2, checkout_path="/a b")
    found = find_cause(ahead, expectation(HOST, ahead, NEW))
    assert found.advice == "push them on the host, as the checkout's owner: git -C '/a b' push"
    assert (found.command, found.remedies) == ((), ()), "no command of ours pushes those"


PLIST = "/Users/m/Library/LaunchAgents/com.nixfleet.agent.plist"


@pytest.mark.parametrize(
    ("loaded", "by_hand"),
    [
        (NEW_AGENT.path, "launchctl kickstart -k gui/501/com.nixfleet.agent"),
        (
            OLD_AGENT.path,
            f"launchctl bootout gui/501/com.nixfleet.agent; launchctl bootstrap gui/501 {PLIST}",
        ),
    ],
    ids=["as its plist is", "as it was before"],
)
def test_the_cure_for_launchd_loads_the_new_agent(loaded: str, by_hand: str) -> None:
    """The plist on disk names the new agent; kickstart alone would start the loaded one."""
    service = Service(manager="launchd", domain="gui/501", file=PLIST)
    facts = replace(
        HEALTHY,
        platform="home-manager",
        unit=replace(UP, service=service),
        running=Running(OLD_AGENT, "exe", pid=7, started=MADE + 1000),
        loaded=loaded,
    )
    told = diagnose(facts, expectation(HOST, facts, NEW))
    assert told.cause == "not-restarted"
    assert told.advice.endswith(f"by hand: {by_hand}")
    assert dict(told.evidence)["loaded path"] == loaded
    healthy = diagnose(HEALTHY, expectation(HOST, HEALTHY, NEW))
    assert "loaded path" not in dict(healthy.evidence)
