"""The log: a window onto log.txt that costs the same whatever the size of the file.

Only the rows on the screen are read, parsed and drawn. `flush` takes in growth a few times a
second, at most 1 MiB at once, and costs one repaint: it sets the number of rows without a new
layout. That is possible because the scrollbar is always there. What is counted is looked for a
millisecond at a time (`tui.log_survey`), what is typed in a thread (`tui.log_search`). All else in
the app has its turn between two parts of such work.

It is longer than 400 lines because a log has many keys, and each is short.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, ClassVar, Final, Literal, NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.cache import LRUCache
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from nixfleet_core.log.kinds import KINDS, derivation_of
from tui.ansi import plain_line
from tui.keys import AS_BUILT
from tui.log_file import LogFile, MatchingLines
from tui.log_paint import Look, Row, characters_in, paint, restyle, window_of
from tui.log_search import FILTER_LIMIT, Hits, Query, Search
from tui.log_survey import Survey
from tui.screen_filter import ScreenFilter
from tui.widgets.scrollbar import CalmScrollBar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import Self

    from textual.scrollbar import ScrollBar
    from textual.selection import Selection

    from nixfleet_core.log.kinds import Kind
    from nixfleet_core.log.line_times import LineTimes
    from nixfleet_core.vocabulary import StepId
    from tui.glyphs import Glyphs
    from tui.keys import Keys
    from tui.log_file import Line
    from tui.log_paint import Painted

Field = Literal["find", "filter"]
"""What a text is typed for."""

_SIDE_STEP: Final = 16
_STRIPS: Final = 1024
_SHOW_EVERY: Final = 0.05
"""Seconds between two repaints while a large file is taken in."""
COPY_LIMIT: Final = 10_000
"""So many rows one copy can hold: terminals drop a clipboard that is too large."""


class _Window(NamedTuple):
    """What is the same for all rows of one paint."""

    look: Look
    left: int
    top: int
    width: int
    """Cells of a row, without its gutter."""
    selection: Selection | None


class LogView(ScrollView, can_focus=True, inherit_bindings=False):
    """Shows a log file, follows it as it grows, and finds things in it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "follow", "follow", id="log.follow", tooltip="Stay at the end as it grows"),
        Binding("slash", "type('find')", "find", id="log.search", tooltip="Find text in the log"),
        Binding("n", "next(1)", "Next hit", show=False, id="log.next"),
        Binding("N", "next(-1)", "Previous hit", show=False, id="log.previous"),
        Binding(
            "ampersand",
            "type('filter')",
            "filter",
            id="log.filter",
            tooltip="Show only lines with a text; NAME> shows what one build printed",
        ),
        Binding(
            "o",
            "only",
            "Show only what this line's build printed, or all lines",
            show=False,
            id="log.only",
        ),
        Binding("escape", "all_lines", "all lines", id="log.all", tooltip="Show all lines"),
        Binding("e", "error(1)", "error", id="log.error", tooltip="Go to the next error"),
        Binding("E", "error(-1)", "Previous error", show=False, id="log.error-back"),
        Binding(
            "right_square_bracket",
            "step(1)",
            "step",
            id="log.step",
            tooltip="Go to where the next step begins",
        ),
        Binding("left_square_bracket", "step(-1)", "Previous step", show=False, id="log.step-back"),
        Binding("w", "wrap", "wrap", id="log.wrap", tooltip="Break long lines, or let them run on"),
        Binding("t", "times", "Show when lines were written", show=False, id="log.times"),
        Binding("m", "mark", "Mark this spot", show=False, id="log.mark"),
        Binding("apostrophe", "next_mark", "Next mark", show=False, id="log.next-mark"),
        Binding(
            "y",
            "copy",
            "Copy the selection, or from the mark on, or what is shown",
            show=False,
            id="log.copy",
        ),
        Binding("ctrl+s", "save", "Save the log to a file", show=False, id="log.save"),
        Binding("g,home", "top", "To the start", show=False, id="log.top"),
        Binding("G,end", "bottom", "To the end, and follow", show=False, id="log.bottom"),
        Binding("up,k", "rows(-1)", "Up", show=False, id="log.up"),
        Binding("down,j", "rows(1)", "Down", show=False, id="log.down"),
        Binding("pageup,ctrl+b", "pages(-1)", "Page up", show=False, id="log.page-up"),
        Binding("pagedown,ctrl+f", "pages(1)", "Page down", show=False, id="log.page-down"),
        Binding("ctrl+u", "pages(-0.5)", "Half a page up", show=False, id="log.half-up"),
        Binding("ctrl+d", "pages(0.5)", "Half a page down", show=False, id="log.half-down"),
        Binding("left,h", "sideways(-1)", "Left", show=False, id="log.left"),
        Binding("right", "sideways(1)", "Right", show=False, id="log.right"),
    ]
    BINDING_GROUP_TITLE = "Log"
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "log-view--gutter",
        "log-view--hit",
        "log-view--marked",
        "log-view--error",
        "log-view--warning",
        "log-view--retry",
        "log-view--command",
        "log-view--phase",
    }

    class Changed(Message):
        """The number of lines has changed, or which of them are shown."""

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, LogView.Changed)

    class TextWanted(Message):
        """The operator wants to type a text for `field`."""

        def __init__(self, field: Field) -> None:
            super().__init__()
            self.field = field

    class SaveWanted(Message):
        """The operator wants to save the log."""

    class Said(Message):
        """A remark for the operator."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(
        self,
        path: Path,
        times: LineTimes,
        places: Mapping[StepId, int],
        glyphs: Glyphs,
        bound: Keys = AS_BUILT,
        *,
        id: str,  # noqa: A002
    ) -> None:
        """`times` and `places` (where in log.txt each step began) grow with the file."""
        super().__init__(id=id)
        self._file = LogFile(path)
        self._lines = self._file
        """The lines that are shown: all, or those that the filter lets through."""
        self._times = times
        self._places = places
        self._glyphs = glyphs
        self._bound = bound
        self._strips: LRUCache[tuple[int, int], Painted] = LRUCache(_STRIPS)
        self._painted_in: Look | None = None
        """What the strips are painted in."""
        self._widest = 0
        self._moving = False
        self._dirty = True
        self._goes_on = False
        """Whether the next part of what was appended is taken in without being asked for."""
        self._rows_shown = 0.0
        """When rows were last shown; by a clock that never goes back."""
        self._restore_at: int | None = None
        self._marks: list[int] = []
        self._hit: int | None = None
        """The line that a key went to."""
        self._walked: Kind | Literal["find"] | None = None
        """What the key goes to."""
        self._survey = Survey(path)
        self._surveying = False
        self._after_survey: Callable[[], None] | None = None
        self._rewrites = 0
        self._find: Search | None = None
        self._filter: Search | None = None
        self._sifting = False
        self._sifted = 0
        """The size of the file when the filter last looked for more lines."""
        self._typed: tuple[Field, Search] | None = None
        """What is typed now."""
        self.following = True
        self.wrapped = False
        self.timed = False

    @property
    def vertical_scrollbar(self) -> ScrollBar:
        if self._vertical_scrollbar is None:
            self._vertical_scrollbar = scrollbar = CalmScrollBar(name="vertical")
            scrollbar.display = False  # as Textual makes it: a layout shows it
            self.app._start_widget(self, scrollbar)
        return self._vertical_scrollbar

    @property
    def file(self) -> LogFile:
        return self._file

    @property
    def rows_below(self) -> int:
        """Rows between the bottom of the window and the end."""
        return max(0, self._lines.rows - self.scroll_offset.y - self._height)

    def count_of(self, kind: Kind) -> str:
        """How many the log has so far; empty if it has none."""
        return self._survey.of(kind).count if self._survey.of(kind) else ""

    def place_in(self, kind: Kind) -> str:
        """`2 of 3` if a key has gone to the second of them, else empty."""
        return self._place_in(self._survey.of(kind), kind)

    @property
    def find_status(self) -> tuple[str, str]:
        """What is looked for, and how much of it was found: `41`, or `3 of 41` at the third."""
        search = self._search_of("find")
        if search is None:
            return "", ""
        return search.query.text, self._place_in(search.hits, "find") or search.hits.count

    @property
    def filter_status(self) -> tuple[str, str]:
        """What the lines must have that are shown, and how many have it."""
        search = self._search_of("filter")
        return (search.query.text, search.hits.count) if search is not None else ("", "")

    @property
    def columns(self) -> tuple[int, int] | None:
        """The first and the last column that are shown, from 1; None if the first one is."""
        left = self.scroll_offset.x
        return (left + 1, left + self._body_width) if left else None

    @property
    def max_scroll_x(self) -> int:
        """As far as the longest shown line reaches: beyond it the log would look empty."""
        return 0 if self.wrapped else max(0, self._shown_width() - self._body_width)

    def mark_dirty(self) -> None:
        """Note that the file has grown; the next flush looks at it."""
        self._dirty = True

    def flush(self) -> None:
        """Take in the appended bytes, and repaint once if there are any. If there are many, that
        goes on by itself."""
        if not self._goes_on:
            self._take_in()

    def _take_in(self) -> None:
        if not self._dirty or not self.is_mounted or not self.size:
            return
        self._dirty = self._file.grow()
        if self._file.rewrites != self._rewrites:
            self._begin_anew()
        if self._filter is not None:
            self._sift(self._filter)
            self._dirty = self._lines.grow() or self._dirty
        self._look_on()
        now = time.monotonic()
        if not self._dirty or now - self._rows_shown >= _SHOW_EVERY:
            self._rows_shown = now
            self._show_rows()
        if self._dirty and not self._goes_on:
            self._goes_on = True
            self._after_others(self._take_in_more)

    def _take_in_more(self) -> None:
        self._goes_on = False
        self._take_in()

    # What is drawn

    def render_lines(self, crop: Region) -> list[Strip]:
        """What is painted. There is nothing around the rows, and most of them are painted once, so
        the work is left out that Textual does to keep and to frame each line of a widget."""
        window, width = self._window(), self._width
        filters, (_, background) = self.get_line_filters(), self.background_colors
        first, end = window.top + crop.y, window.top + crop.bottom
        lines = self._lines.lines_at_rows(first, end)
        rows = [
            self._row(row, line, window).painted()
            for row, line in zip(range(first, end), lines, strict=True)
        ]
        for line_filter in filters:
            if isinstance(line_filter, ScreenFilter):
                rows = line_filter.apply_to_rows(rows, background)
            else:
                rows = [line_filter.apply(row, background) for row in rows]
        strips = [Strip(row, width) for row in rows]
        left, right = crop.column_span
        if left > 0 or right < width:
            return [strip.crop(left, right) for strip in strips]
        return strips

    def render_line(self, y: int) -> Strip:
        """A row for the mouse: where in the text each cell is, nobody else asks."""
        window = self._window()
        row = window.top + y
        return self._row(row, self._lines.line_at_row(row), window).for_mouse(row)

    def refresh(
        self,
        *regions: Region,
        repaint: bool = True,
        layout: bool = False,
        recompose: bool = False,
    ) -> Self:
        """Paint the rows alone: the scrollbar beside them does so by itself."""
        if repaint and self.is_mounted and not (layout or recompose):
            rows = Region(0, 0, self._width, self._height)
            regions = tuple(map(rows.intersection, regions)) or (rows,)
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)

    def on_resize(self) -> None:
        if self.wrapped:
            self._keep_spot()
        self._rebuild()

    def on_unmount(self) -> None:
        self._file.close()
        self._lines.close()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._painted_in = None  # a theme has other colours

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if not self._moving and round(old_value) != round(new_value):
            self.following = new_value >= self.max_scroll_y
            self._restore_at = None
            self.post_message(self.Changed())

    def watch_scroll_x(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_x(old_value, new_value)
        if round(old_value) != round(new_value):
            self.post_message(self.Changed())

    def selection_updated(self, selection: Selection | None) -> None:  # noqa: ARG002
        self.refresh()

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        first = selection.start.y if selection.start else 0
        last = selection.end.y if selection.end else self._lines.rows - 1
        return self._rows_text(first, last, selection), "\n"

    # What the keys do

    def action_follow(self) -> None:
        if self.following:
            self.following = False
            self.post_message(self.Changed())
        else:
            self.action_bottom()

    def action_top(self) -> None:
        self.following = False
        self._go_to_row(0)
        self.post_message(self.Changed())

    def action_bottom(self) -> None:
        self.following = True
        self._go_to_row(self.max_scroll_y)
        self.post_message(self.Changed())

    def action_rows(self, count: int) -> None:
        self.scroll_to(y=self.scroll_offset.y + count, animate=False)

    def action_pages(self, count: float) -> None:
        rows = round(abs(count) * max(1, self._height - 1)) or 1
        self.action_rows(rows if count > 0 else -rows)

    def action_sideways(self, count: int) -> None:
        if not self.wrapped:
            x = self.validate_scroll_x(self.scroll_offset.x + count * _SIDE_STEP)
            self.scroll_to(x=x, animate=False, force=True)

    def action_wrap(self) -> None:
        self._keep_spot()
        self.wrapped = not self.wrapped
        self.scroll_to(x=0, animate=False, force=True)
        self._rebuild()

    def action_times(self) -> None:
        self._keep_spot()
        self.timed = not self.timed
        self._rebuild()

    def action_mark(self) -> None:
        line = self._spot()
        if line is None:
            return
        if line.start in self._marks:
            self._marks.remove(line.start)
        else:
            self._marks.append(line.start)
        self.refresh()

    def action_next_mark(self) -> None:
        line = self._lines.line_at_row(self.scroll_offset.y)
        if not self._marks or line is None:
            key = self._bound.shown(LogView, "log.mark", self._glyphs)
            hint = f": {key} marks one" if key else ""
            self.post_message(self.Said(f"no spot is marked{hint}"))
            return
        later = [mark for mark in self._marks if mark > line.start]
        self._go_to_offset(min(later or self._marks), above=0)

    def action_copy(self) -> None:
        """Copy the selection; else from the newest mark to the bottom; else the shown rows."""
        selection = self.text_selection
        if selection is not None and (selected := self.get_selection(selection)) is not None:
            text = selected[0]
        else:
            top, bottom = self.scroll_offset.y, self.scroll_offset.y + self._height - 1
            marked = self._lines.line_at_offset(self._marks[-1]) if self._marks else None
            text = self._rows_text(min(marked.row, bottom) if marked else top, bottom)
        self.app.copy_to_clipboard(text)
        count = text.count("\n") + 1 if text else 0
        key = self._bound.shown(LogView, "log.save", self._glyphs)
        hint = f"; {key} saves a file" if key else ""
        self.post_message(self.Said(f"{count:,} lines sent to the clipboard{hint}"))

    def action_type(self, field: Field) -> None:
        self.post_message(self.TextWanted(field))

    def action_save(self) -> None:
        self.post_message(self.SaveWanted())

    def action_next(self, direction: int) -> None:
        if self._find is None:
            self.action_type("find")
        else:
            self._seek(self._find, direction)

    def action_error(self, direction: int) -> None:
        self._go_to_kind("error", direction)

    def action_step(self, direction: int) -> None:
        """Go to where a step began; if nobody has told that, to a command."""
        if not self._places:
            self._go_to_kind("command", direction)
            return
        starts = Hits.of({*self._places.values()})
        self._go_to_hit(starts, direction, "no step has begun", above=0)

    def action_only(self) -> None:
        """Show only what one build printed: that of the line looked at, else the first shown."""
        if self._filter is not None and self._filter.query.derivation:
            self.action_all_lines()
            return
        top, spot = self.scroll_offset.y, self._spot()
        shown = self._lines.lines_at_rows(top, top + self._height)
        lines = (line for line in (spot, *shown) if line is not None)
        names = (derivation_of(plain_line(line.data)) for line in lines)
        if name := next((name for name in names if name), ""):
            self.filter(f"{name}>")
        else:
            self.post_message(self.Said("no line here was printed by a build"))

    def action_all_lines(self) -> None:
        self.filter("")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Escape belongs to the filter while there is one."""
        return action != "all_lines" or self._filter is not None

    def go_to_place(self, offset: int) -> None:
        """Show the line at that byte of the file."""
        self._hit = offset
        self._go_to_offset(offset, above=0)

    def count_typed(self, field: Field, text: str) -> None:
        """Count the lines that have the text while it is typed; "" counts nothing."""
        self._typed = (field, self._new_search(field, text)) if text else None
        self._strips.clear()
        if self._typed is not None:
            self._scan(self._typed[1], self._show_count)
        self._show_count()

    def search(self, text: str) -> None:
        """Find `text`, beginning at the top of the window; an empty text ends the search."""
        self._find = self._take_typed("find", text)
        self._hit = None
        self._strips.clear()
        if self._find is None:
            self._show_count()
        else:
            self._seek(self._find, 1, inclusive=True)

    def filter(self, text: str) -> None:
        """Show only the lines with that text; an empty text shows all."""
        self._keep_spot()
        self._filter = self._take_typed("filter", text)
        self._sifting, self._sifted = False, 0
        if self._lines is not self._file:
            self._lines.close()
        path = self._file.path
        self._lines = MatchingLines(path, self._filter) if self._filter else self._file
        if self._find is not None:  # it goes by the lines that are shown
            self._find = self._new_search("find", self._find.query.text)
            self._scan(self._find, self._show_count)
        self._strips.clear()
        self._widest = 0
        self.scroll_to(x=0, animate=False, force=True)
        self.refresh_bindings()
        self._rebuild()

    # Inside

    @property
    def _height(self) -> int:
        return self.size.height

    @property
    def _width(self) -> int:
        """Cells left of the scrollbar."""
        return self.scrollable_content_region.width

    @property
    def _gutter_width(self) -> int:
        return 10 if self.timed else 1

    @property
    def _body_width(self) -> int:
        return max(1, self._width - self._gutter_width)

    def _show_rows(self) -> None:
        """Tell scrollbar and window the number of rows; one repaint, no layout."""
        self._set_extent()
        if self.show_vertical_scrollbar:
            self.vertical_scrollbar.window_virtual_size = self._lines.rows
        if self._restore_at is not None and self._lines.holds(self._restore_at):
            line = self._lines.line_at_offset(self._restore_at)
            self._restore_at = None
            self._go_to_row(line.row if line else 0)
        elif self.following or self.scroll_offset.y > self.max_scroll_y:
            self._go_to_row(self.max_scroll_y)
        self.refresh()
        self.post_message(self.Changed())

    def _set_extent(self) -> None:
        size = Size(self._gutter_width + self._widest, self._lines.rows)
        self.set_reactive(ScrollView.virtual_size, size)

    def _shown_width(self) -> int:
        """Cells of the longest line in the window."""
        top = self.scroll_offset.y
        lines = self._lines.lines_at_rows(top, top + self._height)
        look = self._look()
        return max((self._paint(line, look).cells for line in lines if line), default=0)

    def _go_to_row(self, row: int) -> None:
        self._moving = True
        self.scroll_to(y=row, animate=False)
        self._moving = False

    def _go_to_offset(self, offset: int, *, above: int) -> None:
        """Show the line at `offset`, with so many rows above it."""
        line = self._lines.line_at_offset(offset) or self._lines.line_at_row(self._lines.rows - 1)
        if line is None:
            return
        self.following = False
        self._restore_at = None
        self._go_to_row(line.row - above)
        self.refresh()
        self.post_message(self.Changed())

    def _keep_spot(self) -> None:
        """Keep the top line in place while the rows are counted anew."""
        if self.following:
            self._restore_at = None
        elif (line := self._lines.line_at_row(self.scroll_offset.y)) is not None:
            self._restore_at = line.start

    def _rebuild(self) -> None:
        for lines in (self._file, self._lines):
            lines.set_width(self._body_width if self.wrapped else None)
        self._dirty = True
        self._take_in()

    def _begin_anew(self) -> None:
        """The file was written anew: nothing that was found in the old one is true."""
        self._rewrites = self._file.rewrites
        self._survey = Survey(self._file.path)
        self._marks.clear()
        self._strips.clear()
        self._hit = self._typed = None
        if self._find is not None:
            self._find = self._new_search("find", self._find.query.text)
            self._scan(self._find, self._show_count)
        if self._filter is not None:
            self._filter = self._new_search("filter", self._filter.query.text)
            self._sifting, self._sifted = False, 0
            self._lines.close()
            self._lines = MatchingLines(self._file.path, self._filter)
            self._lines.set_width(self._body_width if self.wrapped else None)

    def _spot(self) -> Line | None:
        """The line that the operator looks at: the hit if it is on the screen, else the top one."""
        if self._hit is not None and (line := self._lines.line_at_offset(self._hit)) is not None:
            top = self.scroll_offset.y
            if top <= line.row < top + self._height:
                return line
        return self._lines.line_at_row(self.scroll_offset.y)

    # What is found

    def _search_of(self, field: Field) -> Search | None:
        """The search that the title shows and the lines mark: what is typed comes first."""
        if self._typed is not None and self._typed[0] == field:
            return self._typed[1]
        return self._find if field == "find" else self._filter

    def _place_in(self, hits: Hits, what: Kind | Literal["find"]) -> str:
        at = self._hit
        if at is None or what != self._walked or at not in hits:
            return ""
        return f"{hits.number(at):,} of {hits.count}"

    def _new_search(self, field: Field, text: str) -> Search:
        path, query = self._file.path, Query.of(text)
        if field == "filter":
            return Search(path, query, limit=FILTER_LIMIT)
        return Search(path, query, within=self._filter.query if self._filter else None)

    def _take_typed(self, field: Field, text: str) -> Search | None:
        """The search for what was typed, with all that it has found already."""
        typed, self._typed = self._typed, None
        if typed is not None and typed[0] == field and typed[1].query.text == text:
            return typed[1]
        return self._new_search(field, text) if text else None

    def _scan(self, search: Search, then: Callable[[], None]) -> None:
        """Search the rest of the file in a thread, and call `then` if it is still wanted."""
        size = self._file.size

        def is_unwanted() -> bool:
            typed = self._typed[1] if self._typed is not None else None
            return search not in (typed, self._find, self._filter)

        def finish() -> None:
            if not is_unwanted():
                then()

        def look() -> None:
            search.scan(size, is_unwanted)
            self.app.call_from_thread(finish)

        self.run_worker(look, thread=True, group="find")

    def _show_count(self) -> None:
        self.refresh()
        self.post_message(self.Changed())

    def _seek(self, search: Search, direction: int, *, inclusive: bool = False) -> None:
        def go() -> None:
            self._walked = "find"
            self._strips.clear()
            self._go_to_hit(search.hits, direction, "not found", inclusive=inclusive)

        self._scan(search, go)

    def _go_to_kind(self, kind: Kind, direction: int) -> None:
        def go() -> None:
            self._walked = kind
            hits = self._survey.of(kind)
            if self._filter is not None:
                hits = hits.shared_with(self._filter.hits)
            self._go_to_hit(hits, direction, "not found")

        self._after_survey = go
        self._look_on()

    def _go_to_hit(
        self,
        hits: Hits,
        direction: int,
        none: str,
        *,
        inclusive: bool = False,
        above: int | None = None,
    ) -> None:
        """Go to the next hit, or say that there is `none`; `above` is for rows above it."""
        spot = self._spot()
        at = spot.start if spot else 0
        if self._hit is not None and spot == self._lines.line_at_offset(self._hit):
            at = self._hit  # a filter may hide the very line
        hit = hits.after(at - 1 if inclusive else at) if direction > 0 else hits.before(at)
        self._hit = hit
        if hit is None:
            self._show_count()
            self.post_message(self.Said(none))
            return
        passed = at - 1 if inclusive else at
        if hit <= passed if direction > 0 else hit >= at:
            self.post_message(self.Said("from the top" if direction > 0 else "from the end"))
        self._go_to_offset(hit, above=self._height // 3 if above is None else above)

    def _sift(self, search: Search) -> None:
        """Bring the filter up to the end of the file."""
        if self._sifting or self._sifted >= self._file.size:
            return
        self._sifting, self._sifted = True, self._file.size

        def taken() -> None:
            self._sifting, self._dirty = False, True
            self.flush()

        self._scan(search, taken)

    def _after_others(self, part: Callable[[], object]) -> None:
        """Do the next part of a long work once everything that waits in the loop had its turn:
        call_later alone does it first, for a queue that has something is not waited for."""
        asyncio.get_running_loop().call_soon(self.call_later, part)

    def _look_on(self) -> None:
        """Survey the file up to its end, with time for everything else between its parts."""
        if not self._surveying:
            self._surveying = True
            self.call_later(self._survey_part)

    def _survey_part(self) -> None:
        if self._survey.scan(self._file.size):
            self._after_others(self._survey_part)
            return
        self._surveying = False
        then, self._after_survey = self._after_survey, None
        if then is not None:
            then()
        self.post_message(self.Changed())

    # Parts of a row

    def _look(self) -> Look:
        """The styles of now; of others nothing is kept."""
        base = self.rich_style
        if self._painted_in is None or self._painted_in.base != base:
            style_of = self.get_component_rich_style
            self._strips.clear()
            self._painted_in = Look(
                base=base,
                gutter=base + style_of("log-view--gutter"),
                marked=style_of("log-view--marked"),
                hit=style_of("log-view--hit"),
                kinds={kind: style_of(f"log-view--{kind}", partial=True) for kind in KINDS},
                dark=self.app.current_theme.dark,
            )
        return self._painted_in

    def _window(self) -> _Window:
        """What all rows of one paint share."""
        left, top = self.scroll_offset
        return _Window(self._look(), left, top, self._body_width, self.text_selection)

    def _row(self, row: int, line: Line | None, window: _Window) -> Row:
        """A row of the log in the window; it belongs to that line."""
        look, width = window.look, window.width
        if line is None:
            return Row([], [Segment(" " * (self._gutter_width + width), look.base)])
        left = (row - line.row) * width if self.wrapped else window.left
        painted = self._paint(line, look)
        before = characters_in(painted, left) if left else 0
        first = 0 if self.wrapped else before
        span = window.selection.get_span(row) if window.selection is not None else None
        if span is not None:
            painted = self._selected(painted, span, before - first)
        gutter = self._gutter(line, row, painted.kind, look)
        return Row(gutter, window_of(painted, left, width, look.base), first)

    def _paint(self, line: Line, look: Look) -> Painted:
        key = (line.start, len(line.data))
        painted = self._strips.get(key)
        if painted is None:
            search = self._search_of("find")
            painted = paint(line.data, look, search.query if search is not None else None)
            self._strips[key] = painted
            self._widest = max(self._widest, painted.cells)
        return painted

    def _selected(self, line: Painted, span: tuple[int, int], before: int) -> Painted:
        """The line with what is selected in its row, which has so many characters before it."""
        start, end = span
        stop = line.cells if end == -1 else cell_len(line.text[: before + end])
        style = self.screen.get_component_rich_style("screen--selection")
        return restyle(line, cell_len(line.text[: before + start]), stop, style)

    def _gutter(self, line: Line, row: int, kind: Kind | None, look: Look) -> list[Segment]:
        style = look.gutter
        if row != line.row:
            return [Segment(" " * self._gutter_width, style)]
        sign = " "
        if line.start == self._hit:
            sign = self._glyphs.cursor
        elif line.start in self._marks:
            sign = self._glyphs.marked
            style += look.marked
        elif kind is not None:
            sign = self._kind_signs.get(kind, sign)
            style += look.kinds[kind]
        if not self.timed:
            return [Segment(sign, style)]
        at = self._times.time_of(line.start)
        clock = time.strftime("%H:%M:%S", time.localtime(at)) if at is not None else " " * 8
        return [Segment(sign, style), Segment(f"{clock} ", style)]

    @property
    def _kind_signs(self) -> dict[Kind, str]:
        """The signs of what stands out; commands and phases are bold, and say what they are."""
        glyphs = self._glyphs
        return {"error": glyphs.bad, "warning": glyphs.warning, "retry": glyphs.again}

    def _rows_text(self, first: int, last: int, selection: Selection | None = None) -> str:
        """Rows as text; the rows of a wrapped line become one line again."""
        parts: list[str] = []
        for row in range(first, min(last, first + COPY_LIMIT - 1) + 1):
            line = self._lines.line_at_row(row)
            if line is None:
                break
            text = plain_line(line.data)
            if self.wrapped:
                left = (row - line.row) * self._body_width
                text = Strip([Segment(text)]).crop(left, left + self._body_width).text
                if parts and row != line.row:
                    parts.pop()
            span = selection.get_span(row) if selection is not None else None
            if span is not None:
                text = text[span[0] : None if span[1] == -1 else span[1]]
            parts.extend((text, "\n"))
        return "".join(parts[:-1])
