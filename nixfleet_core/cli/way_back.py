"""`nixfleet rollback` at a terminal: the generations of a host, and the question which one."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from nixfleet_core.cli.host_line import host_line
from nixfleet_core.cli.output import ask_number, print_json, say
from nixfleet_core.cli.printer import Printer
from nixfleet_core.cli.run import for_each
from nixfleet_core.session.conduct import Report, reported

if TYPE_CHECKING:
    from nixfleet_core.judge.ways_back import WayBack, WaysBack
    from nixfleet_core.session.conduct import Conductor
    from nixfleet_core.session.protocol import HostSession


def list_ways_back(session: HostSession, *, as_json: bool) -> WaysBack | int:
    """Print the ways back of a host, on stderr if stdout is for JSON; or, if it cannot be asked,
    why not, and return the exit code."""

    async def ask(conductor: Conductor, session: HostSession) -> WaysBack | Report:
        async def look() -> WaysBack:
            return await conductor.ways_back(session, await session.probe())

        return await reported(session.host, look)

    found = for_each((session,), ask)[0]
    if isinstance(found, Report):
        Printer(sys.stderr if as_json else sys.stdout, several=False).report(found)
        if as_json:
            print_json(host_line(found))
        return found.exit_code
    for way in found.options:
        _print(way, err=as_json)
    return found


def ask_way_back(ways: WaysBack) -> int | None:
    """The number of the generation that the operator chooses; None for the one that the list marks.
    Raises click.Abort if they leave."""
    question, chosen = "Roll back to generation", ways.chosen
    if chosen is None or chosen.is_generation:
        return ask_number(question, least=1, default=chosen.number if chosen else None)
    return ask_number(f"{question} (0: the one marked with *)", least=0, default=0) or None


def _print(way: WayBack, *, err: bool) -> None:
    number = str(way.number) if way.is_generation else "–"
    name = "" if way.is_generation else f"{way.name}: "
    why = f" (default: {way.why})" if way.why else ""
    say(f"{'*' if way.why else ' '} {number:>5}  {name}{way.words}{why}", err=err)
