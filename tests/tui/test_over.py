"""When a job is over: what the app tells an operator who looks elsewhere, once a verdict."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING

import pytest
from fakes import JOB, NOW, UPDATED, FakeLatest
from screen_text import screen_text, settle
from test_path import press

from nixfleet_core.cli.host_line import host_line
from nixfleet_core.config import Config
from nixfleet_core.job.history import JobLine
from nixfleet_core.log.display import safe_json
from nixfleet_core.session.conduct import Report
from tui.app import NixFleetApp, run_in_order
from tui.main import _settings
from tui.screens.fleet import FleetScreen
from tui.screens.update import UpdateScreen
from tui.settings import AppSettings

if TYPE_CHECKING:
    from pathlib import Path

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


def test_the_settings_reach_the_app() -> None:
    config = Config(
        fps=4,
        columns=("state", "host"),
        bell=False,
        title=False,
        notify="osc9",
        on_finish=("tell", "me"),
    )
    found = _settings(False, True, config)
    assert (found.bell, found.title, found.notify) == (False, False, "osc9")
    assert found.on_finish == ("tell", "me")
    assert (found.fps, found.columns) == (4, ("state", "host"))


async def at_rest(app: NixFleetApp) -> None:
    """Wait until no command of the operator's runs."""
    while app.finishing._running:
        await asyncio.wait(app.finishing._running)


async def test_the_operators_command_gets_the_verdict_once(
    fleet: list[FakeSession], tmp_path: Path
) -> None:
    told, script = tmp_path / "told.json", tmp_path / "tell"
    script.write_text(f'#!/bin/sh\ncat >>"{told}"\necho noise; echo noise >&2\n')
    script.chmod(0o755)
    app = make_app(fleet, AppSettings(on_finish=(str(script),)))
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await to_the_verdict(pilot, fleet[0])
        await at_rest(app)
        report = app.fleet.entries["csb0"].report
        assert report is not None
        assert told.read_text() == f"{safe_json(host_line(report))}\n"
        # the jobs of a fake share their files: this one was never told
        fleet[0].files(PAST).log.with_name("told").unlink()
        await read_a_past_job(pilot, fleet[0])
        await at_rest(app)
        assert list(app._notifications) == []
    (line,) = told.read_text().splitlines()
    assert json.loads(line)["verdict"] == "updated"


async def test_the_app_says_that_the_command_went_wrong_and_goes_on(
    fleet: list[FakeSession],
) -> None:
    app = make_app(fleet, AppSettings(on_finish=("/nowhere/[@click=app.quit]tell[/]",)))
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await to_the_verdict(pilot, fleet[0])
        await at_rest(app)
        (notice,) = app._notifications
        await settle(pilot)
        assert "✔ updated" in screen_text(app)
    assert notice.severity == "warning"
    assert notice.message == (
        "csb0: --on-finish: /nowhere/[@click=app.quit]tell[/] cannot be started: "
        "No such file or directory"
    )


async def test_the_app_does_not_wait_for_a_command_that_hangs(
    fleet: list[FakeSession], tmp_path: Path
) -> None:
    os.mkfifo(gate := tmp_path / "gate")
    app = make_app(fleet, AppSettings(on_finish=("/bin/sh", "-c", f'read -r _ <"{gate}"')))
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await to_the_verdict(pilot, fleet[0])
        assert app.finishing._running
        await press(pilot, "escape")
        assert isinstance(app.screen, FleetScreen)
        app.finishing._end()
        await at_rest(app)
        assert list(app._notifications) == []


@pytest.mark.parametrize("code", [0, 143], ids=["by a key", "by SIGTERM"])
async def test_the_app_waits_at_its_end_for_the_command_unless_a_signal_ends_it(
    fleet: list[FakeSession], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    os.mkfifo(gate := tmp_path / "gate")
    opened = os.open(gate, os.O_RDWR)
    said: list[str] = []

    def say_waiting(text: str) -> None:
        said.append(text)
        if text:
            os.write(opened, b"\n")

    monkeypatch.setattr("nixfleet_core.cli.finish.say_waiting", say_waiting)
    app = make_app(fleet, AppSettings(on_finish=("/bin/sh", "-c", f'read -r _ <"{gate}"')))

    async def run_async(*, mouse: bool) -> None:
        app._return_code = code
        app.finishing.tell(Report("csb0", UPDATED, JOB, files=fleet[0].files(JOB)))

    monkeypatch.setattr(app, "run_async", run_async)
    await run_in_order(app)
    waiting = "waiting for /bin/sh, at most 30 seconds; ctrl-c ends it"
    assert said == ([] if code else [waiting, ""])
    assert bool(app.finishing._running) == bool(code)
    app.finishing._end()
    await at_rest(app)
    os.close(opened)


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
        monkeypatch.setattr(app, "bell", lambda: written.append("\x07"))
        await to_the_verdict(pilot, fleet[0])
        await read_a_past_job(pilot, fleet[0])
        told = [text for text in written if "]777;" in text]
    loud = [text for text in written if text == "\x07" or "\x1b]2;" in text]
    assert loud == [], "the bell, or the title"
    expected = f"\x1b]777;notify;NixFleet: csb0: updated;{UPDATED.sentence}\x1b\\"
    assert told == ([expected] if notify == "auto" else [])
