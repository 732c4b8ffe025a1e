"""`nixfleet connect`: ssh asks at the terminal what it has to ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from nixfleet_core.cli.options import host_argument

if TYPE_CHECKING:
    from nixfleet_core.cli.setup import Setup


@click.command()
@host_argument
@click.pass_obj
def connect(setup: Setup, host: str) -> None:
    """Log in at the terminal, for a one-time password, a passphrase or a new host key.

    Later commands use that connection.

    \b
      nixfleet connect csb0
    """
    import subprocess

    from nixfleet_core.cli.faults import UsageFault
    from nixfleet_core.cli.sessions import session_of
    from nixfleet_core.judge.exit_codes import EXIT_CODES
    from nixfleet_core.transport.answer import CARRIER_FAILED

    session = session_of(setup, host)
    if not session.connect_argv:
        raise UsageFault(f"{host} is this machine: there is nothing to connect to")
    code = subprocess.call(session.connect_argv)
    # any other code is the login shell's, so the connection is open
    raise SystemExit(0 if 0 <= code < CARRIER_FAILED else EXIT_CODES["unreachable"])
