"""Facts in sections, each with all of its value: long values go on in further rows.

A cursor goes from fact to fact. All text is plain, with the name of a tone; nothing is parsed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from nixfleet_core.cli.rows import split_rows
from tui.host_facts import LABEL
from tui.keys import AS_BUILT
from tui.remedies import remedy_keys
from tui.words import Tone

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.style import Style
    from textual import events

    from tui.glyphs import Glyphs
    from tui.host_facts import Fact, Section
    from tui.keys import Keys
    from tui.remedies import Where

_SIGN: Final = 2
"""Cells before the labels: the cursor."""

_Look = Literal["heading", "cursor"] | Tone


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of the screen: parts with their looks. `fact`: the number of the fact that it shows."""

    parts: tuple[tuple[str, _Look], ...]
    fact: int | None = None
    is_first: bool = False


class FactList(ScrollView, can_focus=True, inherit_bindings=False):
    """Sections of facts with a cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False, id="facts.up"),
        Binding("down,j", "move(1)", "Down", show=False, id="facts.down"),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False, id="facts.page-up"),
        Binding("pagedown,ctrl+f", "page(1)", "Page down", show=False, id="facts.page-down"),
        Binding("home,g", "edge(-1)", "First fact", show=False, id="facts.first"),
        Binding("end,G", "edge(1)", "Last fact", show=False, id="facts.last"),
    ]
    BINDING_GROUP_TITLE = "Facts"
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "fact-list--heading",
        "fact-list--cursor",
        "fact-list--good",
        "fact-list--unproven",
        "fact-list--warning",
        "fact-list--bad",
        "fact-list--busy",
        "fact-list--faint",
    }
    ALLOW_SELECT = False

    class Chosen(Message):
        """A fact was clicked twice."""

    def __init__(
        self,
        glyphs: Glyphs,
        bound: Keys = AS_BUILT,
        *,
        id: str,  # noqa: A002
        where: Where = "host",
    ) -> None:
        """`where`: the page whose keys it names."""
        super().__init__(id=id)
        self._where = where
        self._glyphs = glyphs
        self._bound = bound
        self._sections: Sequence[Section] = ()
        self._rows: list[_Row] = []
        self._cursor = 0

    @property
    def selected(self) -> Fact | None:
        """The fact under the cursor."""
        facts = [fact for section in self._sections for fact in section.facts]
        return facts[self._cursor] if facts else None

    def show(self, sections: Sequence[Section]) -> None:
        """Draw these, if they differ. The cursor stays with its section and label."""
        if sections == self._sections:
            return
        before = self._places()
        self._sections = sections
        after = self._places()
        here = before[self._cursor] if self._cursor < len(before) else None
        if here in after:
            self._cursor = after.index(here)
        self._cursor = max(0, min(self._cursor, len(after) - 1))
        self._lay_out()

    def _places(self) -> list[tuple[str, str, int]]:
        """Section and label of each fact, and its number among those of the same label."""
        places: list[tuple[str, str, int]] = []
        for section in self._sections:
            labels = [fact.label for fact in section.facts]
            places += [
                (section.title, label, labels[:at].count(label)) for at, label in enumerate(labels)
            ]
        return places

    def _lay_out(self) -> None:
        """Make all rows. One that is as before is not painted again: ages change each second."""
        before, self._rows = self._rows, list(self._laid_out())
        size = Size(self._width, len(self._rows))
        if self.virtual_size == size and len(before) == len(self._rows):
            for at, (old, new) in enumerate(zip(before, self._rows, strict=True)):
                if old != new:
                    self.refresh_lines(at, 1)
            return
        self.virtual_size = size
        self._keep_in_view()
        self.refresh()

    def _laid_out(self) -> Iterator[_Row]:
        at = 0
        for section in self._sections:
            if at:
                yield _Row(())
            rests = f"  {section.rests}" if section.rests else ""
            *above, last = split_rows(section.title, self._width)
            for part in above:
                yield _Row(((part, "heading"),))
            yield _Row(((last, "heading"), (rests, "faint")))
            for fact in section.facts:
                keys = remedy_keys(fact.remedies, self._glyphs, self._where, self._bound).plain
                value = " ".join(part for part in (fact.value, keys) if part)
                for number, part in enumerate(split_rows(value, self._width - _SIGN - LABEL)):
                    label = "" if number else fact.label
                    yield _Row(((f"{label:<{LABEL}}", "faint"), (part, fact.tone)), at, number == 0)
                at += 1

    def render_line(self, y: int) -> Strip:
        base = self.rich_style
        at = y + self.scroll_offset.y
        if at >= len(self._rows):
            return Strip.blank(self._width, base)
        row = self._rows[at]
        here = row.fact == self._cursor and row.fact is not None
        if here:
            base += self._look("cursor")
        sign = self._glyphs.cursor if here and row.is_first else " "
        indent = f"{sign:<{_SIGN}}" if row.fact is not None else ""
        parts = [Segment(indent, base)]
        for text, look in row.parts:
            style = base if look == "normal" or here else base + self._look(look)
            parts.append(Segment(text, style))
        return Strip(parts).crop_extend(0, self._width, base)

    def _look(self, look: _Look) -> Style:
        """A colour with transparency needs the background that it is blended with."""
        return self.get_component_rich_style(f"fact-list--{look}", partial=look == "cursor")

    def on_resize(self) -> None:
        self._lay_out()

    def on_click(self, event: events.Click) -> None:
        at = event.y + self.scroll_offset.y
        if at < len(self._rows) and (fact := self._rows[at].fact) is not None:
            self._move_to(fact)
            if event.chain == 2:
                self.post_message(self.Chosen())

    def action_move(self, count: int) -> None:
        self._move_to(self._cursor + count)

    def action_page(self, count: int) -> None:
        """Go on by about a screen: to the fact at the row that is so far away."""
        here = self._rows_of(self._cursor)
        if here:
            far = here[0] + count * max(1, self.size.height - 2)
            near = self._rows[max(0, min(far, len(self._rows) - 1)) :]
            fact = next((row.fact for row in near if row.fact is not None), None)
            self._move_to(self._last if fact is None else fact)

    def action_edge(self, side: int) -> None:
        self._move_to(0 if side < 0 else self._last)

    @property
    def _last(self) -> int:
        return sum(len(section.facts) for section in self._sections) - 1

    @property
    def _width(self) -> int:
        """Cells left of the scrollbar."""
        return self.scrollable_content_region.width

    def _rows_of(self, fact: int) -> list[int]:
        return [at for at, row in enumerate(self._rows) if row.fact == fact]

    def _move_to(self, fact: int) -> None:
        fact = max(0, min(fact, self._last))
        if fact != self._cursor:
            self._cursor = fact
            self._keep_in_view()
            self.refresh()

    def _keep_in_view(self) -> None:
        """Show all rows of the fact; with the first one of a section also its heading."""
        rows = self._rows_of(self._cursor)
        if not rows:
            return
        top = rows[0]
        while top and self._rows[top - 1].fact is None:
            top -= 1
        height = max(1, self.size.height)
        if top < self.scroll_offset.y or rows[-1] - top >= height:
            self.scroll_to(y=top, animate=False)
        elif rows[-1] >= self.scroll_offset.y + height:
            self.scroll_to(y=rows[-1] - height + 1, animate=False)
