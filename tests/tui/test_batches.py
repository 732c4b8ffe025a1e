"""What is done to several hosts: all stale ones, those that are held, those that are unproven."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from fakes import CURRENT, JOB, NOT_RESTARTED, FakeSession
from screen_text import screen_text, settle
from test_path import press
from test_screens import FAILED

from nixfleet_core.errors import LaunchFailed
from nixfleet_core.host import HELD
from nixfleet_core.judge.verdict import Verdict
from nixfleet_core.plan.model import Refusal
from tui.screens.base import Notice
from tui.screens.batch import ManyPlansDialog, ManyRollbacksDialog
from tui.screens.fleet import FleetScreen
from tui.screens.many import ManyScreen
from tui.widgets.row_table import RowTable

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from conftest import MakeApp

UNPROVEN = replace(CURRENT, proofs=())


def hold(session: FakeSession) -> None:
    session.host = replace(session.host, hold=True)


def row(text: str, name: str) -> str:
    """The cells of the host's row in the list of many hosts."""
    found = next(line for line in text.splitlines() if f" {name} " in line)
    return " ".join(found.strip("│ ").split())


def launched(fleet: list[FakeSession]) -> list[str]:
    return [session.host.name for session in fleet if session.launched]


async def test_one_key_updates_all_that_is_stale_and_asks_first(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert "2 stale" in screen_text(app)
        text = await press(pilot, "U")
        assert isinstance(app.screen, ManyPlansDialog)
        assert "Force update 2 hosts" in text
        assert "csb1" not in text
        assert "unproven" not in text
        assert not launched(fleet)
        await press(pilot, "enter")
        assert isinstance(app.screen, ManyScreen)
        assert launched(fleet) == ["csb0", "gpc0"]


async def test_a_stale_host_that_the_filter_hides_is_left_alone(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        await press(pilot, "slash", *"csb", "enter")
        text = await press(pilot, "U")
        assert "Force update 1 host, level 1?" in text
        assert "hidden by the filter, and left alone: 1 stale" in text
        await press(pilot, "enter")
        assert launched(fleet) == ["csb0"]


async def test_a_held_host_is_in_no_batch_and_says_so(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    hold(fleet[0])
    async with (app := make_app()).run_test(size=(170, 50)) as pilot:
        await settle(pilot)
        text = screen_text(app)
        assert "ops@cs0:2222 (held)" in text
        assert "hold = true in hosts.toml" in text
        assert "held, and left out: csb0" in await press(pilot, "U")
        await press(pilot, "escape", "ctrl+a")
        text = await press(pilot, "u")
        assert f"left out: {HELD}" in text
        # other options plan again, and it stays left out
        assert f"left out: {HELD}" in await press(pilot, "L", "2", "enter")
        await press(pilot, "enter")
        assert launched(fleet) == ["csb1", "gpc0"]


async def test_a_held_host_alone_is_updated_and_verified(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    hold(fleet[0])
    async with make_app().run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert "Verify csb0" in await press(pilot, "v")
        assert "verify 9f2c1ab000000000000000000000000000000000" in fleet[0].calls
        await press(pilot, "escape", "u", "enter")
        assert launched(fleet) == ["csb0"]


async def test_a_verification_of_several_leaves_a_held_host_out(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    hold(fleet[1])
    for session in fleet[1:3]:
        session.says["probe"] = UNPROVEN
    async with make_app().run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        text = await press(pilot, "V")
        assert "Verify gpc0" in text
        await press(pilot, "escape", "ctrl+a")
        text = await press(pilot, "v")
        assert f"left out: {HELD}" in " ".join(text.split())
        assert not any(call.startswith("verify") for call in fleet[1].calls)


@pytest.mark.parametrize("stale", [True, False])
async def test_unproven_hosts_can_be_proven_before_the_stale_ones_are_updated(
    make_app: MakeApp, fleet: list[FakeSession], stale: bool
) -> None:
    for session in fleet[1:3]:
        session.says["probe"] = UNPROVEN
    if not stale:
        fleet[0].says["probe"] = CURRENT
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        text = await press(pilot, "U")
        assert "unproven, and left out: csb1, gpc0" in text
        assert ("prove 2 unproven hosts first" in text) is stale
        assert not any(call.startswith("verify") for session in fleet for call in session.calls)
        for session, found in zip(fleet[1:3], (NOT_RESTARTED, CURRENT), strict=True):
            session.says["probe"] = found
        text = await press(pilot, "V" if stale else "enter")
        verified = [any(c.startswith("verify") for c in session.calls) for session in fleet]
        assert verified == [False, True, True, False]
        # csb1 has turned out to be stale, and the question comes again
        assert isinstance(app.screen, ManyPlansDialog)
        assert "unproven" not in text
        await press(pilot, "enter")
        assert launched(fleet) == (["csb0", "csb1"] if stale else ["csb1"])


async def begin_all(pilot: Pilot[None], *keys: str) -> str:
    """Mark all hosts, and start what is planned for them."""
    await settle(pilot)
    await press(pilot, "ctrl+a", "u", *keys)
    return await press(pilot, "enter")


async def test_hosts_take_turns_and_their_rows_say_who_waits(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    async with make_app().run_test(size=(120, 40), notifications=True) as pilot:
        text = await begin_all(pilot, *"nnnn")  # 16, all, 1, 2
        assert launched(fleet) == ["csb0", "csb1"]
        assert row(text, "gpc0").endswith("waits for its turn")
        await press(pilot, "escape")
        assert "gpc0: it waits for its turn" in await press(pilot, "end", "up", "enter")
        text = await press(pilot, "u")
        assert "left out: it waits for its turn" in text
        assert f"left out: the job {JOB} is running" in text
        await press(pilot, "escape")
        await fleet[1].run_job()
        await settle(pilot)
        assert launched(fleet) == ["csb0", "csb1", "gpc0"]


async def test_after_a_failure_no_other_host_begins_if_that_is_wanted(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        text = await press(pilot, "ctrl+a", "u", *"nnnx")
        assert "at most 1 host at a time" in text
        assert "[✔] begin with no other host once one has failed" in text
        await press(pilot, "enter")
        assert launched(fleet) == ["csb0"]
        fleet[0].says["verdict"] = FAILED
        await fleet[0].run_job()
        await settle(pilot)
        assert launched(fleet) == ["csb0"]
        text = screen_text(pilot.app)  # type: ignore[arg-type]
        assert row(text, "csb1").endswith("not started: csb0 had failed before")


@pytest.mark.parametrize("stop", [True, False])
async def test_a_host_that_cannot_be_started_has_failed(
    make_app: MakeApp, fleet: list[FakeSession], stop: bool
) -> None:
    fleet[0].says["launch"] = LaunchFailed("the disk is full")
    async with make_app().run_test(size=(120, 40)) as pilot:
        text = await begin_all(pilot, *"nnn", *("x" * stop))
        assert "the disk is full" in row(text, "csb0")
        assert launched(fleet) == ([] if stop else ["csb1"])


async def test_several_hosts_go_back_after_one_question(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    hold(fleet[1])
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        text = await press(pilot, "ctrl+a", "b")
        assert isinstance(app.screen, ManyRollbacksDialog)
        assert "Roll 2 hosts back?" in text
        assert "goes back to generation 411" in text
        assert f"left out: {HELD}" in text
        assert not launched(fleet)
        text = await press(pilot, "n", "n", "n", "x", "enter")
        assert launched(fleet) == ["csb0"]
        assert "plan_rollback False" in fleet[0].calls
        assert row(text, "gpc0").endswith("waits for its turn")
        fleet[0].says["verdict"] = Verdict(kind="rolled-back", sentence="it is back")
        await fleet[0].run_job()
        await settle(pilot)
        assert launched(fleet) == ["csb0", "gpc0"]  # to go back is what was wanted


async def test_hosts_that_cannot_go_back_are_told_with_the_reason(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    for session in fleet:
        session.says["plan_rollback"] = Refusal("target", "there is no generation before", "")
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        text = await press(pilot, "ctrl+a", "b")
        assert isinstance(app.screen, Notice)
        assert text.count("there is no generation before") == 3
        await press(pilot, "escape")
        assert not launched(fleet)


async def test_quitting_says_which_hosts_then_never_get_their_turn(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await begin_all(pilot, *"nnn")
        await press(pilot, "escape")
        text = " ".join((await press(pilot, "q")).split())
        assert "wait for their turn, which then never comes" in text
        assert "csb1, gpc0" in text
        await press(pilot, "enter")
        assert not app.is_running
    assert launched(fleet) == ["csb0"]


async def test_nothing_stale_is_said_and_nothing_runs(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    for session in fleet:
        session.says["probe"] = CURRENT
    hold(fleet[0])
    fleet[0].says["probe"] = NOT_RESTARTED
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        text = await press(pilot, "U")
        assert "No host that is shown is stale." in text
        assert "held, and left out: csb0" in text
        await press(pilot, "escape")
        assert isinstance(app.screen, FleetScreen)
        assert app.screen.query_one(RowTable).keys
        assert not launched(fleet)
