"""The options and arguments that several commands have. What checks a value is loaded when one is
given, so --version and --help need none of it."""

from __future__ import annotations

import click

host_argument = click.argument("host", metavar="HOST")
hosts_argument = click.argument("hosts", nargs=-1, required=True, metavar="HOST…")
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object a host.")


def _check_checkout(_: click.Context, option: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    from nixfleet_core.facts.checkouts import read_checkout

    try:
        return read_checkout(value)
    except ValueError as error:
        raise click.BadParameter(str(error), param=option) from error


checkout_option = click.option(
    "--checkout",
    metavar="PATH",
    callback=_check_checkout,
    help="nixcfg on the host: a path, isolated (the agent's own), or nixcfg (~/Code/nixcfg).",
)


def _check_words(_: click.Context, option: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    from nixfleet_core.config import read_words

    try:
        read_words(value)
    except ValueError as error:
        raise click.BadParameter(str(error), param=option) from error
    return value


on_finish_option = click.option(
    "--on-finish",
    metavar="CMD",
    callback=_check_words,
    help="Run CMD here at each verdict on a job, with the verdict's JSON on its stdin; no shell.",
)
