"""`nixfleet` without a command: it opens the app on all hosts."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from nixfleet_core.cli.choice import ALL
from nixfleet_core.cli.faults import NoHosts
from nixfleet_core.cli.screen import Opened
from nixfleet_core.cli.sessions import find_hosts, open_chosen, read_inventory, sessions_of
from nixfleet_core.sandbox.here import fleet_here

if TYPE_CHECKING:
    from nixfleet_core.cli.setup import Setup


def open_app(setup: Setup) -> int:
    """Open the app; the exit code when the operator has left it. Raises ClickException."""
    if fleet_here() is None:
        with suppress(NoHosts):  # the app says it
            read_inventory(setup.path)  # report a wrong inventory first
    screen, config = setup.require_screen(), setup.settings.config

    async def look_again() -> Opened:
        return await _open_again(setup)

    return screen.open(
        _open(setup),
        ascii_only=setup.look.ascii_only,
        mouse=setup.look.mouse,
        config=replace(config, on_finish=setup.on_finish()),
        look_again=look_again,
    )


def _open(setup: Setup) -> Opened:
    """What the app begins with."""
    notices: list[str] = []
    refresh = setup.settings.config.refresh
    try:
        return Opened(sessions_of(setup, warn=notices.append, refresh=refresh), notices)
    except NoHosts as none:
        return Opened((), notices, none.searched)


async def _open_again(setup: Setup) -> Opened:
    """The same after the app has opened without hosts; nothing is printed meanwhile."""
    notices: list[str] = []
    try:
        inventory = read_inventory(setup.path)
        hosts = inventory.hosts
        if not inventory.path:
            hosts = await find_hosts(setup.settings, lambda _: None, (), notices.append)
    except NoHosts as none:
        return Opened((), notices, none.searched)
    refresh = setup.settings.config.refresh
    opened = open_chosen(hosts, ALL, setup.settings, notices.append, refresh=refresh)
    return Opened(opened, notices)
