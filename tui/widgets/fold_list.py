"""Rows that open: one line each, and below it, if it is open, all that is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from tui.widgets.live import LivePanel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult

    from tui.glyphs import Glyphs


@dataclass(frozen=True, slots=True)
class Fold:
    """A row: its title, what stands beside that while it is closed, and below it while it is
    open."""

    title: Content
    summary: Content
    details: Content


class FoldHead(LivePanel):
    """The line that is always there, cut where the room ends."""

    def __init__(self, row: FoldRow, glyphs: Glyphs) -> None:
        super().__init__()
        self._row = row
        self._glyphs = glyphs

    def picture(self) -> Content:
        row, glyphs = self._row, self._glyphs
        is_open = row.has_class("-open")
        cursor = glyphs.cursor if row.has_class("-cursor") else " "
        sign = glyphs.opened if is_open else glyphs.closed
        line = Content.assemble(f"{cursor}{sign} ", row.fold.title)
        if is_open:
            return line
        line, end = Content.assemble(line, row.fold.summary), glyphs.ellipsis
        if line.cell_length <= self.size.width:
            return line
        return Content.assemble(line.truncate(max(0, self.size.width - len(end))), end)


class FoldRow(Vertical):
    """One row of the list."""

    class Pressed(Message):
        """The row was clicked."""

        def __init__(self, row: FoldRow) -> None:
            super().__init__()
            self.row = row

    def __init__(self, fold: Fold, glyphs: Glyphs) -> None:
        super().__init__()
        self.fold = fold
        self._glyphs = glyphs
        self._toggled = False

    def compose(self) -> ComposeResult:
        yield FoldHead(self, self._glyphs)
        yield Static(self.fold.details, classes="fold-details", markup=False)

    def show(self, fold: Fold, *, reveal: bool) -> None:
        """Show something else; what is open stays open. With `reveal` what changes opens."""
        if fold == self.fold:
            return
        self.fold = fold
        self.query_one(".fold-details", Static).update(fold.details)
        if reveal:
            self.add_class("-open")
        self._show_head()

    def toggle(self) -> None:
        self._toggled = True
        self.toggle_class("-open")
        self._show_head()

    def on_resize(self) -> None:
        """Scroll to it once it has its new height; before that nobody knows how far."""
        if self._toggled:
            self._toggled = False
            self.scroll_visible(animate=False)

    def set_cursor(self, here: bool) -> None:
        if here != self.has_class("-cursor"):
            self.set_class(here, "-cursor")
            self._show_head()

    def on_click(self) -> None:
        self.post_message(self.Pressed(self))

    def _show_head(self) -> None:
        self.query_one(FoldHead).show(layout=False)


class FoldList(Vertical):
    """The rows, one below the other; one of them has the cursor."""

    def __init__(self, folds: Sequence[Fold], glyphs: Glyphs) -> None:
        super().__init__()
        self._folds = tuple(folds)
        self._glyphs = glyphs
        self._at = 0

    def compose(self) -> ComposeResult:
        for fold in self._folds:
            yield FoldRow(fold, self._glyphs)

    def on_mount(self) -> None:
        self._show_cursor()

    def show(self, folds: Sequence[Fold], *, reveal: bool = False) -> None:
        """Show other rows. With `reveal` those that change open, if none comes or goes."""
        rows, self._folds = self._rows, tuple(folds)
        if len(rows) == len(folds):
            for row, fold in zip(rows, folds, strict=True):
                row.show(fold, reveal=reveal)
            return
        self._at = min(self._at, len(folds) - 1)
        self.refresh(recompose=True)
        self.call_after_refresh(self._show_cursor)

    def move(self, count: int) -> bool:
        """Move the cursor; False if there is no row in that direction."""
        at = max(0, min(self._at + count, len(self._rows) - 1))
        moved, self._at = at != self._at, at
        self._show_cursor()
        self._rows[at].scroll_visible(animate=False)
        return moved

    def toggle(self) -> None:
        """Open or close the row under the cursor."""
        self._rows[self._at].toggle()

    def on_fold_row_pressed(self, message: FoldRow.Pressed) -> None:
        message.stop()
        self._at = self._rows.index(message.row)
        self._show_cursor()
        self.toggle()

    @property
    def _rows(self) -> list[FoldRow]:
        return list(self.query(FoldRow))

    def _show_cursor(self) -> None:
        for index, row in enumerate(self._rows):
            row.set_cursor(index == self._at)
