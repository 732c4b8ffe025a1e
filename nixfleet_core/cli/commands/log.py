"""`nixfleet log`: the log of a job."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from nixfleet_core.cli.options import host_argument

if TYPE_CHECKING:
    from nixfleet_core.cli.setup import Setup


@click.command()
@host_argument
@click.argument("job", required=False)
@click.option(
    "--raw",
    is_flag=True,
    help="The host's own bytes, with credentials. For a file or a pipe: a terminal would obey "
    "control characters in them.",
)
@click.pass_obj
def log(setup: Setup, host: str, job: str | None, raw: bool) -> None:
    """Print the log of a job: the one named, else the newest.

    \b
      nixfleet log csb0
      nixfleet log csb0 --raw >csb0.log
    """
    import asyncio

    from nixfleet_core.cli.log import print_log
    from nixfleet_core.cli.sessions import session_of

    session = session_of(setup, host)
    raise SystemExit(asyncio.run(print_log(session, job, raw=raw)))
