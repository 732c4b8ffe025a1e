"""`nixfleet debt`: what is older than the active system."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from nixfleet_core.cli.choice import choosing_hosts
from nixfleet_core.cli.options import json_option

if TYPE_CHECKING:
    from nixfleet_core.cli.choice import Choice
    from nixfleet_core.cli.setup import Setup


@click.command()
@choosing_hosts
@json_option
@click.pass_obj
def debt(setup: Setup, choice: Choice, as_json: bool) -> None:
    """Say which units still run programs of an older system. Changes nothing.

    It also says how each of them gets the new program, and what waits for a reboot:

    \b
      nixfleet debt
      nixfleet debt csb0 --json

    Exit 0 if nothing is old, 3 if something is, 4 if nothing was found but a part could not be
    seen, 1 if nothing could be seen, 5 if a host gives no answer.
    """
    from nixfleet_core.cli.debt import look_at_hosts
    from nixfleet_core.cli.sessions import in_states, sessions_of

    sessions = in_states(sessions_of(setup, choice), choice)
    raise SystemExit(look_at_hosts(sessions, as_json=as_json))
