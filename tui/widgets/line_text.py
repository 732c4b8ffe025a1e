"""A text that changes often, in a box that is painted often."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

from textual.content import Content
from textual.geometry import Region
from textual.strip import Strip
from textual.visual import Visual
from textual.widget import Widget

if TYPE_CHECKING:
    from textual.geometry import Size
    from textual.selection import Selection


class LineText(Widget):
    """A new text paints only the lines that differ, and a layout follows only if the height does.
    Textual's Static wraps a text twice, and paints all of it."""

    def __init__(self, *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self.auto_links = False
        self._content = Content()
        self._wrapped: tuple[int, list[Strip]] | None = None
        """The lines for a width."""

    def show(self, content: Content, least: int) -> None:
        """Show this text. The widget is at least so high, whatever its text."""
        before = self._content
        if content.plain == before.plain and content.spans == before.spans:
            return
        width = self.size.width
        old = self._lines(width)
        self._content, self._wrapped = content, None
        new = self._lines(width)
        if not width or max(len(new), least) != self.size.height:
            self.refresh(layout=True)  # that paints all of the screen once more
            return
        pairs = enumerate(zip_longest(old, new))
        changed = [Region(0, at, width, 1) for at, (one, other) in pairs if one != other]
        if changed:
            self.refresh(*changed)

    def render(self) -> Content:
        return self._content

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        lines = self._lines(width)
        return lines[y] if y < len(lines) else Strip.blank(width, self.visual_style.rich_style)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002
        return len(self._lines(width))

    def notify_style_update(self) -> None:
        self._wrapped = None
        super().notify_style_update()

    def selection_updated(self, selection: Selection | None) -> None:
        self._wrapped = None
        super().selection_updated(selection)

    def _lines(self, width: int) -> list[Strip]:
        if self._wrapped is None or self._wrapped[0] != width:
            lines = Visual.to_strips(self, self._content, width, None, self.visual_style)
            self._wrapped = (width, lines)
        return self._wrapped[1]
