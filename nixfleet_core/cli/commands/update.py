"""`nixfleet update`: hosts are updated."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from nixfleet_core.cli.choice import choosing_hosts
from nixfleet_core.cli.options import checkout_option, json_option, on_finish_option
from nixfleet_core.cli.plan_options import UpdateCommand, plan_options
from nixfleet_core.cli.queue_options import queue_options

if TYPE_CHECKING:
    from nixfleet_core.cli.choice import Choice
    from nixfleet_core.cli.setup import Setup
    from nixfleet_core.plan.model import Options
    from nixfleet_core.session.conduct import Conductor, Prepared, Report
    from nixfleet_core.session.protocol import HostSession
    from nixfleet_core.session.queue import Queue


@click.command(cls=UpdateCommand)
@choosing_hosts
@plan_options
@checkout_option
@click.option("--dry-run", is_flag=True, help="Print the exact commands; change nothing.")
@click.option("--detach", is_flag=True, help="Start the job and leave it alone (exit 9).")
@click.option("--yes", is_flag=True, help="Do not ask.")
@queue_options
@on_finish_option
@json_option
@click.pass_obj
def update(
    setup: Setup,
    choice: Choice,
    options: Options,
    checkout: str | None,
    dry_run: bool,
    detach: bool,
    yes: bool,
    queue: Queue,
    on_finish: str | None,
    as_json: bool,
) -> None:
    """Update hosts: stop, pull, update the input, rebuild past the cache, start, prove.

    \b
      nixfleet update csb0 --dry-run
      nixfleet update --tag cloud --state stale --force
    """
    from nixfleet_core.cli.faults import UsageFault
    from nixfleet_core.cli.run import at_terminal, run_hosts
    from nixfleet_core.cli.sessions import batch_of, in_states, require_choice
    from nixfleet_core.cli.show_plan import agree_on_plans, show_plans

    require_choice(choice, "update")
    if detach and queue.stop:
        raise UsageFault("--detach does not wait, so it cannot see a failure: --stop-on-failure")
    sessions = batch_of(setup, choice, checkout)
    if not (yes or dry_run or at_terminal()):
        names = ", ".join(session.host.name for session in sessions)
        raise UsageFault(f"{names}: not updated; confirm at a terminal, or add --yes")
    sessions = in_states(sessions, choice)
    if dry_run:
        raise SystemExit(show_plans(sessions, options, as_json=as_json))
    agreed: dict[str, Prepared | Report] = {}
    if not yes:
        agreed = agree_on_plans(sessions, options, partial(click.confirm, err=True))

    async def act(conductor: Conductor, session: HostSession) -> Report:
        prepared = agreed.get(session.host.name)
        return await conductor.update(session, options, prepared=prepared, detach=detach)

    code = run_hosts(
        sessions,
        act,
        as_json=as_json,
        ctrl_c="cancel",
        several=choice.several,
        on_finish=setup.on_finish(on_finish),
        queue=queue,
    )
    raise SystemExit(code)
