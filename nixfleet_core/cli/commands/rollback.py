"""`nixfleet rollback`: hosts go back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from nixfleet_core.cli.options import checkout_option, hosts_argument, json_option, on_finish_option
from nixfleet_core.cli.queue_options import queue_options

if TYPE_CHECKING:
    from nixfleet_core.cli.setup import Setup
    from nixfleet_core.session.conduct import Conductor, Report
    from nixfleet_core.session.protocol import HostSession
    from nixfleet_core.session.queue import Queue


@click.command()
@hosts_argument
@click.option(
    "--to",
    type=click.IntRange(1),
    metavar="GENERATION",
    help="The generation to go back to, of one host; default: what was active before the last job "
    "that moved something.",
)
@click.option("--keep-lock", is_flag=True, help="Leave flake.lock as it is.")
@checkout_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@queue_options
@on_finish_option
@json_option
@click.pass_obj
def rollback(
    setup: Setup,
    hosts: tuple[str, ...],
    to: int | None,
    keep_lock: bool,
    checkout: str | None,
    yes: bool,
    queue: Queue,
    on_finish: str | None,
    as_json: bool,
) -> None:
    """Go back to a generation, and to the flake.lock that belonged to it.

    At a terminal it lists the generations of one host, with what is known of each, and asks.

    \b
      nixfleet rollback csb0
      nixfleet rollback csb0 --to 412 --yes
    """
    from nixfleet_core.cli.choice import Choice
    from nixfleet_core.cli.faults import UsageFault
    from nixfleet_core.cli.run import ask_first, at_terminal, run_hosts
    from nixfleet_core.cli.sessions import sessions_of
    from nixfleet_core.cli.way_back import ask_way_back, list_ways_back
    from nixfleet_core.plan.model import Options

    sessions = sessions_of(setup, Choice(hosts), checkout)
    if to is not None and len(sessions) > 1:
        raise UsageFault("--to names a generation of one host; of several, each goes back its own")
    if not yes and to is None and at_terminal() and len(sessions) == 1:
        ways = list_ways_back(sessions[0], as_json=as_json)
        if isinstance(ways, int):
            raise SystemExit(ways)
        if ways.options:
            to = ask_way_back(ways)
    elif not yes:
        names = ", ".join(session.host.name for session in sessions)
        where = f" to generation {to}" if to is not None else ""
        ask_first(f"Roll {names} back{where}?", names, "not rolled back")

    async def act(conductor: Conductor, session: HostSession) -> Report:
        return await conductor.roll_back(session, Options(), keep_lock=keep_lock, to=to)

    code = run_hosts(
        sessions,
        act,
        as_json=as_json,
        ctrl_c="cancel",
        wanted="rolled-back",
        several=len(hosts) > 1,
        on_finish=setup.on_finish(on_finish),
        queue=queue,
    )
    raise SystemExit(code)
