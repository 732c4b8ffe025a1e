"""`nixfleet verify`: what hosts run is proven."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from nixfleet_core.cli.choice import choosing_hosts
from nixfleet_core.cli.options import checkout_option, json_option

if TYPE_CHECKING:
    from nixfleet_core.cli.choice import Choice
    from nixfleet_core.cli.setup import Setup
    from nixfleet_core.session.conduct import Conductor, Report
    from nixfleet_core.session.protocol import HostSession


@click.command()
@choosing_hosts
@click.option("--unproven", is_flag=True, help="Of these hosts, or all: those that need a proof.")
@checkout_option
@json_option
@click.pass_obj
def verify(
    setup: Setup, choice: Choice, unproven: bool, checkout: str | None, as_json: bool
) -> None:
    """Prove which agent runs. Changes nothing; exit 0 if it is the right one, else 3.

    \b
      nixfleet verify csb0
      nixfleet verify --unproven
    """
    from nixfleet_core.cli.run import run_hosts
    from nixfleet_core.cli.sessions import batch_of, in_states, require_choice

    if not unproven:
        require_choice(choice, "verify", "--tag, --state or --unproven")

    async def act(conductor: Conductor, session: HostSession) -> Report:
        return await conductor.verify(session)

    sessions = in_states(batch_of(setup, choice, checkout), choice, unproven=unproven)
    code = run_hosts(sessions, act, as_json=as_json, ctrl_c="stop", several=choice.several)
    raise SystemExit(code)
