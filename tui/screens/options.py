"""What an operator can choose before an update, for one host or for several."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeVar

import msgspec
from textual.binding import Binding, BindingType
from textual.content import Content

from nixfleet_core.plan.levels import LEVEL_NOTES
from tui.keys import binding_of
from tui.screens.base import Dialog
from tui.screens.level import LevelDialog
from tui.stage import stage
from tui.widgets.choice_line import ChoiceLine, check_box
from tui.widgets.fold_list import FoldList

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from nixfleet_core.plan.model import Options

ResultT = TypeVar("ResultT")


class ChoiceDialog(Dialog[ResultT]):
    """A dialog with lines that show a choice and its key, and below them with rows that open."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "row(-1)", "Row above", show=False, id="plan.up"),
        Binding("down,j", "row(1)", "Row below", show=False, id="plan.down"),
        Binding("space,o", "open_row", "Open or close the row", show=False, id="plan.open"),
    ]

    @property
    def open_key(self) -> str:
        """The key that opens a row, as texts name it; empty if there is none."""
        app = stage(self)
        return app.keys.shown(ChoiceDialog, "plan.open", app.glyphs)

    def compose_choices(self) -> ComposeResult:
        """What the operator can still change."""
        app = stage(self)
        for line, (name, text) in self.choices().items():
            key, action = app.keys.shown(type(self), name, app.glyphs), binding_of(type(self), name)
            yield ChoiceLine(key, text, id=line, action=action.action)

    def choices(self) -> dict[str, tuple[str, Content]]:
        """The id of the binding and the text of each choice, by the id of its line."""
        return {}

    def show_choices(self) -> None:
        """Show them as they are now."""
        for name, (_, text) in self.choices().items():
            self.query_one(f"#{name}", ChoiceLine).choose(text)

    def action_row(self, count: int) -> None:
        """Go to another of the rows that open; beyond the last one, scroll on."""
        if not self.query_one(FoldList).move(count):
            self.action_scroll_body(count)

    def action_open_row(self) -> None:
        self.query_one(FoldList).toggle()


class OptionsDialog(ChoiceDialog[ResultT]):
    """The level, whether to roll back by itself, and what becomes of flake.lock. It cannot both
    stay as it is and be committed: of these the last choice counts."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("L", "level", "Choose the force level", show=False, id="plan.level"),
        Binding(
            "b",
            "go_back",
            "Roll back, or do not, if the new agent does not stay up",
            show=False,
            id="plan.rollback-on-failure",
        ),
        Binding(
            "f", "as_locked", "Leave flake.lock as it is, or not", show=False, id="plan.as-locked"
        ),
        Binding("c", "commit", "Commit flake.lock, or do not", show=False, id="plan.commit-lock"),
        Binding("p", "push", "Push that commit, or do not", show=False, id="plan.push"),
    ]

    @property
    def options(self) -> Options:
        """The options of what is shown."""
        raise NotImplementedError

    @property
    def whom(self) -> str:
        """The host or hosts."""
        raise NotImplementedError

    def plan_with(self, options: Options) -> None:
        """Plan anew with other options, and show that."""
        raise NotImplementedError

    def choices(self) -> dict[str, tuple[str, Content]]:
        options, glyphs = self.options, stage(self).glyphs
        does, _, _ = LEVEL_NOTES[options.level].partition(". ")
        back = "roll back by itself if the new agent does not stay up"
        as_locked = "leave flake.lock at its commit, and build that"
        commit = "commit flake.lock once the new agent is proven"
        push = "push that commit too, never by force"
        return {
            "choose-level": ("plan.level", Content(f"level {options.level}: {does}")),
            "choose-rollback": (
                "plan.rollback-on-failure",
                check_box(options.rollback_on_failure, back, glyphs),
            ),
            "choose-as-locked": (
                "plan.as-locked",
                check_box(options.as_locked, as_locked, glyphs),
            ),
            "choose-commit": ("plan.commit-lock", check_box(options.commit_lock, commit, glyphs)),
            "choose-push": ("plan.push", check_box(options.push, push, glyphs)),
        }

    def action_level(self) -> None:
        self.app.push_screen(LevelDialog(self.whom, self.options.level), self._set_level)

    def action_go_back(self) -> None:
        self._change(rollback_on_failure=not self.options.rollback_on_failure)

    def action_as_locked(self) -> None:
        if self.options.as_locked:
            self._change(as_locked=False)
        else:
            self._change(as_locked=True, commit_lock=False, push=False)

    def action_commit(self) -> None:
        commit = not self.options.commit_lock
        push = commit and self.options.push
        self._change(commit_lock=commit, push=push, as_locked=self._stays(commit))

    def action_push(self) -> None:
        push = not self.options.push
        commit = push or self.options.commit_lock
        self._change(commit_lock=commit, push=push, as_locked=self._stays(commit))

    def _stays(self, commit: bool) -> bool:
        """Whether flake.lock stays as it is, after a choice to commit it or not."""
        return self.options.as_locked and not commit

    def _set_level(self, level: int | None) -> None:
        if level is not None:
            self._change(level=level)

    def _change(self, **changes: object) -> None:
        self.plan_with(msgspec.structs.replace(self.options, **changes))
