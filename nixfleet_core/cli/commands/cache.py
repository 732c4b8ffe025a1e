"""`nixfleet cache`: the clones of inputs' repositories that this machine keeps."""

from __future__ import annotations

import click

from nixfleet_core.cli.options import json_option


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def cache(context: click.Context, as_json: bool) -> None:
    """List the clones of inputs' repositories that `nixfleet has` keeps, with their sizes.

    \b
      nixfleet cache
      nixfleet cache clear
    """
    if context.invoked_subcommand is None:
        from nixfleet_core.cli.cache import list_clones

        list_clones(as_json=as_json)


@cache.command()
def clear() -> None:
    """Remove them all; they are fetched again when they are needed."""
    from nixfleet_core.cli.cache import clear_clones

    clear_clones()
