"""The key that restarts the agent: it asks, says what a restart cannot do, and is offered first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakes import NOT_RESTARTED, make_restart
from screen_text import screen_text, settle
from test_path import press

from nixfleet_core.plan.model import Refusal
from nixfleet_core.vocabulary import KEYS
from tui.screens.plan import RestartDialog
from tui.screens.remedy import RemedyNotice
from tui.screens.update import UpdateScreen

if TYPE_CHECKING:
    from fakes import FakeSession

    from conftest import MakeApp

KEY = KEYS["restart"]


async def test_the_key_asks_and_restarts(make_app: MakeApp, fleet: list[FakeSession]) -> None:
    warning = "a restart starts the same agent again"
    fleet[0].says["plan_restart"] = make_restart("csb0", warning)
    async with (app := make_app()).run_test(size=(160, 40)) as pilot:
        await settle(pilot)
        text = await press(pilot, KEY)
        assert isinstance(app.screen, RestartDialog)
        assert "Restart the agent on csb0?" in text
        assert "Nothing is pulled, built or switched." in text
        assert f"! {warning}" in text
        assert "leave flake.lock" not in text
        await press(pilot, "escape")
        assert fleet[0].plans == []
        await press(pilot, KEY, "enter")
        assert isinstance(app.screen, UpdateScreen)
        assert "csb0 · restart ·" in screen_text(app)
    assert [plan.goal for plan in fleet[0].plans] == ["restart"]


async def test_the_cheapest_cure_is_offered_first_and_its_key_works_there(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    fleet[0].says["probe"] = NOT_RESTARTED
    async with (app := make_app()).run_test(size=(160, 40)) as pilot:
        await settle(pilot)
        assert f"{KEY} restart" in " ".join(screen_text(app).split())
        text = " ".join((await press(pilot, "d")).split())
        assert f"{KEY} restart" in text
        await press(pilot, KEY)
        assert isinstance(app.screen, RestartDialog)


async def test_a_refusal_is_told(make_app: MakeApp, fleet: list[FakeSession]) -> None:
    fleet[0].says["plan_restart"] = Refusal("unit", "its unit is masked", "unmask it")
    async with (app := make_app()).run_test(size=(160, 40)) as pilot:
        await settle(pilot)
        text = await press(pilot, KEY)
        assert isinstance(app.screen, RemedyNotice)
        assert "its unit is masked" in text
