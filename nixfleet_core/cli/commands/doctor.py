"""`nixfleet doctor`: what an update rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from nixfleet_core.cli.options import hosts_argument, json_option

if TYPE_CHECKING:
    from nixfleet_core.cli.setup import Setup


@click.command()
@hosts_argument
@json_option
@click.pass_obj
def doctor(setup: Setup, hosts: tuple[str, ...], as_json: bool) -> None:
    """Look at all that an update rests on; exit 3 if something is wrong. Changes nothing.

    The output can be pasted into a bug report: it has no token, and no address but those that you
    gave.

    \b
      nixfleet doctor csb0
    """
    from nixfleet_core.cli.choice import Choice
    from nixfleet_core.cli.doctor import examine_hosts
    from nixfleet_core.cli.sessions import sessions_of

    raise SystemExit(examine_hosts(sessions_of(setup, Choice(hosts)), as_json=as_json))
