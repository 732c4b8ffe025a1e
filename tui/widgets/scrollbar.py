"""Scrollbars: in plain ASCII, and one that is painted only when it looks different."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segments
from textual.scrollbar import ScrollBar, ScrollBarRender

if TYPE_CHECKING:
    from typing import Self

    from rich.segment import Segment
    from textual.geometry import Region


class AsciiScrollBarRender(ScrollBarRender):
    """Draws the thumb's ends as blank cells; Textual draws them with block elements."""

    VERTICAL_BARS: ClassVar[list[str]] = [" "] * 8
    HORIZONTAL_BARS: ClassVar[list[str]] = [" "] * 8


def draw_scrollbars(*, ascii_only: bool) -> None:
    """Choose how all scrollbars are drawn."""
    ScrollBar.renderer = AsciiScrollBarRender if ascii_only else ScrollBarRender


class CalmScrollBar(ScrollBar):
    """A vertical scrollbar that is painted again only if it looks different.

    Textual paints it whenever a number changes from which it is drawn. With each line that comes to
    a long log several do, one after the other, and in the end the thumb is where it was.
    """

    _painted: list[Segment] | None = None
    _looks_again = False

    def refresh(
        self,
        *regions: Region,
        repaint: bool = True,
        layout: bool = False,
        recompose: bool = False,
    ) -> Self:
        if regions or layout or recompose or not (repaint and self.is_mounted):
            return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)
        if not self._looks_again:
            self._looks_again = True
            self.call_next(self._paint_if_different)
        return self

    def _paint_if_different(self) -> None:
        self._looks_again = False
        cells = self._cells()
        if cells != self._painted:
            self._painted = cells
            super().refresh()

    def _cells(self) -> list[Segment]:
        """What is drawn, from top to bottom."""
        console, bar = self.app.console, self.render()
        options = console.options.update(width=self.thickness, height=self.size.height)
        if isinstance(bar, ScrollBarRender):
            drawn = next(iter(bar.__rich_console__(console, options)))
            if isinstance(drawn, Segments):  # to render them takes longer than to make them
                return list(drawn.segments)
        return list(console.render(bar, options))
