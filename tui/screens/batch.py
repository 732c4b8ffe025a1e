"""Before something is done to several hosts: what is planned for each, and how they take turns."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Final, TypeVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Static

from nixfleet_core.session.coming import InputCommits
from nixfleet_core.session.queue import AT_ONCE, Queue
from tui.plan_rows import host_rows
from tui.screens.options import ChoiceDialog, OptionsDialog
from tui.screens.plan import plan_again, update_question
from tui.stage import stage
from tui.text import counted
from tui.widgets.choice_line import check_box
from tui.widgets.fold_list import FoldList

if TYPE_CHECKING:
    from collections.abc import Mapping

    from textual.app import ComposeResult

    from nixfleet_core.judge.coming import Coming
    from nixfleet_core.plan.model import Options, Plan
    from tui.fleet import HostEntry
    from tui.widgets.fold_list import Fold

ResultT = TypeVar("ResultT")

_AT_ONCE: Final = (1, 2, 4, AT_ONCE, 16, 0)


@dataclass(frozen=True, slots=True)
class Batch:
    """An answer: the plans of the hosts that are not left out, and how these take turns."""

    plans: dict[str, Plan]
    queue: Queue


class ProveFirst:
    """An answer: the unproven hosts are to be proven before anything is updated."""


class TurnsDialog(ChoiceDialog[ResultT]):
    """How many hosts begin at once, whether a failure ends that, and what is planned for each."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "at_once", "How many hosts at a time", show=False, id="plan.at-once"),
        Binding(
            "x",
            "stop",
            "Begin with no other host once one has failed, or go on",
            show=False,
            id="plan.stop",
        ),
    ]

    planned: dict[HostEntry, Plan | str]
    """Each host's plan, or why it is left out."""
    queue = Queue()

    def compose_fields(self) -> ComposeResult:
        yield from self.compose_choices()
        yield Static()
        yield FoldList(self.rows_now(), stage(self).glyphs)

    def rows_now(self) -> list[Fold]:
        return host_rows(self.planned, {})

    @property
    def plans(self) -> dict[str, Plan]:
        """The plans by host, without the hosts that are left out."""
        return {
            entry.name: plan for entry, plan in self.planned.items() if not isinstance(plan, str)
        }

    @property
    def whom(self) -> str:
        return counted(len(self.plans), "host")

    def choices(self) -> dict[str, tuple[str, Content]]:
        most = (
            f"at most {counted(self.queue.at_once, 'host')}" if self.queue.at_once else "all hosts"
        )
        stop = "begin with no other host once one has failed"
        return {
            **super().choices(),
            "choose-at-once": ("plan.at-once", Content(f"{most} at a time")),
            "choose-stop": ("plan.stop", check_box(self.queue.stop, stop, stage(self).glyphs)),
        }

    def action_at_once(self) -> None:
        at = _AT_ONCE.index(self.queue.at_once) + 1
        self.queue = replace(self.queue, at_once=_AT_ONCE[at % len(_AT_ONCE)])
        self.show_choices()

    def action_stop(self) -> None:
        self.queue = replace(self.queue, stop=not self.queue.stop)
        self.show_choices()


def _body(says: str, aside: str, key: str) -> Content:
    """What the rows are, and what is left alone. `key` opens a row."""
    opens = f"; {key} opens a row" if key else ""
    return Content.assemble(f"{says}{opens}.", (f"\n{aside}" if aside else "", "bold"))


class ManyPlansDialog(TurnsDialog[Batch | ProveFirst], OptionsDialog[Batch | ProveFirst]):
    """Before an update of several hosts, with the options for all of them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("V", "prove", "Prove the unproven hosts first", show=False, id="plan.prove"),
    ]

    def __init__(
        self,
        planned: Mapping[HostEntry, Plan | str],
        options: Options,
        aside: str,
        unproven: int = 0,
    ) -> None:
        """`aside` says what is left alone. `unproven`: so many hosts can be proven first."""
        self.planned = dict(planned)
        self._options = options
        self._unproven = unproven
        self._input_commits = InputCommits()
        self._coming: dict[HostEntry, Coming | None] = {}
        self._is_due = False
        """Whether the rows will be shown anew."""
        body = _body("Each host runs its steps, one after the other", aside, self.open_key)
        super().__init__(self._title_now, body, accept="start all", changes=self._changes_now)

    def on_mount(self) -> None:
        self._ask_for_input()

    def rows_now(self) -> list[Fold]:
        return host_rows(self.planned, self._coming)

    @property
    def options(self) -> Options:
        return self._options

    def plan_with(self, options: Options) -> None:
        asks_again = options.as_locked != self._options.as_locked
        self._options = options
        self.planned = {
            entry: before if entry.left_out else plan_again(entry, options)
            for entry, before in self.planned.items()
        }
        self.set_title(self._title_now, self._changes_now)
        if asks_again:
            self._ask_for_input()
        else:
            self._show_rows()
        self.show_choices()

    def _show_rows(self) -> None:
        self._is_due = False
        for rows in self.query(FoldList):  # the operator may have left before the last answer
            rows.show(self.rows_now())

    def _ask_for_input(self) -> None:
        """Ask what comes of the input to each host. It depends on no other option of the dialog."""
        self._coming = {
            entry: None for entry in self.planned if not entry.left_out and entry.facts is not None
        }
        self._show_rows()
        self.run_worker(self._load_input(), group="input", exclusive=True)

    async def _load_input(self) -> None:
        await asyncio.gather(*(self._load_input_of(entry) for entry in self._coming))

    async def _load_input_of(self, entry: HostEntry) -> None:
        assert entry.facts is not None
        here = stage(self).fleet.latest_source.here
        found = await self._input_commits.between(
            entry.host, entry.facts, self._options, entry.answer, here=here
        )
        self._coming[entry] = found
        if not self._is_due:  # one answer is for many hosts
            self._is_due = True
            self.call_later(self._show_rows)

    def choices(self) -> dict[str, tuple[str, Content]]:
        if not self._unproven:
            return super().choices()
        hosts = counted(self._unproven, "unproven host")
        prove = Content(f"prove {hosts} first; this changes nothing there")
        return {**super().choices(), "choose-prove": ("plan.prove", prove)}

    def action_prove(self) -> None:
        if self._unproven:
            self.dismiss(ProveFirst())

    def action_accept(self) -> None:
        if self.plans:
            self.dismiss(Batch(self.plans, self.queue))

    @property
    def _title_now(self) -> str:
        return update_question(self._options, self.whom)

    @property
    def _changes_now(self) -> str:
        return f"changes {self.whom}"


class ManyRollbacksDialog(TurnsDialog[Batch]):
    """Before several hosts go back, each to what was active before its last job that moved
    something."""

    def __init__(self, planned: Mapping[HostEntry, Plan | str], aside: str) -> None:
        """`aside` says what is left alone."""
        self.planned = dict(planned)
        says = "Each host goes back to what was active before its last change"
        body = _body(says, aside, self.open_key)
        title = f"Roll {self.whom} back?"
        super().__init__(title, body, accept="start all", changes=f"changes {self.whom}")

    def action_accept(self) -> None:
        self.dismiss(Batch(self.plans, self.queue))
