"""The log: a window onto log.txt that costs the same whatever the size of the file.

Only the rows on the screen are read, parsed and drawn. `flush` takes in growth a few times a
second, at most 8 MiB at once, and costs one repaint: it sets the number of rows without a new
layout. That is possible because the scrollbar is always there.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar, Final

from rich.cells import cell_len
from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.cache import LRUCache
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.ansi import parse_line, plain_line
from tui.log_file import LogFile
from tui.log_search import Search

if TYPE_CHECKING:
    from pathlib import Path

    from rich.style import Style
    from textual.selection import Selection

    from tui.glyphs import Glyphs
    from tui.line_times import LineTimes
    from tui.log_file import Line

_SIDE_STEP: Final = 16
_STRIPS: Final = 1024
COPY_LIMIT: Final = 10_000
"""So many rows one copy can hold: terminals drop a clipboard that is too large."""


class LogView(ScrollView, can_focus=True, inherit_bindings=False):
    """Shows a log file, follows it as it grows, and finds things in it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "follow", "follow", id="log.follow", tooltip="Stay at the end as it grows"),
        Binding("slash", "search", "find", id="log.search", tooltip="Find text in the log"),
        Binding("n", "next(1)", "Next hit", show=False, id="log.next"),
        Binding("N", "next(-1)", "Previous hit", show=False, id="log.previous"),
        Binding("e", "error(1)", "error", id="log.error", tooltip="Go to the next error"),
        Binding("E", "error(-1)", "Previous error", show=False, id="log.error-back"),
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
        Binding("left,h", "sideways(-1)", "Left", show=False, id="log.left"),
        Binding("right", "sideways(1)", "Right", show=False, id="log.right"),
    ]
    BINDING_GROUP_TITLE = "Log"
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "log-view--gutter",
        "log-view--hit",
        "log-view--marked",
    }

    class Changed(Message):
        """The number of lines has changed, or which of them are shown."""

    class SearchWanted(Message):
        """The operator wants to type a text to find."""

    class SaveWanted(Message):
        """The operator wants to save the log."""

    class Said(Message):
        """A remark for the operator."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, path: Path, times: LineTimes, glyphs: Glyphs, *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self._file = LogFile(path)
        self._times = times
        self._glyphs = glyphs
        self._strips: LRUCache[tuple[int, int], Strip] = LRUCache(_STRIPS)
        self._widest = 0
        self._moving = False
        self._dirty = True
        self._restore_at: int | None = None
        self._marks: list[int] = []
        self._hit: int | None = None
        self._search: Search | None = None
        self._errors: Search | None = None
        self._shown_search: Search | None = None
        self.following = True
        self.wrapped = False
        self.timed = False

    @property
    def file(self) -> LogFile:
        return self._file

    @property
    def rows_below(self) -> int:
        """Rows between the bottom of the window and the end."""
        return max(0, self._file.rows - self.scroll_offset.y - self._height)

    @property
    def search_status(self) -> str:
        """`3/120`: the number of the hit that is shown, of all hits; empty without a search."""
        search = self._shown_search
        if search is None or self._hit is None:
            return ""
        more = "+" if search.is_full else ""
        return f"{search.number(self._hit):,}/{search.count:,}{more}"

    def mark_dirty(self) -> None:
        """Note that the file has grown; the next flush looks at it."""
        self._dirty = True

    def flush(self) -> None:
        """Take in the appended bytes, and repaint once if there are any."""
        if not self._dirty or not self.is_mounted or not self.size:
            return
        self._dirty = self._file.grow()
        self._show_rows()
        if self._dirty:
            self.call_later(self.flush)

    # What is drawn

    def render_line(self, y: int) -> Strip:
        scroll_x, scroll_y = self.scroll_offset
        row = scroll_y + y
        width, base = self._width, self.rich_style
        line = self._file.line_at_row(row)
        if line is None:
            return Strip.blank(width, base)
        body_width = self._body_width
        left = (row - line.row) * body_width if self.wrapped else scroll_x
        body = self._selected(self._strip(line), row, left)
        body = body.crop_extend(left, left + body_width, base).apply_style(base)
        body = body.apply_offsets(0 if self.wrapped else left, row)
        return Strip.join([self._gutter(line, row), body])

    def on_resize(self) -> None:
        if self.wrapped:
            self._keep_spot()
        self._rebuild()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._strips.clear()  # they hold the hits' colours

    def on_unmount(self) -> None:
        self._file.close()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if not self._moving and round(old_value) != round(new_value):
            self.following = new_value >= self.max_scroll_y
            self._restore_at = None
            self.post_message(self.Changed())

    def selection_updated(self, selection: Selection | None) -> None:  # noqa: ARG002
        self.refresh()

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        first = selection.start.y if selection.start else 0
        last = selection.end.y if selection.end else self._file.rows - 1
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

    def action_pages(self, count: int) -> None:
        self.scroll_to(y=self.scroll_offset.y + count * max(1, self._height - 1), animate=False)

    def action_sideways(self, count: int) -> None:
        if not self.wrapped:
            self._set_extent()  # only lines that were shown have a known width
            x = self.scroll_offset.x + count * _SIDE_STEP
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
        line = self._file.line_at_row(self.scroll_offset.y)
        if not self._marks or line is None:
            self.post_message(self.Said("no spot is marked: m marks one"))
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
            marked = self._file.line_at_offset(self._marks[-1]) if self._marks else None
            text = self._rows_text(min(marked.row, bottom) if marked else top, bottom)
        self.app.copy_to_clipboard(text)
        count = text.count("\n") + 1 if text else 0
        self.post_message(self.Said(f"{count:,} lines sent to the clipboard; ctrl+s saves a file"))

    def action_search(self) -> None:
        self.post_message(self.SearchWanted())

    def action_save(self) -> None:
        self.post_message(self.SaveWanted())

    def action_next(self, direction: int) -> None:
        if self._search is None:
            self.action_search()
        else:
            self._find(self._search, direction)

    def action_error(self, direction: int) -> None:
        if self._errors is None:
            self._errors = Search.of_errors(self._file.path)
        self._find(self._errors, direction)

    def search(self, text: str) -> None:
        """Find `text`, beginning at the top of the window; an empty text ends the search."""
        self._hit = None
        if not text:
            self._search = self._shown_search = None
            self._strips.clear()
            self.refresh()
            self.post_message(self.Changed())
            return
        self._search = Search.of_text(self._file.path, text)
        self._find(self._search, 1, inclusive=True)

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
            self.vertical_scrollbar.window_virtual_size = self._file.rows
        if self._restore_at is not None and self._file.size > self._restore_at:
            line = self._file.line_at_offset(self._restore_at)
            self._restore_at = None
            self._go_to_row(line.row if line else 0)
        elif self.following:
            self._go_to_row(self.max_scroll_y)
        self.refresh()
        self.post_message(self.Changed())

    def _set_extent(self) -> None:
        size = Size(self._gutter_width + self._widest, self._file.rows)
        self.set_reactive(ScrollView.virtual_size, size)

    def _go_to_row(self, row: int) -> None:
        self._moving = True
        self.scroll_to(y=row, animate=False)
        self._moving = False

    def _go_to_offset(self, offset: int, *, above: int) -> None:
        """Show the line at `offset`, with so many rows above it."""
        line = self._file.line_at_offset(offset)
        if line is None:
            return
        self.following = False
        self._restore_at = None
        self._go_to_row(line.row - above)
        self.refresh()
        self.post_message(self.Changed())

    def _keep_spot(self) -> None:
        """Keep the top line in place while the rows are counted anew."""
        line = self._file.line_at_row(self.scroll_offset.y)
        self._restore_at = line.start if line and not self.following else None

    def _rebuild(self) -> None:
        self._file.set_width(self._body_width if self.wrapped else None)
        self._dirty = True
        self.flush()

    def _spot(self) -> Line | None:
        """The line that the operator looks at: the hit if it is on the screen, else the top one."""
        if self._hit is not None and (line := self._file.line_at_offset(self._hit)) is not None:
            top = self.scroll_offset.y
            if top <= line.row < top + self._height:
                return line
        return self._file.line_at_row(self.scroll_offset.y)

    def _find(self, search: Search, direction: int, *, inclusive: bool = False) -> None:
        size = self._file.size

        def look() -> None:
            search.scan(size)
            self.app.call_from_thread(self._show_hit, search, direction, inclusive)

        self.run_worker(look, thread=True, group="find", exclusive=True)

    def _show_hit(self, search: Search, direction: int, inclusive: bool) -> None:
        spot = self._spot()
        at = spot.start if spot else 0
        hit = search.after(at - 1 if inclusive else at) if direction > 0 else search.before(at)
        self._shown_search = search
        self._strips.clear()
        if hit is None:
            self._hit = None
            self.refresh()
            self.post_message(self.Said("not found"))
            self.post_message(self.Changed())
            return
        if not inclusive and (hit <= at if direction > 0 else hit >= at):
            self.post_message(self.Said("the search wrapped around"))
        self._hit = hit
        self._go_to_offset(hit, above=self._height // 3)

    def _strip(self, line: Line) -> Strip:
        """The whole line, parsed and with its hits shown."""
        key = (line.start, len(line.data))
        strip = self._strips.get(key)
        if strip is None:
            strip = Strip(parse_line(line.data))
            if self._shown_search is not None:
                hit_style = self.get_component_rich_style("log-view--hit")
                text = strip.text
                for start, end in self._shown_search.spans(text):
                    strip = _restyle(strip, cell_len(text[:start]), cell_len(text[:end]), hit_style)
            self._strips[key] = strip
            self._widest = max(self._widest, strip.cell_length)
        return strip

    def _selected(self, strip: Strip, row: int, left: int) -> Strip:
        selection = self.text_selection
        span = selection.get_span(row) if selection is not None else None
        if span is None:
            return strip
        start, end = span
        base = left if self.wrapped else 0
        stop = strip.cell_length if end == -1 else base + end
        style = self.screen.get_component_rich_style("screen--selection")
        return _restyle(strip, base + start, stop, style)

    def _gutter(self, line: Line, row: int) -> Strip:
        style = self.rich_style + self.get_component_rich_style("log-view--gutter")
        if row != line.row:
            return Strip.blank(self._gutter_width, style)
        sign = " "
        if line.start == self._hit:
            sign = self._glyphs.cursor
        elif line.start in self._marks:
            sign = self._glyphs.marked
            style += self.get_component_rich_style("log-view--marked")
        segments = [Segment(sign, style)]
        if self.timed:
            at = self._times.time_of(line.start)
            clock = time.strftime("%H:%M:%S", time.localtime(at)) if at is not None else " " * 8
            segments.append(Segment(f"{clock} ", style))
        return Strip(segments, self._gutter_width)

    def _rows_text(self, first: int, last: int, selection: Selection | None = None) -> str:
        """Rows as text; the rows of a wrapped line become one line again."""
        parts: list[str] = []
        for row in range(first, min(last, first + COPY_LIMIT - 1) + 1):
            line = self._file.line_at_row(row)
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


def _restyle(strip: Strip, start: int, end: int, style: Style) -> Strip:
    """The cells `start` to `end` in another style."""
    length = strip.cell_length
    start, end = max(0, min(start, length)), max(0, min(end, length))
    if start >= end:
        return strip
    middle = Strip(
        [Segment(text, (old + style) if old else style) for text, old, _ in strip.crop(start, end)]
    )
    return Strip.join([strip.crop(0, start), middle, strip.crop(end, length)])
