"""`nixfleet commit`: a new proof, and then the commit of the flake.lock that an update has left."""

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
@click.option("--push", is_flag=True, help="Push the commit, too; never forced.")
@checkout_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@queue_options
@on_finish_option
@json_option
@click.pass_obj
def commit(
    setup: Setup,
    hosts: tuple[str, ...],
    push: bool,
    checkout: str | None,
    yes: bool,
    queue: Queue,
    on_finish: str | None,
    as_json: bool,
) -> None:
    """Commit the flake.lock that an update has left, after a new proof.

    Nothing is committed unless the agent that runs is what this flake.lock builds. The agent is
    neither stopped nor restarted.

    \b
      nixfleet commit csb0
      nixfleet commit csb0 --push
    """
    from nixfleet_core.cli.choice import Choice
    from nixfleet_core.cli.run import ask_first, run_hosts
    from nixfleet_core.cli.sessions import sessions_of
    from nixfleet_core.plan.model import Options

    sessions = sessions_of(setup, Choice(hosts), checkout)
    names = ", ".join(session.host.name for session in sessions)
    if not yes:
        what = "Commit and push" if push else "Commit"
        ask_first(f"{what} flake.lock on {names}?", names, "not committed")

    async def act(conductor: Conductor, session: HostSession) -> Report:
        return await conductor.commit(session, Options(push=push))

    code = run_hosts(
        sessions,
        act,
        as_json=as_json,
        ctrl_c="cancel",
        wanted="current",
        several=len(hosts) > 1,
        on_finish=setup.on_finish(on_finish),
        queue=queue,
    )
    raise SystemExit(code)
