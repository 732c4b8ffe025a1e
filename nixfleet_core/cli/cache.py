"""`nixfleet cache`: what is listed, and what is removed."""

from __future__ import annotations

import click
import msgspec
from humanize import naturalsize

from nixfleet_core.cli.output import print_json, say
from nixfleet_core.session.repository import (
    clear_repositories,
    kept_repositories,
    repositories_path,
)


class CloneLine(msgspec.Struct, frozen=True):
    """One clone in the JSON answer."""

    url: str
    size: int
    """Bytes."""
    fetched: int | None
    """When, in seconds since the epoch; null if a first fetch was broken off."""


def list_clones(*, as_json: bool) -> None:
    """Print each clone with its size, and where they are."""
    kept = kept_repositories()
    for one in kept:
        if as_json:
            print_json(CloneLine(one.url, one.size, int(one.fetched) or None))
        else:
            say(f"{naturalsize(one.size, binary=True):>12}  {one.url or 'unknown'}")
    if not as_json:
        say(f"{len(kept)} in {repositories_path()}", err=True)


def clear_clones() -> None:
    """Remove them, and say how much room that made."""
    size = sum(one.size for one in kept_repositories())
    try:
        clear_repositories()
    except OSError as error:
        raise click.ClickException(f"they cannot be removed: {error}") from error
    say(f"removed: {naturalsize(size, binary=True)}")
