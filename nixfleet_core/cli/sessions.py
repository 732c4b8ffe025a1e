"""The sessions with the hosts that a command is for; which states they are in is not known yet."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from nixfleet_core.cli.choice import ALL, Choice
from nixfleet_core.cli.faults import NoHosts, UsageFault
from nixfleet_core.cli.listing import chosen_by_look
from nixfleet_core.cli.output import say_aside
from nixfleet_core.host import HELD
from nixfleet_core.inventory import (
    Inventory,
    InventoryError,
    NoHostError,
    UnknownHostError,
    default_inventory_path,
    load_inventory,
    this_machine,
)
from nixfleet_core.job.copies import default_copies
from nixfleet_core.sandbox.here import FleetGoneError, fleet_here, sessions_here
from nixfleet_core.session.discovery import hosts_without_inventory, known_checkout, login_name
from nixfleet_core.session.no_hosts import Searched
from nixfleet_core.session.open import open_session, open_sessions
from nixfleet_core.transport.ssh import SocketDirectoryError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from nixfleet_core.cli.setup import Setup
    from nixfleet_core.config import Loaded
    from nixfleet_core.facts.model import Facts
    from nixfleet_core.host import Host
    from nixfleet_core.job.copies import Copies
    from nixfleet_core.session.shell_session import ShellSession


def sessions_of(
    setup: Setup,
    choice: Choice = ALL,
    checkout: str | None = None,
    warn: Callable[[str], None] = say_aside,
    refresh: float | None = None,
) -> tuple[ShellSession, ...]:
    """Sessions with the hosts of these names and tags. They have that checkout, if one is given.
    `warn` gets the mistakes in the settings, and what is not known of the hosts; by default they
    are printed. `refresh`: seconds between two looks at a host."""
    for problem in setup.settings.problems:
        warn(problem)
    if (folder := fleet_here()) is not None:
        return _sessions_of_demo(folder, choice)
    inventory = read_inventory(setup.path)
    hosts = inventory.hosts
    if not inventory.path:
        hosts = asyncio.run(find_hosts(setup.settings, say_aside, choice.names, warn))
    return open_chosen(hosts, choice, setup.settings, warn, checkout=checkout, refresh=refresh)


def session_of(setup: Setup, name: str) -> ShellSession:
    """A session with the host of this name."""
    return sessions_of(setup, Choice((name,)))[0]


def batch_of(setup: Setup, choice: Choice, checkout: str | None = None) -> tuple[ShellSession, ...]:
    """The same sessions without the hosts that are held, unless they are named. Raises UsageFault
    if no host is left."""
    sessions = sessions_of(setup, choice, checkout)
    held = [one for one in sessions if one.host.hold and one.host.name not in choice.names]
    if held:
        names = ", ".join(one.host.name for one in held)
        say_aside(f"{names}: left out; {HELD}, unless it is named")
        sessions = tuple(one for one in sessions if one not in held)
        if not sessions:
            raise UsageFault("no host is left")
    return sessions


def session_here(path: Path | None, settings: Loaded, checkout: str | None = None) -> ShellSession:
    """A session with this machine, as the inventory describes it, else with the defaults. Raises
    UsageFault if the inventory has a mistake."""
    for problem in settings.problems:
        say_aside(problem)
    try:
        hosts = load_inventory(path or default_inventory_path()).hosts
    except InventoryError as error:
        raise UsageFault(str(error)) from error
    host = next((host for host in hosts if host.address is None), this_machine())
    if checkout is not None:
        host = replace(host, checkout=checkout)
    return open_session(host, copies_here(), settings.config)


def require_choice(choice: Choice, verb: str, ways: str = "--tag or --state") -> None:
    """Raises UsageFault if the command line says nothing of its hosts."""
    if not choice:
        raise UsageFault(f"name the hosts to {verb}, or choose them with {ways}")


def in_states(
    sessions: tuple[ShellSession, ...], choice: Choice, *, unproven: bool = False
) -> tuple[ShellSession, ...]:
    """Of these hosts those in the states of the choice; if it names any, we look at the hosts. Ends
    the command well if there is none."""
    chosen = chosen_by_look(sessions, choice.states, unproven=unproven)
    if sessions and not chosen:
        raise SystemExit(0)
    return chosen


def read_inventory(path: Path) -> Inventory:
    """Raises NoHosts if the file has none, and UsageFault if it has a mistake."""
    try:
        return load_inventory(path)
    except NoHostError as error:
        place = error.path.absolute()
        searched = Searched(place, has_file=True, user=login_name(), checkout=known_checkout())
        raise NoHosts(str(error), searched) from error
    except InventoryError as error:
        raise UsageFault(str(error)) from error


async def find_hosts(
    settings: Loaded,
    say: Callable[[str], None],
    names: Sequence[str],
    warn: Callable[[str], None],
) -> tuple[Host, ...]:
    """The hosts without an inventory. Raises NoHosts."""

    async def look(host: Host) -> Facts:
        session = open_session(host, copies_here(warn), settings.config)
        try:
            return await session.probe()
        finally:
            await session.close()

    found = await hosts_without_inventory(say, look, names)
    if found.searched is not None:
        missing = f"no host {names[0]!r}: " if names else ""
        raise NoHosts(f"{missing}there are no hosts", found.searched)
    for problem in found.problems:
        warn(problem)
    return found.hosts


def open_chosen(
    hosts: Sequence[Host],
    choice: Choice,
    settings: Loaded,
    warn: Callable[[str], None],
    *,
    checkout: str | None = None,
    refresh: float | None = None,
) -> tuple[ShellSession, ...]:
    """Sessions with those of the hosts that are chosen. Raises UsageFault."""
    try:
        chosen = choice.of(hosts)
        if checkout is not None:
            chosen = tuple(replace(host, checkout=checkout) for host in chosen)
        return open_sessions(chosen, copies_here(warn), settings.config, refresh)
    except (UnknownHostError, SocketDirectoryError) as error:
        raise UsageFault(str(error)) from error


def _sessions_of_demo(folder: Path, choice: Choice) -> tuple[ShellSession, ...]:
    try:
        sessions = {one.host.name: one for one in sessions_here(folder)}
        chosen = choice.of([one.host for one in sessions.values()])
    except (FleetGoneError, UnknownHostError) as error:
        raise UsageFault(str(error)) from error
    return tuple(sessions[host.name] for host in chosen)


def copies_here(warn: Callable[[str], None] = say_aside) -> Copies:
    """The operator's copies of jobs. Raises ClickException if there is no place for any."""
    try:
        return default_copies(warn)
    except OSError as error:
        raise click.ClickException(f"there is no place for copies of jobs: {error}") from error
