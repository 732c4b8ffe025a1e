"""`nixfleet`: the app without a command, and the group of the commands.

This module decides no more than which command is called. What a command needs is loaded when it
is called, so it starts fast: each file of `nixfleet_core.cli.commands` is one command.
"""

from __future__ import annotations

from pathlib import Path

import click

from nixfleet_core import __version__
from nixfleet_core.cli.app_options import Look, app_options
from nixfleet_core.cli.command_folder import CommandFolder
from nixfleet_core.cli.safe_command import SafeGroup


@click.group(
    cls=SafeGroup,
    commands=CommandFolder("nixfleet_core.cli.commands"),
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--hosts",
    "path",
    type=click.Path(path_type=Path),
    help="The inventory; default: hosts.toml in ~/.config/nixfleet.",
)
@app_options
@click.version_option(__version__, message="nixfleet %(version)s")
@click.pass_context
def nixfleet(context: click.Context, path: Path | None, look: Look) -> None:
    """Force-update NixFleet agents, and prove that the new one runs.

    NixFleet is a fleet manager for Nix; its agent runs on each host. Without a command this opens
    the app, where ? lists the keys and says what the states mean. "demo" opens it on a sandbox.

    COMMAND --help says more of each command. The README has the exit codes.
    """
    from nixfleet_core.cli.setup import Setup

    with_keys = context.invoked_subcommand in (None, "config")
    context.obj = setup = Setup.read(path, context.obj, look, keys=with_keys)
    if context.invoked_subcommand is None:
        from nixfleet_core.cli.open_app import open_app

        context.exit(open_app(setup))
