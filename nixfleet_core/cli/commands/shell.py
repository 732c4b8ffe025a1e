"""`nixfleet shell`: the operator's own shell on a host."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from nixfleet_core.cli.options import host_argument

if TYPE_CHECKING:
    from nixfleet_core.cli.setup import Setup


@click.command()
@host_argument
@click.pass_obj
def shell(setup: Setup, host: str) -> None:
    """Open your login shell on a host, in the checkout if it is there.

    It goes over the connection of the other commands. The exit code is the shell's own; 5 if the
    host cannot be reached.

    \b
      nixfleet shell csb0
    """
    import signal
    import subprocess

    from nixfleet_core.cli.faults import UsageFault
    from nixfleet_core.cli.sessions import session_of
    from nixfleet_core.judge.exit_codes import EXIT_CODES
    from nixfleet_core.transport.answer import CARRIER_FAILED

    session = session_of(setup, host)
    argv = session.terminal_argv()
    if not argv:
        raise UsageFault(f"{host} is a host of the demo: it has no shell to open")
    # ctrl-c is for the shell there; a child does not inherit a handler
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        code = subprocess.call(argv)
    finally:
        signal.signal(signal.SIGINT, before)
    if code == CARRIER_FAILED and session.connect_argv:
        raise SystemExit(EXIT_CODES["unreachable"])
    raise SystemExit(code if code >= 0 else 128 - code)
