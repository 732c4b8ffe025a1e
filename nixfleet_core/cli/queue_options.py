"""The options by which several hosts take turns."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import click

from nixfleet_core.session.queue import AT_ONCE, Queue

if TYPE_CHECKING:
    from collections.abc import Callable


def queue_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options by which several hosts take turns, as its one argument `queue`."""

    @click.option(
        "--at-once",
        type=click.IntRange(1, 64),
        default=AT_ONCE,
        show_default=True,
        metavar="N",
        help="Of several hosts: at most so many at a time.",
    )
    @click.option(
        "--stop-on-failure",
        is_flag=True,
        help="Begin with no other host once one has failed; those that have begun go on.",
    )
    @functools.wraps(command)
    def wrapped(*args: object, at_once: int, stop_on_failure: bool, **rest: object) -> None:
        command(*args, queue=Queue(at_once, stop_on_failure), **rest)

    return wrapped
