"""`nixfleet hosts`: the hosts, and what they run."""

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
def hosts(setup: Setup, choice: Choice, as_json: bool) -> None:
    """List the hosts and the agent that each runs; one round trip a host, all at once.

    \b
      nixfleet hosts
      nixfleet hosts --state stale --json
    """
    from nixfleet_core.cli.listing import list_hosts
    from nixfleet_core.cli.sessions import sessions_of

    list_hosts(sessions_of(setup, choice), choice.states, as_json=as_json)
