"""`nixfleet cancel`: a running job is stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from nixfleet_core.cli.options import host_argument

if TYPE_CHECKING:
    from nixfleet_core.cli.setup import Setup


@click.command()
@host_argument
@click.pass_obj
def cancel(setup: Setup, host: str) -> None:
    """Stop the host's running job; its agent is started again.

    \b
      nixfleet cancel csb0
    """
    from nixfleet_core.cli.run import cancel_job
    from nixfleet_core.cli.sessions import session_of

    raise SystemExit(cancel_job(session_of(setup, host)))
