"""`nixfleet has`: which hosts run a fix."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from nixfleet_core.cli.choice import choosing_hosts
from nixfleet_core.cli.options import json_option

if TYPE_CHECKING:
    from nixfleet_core.cli.choice import Choice
    from nixfleet_core.cli.setup import Setup


@click.command()
@click.argument("commit")
@choosing_hosts
@json_option
@click.pass_obj
def has(setup: Setup, commit: str, choice: Choice, as_json: bool) -> None:
    """Say which hosts run COMMIT, and how that is known. Changes nothing.

    COMMIT is a commit of the agent's input, whole or shortened, a tag, or words of a title:

    \b
      nixfleet has 9f2c1ab
      nixfleet has "reconnect" csb0 csb1

    Exit 0 if all have it, 3 if one has it not or that is not proven, 5 if one gives no answer.
    """
    from nixfleet_core.cli.has import ask_hosts
    from nixfleet_core.cli.sessions import in_states, sessions_of

    sessions = in_states(sessions_of(setup, choice), choice)
    raise SystemExit(ask_hosts(sessions, commit, as_json=as_json))
