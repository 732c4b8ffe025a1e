"""The key that saves a report on a job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakes import EVENTS, JOB, NOW, OFFLINE, UPDATED, FakeSession
from marked import SECRET
from screen_text import settle
from test_path import press

from nixfleet_core.job.events import JobEnd, JobStart, LogGrew
from nixfleet_core.job.history import JobLine
from tui.screens.history import HistoryScreen
from tui.screens.many import ManyScreen
from tui.screens.path import PathDialog
from tui.screens.update import UpdateScreen

if TYPE_CHECKING:
    from pathlib import Path

    from textual.pilot import Pilot

    from conftest import MakeApp


async def save_to(pilot: Pilot[None], target: Path) -> str:
    """Answer the dialog, and wait until the app says what became of it."""
    app, dialog = pilot.app, pilot.app.screen
    assert isinstance(dialog, PathDialog)
    (flow,) = [one for one in app.workers if one.group == "flow" and one.is_running]
    dialog.dismiss(str(target))
    await flow.wait()
    await settle(pilot)
    return [note.message for note in app._notifications][-1]


def told(session: FakeSession) -> None:
    """Whoever follows its job hears of its end at once."""
    session.says |= {"follow": EVENTS, "jobs": (JobLine(JOB, NOW, "ops", "update", "done"),)}
    session.files(JOB).text.write_text(f"first\nerror: ghp_{SECRET}\n")


async def test_the_history_saves_a_report_on_the_job_under_the_cursor(
    make_app: MakeApp, fleet: list[FakeSession], tmp_path: Path
) -> None:
    told(fleet[0])
    target = tmp_path / "x.html"
    async with (app := make_app()).run_test(size=(120, 40), notifications=True) as pilot:
        assert "W report" in await press(pilot, "H")
        text = await press(pilot, "W")
        assert f"~/nixfleet-csb0-{JOB}.html" in text
        assert "A report on this job goes to a new file on this machine" in text
        assert await save_to(pilot, target) == f"saved to {target}"
        assert isinstance(app.screen, HistoryScreen)
    page = target.read_text()
    assert UPDATED.sentence in page
    assert "error: ‹redacted›" in page
    assert target.stat().st_mode & 0o777 == 0o600


async def test_an_update_saves_one_while_the_job_runs_and_afterwards(
    make_app: MakeApp, fleet: list[FakeSession], tmp_path: Path
) -> None:
    session = fleet[0]
    async with (app := make_app()).run_test(size=(120, 40), notifications=True) as pilot:
        await press(pilot, "enter", "enter")
        await session.say(JobStart(at=NOW), LogGrew(0, 0))
        session.says["follow"] = EVENTS[:1]
        await press(pilot, "W")
        await save_to(pilot, tmp_path / "now.md")
        assert isinstance(app.screen, UpdateScreen)
        await session.say(JobEnd(at=NOW, outcome="done"), None)
        await press(pilot, "W")
        text = await save_to(pilot, tmp_path / "now.md")
        assert "is there already; nothing was written" in text
        await press(pilot, "W")
        assert "the name must end in .md or .html" in await save_to(pilot, tmp_path / "x.txt")
        await press(pilot, "W", "escape")
        assert isinstance(app.screen, UpdateScreen)
    assert not (tmp_path / "x.txt").exists()
    assert (tmp_path / "now.md").read_text().startswith("# Incident report: `csb0`\n")


async def test_several_hosts_are_one_report(
    make_app: MakeApp, fleet: list[FakeSession], tmp_path: Path
) -> None:
    target = tmp_path / "all.md"
    async with (app := make_app(fleet[:2])).run_test(size=(120, 40)) as pilot:
        await press(pilot, "ctrl+a", "u", "enter")
        assert isinstance(app.screen, ManyScreen)
        for session in fleet[:2]:
            await session.say(JobStart(at=NOW), JobEnd(at=NOW, outcome="done"), None)
            session.says["follow"] = EVENTS
        fleet[1].says["fetch_plan"] = OFFLINE
        await settle(pilot)
        text = await press(pilot, "W")
        assert "A report on the jobs of these 2 hosts" in text
        await save_to(pilot, target)
    report = target.read_text()
    assert report.startswith("# Incident report: 2 hosts\n")
    assert "\n| `csb0` | updated |" in report
    assert "\n| `csb1` | nothing to tell | No route to host |" in report
