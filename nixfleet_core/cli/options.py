"""Options of an update, turned into what the plan needs."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import click

from nixfleet_core.plan import LEVELS, Options

if TYPE_CHECKING:
    from collections.abc import Callable

_LEVEL = click.IntRange(min(LEVELS), max(LEVELS))


def plan_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of an update, as its one argument `options`."""

    @click.option("--force", is_flag=True, help="Run every step, past the cache (level 1).")
    @click.option("--level", type=_LEVEL, help="How hard: 0 nothing, 1 asks caches again, 2 more.")
    @click.option("--no-pull", is_flag=True, help="Leave nixcfg at its commit.")
    @click.option("--input-rev", metavar="REV", help="Lock the input to this commit.")
    @click.option("--discard-lock", is_flag=True, help="Uncommitted flake.lock changes may go.")
    @click.option("--now", is_flag=True, help="Do not wait for a rebuild that is running.")
    @click.option(
        "--stable",
        type=click.IntRange(1, 600),
        default=Options().stable,
        show_default=True,
        metavar="SECONDS",
        help="How long the agent must run as one process to count as up.",
    )
    @functools.wraps(command)
    def wrapped(
        *args: object,
        force: bool,
        level: int | None,
        no_pull: bool,
        input_rev: str | None,
        discard_lock: bool,
        now: bool,
        stable: int,
        **rest: object,
    ) -> None:
        options = Options(
            force=force or level is not None or input_rev is not None,
            level=1 if level is None else level,
            pull=not no_pull,
            input_rev=input_rev,
            discard_lock=discard_lock,
            now=now,
            stable=stable,
        )
        command(*args, options=options, **rest)

    return wrapped
