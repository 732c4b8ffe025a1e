"""The key that builds what flake.lock has already: the plan it opens, and where it is offered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fakes import NEW, STALE, UPDATED, make_facts
from msgspec.structs import replace
from screen_text import screen_text, settle
from test_path import press

from nixfleet_core.judge.left_behind import Left
from nixfleet_core.judge.verdict import Verdict
from nixfleet_core.plan.model import Options, Refusal
from nixfleet_core.vocabulary import CAUSES, KEYS
from tui.screens.fleet import FleetScreen
from tui.screens.host import HostScreen
from tui.screens.many import ManyScreen
from tui.screens.plan import UpdateDialog
from tui.screens.remedy import RemedyNotice
from tui.screens.update import UpdateScreen

if TYPE_CHECKING:
    from fakes import FakeSession

    from conftest import MakeApp

KEY = KEYS["as-locked"]
CURES = f"→ {KEY} update as locked · u update"
NOT_SWITCHED = make_facts(rev=NEW)
"""The incident: flake.lock has the latest commit, and the old agent is installed."""

HALF_WAY = Verdict(
    kind="failed",
    cause="switch-incomplete",
    sentence="the switch ended with code 1",
    advice="a rebuild as locked is enough: flake.lock has the commit already",
    remedies=("as-locked", "update"),
    before=UPDATED.before,
    after=UPDATED.before,
)
QUESTION = "Force update csb0, level 1, as locked?"


async def test_the_key_opens_the_plan_with_flake_lock_as_it_is(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        text = await press(pilot, KEY)
        assert isinstance(app.screen, UpdateDialog)
        assert QUESTION in text
        assert "[✔] leave flake.lock at its commit" in text
        assert "Update nixfleet" not in text
        assert "[ ] leave flake.lock" in await press(pilot, "f")
        await press(pilot, "f", "enter")
        assert isinstance(app.screen, UpdateScreen)
        assert "as locked" in screen_text(app)
    assert [plan.options for plan in fleet[0].plans] == [Options(force=True, as_locked=True)]


async def test_it_is_offered_first_where_flake_lock_has_the_latest_commit(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    fleet[0].says["probe"] = NOT_SWITCHED
    async with (app := make_app()).run_test(size=(200, 40)) as pilot:
        await settle(pilot)
        assert CURES in " ".join(screen_text(app).replace("│", " ").split())
        text = " ".join((await press(pilot, "d")).replace("│", " ").split())
        assert isinstance(app.screen, HostScreen)
        assert "a rebuild as locked is enough: flake.lock has the commit already" in text
        assert CURES in text
        assert QUESTION in await press(pilot, KEY)
        await press(pilot, "escape", "escape")
        assert isinstance(app.screen, FleetScreen)
        fleet[0].says["probe"] = STALE
        await press(pilot, "R")
        assert f"→ {KEY}" not in screen_text(app)


@pytest.mark.parametrize("hosts", [1, 2])
async def test_the_end_of_a_job_offers_it_and_takes_its_key(
    make_app: MakeApp, fleet: list[FakeSession], hosts: int
) -> None:
    fleet[0].says["verdict"] = HALF_WAY
    async with (app := make_app(fleet[:hosts])).run_test(size=(140, 50)) as pilot:
        await press(pilot, *(("ctrl+a",) if hosts > 1 else ()), "u", "enter")
        assert isinstance(app.screen, ManyScreen if hosts > 1 else UpdateScreen)
        await press(pilot, KEY)
        assert not isinstance(app.screen, UpdateDialog)  # it waits for the end
        await fleet[0].run_job()
        await settle(pilot)
        assert CURES in " ".join(screen_text(app).replace("│", " ").split())
        assert QUESTION in await press(pilot, KEY)


async def test_what_is_left_has_its_key(make_app: MakeApp, fleet: list[FakeSession]) -> None:
    left = Left("flake.lock is new", "nixfleet update csb0 --as-locked goes on from there", KEY)
    fleet[0].says["verdict"] = replace(HALF_WAY, remedies=(), left=(left,))
    async with (app := make_app()).run_test(size=(140, 50)) as pilot:
        await press(pilot, "u", "enter")
        await fleet[0].run_job()
        await settle(pilot)
        assert f"{KEY} nixfleet update csb0 --as-locked goes on" in screen_text(app)
        assert QUESTION in await press(pilot, KEY)


async def test_a_notice_offers_it(make_app: MakeApp, fleet: list[FakeSession]) -> None:
    fleet[0].says["verify"] = HALF_WAY
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await press(pilot, "v")
        assert isinstance(app.screen, RemedyNotice)
        assert QUESTION in await press(pilot, KEY)


async def test_a_refusal_is_told(make_app: MakeApp, fleet: list[FakeSession]) -> None:
    idle = CAUSES["preflight-idle"]
    fleet[0].says["plan"] = Refusal("idle", "another rebuild runs", idle.cure)
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        text = await press(pilot, KEY)
        assert isinstance(app.screen, RemedyNotice)
        assert "another rebuild runs" in text
