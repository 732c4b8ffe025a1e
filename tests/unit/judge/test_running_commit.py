"""What the running agent was built from: proven, or not known."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import pytest
from seen_hosts import BUILT, HEALTHY, HOST, MADE, NEW, NOT_BUILT, OLD, OLD_AGENT, UP

from nixfleet_core.facts.model import Binary, Running
from nixfleet_core.facts.origins import Origin
from nixfleet_core.judge.causes import expectation
from nixfleet_core.judge.diagnosis import diagnose
from nixfleet_core.judge.running_commit import RunningCommit, running_commit
from nixfleet_core.judge.table_state import assess
from nixfleet_core.judge.verdict import judge

if TYPE_CHECKING:
    from nixfleet_core.facts.model import Proof

OTHER = "3" * 40
PROVEN = replace(NOT_BUILT, proofs=(BUILT,))
"""The old agent runs, which a job has built from the old commit; flake.lock names the new one."""


def test_a_host_runs_what_a_proof_says_that_its_path_was_built_from() -> None:
    found = running_commit(PROVEN, "nixfleet")
    assert found == RunningCommit(commit=OLD, proven=BUILT.at)


def test_flake_lock_and_versions_say_nothing_of_what_runs() -> None:
    assert running_commit(NOT_BUILT, "nixfleet") is None
    assert running_commit(HEALTHY, "nixfleet") is None


def test_a_path_of_the_same_version_is_another_program() -> None:
    other = Binary(f"/nix/store/{'d' * 32}-nixfleet-agent-2.1.0/bin/nixfleet-agent", "2.1.0")
    assert running_commit(replace(PROVEN, running=Running(other, "exe", 7)), "nixfleet") is None


@pytest.mark.parametrize(
    ("proof", "known"), [("exe", True), ("script", True), ("claimed", False), ("other", False)]
)
def test_what_only_the_process_says_is_not_believed(proof: Proof, known: bool) -> None:
    facts = replace(PROVEN, running=Running(OLD_AGENT, proof, 7))
    assert (running_commit(facts, "nixfleet") is not None) is known


def test_without_a_process_there_is_no_commit() -> None:
    assert running_commit(replace(PROVEN, running=None), "nixfleet") is None


def test_a_program_outside_of_the_store_has_no_commit() -> None:
    facts = replace(PROVEN, running=Running(Binary("/opt/nixfleet-agent"), "exe", 7))
    assert running_commit(facts, "nixfleet") is None


def test_the_last_proof_counts_and_the_other_commits_are_named() -> None:
    newer = msgspec.structs.replace(BUILT, commit=OTHER, at=BUILT.at + 5)
    found = running_commit(replace(PROVEN, proofs=(newer, BUILT)), "nixfleet")
    assert found is not None
    assert (found.commit, found.same) == (OTHER, (OLD,))


def test_the_age_is_that_of_the_commit() -> None:
    origin = Origin(commit=OLD, programs=(OLD_AGENT.identity,), at=1, made=MADE - 100)
    found = running_commit(replace(PROVEN, origins=(origin,)), "nixfleet")
    assert found is not None
    assert (found.made, found.age) == (MADE - 100, 5100)


def test_a_program_that_a_wrapper_starts_was_built_from_the_wrappers_commit() -> None:
    inner = Binary(f"/nix/store/{'e' * 32}-agent/bin/agent")
    proof = msgspec.structs.replace(BUILT, starts=inner.identity)
    facts = replace(PROVEN, proofs=(proof,), running=Running(inner, "exe", 7))
    assert running_commit(facts, "nixfleet") == RunningCommit(commit=OLD, proven=BUILT.at)


def test_row_verdict_and_evidence_have_it() -> None:
    expect = expectation(HOST, PROVEN, NEW)
    assert assess(PROVEN, NEW, HOST).running_commit == RunningCommit(commit=OLD, proven=BUILT.at)
    assert judge(PROVEN, PROVEN, expect, None).running_commit is not None
    assert dict(diagnose(PROVEN, expect).evidence)["running commit"] == OLD


def test_a_row_without_root_has_it_only_for_the_process_of_a_proof() -> None:
    proof = msgspec.structs.replace(BUILT, boot="b", pid=7, began="1", running=OLD_AGENT.path)
    seen = replace(
        PROVEN,
        boot="b",
        unit=replace(UP, began="1"),
        running=Running(OLD_AGENT, "claimed", 7),
        proofs=(proof,),
    )
    assert assess(seen, NEW, HOST).running_commit is not None
    restarted = replace(seen, unit=replace(UP, began="2"))
    assert assess(restarted, NEW, HOST).running_commit is None
