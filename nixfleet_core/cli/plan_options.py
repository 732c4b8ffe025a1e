"""The options of an update, as the plan needs them."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Final, cast, get_args

import click

from nixfleet_core.cli.safe_command import SafeCommand
from nixfleet_core.plan.levels import LEVEL_NOTES, LEVELS
from nixfleet_core.plan.model import Options
from nixfleet_core.vocabulary import StepId

if TYPE_CHECKING:
    from collections.abc import Callable

_LEVEL = click.IntRange(min(LEVELS), max(LEVELS))
_LEVEL_HELP: Final = "How hard; each does all below it, too. " + "; ".join(
    f"{level} {note.partition('. ')[0]}" for level, note in LEVEL_NOTES.items()
)


def _check_rev(_: click.Context, option: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    from nixfleet_core.ids import is_commit

    if not is_commit(value):
        raise click.BadParameter("give all 40 hexadecimal digits of the commit", param=option)
    return value


class UpdateCommand(SafeCommand):
    """A command with the options of an update.

    `--force=N` chooses the level. click knows options with an optional value, but they take the
    next word as their value unless that is an option: `--force csb0` would take the host.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        levels = (re.sub(r"^--force=", "--level=", word) for word in args)
        return super().parse_args(ctx, list(levels))


_LIMITED: Final = get_args(StepId)


def _read_limits(
    context: click.Context, option: click.Parameter, values: tuple[str, ...]
) -> dict[StepId, int]:
    del context
    limits: dict[StepId, int] = {}
    for value in values:
        step, _, seconds = value.partition("=")
        if step not in _LIMITED or not re.fullmatch("[1-9][0-9]{0,5}", seconds):
            hint = f"write STEP=SECONDS; the steps are {', '.join(_LIMITED)}"
            raise click.BadParameter(hint, param=option)
        limits[cast("StepId", step)] = int(seconds)
    return limits


def _check_as_locked(
    as_locked: bool, input_rev: str | None, *, commit_lock: bool, push: bool
) -> None:
    if not as_locked:
        return
    if input_rev is not None:
        raise click.UsageError("--as-locked leaves flake.lock as it is, and --input-rev moves it")
    if commit_lock or push:
        flag = "--commit-lock" if commit_lock else "--push"
        raise click.UsageError(
            f"--as-locked leaves nothing to commit: leave out {flag}; "
            "`nixfleet commit` commits what an earlier update has left"
        )


def plan_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of an update, as its one argument `options`."""

    @click.option("--force", is_flag=True, help="Run every step; =N: at level N.")
    @click.option("--level", type=_LEVEL, help=_LEVEL_HELP)
    @click.option("--no-pull", is_flag=True, help="Leave nixcfg at its commit.")
    @click.option(
        "--input-rev", metavar="REV", callback=_check_rev, help="Lock the input to this commit."
    )
    @click.option(
        "--as-locked",
        is_flag=True,
        help="Leave flake.lock at the commit that it names after the pull; do all the rest.",
    )
    @click.option("--discard-lock", is_flag=True, help="Throw uncommitted flake.lock changes away.")
    @click.option("--commit-lock", is_flag=True, help="Commit flake.lock once the agent is proven.")
    @click.option("--push", is_flag=True, help="Commit flake.lock, and push it; never forced.")
    @click.option("--now", is_flag=True, help="Refuse at once if another rebuild runs.")
    @click.option(
        "--stable",
        type=click.IntRange(1, 600),
        default=Options().stable,
        show_default=True,
        metavar="SECONDS",
        help="How long the agent must run as one process to count as up.",
    )
    @click.option(
        "--retry-after",
        type=click.IntRange(1, 600),
        default=Options().retry_after,
        show_default=True,
        metavar="SECONDS",
        help="The pause before a failed fetch is tried again; it doubles each time.",
    )
    @click.option(
        "--rollback-on-failure",
        is_flag=True,
        help="Go back to the previous generation if the new agent does not stay up.",
    )
    @click.option(
        "--confirm-within",
        type=click.IntRange(5, 3600),
        metavar="SECONDS",
        help="Go back unless a client reaches the host again within that time after the switch.",
    )
    @click.option(
        "--limit",
        "limits",
        multiple=True,
        callback=_read_limits,
        metavar="STEP=SECONDS",
        help="How long a step may take, such as rebuild=7200; repeat it for more steps.",
    )
    @click.option("--cores", type=click.IntRange(0, 1024), help="Cores a build may use; 0: all.")
    @click.option("--max-jobs", type=click.IntRange(0, 1024), help="Builds at once.")
    @click.option(
        "--nice",
        type=click.IntRange(0, 19),
        default=Options().nice,
        show_default=True,
        help="The job's niceness.",
    )
    @click.option(
        "--io-weight",
        type=click.IntRange(1, 10000),
        default=Options().io_weight,
        show_default=True,
        help="The job's share of the disks; others have 100.",
    )
    @functools.wraps(command)
    def wrapped(
        *args: object,
        force: bool,
        level: int | None,
        no_pull: bool,
        input_rev: str | None,
        as_locked: bool,
        discard_lock: bool,
        commit_lock: bool,
        push: bool,
        now: bool,
        stable: int,
        retry_after: int,
        rollback_on_failure: bool,
        confirm_within: int | None,
        limits: dict[StepId, int],
        cores: int | None,
        max_jobs: int | None,
        nice: int,
        io_weight: int,
        **rest: object,
    ) -> None:
        _check_as_locked(as_locked, input_rev, commit_lock=commit_lock, push=push)
        options = Options(
            force=force or level is not None or input_rev is not None,
            level=1 if level is None else level,
            pull=not no_pull,
            input_rev=input_rev,
            as_locked=as_locked,
            discard_lock=discard_lock,
            commit_lock=commit_lock or push,
            push=push,
            now=now,
            stable=stable,
            retry_after=retry_after,
            rollback_on_failure=rollback_on_failure,
            confirm_within=confirm_within or 0,
            limits=limits,
            cores=cores,
            max_jobs=max_jobs,
            nice=nice,
            io_weight=io_weight,
        )
        command(*args, options=options, **rest)

    return wrapped
