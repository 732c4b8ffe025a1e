"""The plan preview: everything that will run, argv by argv. It is also the confirm dialog."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, ClassVar

import msgspec
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Static

from nixfleet_core.errors import HostError
from nixfleet_core.plan.levels import LEVEL_NOTES
from nixfleet_core.plan.model import Refusal
from nixfleet_core.session.boundary import one_host
from tui.screens.base import Dialog
from tui.screens.level import LevelDialog
from tui.stage import stage
from tui.text import plain, short_store_path
from tui.widgets.choice_line import ChoiceLine, check_box

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from nixfleet_core.plan.model import Options, Plan
    from nixfleet_core.session.protocol import Commit
    from tui.fleet import HostEntry
    from tui.glyphs import Glyphs

_LABEL = 14

_NOTHING_NEW = (
    "This host is current: it runs what its flake.lock names. Unless the pull brings something, an "
    "update builds the same again, and restarts the agent."
)


def plan_text(plan: Plan) -> str:
    """`force update, level 1`, `update` or `roll back`."""
    if plan.goal == "rollback":
        return "roll back"
    return f"force update, level {plan.options.level}" if plan.options.force else "update"


def plan_question(plan: Plan) -> str:
    """`Roll back csb0?`, or the question of update_question."""
    if plan.goal == "rollback":
        return f"Roll back {plain(plan.host)}?"
    return update_question(plan.options, plain(plan.host))


def update_question(options: Options, whom: str) -> str:
    """`Force update csb0, level 1?`"""
    return f"Force update {whom}, level {options.level}?" if options.force else f"Update {whom}?"


def commits_text(commits: tuple[Commit, ...]) -> Content:
    """The commits of nixcfg that the pull brings: an update deploys everyone's changes."""
    if not commits:
        return Content("The checkout has all of upstream's commits.")
    parts: list[str | tuple[str, str]] = [
        (f"The pull brings {len(commits)} commit{'s' * (len(commits) > 1)} of nixcfg:\n", "bold")
    ]
    for commit in commits:
        parts.append((f"{plain(commit.rev)[:7]} ", "$text-accent"))
        parts.append(f"{plain(commit.title)}\n")
    return Content.assemble(*parts)


class PlanSteps(Vertical):
    """The steps of a plan, one below the other."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(id="plan-steps")
        self._plan = plan

    def show(self, plan: Plan) -> None:
        """The steps of another plan."""
        if plan.steps != self._plan.steps:
            self._plan = plan
            self.refresh(recompose=True)

    def compose(self) -> ComposeResult:
        for step in self._plan.steps:
            with Horizontal(classes="step"):
                who = Content.styled(f" {step.run_as}", "$faint")
                title = Content.assemble((plain(step.title), "bold"), who)
                yield Static(title, classes="step-title", markup=False)
                yield Static(Content(plain(shlex.join(step.argv))), classes="argv", markup=False)


class PlanDialog(Dialog["Plan"]):
    """Shows the plan for one host; the answer is the plan that the operator starts."""

    def __init__(self, entry: HostEntry, plan: Plan, body: Content) -> None:
        changes = "changes the system, as root" if plan.needs_root else "changes the home"
        super().__init__(plan_question(plan), body, accept="start", changes=changes)
        self._entry = entry
        self._plan = plan

    def compose_fields(self) -> ComposeResult:
        yield from self.compose_choices()
        for warning in self._plan.warnings:
            yield Static(Content(f"! {plain(warning)}"), classes="warning", markup=False)
        yield Static()
        yield PlanSteps(self._plan)

    def compose_choices(self) -> ComposeResult:
        """What the operator can still change."""
        for name, (key, text) in self.choices().items():
            yield ChoiceLine(key, text, id=name)

    def choices(self) -> dict[str, tuple[str, Content]]:
        """Key and text of each choice, by the id of its line."""
        return {}

    def show_plan(self, plan: Plan) -> None:
        """Show another plan for the same host, after a choice."""
        self._plan = plan
        self.set_title(plan_question(plan))
        self.query_one(PlanSteps).show(plan)
        for name, (_, text) in self.choices().items():
            self.query_one(f"#{name}", ChoiceLine).choose(text)

    def action_accept(self) -> None:
        self.dismiss(self._plan)


class UpdateDialog(PlanDialog):
    """Before an update: the level, the commits that the pull brings, whether to roll back if the
    agent stays down, and what becomes of flake.lock."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("L", "level", "Choose the force level", show=False, id="plan.level"),
        Binding(
            "b",
            "go_back",
            "Roll back, or do not, if the new agent does not stay up",
            show=False,
            id="plan.rollback-on-failure",
        ),
        Binding("c", "commit", "Commit flake.lock, or do not", show=False, id="plan.commit-lock"),
        Binding("p", "push", "Push that commit, or do not", show=False, id="plan.push"),
    ]

    def __init__(self, entry: HostEntry, plan: Plan, aside: str = "") -> None:
        where = f" ({plain(entry.host.where)}) these steps run, one after the other."
        said = (f"\n{aside}", "bold") if aside else ""
        found = entry.assessment
        nothing = (f"{_NOTHING_NEW}\n\n", "bold") if found and found.state == "current" else ""
        body = Content.assemble(nothing, "On ", (plain(plan.host), "bold"), where, said)
        super().__init__(entry, plan, body)

    def compose_fields(self) -> ComposeResult:
        yield from super().compose_fields()
        yield Static()
        yield Static(id="commits", markup=False)

    def choices(self) -> dict[str, tuple[str, Content]]:
        options, glyphs = self._plan.options, stage(self).glyphs
        does, _, _ = LEVEL_NOTES[options.level].partition(". ")
        back = "roll back by itself if the new agent does not stay up"
        commit = "commit flake.lock once the new agent is proven"
        push = "push that commit too, never by force"
        return {
            "choose-level": ("L", Content(f"level {options.level}: {does}")),
            "choose-rollback": ("b", check_box(options.rollback_on_failure, back, glyphs)),
            "choose-commit": ("c", check_box(options.commit_lock, commit, glyphs)),
            "choose-push": ("p", check_box(options.push, push, glyphs)),
        }

    def on_mount(self) -> None:
        if self._plan.options.pull:
            self._show_commits(Content("Asking which commits the pull brings ..."))
            self.run_worker(self._load_commits(), group="incoming", exclusive=True)

    def action_level(self) -> None:
        level = self._plan.options.level
        self.app.push_screen(LevelDialog(plain(self._plan.host), level), self._set_level)

    def action_go_back(self) -> None:
        options = self._plan.options
        self._plan_anew(rollback_on_failure=not options.rollback_on_failure)

    def action_commit(self) -> None:
        commit = not self._plan.options.commit_lock
        self._plan_anew(commit_lock=commit, push=commit and self._plan.options.push)

    def action_push(self) -> None:
        push = not self._plan.options.push
        self._plan_anew(commit_lock=push or self._plan.options.commit_lock, push=push)

    def _set_level(self, level: int | None) -> None:
        if level is not None:
            self._plan_anew(level=level)

    def _plan_anew(self, **changes: object) -> None:
        """Make and show the plan with other options."""
        facts = self._entry.facts
        if facts is None:
            return
        options = msgspec.structs.replace(self._plan.options, **changes)
        try:
            with one_host(self._entry.name):
                answer = self._entry.session.plan(facts, options, self._entry.latest)
        except HostError as error:
            self.app.notify(str(error), severity="error")
            return
        if isinstance(answer, Refusal):
            self.app.notify(answer.why, severity="warning")
        else:
            self.show_plan(answer)

    async def _load_commits(self) -> None:
        facts = self._entry.facts
        if facts is None:
            return
        try:
            with one_host(self._entry.name):
                commits = await self._entry.session.incoming(facts)
        except HostError as error:
            self._show_commits(
                Content(f"We could not find out which commits the pull brings: {plain(str(error))}")
            )
        else:
            self._show_commits(commits_text(commits))

    def _show_commits(self, commits: Content) -> None:
        # the operator may have left the dialog before the host answered
        for field in self.query("#commits").results(Static):
            field.update(commits)


class RollbackDialog(PlanDialog):
    """Before a rollback: what the host goes back to, and whether flake.lock goes back too."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "lock", "Take flake.lock along, or leave it", show=False, id="rollback.lock"),
    ]

    def __init__(self, entry: HostEntry, plan: Plan, glyphs: Glyphs) -> None:
        super().__init__(entry, plan, rollback_text(entry, plan, glyphs))
        self._lock_from = plan.lock_from

    def compose_choices(self) -> ComposeResult:
        yield from super().compose_choices()
        if self._lock_from is None:
            yield Static(
                Content("flake.lock stays as it is: no job has kept an earlier one"), markup=False
            )

    def choices(self) -> dict[str, tuple[str, Content]]:
        if self._lock_from is None:
            return {}
        text = (
            f"flake.lock goes back too, to what it was before job {plain(self._lock_from)}; "
            "otherwise the next update brings the new agent again"
        )
        goes_back = self._plan.lock_from is not None
        return {"choose-lock": ("f", check_box(goes_back, text, stage(self).glyphs))}

    def action_lock(self) -> None:
        if self._lock_from is not None:
            lock_from = None if self._plan.lock_from else self._lock_from
            self.show_plan(msgspec.structs.replace(self._plan, lock_from=lock_from))


def rollback_text(entry: HostEntry, plan: Plan, glyphs: Glyphs) -> Content:
    """Where the host is now, and where it goes back to."""
    seen = entry.snapshot()
    now = _system_text(seen.system, seen.generation, glyphs)
    profile = plan.target_profile or plan.target
    number = plan.target_number
    if profile == plan.target:
        then = _system_text(plan.target, number, glyphs)
    else:
        below = _system_text(profile, number, glyphs)
        then = f"{short_store_path(plan.target, glyphs)}, with {below} in the profile"
    why = plain(plan.target_words.partition(": ")[2])
    if not plan.target_ran:
        why += f"{'; ' if why else ''}its agent is not known to have run"
    return Content.assemble(
        *(
            "On ",
            (plain(plan.host), "bold"),
            f" ({plain(entry.host.where)}) these steps run, one after the other.\n\n",
        ),
        *((f"{'now':<{_LABEL}}", "$faint"), f"{now}\n"),
        *((f"{'goes back to':<{_LABEL}}", "$faint"), (then, "bold"), "\n"),
        *((f"{'':<{_LABEL}}", ""), f"{why}\n"),
    )


def _system_text(path: str | None, generation: int | None, glyphs: Glyphs) -> str:
    store = short_store_path(path, glyphs)
    return f"generation {generation}, {store}" if generation is not None else store
