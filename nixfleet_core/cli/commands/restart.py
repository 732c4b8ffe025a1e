"""`nixfleet restart`: the agent is restarted, and proven."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from nixfleet_core.cli.options import checkout_option, hosts_argument, json_option, on_finish_option
from nixfleet_core.cli.queue_options import queue_options

if TYPE_CHECKING:
    from nixfleet_core.cli.setup import Setup
    from nixfleet_core.session.conduct import Conductor, Prepared, Report
    from nixfleet_core.session.protocol import HostSession
    from nixfleet_core.session.queue import Queue


@click.command()
@hosts_argument
@checkout_option
@click.option("--dry-run", is_flag=True, help="Print the exact commands; change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@queue_options
@on_finish_option
@json_option
@click.pass_obj
def restart(
    setup: Setup,
    hosts: tuple[str, ...],
    checkout: str | None,
    dry_run: bool,
    yes: bool,
    queue: Queue,
    on_finish: str | None,
    as_json: bool,
) -> None:
    """Restart the agent, and prove it: the cure where the installed agent was not restarted.

    Nothing is pulled, built or switched. If a restart alone cannot bring another agent, the plan
    says so before.

    \b
      nixfleet restart csb0
      nixfleet restart csb0 csb1 --dry-run
    """
    from nixfleet_core.cli.choice import Choice
    from nixfleet_core.cli.faults import UsageFault
    from nixfleet_core.cli.run import at_terminal, run_hosts
    from nixfleet_core.cli.sessions import sessions_of
    from nixfleet_core.cli.show_plan import RESTARTS, agree_on_plans, show_plans
    from nixfleet_core.plan.model import Options

    options = Options(pull=False)
    sessions = sessions_of(setup, Choice(hosts), checkout)
    if not (yes or dry_run or at_terminal()):
        names = ", ".join(session.host.name for session in sessions)
        raise UsageFault(f"{names}: not restarted; confirm at a terminal, or add --yes")
    if dry_run:
        raise SystemExit(show_plans(sessions, options, as_json=as_json, asking=RESTARTS))
    agreed: dict[str, Prepared | Report] = {}
    if not yes:
        confirm = partial(click.confirm, err=True)
        agreed = agree_on_plans(sessions, options, confirm, RESTARTS)

    async def act(conductor: Conductor, session: HostSession) -> Report:
        prepared = agreed.get(session.host.name)
        return await conductor.restart(session, options, prepared=prepared)

    code = run_hosts(
        sessions,
        act,
        as_json=as_json,
        ctrl_c="cancel",
        wanted="restarted",
        several=len(hosts) > 1,
        on_finish=setup.on_finish(on_finish),
        queue=queue,
    )
    raise SystemExit(code)
