"""Starting the app: the only place where the commands know that there is a screen."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from nixfleet_core.latest import GitLatest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nixfleet_core.session import HostSession


def run_app(sessions: Sequence[HostSession], *, ascii_only: bool, mouse: bool) -> int:
    """Run the app on these hosts until the operator leaves it; the exit code."""
    from tui.app import run
    from tui.settings import AppSettings

    return run(sessions, GitLatest(), AppSettings(ascii=ascii_only, mouse=mouse))


def run_demo(speed: float) -> int:
    """Run the app on a sandbox fleet, which is gone afterwards."""
    return asyncio.run(_demo(speed))


async def _demo(speed: float) -> int:
    from nixfleet_core.sandbox import sandbox_fleet
    from nixfleet_core.sandbox.sessions import sandbox_sessions
    from tui.app import NixFleetApp
    from tui.settings import AppSettings

    async with sandbox_fleet(speed=speed) as fleet:
        app = NixFleetApp(sandbox_sessions(fleet), GitLatest(), settings=AppSettings())
        await app.run_async()
        return app.return_code or 0
