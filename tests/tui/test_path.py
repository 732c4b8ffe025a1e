"""The main path, by keys: fleet, preview, update, verdict; leaving and coming back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from screen_text import screen_text, settle

from tui.screens.plan import PlanDialog
from tui.screens.update import UpdateScreen

if TYPE_CHECKING:
    from conftest import MakeApp
    from fakes import FakeSession


async def test_fleet_plan_update_verdict(make_app: MakeApp, fleet: list[FakeSession]) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert "csb0" in screen_text(app)
        await pilot.press("enter")
        await settle(pilot)
        assert isinstance(app.screen, PlanDialog)
        await pilot.press("enter")
        await settle(pilot)
        assert isinstance(app.screen, UpdateScreen)
        await fleet[0].run_job()
        await app.fleet.entries["csb0"].watcher.ended.wait()
        await settle(pilot)
        assert "2.2.0" in screen_text(app)
