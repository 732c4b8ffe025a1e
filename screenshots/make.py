"""Take the pictures in this folder from the real app, driven by keys over the sandbox fleet."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

from nixfleet_core.sandbox.fleet import sandbox_fleet
from nixfleet_core.sandbox.sessions import sandbox_sessions
from nixfleet_core.session.latest import GitLatest
from tui.app import NixFleetApp
from tui.screens.batch import ManyPlansDialog
from tui.screens.fleet import FleetScreen
from tui.screens.generation import GenerationDialog
from tui.screens.help import HelpDialog
from tui.screens.history import HistoryScreen
from tui.screens.host import HostScreen
from tui.screens.level import LevelDialog
from tui.screens.plan import RollbackDialog, UpdateDialog
from tui.settings import AppSettings

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from tui.jobs import JobWatcher

FOLDER = Path(__file__).parent
SIZE = (120, 40)
SMALL = (80, 24)
WAITS = ("look", "jobs", "jobs-of-host", "incoming", "history")
"""The names of the app's workers that ask hosts."""


async def take_all() -> None:
    async with sandbox_fleet(speed=1.0) as fleet:
        app = NixFleetApp(
            sandbox_sessions(fleet), GitLatest(here=True), settings=AppSettings(theme="dark")
        )
        async with app.run_test(size=SIZE) as pilot:
            await until_answered(pilot, app)
            picture(app, "fleet")
            app.choose_theme("light")
            await show(pilot, app)
            picture(app, "fleet-light")
            app.choose_theme("dark")
            await open_screen(pilot, app, "question_mark", HelpDialog)
            picture(app, "help")
            await open_screen(pilot, app, "escape", FleetScreen)
            await open_screen(pilot, app, "d", HostScreen)
            picture(app, "host")
            await open_screen(pilot, app, "escape", FleetScreen)
            await pilot.press("ctrl+a")
            await open_screen(pilot, app, "u", ManyPlansDialog)
            picture(app, "plans")
            await open_screen(pilot, app, "escape", FleetScreen)
            await pilot.press("escape")
            await open_screen(pilot, app, "enter", UpdateDialog)
            await pilot.press("down", "down", "down", "down", "space")
            await show(pilot, app)
            picture(app, "plan")
            await open_screen(pilot, app, "L", LevelDialog)
            picture(app, "level")
            await open_screen(pilot, app, "escape", UpdateDialog)
            watcher = await start_job(pilot, app)
            await until_building(pilot, watcher)
            await show(pilot, app)
            picture(app, "update")
            await pilot.press("z")
            await show(pilot, app)
            picture(app, "log")
            await pilot.press("z")
            await until_ended(pilot, app, watcher)
            picture(app, "verdict")
            await pilot.resize_terminal(*SMALL)
            await show(pilot, app)
            picture(app, "verdict-80x24")
            await pilot.resize_terminal(*SIZE)
            await open_screen(pilot, app, "escape", FleetScreen)
            await open_screen(pilot, app, "b", GenerationDialog)
            picture(app, "generations")
            await open_screen(pilot, app, "enter", RollbackDialog)
            picture(app, "rollback")
            await until_ended(pilot, app, await start_job(pilot, app))
            await open_screen(pilot, app, "escape", FleetScreen)
            await open_screen(pilot, app, "H", HistoryScreen)
            picture(app, "history")


async def open_screen(pilot: Pilot[None], app: NixFleetApp, key: str, kind: type[object]) -> None:
    """Press a key, and wait until the screen that it leads to shows what it asks of the host."""
    await pilot.press(key)
    while not isinstance(app.screen, kind):
        await pilot.pause(0.1)
    await until_answered(pilot, app)


async def until_ended(pilot: Pilot[None], app: NixFleetApp, watcher: JobWatcher) -> None:
    """Wait for the verdict, and for what is asked of the host then."""
    await watcher.ended.wait()
    await until_answered(pilot, app)


async def start_job(pilot: Pilot[None], app: NixFleetApp) -> JobWatcher:
    """Start what the dialog asks about."""
    entry = app.fleet.entries["csb0"]
    last = entry.watcher
    await pilot.press("enter")
    while (watcher := entry.watcher) is None or watcher is last:
        await pilot.pause(0.1)
    return watcher


async def until_building(pilot: Pilot[None], watcher: JobWatcher) -> None:
    """Wait until the rebuild is nearly half done."""
    progress = None
    while progress is None or progress.done <= 0.4 * progress.expected:
        await pilot.pause(0.1)
        step = watcher.state.step("rebuild")
        progress = step.progress if step else None


async def until_answered(pilot: Pilot[None], app: NixFleetApp) -> None:
    """Wait for what was asked of the hosts; the conversation with the operator goes on."""
    await pilot.pause(0.5)
    asked = [worker for worker in app.workers if worker.group in WAITS]
    await asyncio.gather(*(worker.wait() for worker in asked))
    await show(pilot, app)


async def show(pilot: Pilot[None], app: NixFleetApp) -> None:
    """Let the screen catch up."""
    app.tick()
    app.beat()
    await pilot.pause(0.5)


def picture(app: NixFleetApp, name: str) -> None:
    svg = app.export_screenshot(title="NixFleet")
    # without this, some viewers drop the spaces at the beginning of a text
    svg = svg.replace("<text ", '<text xml:space="preserve" ')
    (FOLDER / f"{name}.svg").write_text(svg)


if __name__ == "__main__":
    # whatever terminal the pictures are taken in
    os.environ.update(TERM="xterm-256color", COLORTERM="truecolor")
    os.environ.pop("NO_COLOR", None)
    asyncio.run(take_all())
