"""Options of an update, turned into what the plan needs."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

import click

from nixfleet_core.plan import LEVELS, Options, is_commit

if TYPE_CHECKING:
    from collections.abc import Callable

_LEVEL = click.IntRange(min(LEVELS), max(LEVELS))


def _check_rev(_: click.Context, option: click.Parameter, value: str | None) -> str | None:
    if value is not None and not is_commit(value):
        raise click.BadParameter("give all 40 hexadecimal digits of the commit", param=option)
    return value


class UpdateCommand(click.Command):
    """A command with the options of an update.

    `--force=N` chooses the level. click has options whose value may be left out, but those take the
    next word, if it is no option, as their value: in `--force csb0` that is a host.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        levels = (re.sub(r"^--force=", "--level=", word) for word in args)
        return super().parse_args(ctx, list(levels))


def plan_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of an update, as its one argument `options`."""

    @click.option("--force", is_flag=True, help="Run every step; =N: at that level.")
    @click.option("--level", type=_LEVEL, help="How hard: 0 nothing, 1 asks caches again, 2 more.")
    @click.option("--no-pull", is_flag=True, help="Leave nixcfg at its commit.")
    @click.option(
        "--input-rev", metavar="REV", callback=_check_rev, help="Lock the input to this commit."
    )
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
