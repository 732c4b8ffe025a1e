"""`nixfleet journal`: the agent's own log."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from nixfleet_core.cli.options import host_argument

if TYPE_CHECKING:
    from nixfleet_core.cli.setup import Setup


def _read_since(_: click.Context, option: click.Parameter, value: str | None) -> str:
    if value is None:
        return ""
    from datetime import datetime

    from nixfleet_core.journal.since import read_since

    try:
        return read_since(value, datetime.now().astimezone())
    except ValueError as error:
        raise click.BadParameter(str(error), param=option) from error


@click.command()
@host_argument
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until ctrl-c.")
@click.option(
    "-n",
    "--lines",
    metavar="N",
    type=click.IntRange(0, 10**6),
    help="So many last lines; by default 200, or all with --since.",
)
@click.option(
    "--since",
    metavar="TIME",
    callback=_read_since,
    help='From then on: "10 min ago", -1h, today, 14:30 or "2026-11-30 14:30", by the clock here.',
)
@click.option(
    "--raw",
    is_flag=True,
    help="The host's own bytes (journalctl -o export), with credentials. For a file or a pipe: a "
    "terminal would obey control characters in them.",
)
@click.pass_obj
def journal(
    setup: Setup, host: str, follow: bool, lines: int | None, since: str, raw: bool
) -> None:
    """Print what the agent itself says: its journal, or the files that launchd keeps of it.

    Changes nothing on the host.

    \b
      nixfleet journal csb0
      nixfleet journal csb0 -f --since "10 min ago"
    """
    from nixfleet_core.cli.journal import print_journal
    from nixfleet_core.cli.sessions import session_of
    from nixfleet_core.journal.wanted import LAST_LINES, Wanted

    if lines is None and not since:
        lines = LAST_LINES
    wanted = Wanted(lines, since, follow=follow, patient=False)
    raise SystemExit(print_journal(session_of(setup, host), wanted, raw=raw))
