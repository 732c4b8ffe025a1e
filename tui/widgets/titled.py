"""A box whose title changes often."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import VerticalScroll
from textual.geometry import Region
from textual.widget import Widget

if TYPE_CHECKING:
    from typing import Self

    from textual.content import Content


class Titled(Widget):
    """Its titles are changed by `show_titles`. That paints the rows in which they stand; Textual by
    itself paints all of the box, which may go over a slow link. A class names it after its other
    base: Textual takes the style of the first one."""

    _titles: tuple[Content | None, Content | None] = (None, None)
    _retitled: tuple[Region, ...] = ()
    """What a change of the titles paints, while they change."""

    def show_titles(self, title: Content, subtitle: Content | None = None) -> None:
        """Set the title, and the subtitle at the lower edge; the same ones cost nothing."""
        before, self._titles = self._titles, (title, subtitle)
        width, height = self.outer_size
        left, top = self.content_offset
        if before[0] != title:
            self._retitled = (Region(-left, -top, width, 1),)
            self.border_title = title
        if before[1] != subtitle:
            self._retitled = (Region(-left, height - 1 - top, width, 1),)
            self.border_subtitle = subtitle
        self._retitled = ()

    def refresh(
        self,
        *regions: Region,
        repaint: bool = True,
        layout: bool = False,
        recompose: bool = False,
    ) -> Self:
        painted = self._retitled or regions
        return super().refresh(*painted, repaint=repaint, layout=layout, recompose=recompose)


class TitledScroll(VerticalScroll, Titled):
    """Such a box that scrolls."""
