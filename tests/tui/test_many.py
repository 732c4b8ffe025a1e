from __future__ import annotations

from typing import TYPE_CHECKING

from fakes import JOB, NOW, OFFLINE
from screen_text import screen_text, settle
from test_path import press

from nixfleet_core.job.events import JobEnd, JobStart, StepStart
from nixfleet_core.judge.verdict import Verdict
from nixfleet_core.session.protocol import Busy
from tui.screens.base import Notice
from tui.screens.batch import ManyPlansDialog
from tui.screens.many import ManyScreen
from tui.screens.update import UpdateScreen

if TYPE_CHECKING:
    from fakes import FakeSession

    from conftest import MakeApp


async def test_marked_hosts_are_named_then_run_at_once(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    fleet[2].password = "right"
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        text = await press(pilot, "ctrl+a", "u")
        assert isinstance(app.screen, ManyPlansDialog)
        for shown in ("Force update 3 hosts, level 1?", "csb0", "csb1", "gpc0"):
            assert shown in text
        assert "imac0 left out: No route to host" in text
        assert [session.launched for session in fleet] == [[], [], [], []]

        text = await press(pilot, "enter")
        assert "sudo on gpc0" in text
        await press(pilot, *"right", "enter")
        assert isinstance(app.screen, ManyScreen)
        assert [session.launched for session in fleet] == [[JOB], [JOB], [JOB], []]

        fleet[1].says["verdict"] = Verdict(kind="current", sentence="there was nothing to do")
        await fleet[0].say(JobStart(at=NOW), StepStart(step="stop", at=NOW, log=0))
        await fleet[1].say(JobEnd(at=NOW, outcome="done"), None)
        await settle(pilot)
        text = screen_text(app)
        assert "2/7 Stop agent" in text
        assert "✔ current: there was nothing to do" in text
        assert "3 hosts · 1 ended" in text

        text = await press(pilot, "down")
        assert text.count("there was nothing to do") == 2  # in the row, and in full below

        text = await press(pilot, "up", "enter")
        assert isinstance(app.screen, UpdateScreen)
        assert "csb0" in text


async def test_the_row_of_a_host_says_why_it_did_not_start(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    fleet[0].password = "right"
    fleet[1].says["launch"] = Busy("20261123-000000-ffff")
    async with (app := make_app(fleet[:2])).run_test(size=(120, 40)) as pilot:
        await press(pilot, "ctrl+a", "u", "enter")
        text = await press(pilot, "escape")
        assert isinstance(app.screen, ManyScreen)
        assert "not started: no password was given" in text
        text = await press(pilot, "down", "enter")
        assert "20261123-000000-ffff" in text
    assert [session.launched for session in fleet[:2]] == [[], []]


async def test_cancel_is_offered_only_while_a_job_runs(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    async with make_app(fleet[:2]).run_test(size=(120, 40)) as pilot:
        assert "c cancel" in await press(pilot, "ctrl+a", "u", "enter")
        assert "Cancel the job on csb0?" in await press(pilot, "c")
        await press(pilot, "enter")
        await fleet[0].say(JobEnd(at=NOW, outcome="cancelled"), None)
        assert "c cancel" not in await press(pilot, "x")
        assert "Cancel the job" not in await press(pilot, "c")
        assert "c cancel" in await press(pilot, "down")
        assert "c cancel" not in await press(pilot, "up")
    assert [session.cancelled for session in fleet[:2]] == [[JOB], []]


async def test_app_says_so_when_no_marked_host_can_start(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    fleet[2].says["probe"] = OFFLINE
    async with (app := make_app(fleet[2:])).run_test(size=(120, 40)) as pilot:
        text = await press(pilot, "ctrl+a", "u")
        assert isinstance(app.screen, Notice)
        assert "Nothing to update" in text
