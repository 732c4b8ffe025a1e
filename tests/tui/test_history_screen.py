"""The list of a host's jobs, and looking at one of them again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakes import JOB, NOW, PLAN, UPDATED
from screen_text import screen_text, settle
from test_path import press

from nixfleet_core.errors import NoSuchJob
from nixfleet_core.job.events import JobEnd, JobStart, LineTime, Link, LogGrew, StepEnd, StepStart
from nixfleet_core.job.history import JobLine, unreadable_line
from tui.screens.fleet import FleetScreen
from tui.screens.history import HistoryScreen
from tui.screens.update import UpdateScreen

if TYPE_CHECKING:
    import pytest
    from fakes import FakeSession

    from conftest import MakeApp

OLD_JOB, RUNNING = "20261122-004101-cd34", "20261123-010000-ef56"
LINES = (
    JobLine(RUNNING, NOW, "root from 192.0.2.7", "update", "running"),
    JobLine(JOB, NOW - 3600, "ops", "rollback", "done", seconds=75),
    JobLine(OLD_JOB, NOW - 90000, "ops", "update", "failed", "rebuild", 2700),
)


async def test_history_lists_jobs_with_their_outcomes(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    fleet[0].says["jobs"] = LINES
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        text = await press(pilot, "H")
        assert isinstance(app.screen, HistoryScreen)
        assert "csb0 · history · 3 jobs" in text
        rows = [" ".join(line.strip("│▸ ").split()) for line in text.splitlines()[3:6]]
        assert rows == [
            f"2026-11-23 02:13 update ▶ running root from 192.0.2.7 {RUNNING}",
            f"2026-11-23 01:13 roll back ✔ done 1m 15s ops {JOB}",
            f"2026-11-22 01:13 update ✖ failed rebuild 45m 00s ops {OLD_JOB}",
        ]
        await press(pilot, "escape")
        assert isinstance(app.screen, FleetScreen)


async def test_history_shows_an_old_job_with_its_verdict_and_changes_nothing(
    make_app: MakeApp, fleet: list[FakeSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    session = fleet[0]
    session.says["jobs"] = LINES
    session.files(JOB).text.write_text("first\nsecond\n")
    await session.say(
        JobStart(at=NOW - 60),
        StepStart(step="rebuild", at=NOW - 50, log=0),
        StepEnd(step="rebuild", at=NOW - 10, status="ok", log=13),
        LineTime(at=NOW - 40, text_offset=6),
        JobEnd(at=NOW, outcome="done"),
        LogGrew(size=13, text_size=13),
        None,
    )
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        rung: list[int] = []
        monkeypatch.setattr(app, "bell", lambda: rung.append(1))
        text = await press(pilot, "H", "down", "enter")
        assert isinstance(app.screen, UpdateScreen)
        for shown in ("csb0", JOB, "01:00  ended", "✔ Rebuild", "40 s", UPDATED.sentence[:20]):
            assert shown in text
        assert "c cancel" not in text
        text = await press(pilot, "t")
        assert "02:12:40 first" in text
        assert "02:13:20 second" in text

        await press(pilot, "escape")
        assert isinstance(app.screen, HistoryScreen)
    entry = app.fleet.entries["csb0"]
    assert (rung, session.plans, entry.watcher, entry.verdict) == ([], [], None, None)


async def test_leaving_an_old_job_ends_the_reading_of_it(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    session = fleet[0]
    session.says["jobs"] = LINES
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        text = await press(pilot, "H", "end", "enter")
        assert "reading" in text
        assert [worker.group for worker in app.workers] == ["past"]
        await session.say(Link(up=False, seconds=9, why="timed out"))
        await settle(pilot)
        assert "no answer for 9 s, retrying" in screen_text(app)
        await press(pilot, "escape")
        assert list(app.workers) == []


async def test_an_old_job_that_cannot_be_read_can_be_asked_for_again(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    session = fleet[0]
    session.says |= {
        "jobs": LINES,
        "fetch_plan": [NoSuchJob(f"the host has no job {JOB}"), PLAN],
    }
    async with make_app().run_test(size=(120, 40)) as pilot:
        text = await press(pilot, "H", "down", "enter")
        assert f"no verdict  the host has no job {JOB}" in text
        await session.say(JobEnd(at=NOW, outcome="done"), None)
        assert UPDATED.sentence[:20] in await press(pilot, "R")


async def test_history_attaches_to_a_running_job(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    fleet[0].says["jobs"] = LINES
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        text = await press(pilot, "H", "enter")
        assert isinstance(app.screen, UpdateScreen)
        assert "● following" in text
        assert app.jobs_going_on() == [("csb0", RUNNING)]
        await press(pilot, "escape", "escape")
        await press(pilot, "H", "enter")
        assert isinstance(app.screen, UpdateScreen)
        assert app.screen._watcher is app.fleet.entries["csb0"].watcher


async def test_history_names_copies_that_cannot_be_read(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    bad = unreadable_line(OLD_JOB, "/state/[b]plan.json: it is a named pipe")
    fleet[0].says["jobs"] = (LINES[1], bad)
    async with make_app().run_test(size=(120, 40)) as pilot:
        text = await press(pilot, "H")
        assert "cannot be read: /state/[b]plan.json: it is a named pipe" in text
        assert "✖ unreadable" in text
        assert "✔ done" in text
        fleet[0].says["jobs"] = (bad, bad, LINES[1])
        assert "it is a named pipe (and 1 more)" in await press(pilot, "R")


async def test_history_says_why_it_has_no_list(make_app: MakeApp, fleet: list[FakeSession]) -> None:
    fleet[1].password = "right"
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert "csb0 has had no job" in await press(pilot, "H")
        assert "csb0 has had no job" in await press(pilot, "enter")
        assert "sudo on csb1" in await press(pilot, "escape", "down", "H")
        assert "no password was given" in await press(pilot, "escape")
        fleet[1].says["jobs"] = LINES
        assert "3 jobs" in await press(pilot, "R", *"right", "enter")
        assert "No route to host" in await press(pilot, "escape", "end", "H")
        assert isinstance(app.screen, HistoryScreen)
