"""When a job is over: what the app tells an operator who looks elsewhere, once a verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fakes import JOB, NOW, UPDATED, FakeLatest
from screen_text import settle
from test_path import press

from nixfleet_core.job.history import JobLine
from tui.app import NixFleetApp
from tui.screens.update import UpdateScreen
from tui.settings import AppSettings

if TYPE_CHECKING:
    from fakes import FakeSession
    from textual.pilot import Pilot

    from nixfleet_core.config import Notify

PAST = "20261122-004101-ab12"


def make_app(fleet: list[FakeSession], settings: AppSettings) -> NixFleetApp:
    return NixFleetApp(
        fleet, FakeLatest(), settings=settings, clock=lambda: NOW, new_job_id=lambda: JOB
    )


async def to_the_verdict(pilot: Pilot[None], session: FakeSession) -> None:
    """Update the host, and look at two screens of the job."""
    await press(pilot, "enter", "enter")
    await press(pilot, "escape", "l")
    await session.run_job()
    assert isinstance(pilot.app.screen, UpdateScreen)
    await pilot.app.screen._watcher.ended.wait()
    await settle(pilot)


async def read_a_past_job(pilot: Pilot[None], session: FakeSession) -> None:
    session.says["jobs"] = (JobLine(PAST, NOW, "ops", "update", "done", "", 5),)
    await press(pilot, "escape", "H", "enter")
    assert isinstance(pilot.app.screen, UpdateScreen)
    watcher = pilot.app.screen._watcher
    assert (watcher.job, watcher.past) == (PAST, True)
    await watcher.ended.wait()
    await settle(pilot)
    assert watcher.verdict is not None


@pytest.mark.parametrize("notify", ["auto", "off"])
async def test_the_end_is_told_on_the_desktop_once(
    fleet: list[FakeSession], monkeypatch: pytest.MonkeyPatch, notify: Notify
) -> None:
    monkeypatch.setenv("TERM", "foot")
    app = make_app(fleet, AppSettings(bell=False, title=False, notify=notify))
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert app._driver is not None
        written: list[str] = []
        monkeypatch.setattr(app._driver, "write", written.append)
        await to_the_verdict(pilot, fleet[0])
        await read_a_past_job(pilot, fleet[0])
        told = [text for text in written if "]777;" in text]
    expected = f"\x1b]777;notify;NixFleet: csb0: updated;{UPDATED.sentence}\x1b\\"
    assert told == ([expected] if notify == "auto" else [])
