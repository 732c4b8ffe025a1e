"""Take the pictures in this folder from the real app, driven by keys over the sandbox fleet."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from nixfleet_core.latest import GitLatest
from nixfleet_core.sandbox import sandbox_fleet
from nixfleet_core.sandbox.sessions import sandbox_sessions
from tui.app import NixFleetApp
from tui.settings import AppSettings

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from tui.jobs import JobWatcher

FOLDER = Path(__file__).parent
SIZE = (120, 40)
SMALL = (80, 24)


async def take_all() -> None:
    async with sandbox_fleet(speed=1.0) as fleet:
        app = NixFleetApp(sandbox_sessions(fleet), GitLatest(), settings=AppSettings())
        async with app.run_test(size=SIZE) as pilot:
            await until_answered(pilot, app)
            picture(app, "fleet")
            await pilot.press("enter")
            await until_answered(pilot, app)
            picture(app, "plan")
            await pilot.press("enter")
            watcher = await until_building(pilot, app)
            await show(pilot, app)
            picture(app, "update")
            await watcher.ended.wait()
            await until_answered(pilot, app)
            picture(app, "verdict")
            await pilot.resize_terminal(*SMALL)
            await show(pilot, app)
            picture(app, "verdict-80x24")


async def until_building(pilot: Pilot[None], app: NixFleetApp) -> JobWatcher:
    """Wait until the first host's rebuild is nearly half done."""
    while True:
        await pilot.pause(0.1)
        watcher = app.fleet.entries["csb0"].watcher
        step = watcher.state.step("rebuild") if watcher else None
        progress = step.progress if step else None
        if watcher and progress and progress.done > 0.4 * progress.expected:
            return watcher


async def until_answered(pilot: Pilot[None], app: NixFleetApp) -> None:
    """Wait for what was asked of the hosts; the conversation with the operator goes on."""
    await pilot.pause(0.5)
    asked = [worker for worker in app.workers if worker.group in ("look", "jobs", "incoming")]
    await asyncio.gather(*(worker.wait() for worker in asked))
    await show(pilot, app)


async def show(pilot: Pilot[None], app: NixFleetApp) -> None:
    """Let the screen catch up."""
    app.tick()
    app.beat()
    await pilot.pause(0.5)


def picture(app: NixFleetApp, name: str) -> None:
    (FOLDER / f"{name}.svg").write_text(app.export_screenshot(title="NixFleet"))


if __name__ == "__main__":
    asyncio.run(take_all())
