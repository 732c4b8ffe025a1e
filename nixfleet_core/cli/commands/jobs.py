"""`nixfleet jobs`: the jobs that hosts have had."""

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
def jobs(setup: Setup, choice: Choice, as_json: bool) -> None:
    """List the jobs of hosts, newest first; a host keeps its last 20.

    \b
      nixfleet jobs
      nixfleet jobs csb0
    """
    from nixfleet_core.cli.listing import list_jobs
    from nixfleet_core.cli.sessions import in_states, sessions_of

    raise SystemExit(list_jobs(in_states(sessions_of(setup, choice), choice), as_json=as_json))
