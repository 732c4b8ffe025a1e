"""What earlier proofs say of a host as it is now."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pytest
from a_host_and_its_proofs import ACTIONS, World
from hypothesis import given, settings
from hypothesis import strategies as st
from seen_hosts import (
    BUILT,
    CHECKOUT,
    HOST,
    MADE,
    NEW,
    NEW_AGENT,
    OLD_AGENT,
    STATE,
    UP,
    changed,
    lock,
)

from nixfleet_core.facts.model import Binary, Facts, Running, System
from nixfleet_core.facts.proofs import MOST_PROOFS, Proven, newest_first, parse_proofs, read_kept
from nixfleet_core.judge.proofs import recall
from nixfleet_core.judge.table_state import assess
from nixfleet_core.nix.git_url import NotKnown

if TYPE_CHECKING:
    from nixfleet_core.judge.table_state import Assessment
    from nixfleet_core.nix.git_url import Latest

BOOT: Final = "0a6a1f4e-1c1d-4b2e-8c8e-6a0f4a1f2b3c"
PROVEN: Final = Proven(
    at=MADE + 4820,
    by="ops",
    system="/nix/store/new",
    installed=NEW_AGENT.path,
    boot=BOOT,
    pid=7,
    began="4711",
    running=NEW_AGENT.path,
    builds=NEW_AGENT.path,
    source=STATE,
    checkout=CHECKOUT.path,
    attribute="csb0",
    input="nixfleet",
    commit=NEW,
)
"""Three minutes before the look."""
LOOK: Final = changed(
    boot=BOOT,
    unit=replace(UP, began="4711"),
    running=Running(NEW_AGENT, "claimed", 7),
    expected=None,
    proofs=(PROVEN,),
)
"""Without root, and with a proof of just this state and this process."""


def row(facts: Facts, latest: Latest = NEW, **host: Any) -> Assessment:
    return assess(facts, latest, replace(HOST, **host))


def with_proof(**changes: Any) -> Facts:
    return replace(LOOK, proofs=(msgspec.structs.replace(PROVEN, **changes),))


def test_a_proof_of_this_state_and_this_process_makes_the_row_current() -> None:
    assert row(LOOK).state == "current"
    assert "proven: 2.2.0" in row(LOOK).why


@pytest.mark.parametrize(
    ("facts", "why", "age"),
    [
        (replace(LOOK, proofs=()), "without root, only the agent itself says", None),
        (with_proof(began="4712"), "restarted since the proof", 180),
        (with_proof(pid=8), "restarted since the proof", 180),
        (with_proof(boot="another"), "restarted since the proof", 180),
        (replace(LOOK, boot=None), "restarted since the proof", 180),
        (replace(LOOK, unit=UP), "hidden from this user", 180),
        (replace(with_proof(began=""), unit=UP), "hidden from this user", 180),
        (
            replace(LOOK, running=Running(Binary(f"{NEW_AGENT.identity}-x/bin/a"), "claimed", 7)),
            "",
            None,
        ),
        (with_proof(running=OLD_AGENT.path), "says that it runs another program", 180),
        (with_proof(running="", pid=0), "without root, only the agent itself says", 180),
        (with_proof(source="6" * 81), "the checkout has changed since the proof", 180),
        (with_proof(source=""), "the checkout has changed since the proof", 180),
        (with_proof(folder="nix/"), "the checkout has changed since the proof", 180),
        (with_proof(checkout="/else", source=""), "nobody has proven this state", None),
        (with_proof(builds=""), "nobody has proven this state", None),
        (with_proof(attribute="csb1"), "nobody has proven this state", 180),
        (changed(LOOK, checkout_source=None, checkout_unnamed="changes"), "uncommitted", 180),
        (changed(LOOK, checkout_source=None, checkout_unnamed="filter"), "by a filter", 180),
        (changed(LOOK, checkout_state="unreadable", checkout_lock=None), "is unreadable", 180),
    ],
)
def test_without_a_proof_of_just_this_the_row_is_unproven(
    facts: Facts, why: str, age: int | None
) -> None:
    found = row(facts)
    if not why:
        assert (found.state, found.finding and found.finding.cause) == ("stale", "not-restarted")
        return
    assert (found.state, why in found.why, found.proven_age) == ("unproven", True, age), found
    assert found.finding is not None
    assert (found.finding.remedies, found.finding.command) == (("verify",), ("verify",))


def test_a_proof_that_this_state_builds_another_path_makes_the_row_stale() -> None:
    found = row(with_proof(builds=OLD_AGENT.path))
    assert (found.state, found.finding and found.finding.cause) == ("stale", "switch-incomplete")


@pytest.mark.parametrize("latest", [None, NotKnown("the client may not ask h", "list it")])
def test_a_proven_host_whose_latest_is_unknown_is_unproven(latest: Latest) -> None:
    found = row(LOOK, latest)
    assert (found.state, found.finding and found.finding.cause) == ("unproven", "latest-unknown")


def test_an_input_without_commits_needs_no_latest() -> None:
    tarball = lock(NEW, type="tarball", url="https://h/x.tar.gz")
    found = row(changed(LOOK, checkout_lock=tarball), None)
    assert (found.state, found.why.endswith("; the latest commit of nixfleet is not known")) == (
        *("current", True),
    )


def test_a_lock_that_moved_after_the_last_build_is_stale_at_once() -> None:
    """As when an update was cancelled in its rebuild."""
    moved = changed(LOOK, checkout_source="7" * 40 + "-" + "8" * 40, proofs=(BUILT,))
    found = row(replace(moved, installed=OLD_AGENT, running=Running(OLD_AGENT, "exe", 7)))
    assert (found.state, found.finding and found.finding.cause) == ("stale", "lock-not-built")
    assert "at 2222222, but the active system was built with 1111111" in found.why
    other = replace(moved, system=System("/nix/store/x", "/nix/store/x", 3))
    assert row(replace(other, running=Running(NEW_AGENT, "exe", 7))).state == "unproven"


def test_a_verification_proves_a_nameless_state_for_its_moment_only() -> None:
    at_hand = changed(LOOK, checkout_source=None, checkout_unnamed="changes", expected=NEW_AGENT)
    assert row(at_hand).state == "unproven"
    refuted = replace(at_hand, expected=OLD_AGENT, running=Running(NEW_AGENT, "exe", 7))
    assert row(refuted).state == "stale"


def test_the_proven_process_shows_what_it_runs_even_if_it_names_nothing() -> None:
    silent = replace(LOOK, running=None)
    assert row(silent).state == "current"
    wrapper = Binary(f"/nix/store/{'d' * 32}-wrapper/bin/agent")
    wrapped = with_proof(
        installed=wrapper.path, builds=wrapper.path, starts=f"{NEW_AGENT.identity} /nix/store/y"
    )
    found = recall(replace(wrapped, running=None, installed=wrapper), HOST).facts
    assert found.running is not None
    assert found.installed is not None
    assert found.installed.is_run_by(found.running.binary)


def test_the_inventory_says_which_attribute_counts() -> None:
    assert row(LOOK, attribute="other").state == "unproven"
    assert row(with_proof(attribute="other"), attribute="other").state == "current"


@pytest.mark.parametrize(
    ("attribute", "chosen", "state"),
    [
        ("ops@csb0", False, "current"),
        ("ops", True, "current"),
        ("ops", False, "unproven"),
        ("eve@csb0", True, "unproven"),
    ],
)
def test_a_home_is_proven_for_the_name_that_an_update_would_choose(
    attribute: str, chosen: bool, state: str
) -> None:
    """`ops` counts only if that proof's look has found that there is no `ops@csb0`."""
    home = replace(with_proof(attribute=attribute, chosen=chosen), platform="home-manager")
    assert row(replace(home, user="ops")).state == state


# As text.


def test_what_a_host_says_of_its_proofs_is_read_with_care() -> None:
    text = "\n".join(
        (
            "junk before",
            "proof",
            "at 20",
            "by ops",
            "source a b c",
            "unknown field",
            "commit main",
            "job ../../etc",
            "proof",
            "at x",
            "proof",
            "at 30",
            f"commit {NEW}",
            "chosen 1",
            "proof",
            "at 5",
            f"by {'x' * 100_000}",
        )
    )
    assert parse_proofs(text) == (
        Proven(at=30, commit=NEW, chosen=True),
        Proven(at=20, by="ops", source="a b c"),
    )
    assert parse_proofs("") == parse_proofs("proof") == ()


def test_only_the_newest_proofs_count() -> None:
    many = [Proven(at=at) for at in range(50)]
    assert [proof.at for proof in newest_first(many)] == list(range(49, 49 - MOST_PROOFS, -1))


@pytest.mark.parametrize("data", [b"", b"{", b"[1]", b'[{"at":-1}]', b"\xff", b"[" * 100_000])
def test_a_damaged_file_of_proofs_proves_nothing(data: bytes) -> None:
    assert read_kept(data) == ()


# Whatever happens, in any order.

actions = st.lists(
    st.one_of(
        st.sampled_from(ACTIONS),
        st.sampled_from(("look", "verify", "update")),
    ),
    max_size=14,
)


@settings(max_examples=400, deadline=None)
@given(actions, st.randoms(use_true_random=False))
def test_no_row_is_green_without_a_proof_for_its_state(done: list[str], order: Any) -> None:
    """Whatever happens to the host, and in whatever order its answers arrive."""
    world = World()
    for action in (*done, "look"):
        world.do(action)
    order.shuffle(world.looks)
    for facts, wrong in world.looks:
        found = assess(facts, NEW, HOST)
        assert found.state != "current" or not wrong, (wrong, found.why)


def test_the_world_of_the_property_can_be_green() -> None:
    world = World()
    for action in ("edit", "update", "dirty", "look", "clean", "look", "restart", "verify", "look"):
        world.do(action)
    assert [assess(facts, NEW, HOST).state for facts, _ in world.looks] == [
        *("unproven", "current", "current"),
    ]
