"""A large terminal shows more of each host, and a small one what it always did."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fakes import CURRENT, JOB, NOW, STALE
from screen_text import screen_text, settle
from test_path import press

from nixfleet_core.ids import job_time
from tui.text import ago

if TYPE_CHECKING:
    from fakes import FakeSession

    from conftest import MakeApp

OLDER = "20251123-004101-ab12"
MORE = ("Built from", "Commit", "Checkout", "Agent since", "Last job")


async def test_columns_come_with_the_room_and_go_without(make_app: MakeApp) -> None:
    async with (app := make_app()).run_test(size=(200, 60)) as pilot:
        await settle(pilot)
        text = screen_text(app)
        for shown in (*MORE, "9f2c1ab", "clean"):
            assert shown in text
        details = app.screen.query_one("#details").size.width
        await pilot.resize_terminal(80, 24)
        await settle(pilot)
        text = screen_text(app)
        assert not any(title in text for title in MORE)
        await pilot.resize_terminal(120, 40)
        await settle(pilot)
        assert app.screen.query_one("#details").size.width < details


async def test_ages_are_sorted_by_time(make_app: MakeApp, fleet: list[FakeSession]) -> None:
    assert STALE.checkout is not None
    fleet[0].says["probe"] = replace(STALE, job_last=OLDER)
    fleet[1].says["probe"] = replace(
        CURRENT, job_last=JOB, checkout=replace(STALE.checkout, dirty=("a", "b"), behind=3)
    )
    async with (app := make_app()).run_test(size=(220, 60)) as pilot:
        await settle(pilot)
        text = screen_text(app)
        assert "2 changes, 3 behind" in text
        for job in (JOB, OLDER):
            assert ago(NOW - job_time(job)) in text
        for _ in range(11):
            text = await press(pilot, "s")
        assert "Last job ↑" in text
        names = [line.split()[1].strip("▸") for line in screen_text(app).splitlines()[3:7]]
        assert [name for name in names if name.startswith("csb")] == ["csb1", "csb0"]
