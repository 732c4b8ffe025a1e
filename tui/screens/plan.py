"""The plan preview: everything that will run, argv by argv. This is the confirm dialog."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Static

from nixfleet_core.session import NeedsPassword
from tui.elevation import FAILURES
from tui.screens.base import Dialog
from tui.text import plain

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from nixfleet_core.plan import Options, Plan
    from nixfleet_core.session import Commit
    from tui.fleet import HostEntry


def options_text(options: Options) -> str:
    """`force update, level 1`, or `update`."""
    return f"force update, level {options.level}" if options.force else "update"


def question(options: Options, whom: str) -> str:
    """`Force update csb0, level 1?`"""
    return f"Force update {whom}, level {options.level}?" if options.force else f"Update {whom}?"


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
        body = Content.assemble(
            "On ", (plan.host, "bold"), f" ({plain(entry.host.where)}) this runs, in this order:"
        )
        super().__init__(question(plan.options, plan.host), body, accept="start")

    def compose_fields(self) -> ComposeResult:
        for warning in self._plan.warnings:
            yield Static(Content(f"! {plain(warning)}"), classes="warning", markup=False)
        yield Static()
        for step in self._plan.steps:
            with Horizontal(classes="step"):
                who = Content.styled(f" {step.run_as}", "$foreground 60%")
                title = Content.assemble((plain(step.title), "bold"), who)
                yield Static(title, classes="step-title", markup=False)
                yield Static(Content(plain(shlex.join(step.argv))), classes="argv", markup=False)
        yield Static()
        yield Static(id="commits", markup=False)

    def on_mount(self) -> None:
        if self._plan.options.pull:
            self._show(Content("Asking which commits come along ..."))
            self.run_worker(self._load_commits(), group="incoming", exclusive=True)

    def action_accept(self) -> None:
        self.dismiss(True)

    async def _load_commits(self) -> None:
        facts = self._entry.facts
        if facts is None:
            return
        try:
            commits = await self._entry.session.incoming(facts)
        except (*FAILURES, NeedsPassword) as error:
            self._show(Content(f"Which commits come along is not known: {plain(str(error))}"))
        else:
            self._show(commits_text(commits))

    def _show(self, commits: Content) -> None:
        self.query_one("#commits", Static).update(commits)
