"""A page that another one covers costs nothing; one below a dialog is kept up to date."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fakes import CURRENT, NOW
from screen_text import screen_text, settle
from test_path import press
from textual._compositor import Compositor

from nixfleet_core.job.events import JobStart, StepStart
from tui.screens.fleet import FleetScreen
from tui.screens.help import HelpDialog
from tui.screens.update import UpdateScreen

if TYPE_CHECKING:
    from fakes import FakeSession

    from conftest import MakeApp

pytestmark = pytest.mark.draws_frames


@pytest.fixture
def whole_paints(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows with each paint of a whole screen."""
    found: list[str] = []
    real = Compositor.render_full_update

    def paint(self: Compositor, simplify: bool = False) -> object:
        found.append("whole")
        return real(self, simplify)

    monkeypatch.setattr(Compositor, "render_full_update", paint)
    return found


async def test_a_running_job_paints_no_whole_screen(
    make_app: MakeApp, fleet: list[FakeSession], whole_paints: list[str]
) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "enter", "enter")
        assert isinstance(app.screen, UpdateScreen)
        await fleet[0].say(JobStart(at=NOW), StepStart(step="rebuild", at=NOW, log=0))
        await settle(pilot)
        whole_paints.clear()
        for number in range(3):
            await fleet[0].log(f"line {number}\n")
            await settle(pilot)
        assert "line 2" in screen_text(app)
        assert whole_paints == []


async def test_the_fleet_below_an_update_is_not_updated(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "enter", "enter")
        screen, updated = app.screen_stack[0], list[str]()
        assert isinstance(screen, FleetScreen)
        monkeypatch.setattr(screen, "_update_title", lambda: updated.append("title"))
        await settle(pilot)
        assert updated == []
        await press(pilot, "escape")
        assert isinstance(app.screen, FleetScreen)
        assert updated


async def test_the_fleet_below_a_dialog_is_kept_up_to_date(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "question_mark")
        assert isinstance(app.screen, HelpDialog)
        below = app.screen_stack[0]
        assert isinstance(below, FleetScreen)
        assert below.is_current
        fleet[0].says["probe"] = CURRENT
        await app.fleet.look(app.fleet.entries["csb0"], app.tick)
        await settle(pilot)
        await press(pilot, "escape")
        assert "2 current" in screen_text(app)
