"""`--dry-run`: the exact commands that a host would run. Changes nothing anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from nixfleet_core.cli.output import print_json, say
from nixfleet_core.cli.run import for_each
from nixfleet_core.errors import NO_ANSWER, NeedsPassword, NotAllowed, Unreachable
from nixfleet_core.facts.model import DirtyTrees
from nixfleet_core.job.compile import step_lines
from nixfleet_core.judge.verdict import EXIT_CODES, worst_exit
from nixfleet_core.log.display import safe
from nixfleet_core.plan.model import Plan, Refusal
from nixfleet_core.plan.steps import NEW_LOCK, wants_commit
from nixfleet_core.session.boundary import one_host
from nixfleet_core.session.protocol import Commit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nixfleet_core.plan.model import Options
    from nixfleet_core.session.conduct import Conductor
    from nixfleet_core.session.protocol import HostSession


class PlanLine(msgspec.Struct, frozen=True):
    """One host in the JSON answer; `plan` is null if the update is refused."""

    host: str
    plan: Plan | None
    commands: tuple[str, ...]
    incoming: tuple[Commit, ...]
    refusal: Refusal | None
    dirty_trees: DirtyTrees | None = None
    """What the flake does with a dirty tree, if that is known."""


def show_plans(sessions: Sequence[HostSession], options: Options, *, as_json: bool) -> int:
    """Print each host's plan. The exit code says whether all of them could run."""
    lines = _lines(sessions, options)
    for line in lines:
        if as_json:
            print_json(line)
        else:
            _print(line, err=False)
    return worst_exit([_exit_code(line) for line in lines])


def confirm_plans(
    sessions: Sequence[HostSession], options: Options, confirm: Callable[[str], bool]
) -> int | None:
    """Show the plans on stderr, and ask whether they should run. None: yes. The exit code if none
    of them could run. Raises click.Abort if the answer is no."""
    lines = _lines(sessions, options)
    for line in lines:
        _print(line, err=True)
    names = ", ".join(line.host for line in lines if line.refusal is None)
    if not names:
        return worst_exit([_exit_code(line) for line in lines])
    if not confirm(safe(f"Update {names}?")):
        raise click.Abort
    return None


def _lines(sessions: Sequence[HostSession], options: Options) -> list[PlanLine]:
    async def make(conductor: Conductor, session: HostSession) -> PlanLine:
        return await _make_line(conductor, session, options)

    return for_each(sessions, make)


async def _make_line(conductor: Conductor, session: HostSession, options: Options) -> PlanLine:
    name = session.host.name
    try:
        with one_host(name):
            facts, answer = await conductor.plan_update(session, await session.probe(), options)
            incoming = await session.incoming(facts) if options.pull else ()
            if isinstance(answer, Refusal):
                return PlanLine(name, None, (), incoming, answer)
            known = facts.checkout.dirty_trees if facts.checkout else None
            return PlanLine(name, answer, step_lines(answer), incoming, None, known)
    except Unreachable as error:
        return PlanLine(name, None, (), (), Refusal(error.cause, str(error), error.advice))
    except (NeedsPassword, NotAllowed) as error:
        return PlanLine(name, None, (), (), Refusal("elevation", str(error), "log in as root"))


def _exit_code(line: PlanLine) -> int:
    if line.refusal is None:
        return 0
    return EXIT_CODES["unreachable" if line.refusal.check in NO_ANSWER else "failed"]


def _print(line: PlanLine, *, err: bool) -> None:
    def comment(text: str) -> None:
        say(f"# {text}", go_on="#       ", err=err)

    comment(line.host)
    if line.refusal is not None:
        comment(f"refused ({line.refusal.check}): {line.refusal.why}")
        comment(f"→ {line.refusal.advice}")
    for warning in line.plan.warnings if line.plan else ():
        comment(f"warning: {warning}")
    if line.plan and not wants_commit(line.plan.options) and line.dirty_trees is None:
        comment(
            "if the flake refuses a dirty tree, what is built is a commit of the new flake.lock, "
            "which only this host has: --flake 'git+file://…?ref=refs/nixfleet/JOB&rev="
            f"{NEW_LOCK}'; --commit-lock keeps it"
        )
    for commit in line.incoming:
        comment(f"incoming: {safe(commit.rev)[:7]} {commit.title}")
    for command in line.commands:
        say(command, exact=True, err=err)
