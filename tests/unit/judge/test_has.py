"""Whether a host runs a fix: each answer, and what it rests on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from seen_hosts import BUILT, MADE, NEW_AGENT, NOT_BUILT, OLD, OLD_AGENT

from nixfleet_core.facts.model import Binary, Running
from nixfleet_core.facts.origins import Origin
from nixfleet_core.judge.fix import Change, Past
from nixfleet_core.judge.has import HasIt, Witness, commits_of, has_it
from nixfleet_core.judge.proofs import AT_HAND

if TYPE_CHECKING:
    from nixfleet_core.facts.model import Facts

FIX = Change("f" * 40, "Fix")
LATER = "9" * 40
PROVEN = replace(NOT_BUILT, proofs=(BUILT,), machine="x86_64")
"""It runs the old agent, which is proven to be built from the old commit."""
BEFORE = Past(OLD, ahead=3)
AFTER = Past(LATER, later=(Change(LATER, "Later", parents=(FIX.rev,)),))


def origin(commit: str, agent: Binary = OLD_AGENT, **more: Any) -> Origin:
    return Origin(
        **{
            "commit": commit,
            "programs": (agent.identity,),
            "at": MADE,
            "machine": "x86_64",
            **more,
        }
    )


def ask(facts: Facts, *pasts: Past, others: tuple[Origin, ...] = (), unread: str = "") -> HasIt:
    witnesses = [Witness("csb1", one) for one in others]
    known = {past.commit: past for past in pasts}
    return has_it(facts, AT_HAND, "nixfleet", FIX, known, witnesses, unread)


def with_origins(*origins: Origin) -> Facts:
    return replace(PROVEN, origins=origins)


def test_a_commit_that_has_it_is_a_yes() -> None:
    found = ask(with_origins(origin(LATER, at=MADE + 4000)), BEFORE, AFTER)
    assert (found.answer, found.commit) == ("yes", LATER)
    assert found.why == "built from 9999999, which contains it"
    assert found.evidence == ("built from 1111111, 3 commits before the fix",)


def test_one_of_the_commits_that_build_the_path_is_enough() -> None:
    """It was built from the old commit, and the newer one builds the same."""
    assert ask(with_origins(origin(LATER, at=1)), BEFORE, AFTER).answer == "yes"


def test_a_no_needs_the_proof_that_the_fix_builds_another_path() -> None:
    assert ask(PROVEN, BEFORE).answer == "not proven"
    assert ask(PROVEN, BEFORE).why == "built from 1111111, 3 commits before the fix"
    found = ask(with_origins(origin(FIX.rev, NEW_AGENT)), BEFORE)
    assert (found.answer, found.commit) == ("no", OLD)
    assert found.why.endswith("; the fix itself is proven to build another path")


def test_another_host_can_prove_what_the_fix_builds_for_such_a_machine() -> None:
    assert ask(PROVEN, BEFORE, others=(origin(FIX.rev, NEW_AGENT),)).answer == "no"
    arm = origin(FIX.rev, NEW_AGENT, machine="aarch64")
    assert ask(PROVEN, BEFORE, others=(arm,)).answer == "not proven"


def test_what_a_later_commit_builds_does_not_say_what_the_fix_builds() -> None:
    assert ask(with_origins(origin(LATER, NEW_AGENT)), BEFORE, AFTER).answer == "not proven"


def test_the_fix_builds_the_running_path_by_another_hosts_word() -> None:
    """It is no yes, for the other host may lie; and no no, for it may be right."""
    others = (origin(FIX.rev), origin(FIX.rev, NEW_AGENT))
    found = ask(PROVEN, BEFORE, others=others)
    assert found.answer == "not proven"
    assert found.evidence == (
        "csb1 says that fffffff builds the path that runs here, the commit itself",
    )
    assert found.advice


def test_another_host_is_never_believed_of_this_one() -> None:
    found = ask(NOT_BUILT, AFTER, others=(origin(LATER),))
    assert (found.answer, found.commit) == ("not proven", None)
    assert "csb1 says that 9999999" in found.evidence[0]


def test_what_another_host_says_of_another_path_is_no_hint() -> None:
    assert ask(PROVEN, BEFORE, AFTER, others=(origin(LATER, NEW_AGENT),)).evidence == ()


def test_an_agent_of_which_nobody_has_a_proof_is_not_proven() -> None:
    found = ask(NOT_BUILT)
    assert (found.answer, found.commit) == ("not proven", None)
    assert found.why == "nobody has proven which commit builds the path that runs"


@pytest.mark.parametrize("proof", ["claimed", "other"])
def test_what_the_process_says_is_not_proven(proof: Any) -> None:
    found = ask(replace(PROVEN, running=Running(OLD_AGENT, proof, 7)), BEFORE)
    assert (found.answer, found.why) == ("not proven", AT_HAND.process)


def test_without_a_process_nothing_is_proven() -> None:
    assert ask(replace(PROVEN, running=None), BEFORE).answer == "not proven"


def test_a_commit_that_cannot_be_judged_is_no_no() -> None:
    facts = with_origins(origin(FIX.rev, NEW_AGENT))
    assert ask(facts, Past(OLD, known=False)).answer == "not proven"
    assert ask(facts).answer == "not proven"


def test_a_repository_that_cannot_be_read_leaves_what_is_known() -> None:
    found = ask(PROVEN, unread="it is the host's alone")
    assert found.answer == "not proven"
    assert found.why == "built from 1111111, and more is not known: it is the host's alone"
    itself = msgspec.structs.replace(BUILT, commit=FIX.rev)
    assert ask(replace(PROVEN, proofs=(itself,)), unread="no").answer == "yes"


def test_the_answer_depends_on_these_commits() -> None:
    witnesses = [Witness("csb1", origin(LATER)), Witness("csb1", origin("8" * 40, NEW_AGENT))]
    assert commits_of(PROVEN, "nixfleet", witnesses) == (OLD, LATER)
