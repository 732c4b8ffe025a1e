"""The plan preview: everything that will run, argv by argv. It is also the confirm dialog."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import msgspec
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Static

from nixfleet_core.errors import HostError
from nixfleet_core.plan.model import Refusal
from nixfleet_core.session.boundary import one_host
from nixfleet_core.session.coming import InputCommits
from tui.plan_rows import ASKING_FOR_INPUT, input_text, step_rows
from tui.screens.options import ChoiceDialog, OptionsDialog
from tui.stage import stage
from tui.text import counted, plain, short_store_path
from tui.widgets.choice_line import check_box
from tui.widgets.fold_list import FoldList

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
    """`force update, level 1`, `update, as locked`, `roll back`, `restart`, or another goal."""
    if plan.goal == "rollback":
        return "roll back"
    if plan.goal == "commit":
        return "commit flake.lock"
    if plan.goal == "restart":
        return "restart"
    name = f"force update, level {plan.options.level}" if plan.options.force else "update"
    return f"{name}, as locked" if plan.options.as_locked else name


def plan_question(plan: Plan) -> str:
    """`Roll back csb0?`, `Commit flake.lock on csb0?`, or the question of update_question."""
    if plan.goal == "rollback":
        return f"Roll back {plain(plan.host)}?"
    if plan.goal == "commit":
        return f"Commit flake.lock on {plain(plan.host)}?"
    if plan.goal == "restart":
        return f"Restart the agent on {plain(plan.host)}?"
    return update_question(plan.options, plain(plan.host))


def update_question(options: Options, whom: str) -> str:
    """`Force update csb0, level 1?`"""
    locked = ", as locked" if options.as_locked else ""
    if options.force:
        return f"Force update {whom}, level {options.level}{locked}?"
    return f"Update {whom}{locked}?"


def on_host(entry: HostEntry, plan: Plan, key: str) -> tuple[str | tuple[str, str], ...]:
    """The first sentence of a plan. `key` opens a step."""
    opens = f"; {key} opens one" if key else ""
    where = f" ({plain(entry.host.where)}) these steps run, one after the other{opens}."
    return "On ", (plain(plan.host), "bold"), where


def commits_text(commits: tuple[Commit, ...]) -> Content:
    """The commits of nixcfg that the pull brings: an update deploys everyone's changes."""
    if not commits:
        return Content("The checkout has all of upstream's commits.")
    parts: list[str | tuple[str, str]] = [
        (f"The pull brings {counted(len(commits), 'commit')} of nixcfg:\n", "bold")
    ]
    for commit in commits:
        parts.append((f"{plain(commit.rev)[:7]} ", "$text-accent"))
        parts.append(f"{plain(commit.title)}\n")
    return Content.assemble(*parts)


class PlanDialog(ChoiceDialog["Plan"]):
    """Shows the plan for one host; the answer is the plan that the operator starts."""

    def __init__(self, entry: HostEntry, plan: Plan, body: Content) -> None:
        changes = "changes the system, as root" if plan.needs_root else "changes the home"
        if plan.goal == "commit":
            changes = f"commits in nixcfg, as {plain(plan.owner)}"
        elif plan.goal == "restart":
            changes = "restarts the agent"
        super().__init__(plan_question(plan), body, accept="start", changes=changes)
        self._entry = entry
        self._plan = plan

    def compose_fields(self) -> ComposeResult:
        yield from self.compose_choices()
        for warning in self._plan.warnings:
            yield Static(Content(f"! {plain(warning)}"), classes="warning", markup=False)
        yield Static()
        glyphs = stage(self).glyphs
        yield FoldList(step_rows(self._plan, glyphs), glyphs)

    def show_plan(self, plan: Plan) -> None:
        """Show another plan for the same host, after a choice."""
        self._plan = plan
        self.set_title(plan_question(plan))
        self.query_one(FoldList).show(step_rows(plan, stage(self).glyphs), reveal=True)
        self.show_choices()

    def action_accept(self) -> None:
        self.dismiss(self._plan)


class UpdateDialog(OptionsDialog["Plan"], PlanDialog):
    """Before an update: its options, the commits that the pull brings, and the steps."""

    def __init__(self, entry: HostEntry, plan: Plan, aside: str = "") -> None:
        said = (f"\n{aside}", "bold") if aside else ""
        found = entry.assessment
        nothing = (f"{_NOTHING_NEW}\n\n", "bold") if found and found.state == "current" else ""
        on = on_host(entry, plan, self.open_key)
        super().__init__(entry, plan, Content.assemble(nothing, *on, said))
        self._input_commits = InputCommits()

    def compose_fields(self) -> ComposeResult:
        yield from super().compose_fields()
        yield Static()
        yield Static(id="input-commits", markup=False)
        yield Static()
        yield Static(id="commits", markup=False)

    def on_mount(self) -> None:
        self._ask_for_input()
        if self._plan.options.pull:
            self._show_commits(Content("Asking which commits the pull brings ..."))
            self.run_worker(self._load_commits(), group="incoming", exclusive=True)

    @property
    def options(self) -> Options:
        return self._plan.options

    @property
    def whom(self) -> str:
        return plain(self._plan.host)

    def plan_with(self, options: Options) -> None:
        planned = plan_again(self._entry, options)
        if isinstance(planned, str):
            self.app.notify(planned, severity="warning")
        else:
            asks_again = options.as_locked != self.options.as_locked
            self.show_plan(planned)
            if asks_again:
                self._ask_for_input()

    def _ask_for_input(self) -> None:
        """Show what comes of the input. It depends on no other option of the dialog."""
        self._show("input-commits", Content(ASKING_FOR_INPUT))
        self.run_worker(self._load_input(), group="input", exclusive=True)

    async def _load_input(self) -> None:
        entry, here = self._entry, stage(self).fleet.latest_source.here
        if entry.facts is None:
            return
        found = await self._input_commits.between(
            entry.host, entry.facts, self.options, entry.answer, here=here
        )
        self._show("input-commits", input_text(found, entry.host.input))

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
        self._show("commits", commits)

    def _show(self, place: str, commits: Content) -> None:
        # the operator may have left the dialog before the host answered
        for field in self.query(f"#{place}").results(Static):
            field.update(commits)


def plan_again(entry: HostEntry, options: Options) -> Plan | str:
    """A plan with other options, from what is known of the host; or why there is none."""
    assert entry.facts is not None
    try:
        with one_host(entry.name):
            answer = entry.session.plan(entry.facts, options, entry.latest)
    except HostError as error:
        return str(error)
    return answer.why if isinstance(answer, Refusal) else answer


class RollbackDialog(PlanDialog):
    """Before a rollback: what the host goes back to, and whether flake.lock goes back too."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "lock", "Take flake.lock along, or leave it", show=False, id="rollback.lock"),
    ]

    def __init__(self, entry: HostEntry, plan: Plan, glyphs: Glyphs) -> None:
        super().__init__(entry, plan, rollback_text(entry, plan, glyphs, self.open_key))
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
        return {"choose-lock": ("rollback.lock", check_box(goes_back, text, stage(self).glyphs))}

    def action_lock(self) -> None:
        if self._lock_from is not None:
            lock_from = None if self._plan.lock_from else self._lock_from
            self.show_plan(msgspec.structs.replace(self._plan, lock_from=lock_from))


class CommitDialog(PlanDialog):
    """Before flake.lock is committed: which file, and that it is proven anew."""

    def __init__(self, entry: HostEntry, plan: Plan) -> None:
        body = Content.assemble(
            (f"{plain(plan.checkout)}/flake.lock", "bold"),
            " is committed if the agent that runs is proven to be what it builds. "
            "The agent is neither stopped nor restarted.\n\n",
            *on_host(entry, plan, self.open_key),
        )
        super().__init__(entry, plan, body)


class RestartDialog(PlanDialog):
    """Before the agent is restarted: that nothing else is done."""

    def __init__(self, entry: HostEntry, plan: Plan) -> None:
        body = Content.assemble(
            "The agent is restarted, and proven. Nothing is pulled, built or switched.\n\n",
            *on_host(entry, plan, self.open_key),
        )
        super().__init__(entry, plan, body)


def rollback_text(entry: HostEntry, plan: Plan, glyphs: Glyphs, key: str) -> Content:
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
        *on_host(entry, plan, key),
        "\n\n",
        *((f"{'now':<{_LABEL}}", "$faint"), f"{now}\n"),
        *((f"{'goes back to':<{_LABEL}}", "$faint"), (then, "bold"), "\n"),
        *((f"{'':<{_LABEL}}", ""), f"{why}\n"),
    )


def _system_text(path: str | None, generation: int | None, glyphs: Glyphs) -> str:
    store = short_store_path(path, glyphs)
    return f"generation {generation}, {store}" if generation is not None else store
