"""`--dry-run`: the exact commands that a host would run. Changes nothing anywhere."""

from __future__ import annotations

from dataclasses import dataclass, field
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
from nixfleet_core.session.coming import InputCommits
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
    lines = for_each(sessions, _Planning(options, asking).look)
    if as_json:
        for line in lines:
            print_json(line)
    else:
        _print_all(lines, err=False)
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
    found = for_each(sessions, _Planning(options, asking).prepare)
    lines = [line for _, line in found if line is not None]
    names = ", ".join(line.host for line in lines if line.plan is not None)
    if names:
        _print_all(lines, err=True)
        if not confirm(safe(f"{asking.verb} {names}?")):
            raise click.Abort
    return {one.host.name: made for one, (made, _) in zip(sessions, found, strict=True)}


@dataclass(frozen=True, slots=True)
class _Planning:
    """Plans for hosts that are asked together."""

    options: Options
    asking: Asking
    commits: InputCommits = field(default_factory=InputCommits)

    async def prepare(
        self, conductor: Conductor, session: HostSession
    ) -> tuple[Prepared | Report, PlanLine | None]:
        """What is prepared, and the line that shows it; a report comes later."""
        made = await self.asking.prepare(conductor, session, self.options)
        if isinstance(made, Report):
            return made, None
        line = await reported(session.host, lambda: self._line(conductor, session, made))
        return (line, None) if isinstance(line, Report) else (made, line)

    async def look(self, conductor: Conductor, session: HostSession) -> PlanLine:
        """Look at the host; the line says what would be done, or why nothing."""
        name = session.host.name
        try:
            with one_host(name):
                seen = await session.probe()
                found = await self.asking.plan(conductor, session, seen, self.options)
                return await self._line(conductor, session, Prepared(*found))
        except Unreachable as error:
            return PlanLine(name, None, (), (), Refusal(error.cause, str(error), error.advice))
        except (NeedsPassword, NotAllowed) as error:
            return PlanLine(name, None, (), (), Refusal("elevation", str(error), "log in as root"))

    async def _line(self, conductor: Conductor, session: HostSession, made: Prepared) -> PlanLine:
        """Raises HostError."""
        name, facts, plan, coming = session.host.name, made.facts, made.plan, None
        incoming = await session.incoming(facts) if self.options.pull else ()
        if isinstance(plan, Refusal):
            return PlanLine(name, None, (), incoming, plan)
        known = facts.checkout.dirty_trees if facts.checkout else None
        if plan.goal == "update":
            coming = await conductor.coming(session, facts, self.options, self.commits)
        return PlanLine(name, plan, step_lines(plan), incoming, None, known, coming)


def _exit_code(line: PlanLine) -> int:
    if line.refusal is None:
        return 0
    return EXIT_CODES["unreachable" if line.refusal.check in NO_ANSWER else "failed"]


def _may_write_a_commit(plan: Plan) -> bool:
    """Whether a flake that refuses a dirty tree gets a commit of the new flake.lock unasked."""
    return plan.goal == "update" and not (plan.options.as_locked or wants_commit(plan.options))


def _print_all(lines: Sequence[PlanLine], *, err: bool) -> None:
    """The plans; what comes along is named once for all hosts to which the same comes."""
    named: dict[tuple[str, Coming], str] = {}
    for line in lines:
        same = ""
        if line.plan is not None and line.coming is not None:
            same = named.setdefault((line.plan.input, line.coming), line.host)
        _print(line, "" if same == line.host else same, err=err)


def _print(line: PlanLine, same: str, *, err: bool) -> None:
    """`same` is the host that has the same commits, and names them."""

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
        lines = list(commit_lines(line.coming))
        as_there = f" (as on {same})" if same and lines else ""
        comment(f"input: {line.coming.sentence(line.plan.input)}{as_there}")
        for parts in () if same else lines:
            comment(f"input: {' '.join(filter(None, parts))}")
    for command in line.commands:
        say(command, exact=True, err=err)
