"""A table that fits (`tui.widgets.columns`), and draws its rows only if they change.

Cells are plain text with the name of a tone; nothing in them is ever parsed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.text import plain, shorten
from tui.widgets.columns import GAP, fit_columns, offered

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from rich.style import Style
    from textual import events

    from tui.glyphs import Glyphs
    from tui.widgets.columns import Column
    from tui.words import Tone


_SIGNS = 3
"""Cells before the first column: cursor and mark."""


@dataclass(frozen=True, slots=True)
class Cell:
    """The cell cleans its `text`, whatever that quotes."""

    text: str
    tone: Tone = "normal"

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", plain(self.text))


_EMPTY = Cell("")


@dataclass(frozen=True, slots=True)
class Row:
    """`cells`, by column; a column without one stays empty."""

    key: str
    cells: Mapping[str, Cell]
    marked: bool = False

    def text(self, column: str) -> str:
        return self.cells.get(column, _EMPTY).text


class RowTable(ScrollView, can_focus=True, inherit_bindings=False):
    """Rows with a cursor, below a header that stays in place."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False, id="table.up"),
        Binding("down,j", "move(1)", "Down", show=False, id="table.down"),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False, id="table.page-up"),
        Binding("pagedown,ctrl+f", "page(1)", "Page down", show=False, id="table.page-down"),
        Binding("home,g", "edge(-1)", "First row", show=False, id="table.first"),
        Binding("end,G", "edge(1)", "Last row", show=False, id="table.last"),
    ]
    BINDING_GROUP_TITLE = "Table"
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "row-table--header",
        "row-table--cursor",
        "row-table--good",
        "row-table--unproven",
        "row-table--warning",
        "row-table--bad",
        "row-table--busy",
        "row-table--faint",
    }
    ALLOW_SELECT = False

    class Chosen(Message):
        """A row was clicked twice."""

    class Resized(Message):
        """It has other room: spare columns may have come or gone."""

    class HeaderClicked(Message):
        """A column's title was clicked."""

        def __init__(self, column: str) -> None:
            super().__init__()
            self.column = column

    selected: reactive[str | None] = reactive(None, repaint=False)
    """The key of the row under the cursor. Watch it: a message about it would arrive after the
    table's next paint, and what follows from it would cost a second one."""

    def __init__(self, columns: Sequence[Column], glyphs: Glyphs, *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self._columns = tuple(columns)
        self._glyphs = glyphs
        self._rows: list[Row] = []
        self._places: dict[str, int] = {}
        """Where each row is, by its key."""
        self._lengths: dict[str, tuple[Mapping[str, Cell], tuple[int, ...]]] = {}
        """How long the cells of each row are, by the row's key."""
        self._fit: dict[str, int] = {}
        self._looks: dict[str, Style] = {}
        self._titles = {column.key: column.title for column in columns}
        self._cursor = 0

    @property
    def selected_text(self) -> str:
        """The row under the cursor in full, whatever the table's width."""
        if not self._rows:
            return ""
        row = self._rows[self._cursor]
        texts = (row.text(column.key) for column in self._columns)
        return "  ".join(text for text in texts if text)

    @property
    def keys(self) -> list[str]:
        return list(self._places)

    def go_to(self, key: str) -> None:
        """Put the cursor on that row, if it is there."""
        if key in self._places:
            self._move_to(self._places[key])

    def set_titles(self, titles: Mapping[str, str]) -> None:
        """Set other titles, for example with a sign for the sort order."""
        self._titles = dict(titles)
        self._refit()
        self.refresh()

    def show(self, rows: Sequence[Row]) -> None:
        """Draw these rows. The cursor stays with its row's key; unchanged rows cost nothing."""
        old, fit = self._rows, self._fit
        self._rows = list(rows)
        self._places = {row.key: at for at, row in enumerate(self._rows)}
        if self.selected in self._places:
            self._cursor = self._places[self.selected]
        self._cursor = max(0, min(self._cursor, len(rows) - 1))
        if self._rows != old:
            lengths, places = self._lengths, self._places
            self._lengths = {key: lengths[key] for key in places if key in lengths}
            self._refit()
        if self._fit != fit or len(old) != len(rows):
            self.virtual_size = Size(self._width, len(rows) + 1)
            self.refresh()
        else:
            self._refresh_rows([at for at in self._in_view if old[at] != rows[at]])
        self._select()

    def change(self, rows: Iterable[Row]) -> None:
        """Draw these in the places of those with the same keys; one that has no place is left out.
        It costs nothing for all the other rows, however many there are."""
        fits, changed = True, []
        for row in rows:
            at = self._places.get(row.key)
            if at is not None and self._rows[at] != row:
                fits &= self._lengths_of(self._rows[at]) == self._lengths_of(row)
                self._rows[at] = row
                changed.append(at)
        fit = self._fit
        if not fits:
            self._refit()
        if self._fit != fit:
            self.refresh()
        else:
            self._refresh_rows([at for at in changed if at in self._in_view])

    def render_line(self, y: int) -> Strip:
        base = self.visual_style.rich_style
        if y == 0:
            style = base + self._look("header")
            cells = {key: Cell(title) for key, title in self._titles.items()}
            return self._strip(cells, style, " " * _SIGNS)
        at = y - 1 + self.scroll_offset.y
        if at >= len(self._rows):
            return Strip.blank(self._width, base)
        row = self._rows[at]
        here = at == self._cursor
        if here:
            base += self._look("cursor")
        cursor = self._glyphs.cursor if here else " "
        marked = self._glyphs.marked if row.marked else " "
        return self._strip(row.cells, base, f"{cursor}{marked} ")

    def notify_style_update(self) -> None:
        self._looks.clear()
        super().notify_style_update()

    def _look(self, name: str) -> Style:
        """Textual finds it out anew after each refresh, which takes as long as the row itself."""
        if name not in self._looks:
            style = self.get_component_rich_style(f"row-table--{name}", partial=True)
            self._looks[name] = style
        return self._looks[name]

    def on_resize(self) -> None:
        self._refit()
        self.virtual_size = Size(self._width, len(self._rows) + 1)
        self._keep_in_view()
        self.refresh()
        self.post_message(self.Resized())

    def on_click(self, event: events.Click) -> None:
        if event.y == 0:
            column = self._column_at(event.x)
            if column is not None:
                self.post_message(self.HeaderClicked(column))
            return
        at = event.y - 1 + self.scroll_offset.y
        if at < len(self._rows):
            self._move_to(at)
            if event.chain == 2:
                self.post_message(self.Chosen())

    def action_move(self, count: int) -> None:
        self._move_to(self._cursor + count)

    def action_page(self, count: int) -> None:
        self._move_to(self._cursor + count * max(1, self.size.height - 2))

    def action_edge(self, side: int) -> None:
        self._move_to(0 if side < 0 else len(self._rows) - 1)

    @property
    def _width(self) -> int:
        """Cells left of the scrollbar."""
        return self.scrollable_content_region.width

    def may_have(self, columns: Collection[str]) -> bool:
        """Whether it may have one of these columns; spare ones are for large tables."""
        return any(column.key in columns for column in offered(self._columns, self._room))

    @property
    def _room(self) -> int:
        """Cells for the columns."""
        return self._width - _SIGNS

    def _refit(self) -> None:
        room = self._room
        titles = tuple(max(1, cell_len(self._titles[column.key])) for column in self._columns)
        longest = map(max, zip(titles, *map(self._lengths_of, self._rows), strict=True))
        wanted = dict(zip((column.key for column in self._columns), longest, strict=True))
        self._fit = fit_columns(offered(self._columns, room), wanted, room)

    def _lengths_of(self, row: Row) -> tuple[int, ...]:
        """Of a thousand rows only those are measured that have changed."""
        cells, lengths = self._lengths.get(row.key, (None, ()))
        if cells is not row.cells:
            lengths = tuple(cell_len(row.text(column.key)) for column in self._columns)
            self._lengths[row.key] = (row.cells, lengths)
        return lengths

    def _strip(self, cells: Mapping[str, Cell], style: Style, signs: str) -> Strip:
        segments = [Segment(signs, style)]
        for key, width in self._fit.items():
            cell = cells.get(key, _EMPTY)
            text = shorten(cell.text, width, self._glyphs)
            tone = style
            if cell.tone != "normal":
                tone += self._look(cell.tone)
            segments.append(Segment(text, tone))
            segments.append(Segment(" " * (width - cell_len(text) + GAP), style))
        return Strip(segments).crop_extend(0, self._width, style)

    def _column_at(self, x: int) -> str | None:
        at = _SIGNS
        for key, width in self._fit.items():
            at += width + GAP
            if x < at:
                return key
        return None

    def _move_to(self, at: int) -> None:
        at = max(0, min(at, len(self._rows) - 1))
        if at == self._cursor or not self._rows:
            return
        before, self._cursor = self._cursor, at
        self._refresh_rows([before, at])
        self._keep_in_view()
        self._select()

    def _select(self) -> None:
        self.selected = self._rows[self._cursor].key if self._rows else None

    @property
    def _in_view(self) -> range:
        """The numbers of the rows that are seen."""
        top, height = self.scroll_offset.y, max(1, self.size.height - 1)
        return range(top, min(top + height, len(self._rows)))

    def _refresh_rows(self, places: Sequence[int]) -> None:
        """Draw these rows again."""
        if places:
            top, width = self.scroll_offset.y - 1, self.size.width
            self.refresh(*(Region(0, at - top, width, 1) for at in places))

    def _keep_in_view(self) -> None:
        top, height = self.scroll_offset.y, max(1, self.size.height - 1)
        if self._cursor < top:
            self.scroll_to(y=self._cursor, animate=False)
        elif self._cursor >= top + height:
            self.scroll_to(y=self._cursor - height + 1, animate=False)
