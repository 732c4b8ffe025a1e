"""`nixfleet config`: the settings that hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from nixfleet_core.cli.setup import Setup


@click.command()
@click.option("--check", is_flag=True, help="Exit 2 if anything is wrong.")
@click.pass_obj
def config(setup: Setup, check: bool) -> None:
    """Print the settings that hold, as a config.toml: what each is for, and where it comes from,
    which is a flag, the environment, config.toml, or the default. What is wrong is named on stderr.

    \b
      nixfleet config
      nixfleet config --check
    """
    from nixfleet_core.cli.key_settings import with_all_keys
    from nixfleet_core.cli.output import say, say_aside
    from nixfleet_core.cli.settings import config_lines
    from nixfleet_core.judge.exit_codes import EXIT_USAGE

    held, problems = setup.settings.held, setup.settings.problems
    if setup.screen is not None:
        held = with_all_keys(held, setup.screen.keys())
    for line in config_lines(held):
        say(line, exact=True)
    for problem in problems:
        say_aside(problem)
    raise SystemExit(EXIT_USAGE if check and problems else 0)
