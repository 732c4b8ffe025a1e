"""The app on a sandbox fleet, which is removed afterwards, even if a signal ends us."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import click

from nixfleet_core.sandbox.ending import leave_in_order
from nixfleet_core.sandbox.fleet import SandboxError, sandbox_fleet
from nixfleet_core.sandbox.sessions import sandbox_sessions
from nixfleet_core.session.latest import GitLatest
from tui.app import NixFleetApp, run_in_order

if TYPE_CHECKING:
    from tui.settings import AppSettings


def run_demo(speed: float, settings: AppSettings) -> int:
    """Run the app on the fleet until the operator leaves it. Return the exit code."""
    leave_in_order()
    try:
        return asyncio.run(_run(speed, settings))
    except SandboxError as error:
        raise click.ClickException(str(error)) from error


async def _run(speed: float, settings: AppSettings) -> int:
    async with sandbox_fleet(speed=speed) as fleet:
        app = NixFleetApp(sandbox_sessions(fleet), GitLatest(here=True), settings=settings)
        # nothing may interrupt the clean-up afterwards, least of all a terminal that closes
        await run_in_order(app, afterwards=signal.SIG_IGN)
        return app.return_code or 0
