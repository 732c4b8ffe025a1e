"""The app proves idle hosts by itself, if it is told to."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from fakes import CURRENT, JOB, NEW, NOW, FakeLatest, FakeSession, make_host
from screen_text import screen_text, settle

from nixfleet_core.errors import Unreachable
from tui.app import NixFleetApp
from tui.fleet import HostEntry, Seen
from tui.proving import AT_ONCE, Proving
from tui.settings import AppSettings

if TYPE_CHECKING:
    from nixfleet_core.facts.model import Checkout, Facts

assert CURRENT.checkout is not None
OURS: Checkout = replace(CURRENT.checkout, owner="ops")
UNPROVEN = replace(CURRENT, user="ops", checkout=OURS, proofs=())
(PROOF,) = CURRENT.proofs


def seen_entry(facts: Facts | None = UNPROVEN, name: str = "csb0") -> HostEntry:
    entry = HostEntry(FakeSession(make_host(name)))
    asked = entry.ask()
    entry.learn(asked, Seen(NOW, facts))
    entry.learn_latest(asked, NEW)
    return entry


def failed(facts: Facts) -> Facts:
    from msgspec.structs import replace as with_

    return replace(facts, proofs=(with_(PROOF, builds="", fails=True),))


@pytest.mark.parametrize(
    ("facts", "due"),
    [
        (UNPROVEN, True),
        (replace(UNPROVEN, proofs=CURRENT.proofs), False),
        (failed(UNPROVEN), False),
        (replace(UNPROVEN, checkout=replace(OURS, source=None, unnamed="changes")), False),
        (replace(UNPROVEN, checkout=replace(OURS, owner="root")), False),
        (replace(UNPROVEN, checkout=replace(OURS, source="6" * 81)), True),
        (replace(UNPROVEN, job_running=JOB), False),
        (replace(UNPROVEN, switch_running=True), False),
        (replace(UNPROVEN, checkout=None), False),
        (None, False),
    ],
)
def test_a_host_is_due_if_its_state_can_be_proven_without_root(
    facts: Facts | None, due: bool
) -> None:
    entry = seen_entry(facts)
    assert Proving(is_on=True).due([entry]) == [entry] * due
    assert Proving(is_on=False).due([entry]) == []


def test_each_look_allows_one_try() -> None:
    """A host that was not idle enough is asked again after the next look."""
    proving, entry = Proving(is_on=True), seen_entry()
    assert proving.due([entry]) == [entry]
    assert proving.due([entry]) == [], "it is under way"
    entry.learn(entry.ask(), Seen(NOW + 5, UNPROVEN))
    proving.done(entry)
    assert proving.due([entry]) == [], "it has just been tried"
    entry.learn(entry.ask(), Seen(NOW + 60, UNPROVEN))
    assert proving.due([entry]) == [entry]


def test_few_hosts_are_proven_at_once_and_none_that_is_in_use() -> None:
    entries = [seen_entry(name=f"h{number}") for number in range(AT_ONCE + 2)]
    proving = Proving(is_on=True)
    with entries[0].held():
        assert proving.due(entries) == entries[1 : AT_ONCE + 1]
    proving.done(entries[1])
    assert proving.due(entries) == entries[:1]


@pytest.mark.parametrize(("on", "proven"), [(True, True), (False, False)])
async def test_the_app_proves_an_idle_host_by_itself(on: bool, proven: bool) -> None:
    session = FakeSession(make_host("csb0"), probe=UNPROVEN)
    session.says["prove_idly"] = replace(UNPROVEN, proofs=CURRENT.proofs)
    settings = AppSettings(refresh=None, prove_in_background=on)
    app = NixFleetApp([session], FakeLatest(), settings=settings, clock=lambda: NOW)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert "1 unproven" in screen_text(app)
        app.look_again()
        await settle(pilot)
        assert ("1 current" in screen_text(app)) == proven
    assert ("prove_idly" in session.calls) == on


async def test_a_host_that_fails_meanwhile_stays_as_it_was() -> None:
    session = FakeSession(make_host("csb0"), probe=UNPROVEN)
    session.says["prove_idly"] = Unreachable("no route")
    settings = AppSettings(refresh=None, prove_in_background=True)
    app = NixFleetApp([session], FakeLatest(), settings=settings, clock=lambda: NOW)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        app.look_again()
        await settle(pilot)
        assert "1 unproven" in screen_text(app)
