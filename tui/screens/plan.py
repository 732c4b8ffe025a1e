"""The plan preview: everything that will run, argv by argv. This is the confirm dialog."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from textual.content import Content

from nixfleet_core.session import NeedsPassword
from tui.elevation import FAILURES
from tui.screens.base import Dialog
from tui.text import plain

if TYPE_CHECKING:
    from nixfleet_core.plan import Options, Plan
    from nixfleet_core.session import Commit
    from tui.fleet import HostEntry


def options_text(options: Options) -> str:
    """`force update, level 1`, or `update`."""
    return f"force update, level {options.level}" if options.force else "update"


def plan_text(plan: Plan) -> Content:
    """The steps, and what has to be known about them."""
    parts: list[str | tuple[str, str]] = [
        (f"! {plain(warning)}\n", "$text-warning") for warning in plan.warnings
    ]
    if plan.warnings:
        parts.append("\n")
    width = max((len(step.title) for step in plan.steps), default=0)
    for step in plan.steps:
        parts.append((f"{plain(step.title):<{width}}", "bold"))
        parts.append((f"  {step.run_as:<5}  ", "$foreground 60%"))
        parts.append(f"{plain(shlex.join(step.argv))}\n")
    return Content.assemble(*parts)


def commits_text(commits: tuple[Commit, ...]) -> Content:
    """The commits of nixcfg that come along: an update deploys everyone's changes."""
    if not commits:
        return Content("The checkout has all of upstream's commits.")
    parts: list[str | tuple[str, str]] = [
        (f"Comes along, {len(commits)} commit{'s' * (len(commits) > 1)} of nixcfg:\n", "bold")
    ]
    for commit in commits:
        parts.append((f"{plain(commit.rev[:7])} ", "$text-accent"))
        parts.append(f"{plain(commit.title)}\n")
    return Content.assemble(*parts)


class PlanDialog(Dialog[bool]):
    """Shows the plan for one host; True when the operator starts it."""

    def __init__(self, entry: HostEntry, plan: Plan) -> None:
        self._entry = entry
        self._plan = plan
        title = f"{options_text(plan.options).capitalize()} of {plan.host}?"
        super().__init__(title, self._text(Content("")), accept="start", leave="back")

    def on_mount(self) -> None:
        if self._plan.options.pull and self._entry.facts is not None:
            self._show(Content("Asking which commits come along ..."))
            self.run_worker(self._load_commits(), group="incoming", exclusive=True)

    def action_accept(self) -> None:
        self.dismiss(True)

    async def _load_commits(self) -> None:
        assert self._entry.facts is not None
        try:
            commits = await self._entry.session.incoming(self._entry.facts)
        except (*FAILURES, NeedsPassword) as error:
            self._show(Content(f"Which commits come along is not known: {plain(str(error))}"))
        else:
            self._show(commits_text(commits))

    def _show(self, commits: Content) -> None:
        self.set_body(self._text(commits))

    def _text(self, commits: Content) -> Content:
        where = self._entry.host.where
        head = Content.assemble(
            "On ", (self._plan.host, "bold"), f" ({plain(where)}) this runs, in this order:\n\n"
        )
        return Content.assemble(head, plan_text(self._plan), "\n", commits)
