"""`nixfleet why`: why hosts have an old agent."""

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
def why(setup: Setup, choice: Choice, as_json: bool) -> None:
    """Say why hosts have an old agent: one cause, the evidence, and the cure. Changes nothing.

    \b
      nixfleet why csb0
    """
    from nixfleet_core.cli.sessions import in_states, require_choice, sessions_of
    from nixfleet_core.cli.why import explain_hosts

    require_choice(choice, "explain")
    sessions = in_states(sessions_of(setup, choice), choice)
    raise SystemExit(explain_hosts(sessions, as_json=as_json, several=choice.several))
