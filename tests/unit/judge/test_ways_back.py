"""Which generation a rollback takes, and what is known of each."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import msgspec
import pytest
from fakes import PLAN, make_rollback

from nixfleet_core.facts.generations import Before, Generation, Generations, JobLook, SeenJob
from nixfleet_core.facts.proofs import Proven
from nixfleet_core.job.copies import Asked
from nixfleet_core.judge.ways_back import Known, WaysBack, no_way_back, ways_back
from nixfleet_core.plan.model import Plan

A, B, C = (f"/nix/store/{letter * 32}-nixos-system-h" for letter in "abc")
OLD_AGENT, NEW_AGENT = (
    f"/nix/store/{version[0] * 32}-nixfleet-agent-{version}/bin/nixfleet-agent"
    for version in ("2.1.0", "3.0.0")
)
FIRST, SECOND, THIRD = (f"2026112{day}-004101-ab12" for day in (1, 2, 3))
ALL: Final = (Generation(3, C, NEW_AGENT), Generation(2, B, NEW_AGENT), Generation(1, A, OLD_AGENT))


def now(active: str, profile: str, number: int, *jobs: SeenJob) -> Generations:
    return Generations(active, profile, number, None, ALL, jobs)


def job(
    name: str,
    before: tuple[str, str],
    after: tuple[str, str] | None = None,
    back: tuple[str, int] | None = None,
    plan: Plan | None = None,
    running: str = OLD_AGENT,
) -> SeenJob:
    """A job that saw these active systems and profiles."""
    looks = [JobLook("before", *before, running)]
    if after is not None:
        looks.append(JobLook("after", *after))
    profile, number = back or (before[1], None)
    asked = msgspec.json.encode(Asked(plan=plan or PLAN))
    return SeenJob(
        name, asked, tuple(looks), Before(before[0], profile, number, OLD_AGENT, locked=True)
    )


def chosen(found: Generations, *proofs: Proven) -> tuple[str, str, int | None, str]:
    way = ways_back(found, proofs).chosen
    assert way is not None
    return way.system, way.profile, way.number, way.why


def test_a_rollback_goes_to_what_was_active_before_the_last_job_that_moved_something() -> None:
    first, second = job(FIRST, (A, A), (B, B)), job(SECOND, (B, B), (B, B))
    assert chosen(now(B, B, 2, second, first)) == (A, A, None, f"active before job {FIRST}")


def test_a_generation_that_never_ran_is_not_gone_to() -> None:
    """A half switch left B in the profile; the next update works."""
    half = job(FIRST, (A, A), (A, B))
    works = job(SECOND, (A, B), (C, C), back=(A, 1))
    assert chosen(now(C, C, 3, works, half)) == (A, A, 1, f"active before job {SECOND}")
    assert chosen(now(A, B, 2, half)) == (A, A, None, f"active before job {FIRST}")


def test_what_was_staged_stays_staged() -> None:
    works = job(FIRST, (A, B), (C, C), back=(B, 2))
    way = ways_back(now(C, C, 3, works)).chosen
    assert way is not None
    assert (way.system, way.profile, way.number) == (A, B, 2)
    assert way.name == f"the system {A}, with generation 2 in the profile"


def test_a_rollback_that_did_not_get_there_is_taken_up_again() -> None:
    """It was killed between the profile and the activation: B, which it was to leave, is no aim."""
    update = job(FIRST, (A, A), (B, B))
    plan = msgspec.structs.replace(
        make_rollback("h"), target=A, target_profile=A, target_number=1, lock_from=FIRST
    )
    killed = job(SECOND, (B, B), (B, A), plan=plan)
    way = ways_back(now(B, A, 1, killed, update)).chosen
    assert way is not None
    assert (way.system, way.profile, way.number, way.lock_from) == (A, A, 1, FIRST)
    assert SECOND in way.why
    lost = replace(killed, looks=killed.looks[:1])
    assert chosen(now(B, A, 1, lost, update))[:2] == (A, A)
    # somebody has finished it by hand: then what was before the job before counts
    older = job(FIRST, (C, C), (B, B))
    assert chosen(now(A, A, 1, killed, older))[:2] == (C, C)


def test_a_rollback_can_be_taken_back() -> None:
    plan = msgspec.structs.replace(make_rollback("h"), target=A, target_profile=A)
    back = job(SECOND, (B, B), (A, A), plan=plan)
    assert chosen(now(A, A, 1, back, job(FIRST, (A, A), (B, B))))[:2] == (B, B)


def test_what_was_collected_meanwhile_is_left_out() -> None:
    gone = replace(job(SECOND, (B, B), (C, C)), before=None)
    assert chosen(now(C, C, 3, gone, job(FIRST, (A, A), (B, B))))[:2] == (A, A)


def test_without_a_job_the_newest_older_generation_that_ran_is_taken() -> None:
    proof = Proven(at=1, system=A, running=OLD_AGENT)
    assert chosen(now(C, C, 3), proof) == (A, A, 1, "the newest older one that was active")
    booted = replace(now(C, C, 3), booted=B)
    assert chosen(booted, proof)[2] == 2


def test_else_the_one_before_is_taken_and_nobody_knows_whether_it_ran() -> None:
    why = "the one before; nobody knows whether it ever ran"
    assert chosen(now(C, C, 3)) == (B, B, 2, why)


def test_without_an_older_generation_there_is_no_default() -> None:
    ways = ways_back(now(A, A, 1))
    assert ways.chosen is None
    assert no_way_back(ways, None).check == "target"
    assert "no generation 9" in no_way_back(ways, 9).why
    assert no_way_back(ways, 9).advice == "it has 3, 2, 1"
    assert ways_back(Generations()) == WaysBack(None)


@pytest.mark.parametrize(
    ("found", "proofs", "known"),
    [
        (now(C, C, 3), (), "unknown"),
        (now(B, C, 3), (), "active"),
        (replace(now(C, C, 3), booted=B), (), "was-active"),
        (now(C, C, 3, job(FIRST, (B, B), (C, C))), (), "was-active"),
        (now(C, C, 3, job(FIRST, (A, A), (B, B))), (), "was-active"),
        (now(C, C, 3), (Proven(at=1, system=B, running=NEW_AGENT),), "proven"),
        (now(C, C, 3), (Proven(at=1, system=B),), "was-active"),
        (now(C, C, 3, job(FIRST, (A, A), (A, B))), (), "failed"),
        (now(C, C, 3, job(SECOND, (B, B), (C, C)), job(FIRST, (A, A), (A, B))), (), "was-active"),
        (now(C, C, 3, job(FIRST, (A, B), (A, B))), (), "unknown"),
    ],
)
def test_what_is_known_of_a_generation(
    found: Generations, proofs: tuple[Proven, ...], known: Known
) -> None:
    way = ways_back(found, proofs).to(2)
    assert way is not None
    assert way.known == known


def test_a_system_has_run_only_if_its_agent_was_seen_running() -> None:
    """A switch does not restart the agent: an active system may have an agent that never ran."""
    found = now(C, C, 3, job(FIRST, (B, B), (C, C)))
    other = ways_back(found).to(2)
    assert other is not None
    assert (other.known, other.ran) == ("was-active", False)
    ran = ways_back(now(C, C, 3, job(FIRST, (B, B), (C, C), running=NEW_AGENT))).to(2)
    assert ran is not None
    assert ran.ran
    proven = ways_back(now(C, C, 3), (Proven(at=1, system=A, running=OLD_AGENT),)).to(1)
    assert proven is not None
    assert proven.ran
    assert proven.words == "agent 2.1.0; was active, proven"


def test_flake_lock_goes_back_only_where_a_job_has_kept_it() -> None:
    kept = job(FIRST, (A, A), (B, B))
    assert kept.before is not None
    none = replace(kept, before=replace(kept.before, locked=False))
    for one, lock_from in ((kept, FIRST), (none, None)):
        ways = ways_back(now(B, B, 2, one))
        assert ways.chosen is not None
        assert ways.chosen.lock_from == lock_from
        to = ways.to(1)
        assert to is not None
        assert to.lock_from == lock_from


def test_the_default_is_one_of_the_options() -> None:
    way = ways_back(now(C, C, 3, job(FIRST, (B, B), (C, C), back=(B, 2))))
    assert [one.number for one in way.options] == [3, 2, 1]
    assert [bool(one.why) for one in way.options] == [False, True, False]
    assert way.to(2) == way.chosen
    tried = ways_back(now(C, C, 3, job(FIRST, ("/nix/store/tried", A), (C, C), back=(A, 1))))
    assert [one.is_generation for one in tried.options] == [False, True, True, True]
    assert tried.options[0] == tried.chosen
