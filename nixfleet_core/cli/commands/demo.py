"""`nixfleet demo`: the app, or a shell, on a sandbox fleet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from nixfleet_core.cli.app_options import Look, app_options
from nixfleet_core.cli.safe_command import SafeGroup

if TYPE_CHECKING:
    from nixfleet_core.cli.setup import Setup


@click.group(cls=SafeGroup, invoke_without_command=True)
@click.option("--speed", type=click.FloatRange(0.1, 100.0), default=1.0, help="2: twice as fast.")
@app_options
@click.pass_context
def demo(context: click.Context, speed: float, look: Look) -> None:
    """Open the app on a sandbox fleet, which touches nothing else on this machine.

    \b
      nixfleet demo
      nixfleet demo shell
    """
    setup, context.obj = context.obj, speed
    if context.invoked_subcommand is None:
        context.exit(_open_demo(setup, speed, look))


def _open_demo(setup: Setup, speed: float, look: Look) -> int:
    """`look`: the options behind `demo`, which come before those of the setup."""
    import os
    from dataclasses import replace

    from nixfleet_core.cli.key_settings import key_reader
    from nixfleet_core.config import load_config, read_words

    before, screen = setup.look, setup.require_screen()
    settings = load_config(
        os.environ,
        refresh=look.refresh or before.refresh,
        theme=look.theme or before.theme,
        themes=screen.themes,
        fps=look.fps or before.fps,
        columns=screen.columns,
        keys=key_reader(screen.keys),
    )
    told = before.on_finish if look.on_finish is None else look.on_finish
    return screen.open_demo(
        speed,
        ascii_only=look.ascii_only or before.ascii_only,
        mouse=before.mouse and look.mouse,
        # a command of the settings is not for the demo's hosts
        config=replace(settings.config, on_finish=read_words(told or "")),
    )


@demo.command()
@click.pass_obj
def shell(speed: float) -> None:
    """Open a shell in which `nixfleet` means the sandbox fleet. The fleet ends with the shell."""
    from nixfleet_core.cli.output import say_aside
    from nixfleet_core.sandbox.fleet import SandboxError
    from nixfleet_core.sandbox.shell import run_demo_shell

    say_aside("nixfleet means the demo's fleet here, as in: nixfleet hosts. exit ends both.")
    try:
        code = run_demo_shell(speed)
    except SandboxError as error:
        raise click.ClickException(str(error)) from error
    raise SystemExit(code)
