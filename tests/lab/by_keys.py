"""The app, driven by keys alone."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from nixfleet_core.config import load_config
from nixfleet_core.inventory import default_inventory_path, load_inventory
from nixfleet_core.job.copies import Copies
from nixfleet_core.session.latest import GitLatest
from nixfleet_core.session.open import open_sessions
from tui.app import NixFleetApp
from tui.screens.plan import UpdateDialog
from tui.settings import AppSettings

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from nixfleet_core.judge.verdict import Verdict

    from .client import Client
    from .host import LabHost

SECONDS = 90


async def update_by_keys(
    host: LabHost, client: Client, copies: Path, monkeypatch: pytest.MonkeyPatch
) -> Verdict | None:
    """Choose the only host of the inventory, start the plan in the preview, and return its verdict.
    The app runs in this process, with the client's settings."""
    for key, value in client.env.items():
        monkeypatch.setenv(key, value)
    client.write_inventory({host: host.user})
    hosts = load_inventory(default_inventory_path()).hosts
    app = NixFleetApp(
        open_sessions(hosts, Copies(copies), load_config(os.environ).config),
        GitLatest(),
        settings=AppSettings(bell=False),
    )
    async with app.run_test(size=(120, 40)) as pilot, asyncio.timeout(SECONDS):
        await app.workers.wait_for_complete()
        await pilot.press("enter")
        while not (isinstance(app.screen, UpdateDialog) and app.screen.takes_enter):
            await pilot.pause(0.05)
        await pilot.press("enter")
        entry = app.fleet.entries[host.name]
        while entry.watcher is None:
            await pilot.pause(0.05)
        await entry.watcher.ended.wait()
        return entry.watcher.verdict
