"""The filter of the hosts: where it is typed, and what it does as long as it is on."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from nixfleet_core.judge.host_filter import Filter
from nixfleet_core.vocabulary import STATES
from tui.text import counted, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult

    from nixfleet_core.judge.host_filter import Field


class FilterBar(Vertical):
    """Shown while somebody types, and as long as the filter is on."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "clear", "Clear the filter", show=False, id="filter.clear"),
        Binding("down", "leave", "To the hosts", show=False, id="filter.down"),
    ]
    BINDING_GROUP_TITLE = "Filter"

    class Changed(Message):
        """It shows other hosts now."""

    class Left(Message):
        """The operator goes on to the hosts."""

    def __init__(self) -> None:
        super().__init__()
        self._filter = Filter()
        self.display = False

    def compose(self) -> ComposeResult:
        with Horizontal(id="filter-line"):
            yield Static("filter", id="filter-label", markup=False)
            field = Input(
                placeholder="csb  !csb0  tag:cloud  state:stale  version:2.1",
                id="filter",
                compact=True,
            )
            field.cursor_blink = False
            yield field
            yield Static(id="filter-count", markup=False)
        yield Static(id="filter-hint", markup=False)

    @property
    def filter(self) -> Filter:
        return self._filter

    @property
    def is_on(self) -> bool:
        """Whether it may hide hosts."""
        return self._filter != Filter()

    def edit(self) -> None:
        self.display = True
        self._field.focus()

    def set(self, text: str) -> None:
        """Filter by that text from now on."""
        self._field.value = text
        self._filter = Filter.of(text)
        self.action_leave()

    def tell(self, shown: int, count: int, tags: Sequence[str]) -> None:
        """Say how many of the hosts are shown, and what is asked that no host can have. `tags` are
        those that the hosts have."""
        known: dict[Field, Sequence[str]] = {"state": STATES, "tag": tags}
        hints = [
            f"{plain(text)!r} is no {field}; {field}s: {', '.join(values) or 'none'}"
            for field, values in known.items()
            for text in self._filter.unknown(field, values)
        ]
        self._show("#filter-count", f"{shown} of {counted(count, 'host')}")
        self._show("#filter-hint", "\n".join(hints))
        self.query_one("#filter-hint").display = bool(hints)

    def action_clear(self) -> None:
        self.set("")

    def action_leave(self) -> None:
        self.display = bool(self._field.value)
        self.post_message(self.Left())

    @on(Input.Changed)
    def _read(self, event: Input.Changed) -> None:
        event.stop()
        self._filter = Filter.of(event.value)
        self.post_message(self.Changed())

    @on(Input.Submitted)
    def _accept(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_leave()

    @property
    def _field(self) -> Input:
        return self.query_one(Input)

    def _show(self, part: str, text: str) -> None:
        """A part that says the same as before is not painted again."""
        static = self.query_one(part, Static)
        if static.content != (content := Content(text)):
            static.update(content)
