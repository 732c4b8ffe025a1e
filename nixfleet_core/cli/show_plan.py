"""`--dry-run`: the exact commands that a host would run. Changes nothing anywhere."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import click
import msgspec

from nixfleet_core.cli.output import print_json, say
from nixfleet_core.cli.run import for_each
from nixfleet_core.errors import NO_ANSWER, NeedsPassword, NotAllowed, Unreachable
from nixfleet_core.facts.model import DirtyTrees
from nixfleet_core.job.compile import step_lines
from nixfleet_core.judge.coming import Coming, commit_lines
from nixfleet_core.judge.exit_codes import EXIT_CODES, worst_exit
from nixfleet_core.log.display import safe
from nixfleet_core.plan.model import Plan, Refusal
from nixfleet_core.plan.steps import NEW_LOCK, wants_commit
from nixfleet_core.session.boundary import one_host
from nixfleet_core.session.conduct import Conductor, Prepared, Report, reported
from nixfleet_core.session.protocol import Commit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from nixfleet_core.facts.model import Facts
    from nixfleet_core.plan.model import Options
    from nixfleet_core.session.protocol import HostSession


@dataclass(frozen=True, slots=True)
class Asking:
    """What is planned for hosts, and how it is asked for."""

    verb: str
    plan: Callable[
        [Conductor, HostSession, Facts, Options], Awaitable[tuple[Facts, Plan | Refusal]]
    ]
    prepare: Callable[[Conductor, HostSession, Options], Awaitable[Prepared | Report]]


UPDATES: Final = Asking("Update", Conductor.plan_update, Conductor.prepare)
RESTARTS: Final = Asking("Restart the agent on", Conductor.plan_restart, Conductor.prepare_restart)


class PlanLine(msgspec.Struct, frozen=True):
    """One host in the JSON answer; `plan` is null if the update is refused."""

    host: str
    plan: Plan | None
    commands: tuple[str, ...]
    incoming: tuple[Commit, ...]
    refusal: Refusal | None
    dirty_trees: DirtyTrees | None = None
    """What the flake does with a dirty tree, if that is known."""
    coming: Coming | None = None
    """The commits of the input between what runs and what will run."""


def show_plans(
    sessions: Sequence[HostSession], options: Options, *, as_json: bool, asking: Asking = UPDATES
) -> int:
    """Print each host's plan. The exit code says whether all of them could run."""
    lines = _lines(sessions, options, asking)
    for line in lines:
        if as_json:
            print_json(line)
        else:
            _print(line, err=False)
    return worst_exit([_exit_code(line) for line in lines])


def agree_on_plans(
    sessions: Sequence[HostSession],
    options: Options,
    confirm: Callable[[str], bool],
    asking: Asking = UPDATES,
) -> dict[str, Prepared | Report]:
    """Prepare the hosts; if any of them has a plan, show on stderr what was found, and ask whether
    the plans should run. Returns what is prepared, or already known, by host. Raises click.Abort if
    the answer is no."""
    found = for_each(sessions, partial(_prepare, options=options, asking=asking))
    lines = [line for _, line in found if line is not None]
    names = ", ".join(line.host for line in lines if line.plan is not None)
    if names:
        for line in lines:
            _print(line, err=True)
        if not confirm(safe(f"{asking.verb} {names}?")):
            raise click.Abort
    return {one.host.name: made for one, (made, _) in zip(sessions, found, strict=True)}


async def _prepare(
    conductor: Conductor, session: HostSession, options: Options, asking: Asking
) -> tuple[Prepared | Report, PlanLine | None]:
    """What is prepared, and the line that shows it; a report comes later."""
    made = await asking.prepare(conductor, session, options)
    if isinstance(made, Report):
        return made, None
    line = await reported(session.host, lambda: _line(conductor, session, made, options))
    return (line, None) if isinstance(line, Report) else (made, line)


def _lines(sessions: Sequence[HostSession], options: Options, asking: Asking) -> list[PlanLine]:
    async def make(conductor: Conductor, session: HostSession) -> PlanLine:
        return await _make_line(conductor, session, options, asking)

    return for_each(sessions, make)


async def _make_line(
    conductor: Conductor, session: HostSession, options: Options, asking: Asking
) -> PlanLine:
    name = session.host.name
    try:
        with one_host(name):
            found = await asking.plan(conductor, session, await session.probe(), options)
            return await _line(conductor, session, Prepared(*found), options)
    except Unreachable as error:
        return PlanLine(name, None, (), (), Refusal(error.cause, str(error), error.advice))
    except (NeedsPassword, NotAllowed) as error:
        return PlanLine(name, None, (), (), Refusal("elevation", str(error), "log in as root"))


async def _line(
    conductor: Conductor, session: HostSession, made: Prepared, options: Options
) -> PlanLine:
    """Raises HostError."""
    name, facts, plan = session.host.name, made.facts, made.plan
    incoming = await session.incoming(facts) if options.pull else ()
    if isinstance(plan, Refusal):
        return PlanLine(name, None, (), incoming, plan)
    known = facts.checkout.dirty_trees if facts.checkout else None
    coming = await conductor.coming(session, facts, options) if plan.goal == "update" else None
    return PlanLine(name, plan, step_lines(plan), incoming, None, known, coming)


def _exit_code(line: PlanLine) -> int:
    if line.refusal is None:
        return 0
    return EXIT_CODES["unreachable" if line.refusal.check in NO_ANSWER else "failed"]


def _may_write_a_commit(plan: Plan) -> bool:
    """Whether a flake that refuses a dirty tree gets a commit of the new flake.lock unasked."""
    return plan.goal == "update" and not (plan.options.as_locked or wants_commit(plan.options))


def _print(line: PlanLine, *, err: bool) -> None:
    def comment(text: str) -> None:
        say(f"# {text}", go_on="#       ", err=err)

    comment(line.host)
    if line.refusal is not None:
        comment(f"refused ({line.refusal.check}): {line.refusal.why}")
        comment(f"→ {line.refusal.advice}")
    for warning in line.plan.warnings if line.plan else ():
        comment(f"warning: {warning}")
    if line.plan and _may_write_a_commit(line.plan) and line.dirty_trees is None:
        comment(
            "if the flake refuses a dirty tree, what is built is a commit of the new flake.lock, "
            "which only this host has: --flake 'git+file://…?ref=refs/nixfleet/JOB&rev="
            f"{NEW_LOCK}'; --commit-lock keeps it"
        )
    for commit in line.incoming:
        comment(f"incoming: {safe(commit.rev)[:7]} {commit.title}")
    if line.plan is not None and line.coming is not None:
        comment(f"input: {line.coming.sentence(line.plan.input)}")
        for parts in commit_lines(line.coming):
            comment(f"input: {' '.join(filter(None, parts))}")
    for command in line.commands:
        say(command, exact=True, err=err)
