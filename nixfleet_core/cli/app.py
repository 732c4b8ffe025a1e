"""Starting the app: the only place where the commands know that there is a screen."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import click

from nixfleet_core.judge.verdict import EXIT_USAGE
from nixfleet_core.session.latest import GitLatest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from nixfleet_core.session.protocol import HostSession


class NoTerminal(click.ClickException):
    """The app was started where there is no terminal."""

    exit_code = EXIT_USAGE


def require_terminal() -> None:
    """Raises NoTerminal unless input, output and errors all are one: the app draws on the last."""
    if not all(os.isatty(fd) for fd in (0, 1, 2)):
        raise NoTerminal("the app needs a terminal; the commands do not, see nixfleet --help")


def run_app(sessions: Sequence[HostSession], *, ascii_only: bool, mouse: bool) -> int:
    """Run the app on these hosts until the operator leaves it; the exit code."""
    from tui.app import run
    from tui.settings import AppSettings

    return run(sessions, GitLatest(), AppSettings(ascii=ascii_only, mouse=mouse))


def run_demo(speed: float) -> int:
    """Run the app on a sandbox fleet, which is gone afterwards, also when a signal ends us."""
    from tui.ending import ENDING

    for number in ENDING:
        signal.signal(number, _leave)
    return asyncio.run(_demo(speed))


def _leave(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)


async def _demo(speed: float) -> int:
    from nixfleet_core.sandbox import sandbox_fleet
    from nixfleet_core.sandbox.sessions import sandbox_sessions
    from tui.app import NixFleetApp, run_in_order
    from tui.settings import AppSettings

    async with sandbox_fleet(speed=speed) as fleet:
        app = NixFleetApp(sandbox_sessions(fleet), GitLatest(here=True), settings=AppSettings())
        # nothing is to cut short what cleans up afterwards, a terminal that closes meanwhile least
        await run_in_order(app, afterwards=signal.SIG_IGN)
        return app.return_code or 0
