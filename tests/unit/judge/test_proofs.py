"""What earlier proofs say of a host as it is now."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seen_hosts import (
    BUILT,
    CHECKOUT,
    HEALTHY,
    HOST,
    MADE,
    NEW,
    NEW_AGENT,
    OLD,
    OLD_AGENT,
    STATE,
    UP,
    changed,
    lock,
)

from nixfleet_core.facts.model import Binary, Facts, Running, System, Unit
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
    assert (found.finding.key, found.finding.command) == ("v", ("verify",))


def test_a_proof_that_this_state_builds_another_path_makes_the_row_stale() -> None:
    found = row(with_proof(builds=OLD_AGENT.path))
    assert (found.state, found.finding and found.finding.cause) == ("stale", "switch-incomplete")


@pytest.mark.parametrize("latest", [None, NotKnown("the client may not ask h", "list it")])
def test_a_proven_host_whose_latest_is_unknown_is_unproven(latest: Latest) -> None:
    found = row(LOOK, latest)
    assert (found.state, found.finding and found.finding.cause) == ("unproven", "latest-unknown")


def test_an_input_without_commits_needs_no_latest() -> None:
    tarball = lock(NEW, type="tarball", url="https://h/x.tar.gz")
    assert row(changed(LOOK, checkout_lock=tarball), None).state == "current"


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

ACTIONS: Final = (
    *("edit", "dirty", "filter", "clean", "lock", "update", "cancelled", "verify", "restart"),
    *("exec", "reboot", "elsewhere", "rename", "move", "look"),
)


@dataclass
class World:
    """One host, its checkout, and everybody's proofs. `looks` are answers that are on their way."""

    tree: int = 0
    rev: str = OLD
    hides: Literal["changes", "filter", "hidden"] | None = None
    attribute: str = "csb0"
    checkout: str = "/c"
    installed: str = ""
    running: str = ""
    pid: int = 7
    began: int = 1
    boot: str = "a"
    now: int = MADE
    proofs: list[Proven] = field(default_factory=list)
    looks: list[tuple[Facts, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.installed = self.running = self.builds()

    def builds(self) -> str:
        """What the checkout builds now. Hidden changes are part of that."""
        name = f"{self.tree % 2}{self.rev[0]}{self.attribute}{self.hides}".ljust(32, "0")
        return f"/nix/store/{''.join(c if c.isalnum() else 'x' for c in name)}-nixfleet-agent-1/a"

    def source(self) -> str:
        return "" if self.hides else f"{self.tree % 4:040}-{self.rev}"

    def prove(self, installed: str) -> None:
        self.proofs.append(
            Proven(
                at=self.now,
                system=f"/nix/store/{installed}",
                installed=installed,
                boot=self.boot,
                pid=self.pid,
                began=str(self.began),
                running=self.running,
                builds=self.builds(),
                source=self.source(),
                checkout=self.checkout,
                attribute=self.attribute,
                input="nixfleet",
                commit=self.rev,
            )
        )

    def restart(self) -> None:
        self.began += 1
        self.pid = 7 + self.began % 2
        self.running = self.installed

    def do(self, action: str) -> None:
        self.now += 1
        match action:
            case "edit":
                self.tree += 1
            case "dirty":
                self.hides = "changes"
            case "filter":
                self.hides = "filter"
            case "clean":
                self.hides = None
            case "lock" | "cancelled":
                self.rev = OLD if self.rev == NEW and action == "lock" else NEW
            case "update":
                self.rev, self.installed = NEW, ""
                self.installed = self.builds()
                self.restart()
                self.prove(self.installed)
            case "verify":
                self.prove(self.installed)
            case "restart":
                self.restart()
            case "exec":
                self.running = f"/nix/store/{'e' * 32}-nixfleet-agent-0/a"
            case "reboot":
                self.boot += "a"
                self.began = 0
                self.restart()
            case "elsewhere":
                self.installed = f"/nix/store/{'f' * 32}-nixfleet-agent-3/a"
            case "rename":
                self.attribute = "csb1" if self.attribute == "csb0" else "csb0"
            case "move":
                self.checkout = "/d" if self.checkout == "/c" else "/c"
            case "look":
                self.looks.append((self.look(), self.truth()))

    def look(self) -> Facts:
        """What a look without root sees. The process says what it runs; after an exec, nothing
        else shows that: its number and its beginning stay.
        """
        checkout = replace(
            CHECKOUT,
            path=self.checkout,
            lock=lock(self.rev),
            source=self.source() or None,
            unnamed=self.hides,
        )
        unit = Unit("loaded", "active", "running", pid=self.pid, began=str(self.began))
        system = f"/nix/store/{self.installed}"
        return replace(
            HEALTHY,
            hostname=self.attribute,
            now=self.now,
            boot=self.boot,
            unit=unit,
            running=Running(Binary(self.running), "claimed", self.pid),
            installed=Binary(self.installed),
            expected=None,
            system=System(system, system, 2),
            checkout=checkout,
            installed_at=None,
            proofs=newest_first(self.proofs),
        )

    def truth(self) -> str:
        """Why the row must not be green; empty if it may be."""
        state = (self.source(), self.attribute)
        if not self.source():
            return "the state has no name"
        if not any((p.source, p.attribute) == state for p in self.proofs):
            return "nobody has proven this state"
        if not self.builds() == self.installed == self.running:
            return "it is not so"
        return "" if self.rev == NEW else "not at the latest"


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
