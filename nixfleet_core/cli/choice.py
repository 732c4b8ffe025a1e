"""Which hosts a command is for: their names, `--tag` and `--state`."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import click

from nixfleet_core.inventory import select
from nixfleet_core.judge.host_filter import Filter, Listed
from nixfleet_core.toml_file import did_you_mean
from nixfleet_core.vocabulary import STATES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nixfleet_core.host import Host
    from nixfleet_core.vocabulary import State

_TAG_OPTION: Final = "'--tag'"


@dataclass(frozen=True, slots=True)
class Choice:
    """What a command line says of its hosts. One of the names must fit, one of the tags, and one of
    the states; nothing given fits all."""

    names: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    states: tuple[State, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.names or self.tags or self.states)

    @property
    def several(self) -> bool:
        """Whether it can mean several hosts: then each line of the answer must name its own."""
        return len(self.names) != 1

    def of(self, hosts: Sequence[Host]) -> tuple[Host, ...]:
        """The hosts that fit before anybody looks at them: by name and tag. Raises UnknownHostError
        and BadParameter."""
        named, wanted = select(hosts, self.names), Filter.choosing(tags=self.tags)
        known = sorted({tag for host in hosts for tag in host.tags})
        for tag in wanted.unknown("tag", known):
            listed = f"tags: {', '.join(known)}" if known else "no host has a tag"
            words = (f"no host has the tag {tag!r}", did_you_mean(tag, known), listed)
            raise click.BadParameter("; ".join(filter(None, words)), param_hint=_TAG_OPTION)
        chosen = tuple(host for host in named if wanted.shows(Listed(host)))
        if named and not chosen:
            said = f"none of the hosts that are named has the tag {' or '.join(self.tags)}"
            raise click.BadParameter(said, param_hint=_TAG_OPTION)
        return chosen


ALL: Final = Choice()


def choosing_hosts(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the hosts that are named and the options that choose some of them, as its one
    argument `choice`."""

    @click.argument("hosts", nargs=-1, metavar="[HOST…]")
    @click.option(
        "--tag",
        "tags",
        multiple=True,
        metavar="TAG",
        help="Of these hosts, or all: those with that tag; repeat it for more tags.",
    )
    @click.option(
        "--state",
        "states",
        multiple=True,
        metavar="STATE",
        type=click.Choice(STATES, case_sensitive=False),
        help="Of these hosts, or all: those in that state now; repeat it for more states. "
        f"{', '.join(STATES)}.",
    )
    @functools.wraps(command)
    def wrapped(
        *args: object,
        hosts: tuple[str, ...],
        tags: tuple[str, ...],
        states: tuple[State, ...],
        **rest: object,
    ) -> None:
        command(*args, choice=Choice(hosts, tags, states), **rest)

    return wrapped
