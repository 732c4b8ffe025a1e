"""Which commits built which programs, as proofs have shown; and what is kept of that."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from seen_hosts import BUILT, HEALTHY, MADE, NEW, NEW_AGENT, OLD, OLD_AGENT, changed

from nixfleet_core.facts.origins import MOST_ORIGINS, Origin, merge, origins_of, read_origins

if TYPE_CHECKING:
    from nixfleet_core.facts.model import Facts

OLD_PATH, NEW_PATH = OLD_AGENT.identity, NEW_AGENT.identity
INNER = f"/nix/store/{'c' * 32}-nixfleet-agent-unwrapped-2.1.0"


def facts_with(**proof: Any) -> Facts:
    return replace(HEALTHY, proofs=(msgspec.structs.replace(BUILT, **proof),), machine="x86_64")


def origin(commit: str = OLD, program: str = OLD_PATH, **more: Any) -> Origin:
    return Origin(**{"commit": commit, "programs": (program,), "at": MADE, **more})


def test_a_proof_says_which_commit_built_the_program() -> None:
    (found,) = origins_of(facts_with(), "nixfleet")
    assert (found.commit, found.programs, found.at) == (OLD, (OLD_PATH,), BUILT.at)
    assert (found.url, found.machine) == ("https://h/r", "x86_64")


def test_the_commits_date_is_known_only_while_flake_lock_names_it() -> None:
    assert origins_of(facts_with(), "nixfleet")[0].made is None
    assert origins_of(facts_with(commit=NEW), "nixfleet")[0].made == MADE


def test_a_wrapper_stands_for_the_programs_that_it_starts() -> None:
    (found,) = origins_of(facts_with(starts=f"{INNER} {INNER}"), "nixfleet")
    assert found.programs == (OLD_PATH, INNER)


@pytest.mark.parametrize(
    "proof",
    [
        {"commit": ""},
        {"commit": "main"},
        {"builds": ""},
        {"builds": "", "fails": True},
        {"builds": "/opt/nixfleet-agent"},
        {"input": "other"},
    ],
)
def test_what_a_proof_does_not_say_is_not_guessed(proof: dict[str, Any]) -> None:
    assert origins_of(facts_with(**proof), "nixfleet") == ()


def test_another_installed_program_is_not_what_the_commit_built() -> None:
    """The wrapper that was read is the installed one, and the flake builds another."""
    (found,) = origins_of(facts_with(installed=NEW_AGENT.path, starts=INNER), "nixfleet")
    assert found.programs == (OLD_PATH,)


def test_the_proof_of_this_look_has_the_commit_in_flake_lock() -> None:
    proof = msgspec.structs.replace(BUILT, commit="", builds=NEW_AGENT.path)
    (found,) = origins_of(changed(proof=proof, proofs=()), "nixfleet")
    assert (found.commit, found.programs) == (NEW, (NEW_PATH,))


def test_only_the_proof_of_this_look_is_completed_from_flake_lock() -> None:
    proof = msgspec.structs.replace(BUILT, commit="")
    assert origins_of(changed(proofs=(proof,)), "nixfleet") == ()


def test_what_is_remembered_outlives_the_proofs() -> None:
    facts = replace(facts_with(commit=NEW, builds=NEW_AGENT.path), origins=(origin(at=MADE),))
    assert [one.commit for one in origins_of(facts, "nixfleet")] == [NEW, OLD]


def test_of_equal_origins_the_newest_counts_and_knows_what_the_others_know() -> None:
    known = merge([origin(url="https://h/r", made=5, machine="x86_64"), origin(at=MADE + 1)])
    assert known == (origin(at=MADE + 1, url="https://h/r", made=5, machine="x86_64"),)


def test_the_newest_origins_are_kept() -> None:
    many = [origin(f"{number:040x}", at=number) for number in range(MOST_ORIGINS + 5)]
    kept = merge(many)
    assert len(kept) == MOST_ORIGINS
    assert kept[0].at == MOST_ORIGINS + 4
    assert kept[-1].at == 5


@pytest.mark.parametrize("data", [b"", b"{}", b'[{"commit": 1}]', b"\xff", b"[" * 100_000])
def test_a_damaged_memory_says_nothing(data: bytes) -> None:
    assert read_origins(data) == ()


def test_what_is_no_commit_is_not_remembered() -> None:
    assert read_origins(msgspec.json.encode((origin("HEAD"), origin()))) == (origin(),)
