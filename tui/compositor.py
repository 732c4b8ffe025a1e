"""Textual's compositor, which asks widgets only for rows that are painted.

Textual by itself asks for all rows of all widgets whose clip has some part of what is painted: for
a line more in the log, that is the whole screen, of which the log covers most.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Final

import textual
from textual._compositor import Compositor
from textual.geometry import Region

if TYPE_CHECKING:
    from collections.abc import Iterable

    from textual._compositor import ChopsUpdate
    from textual.strip import Strip

    Render = tuple[Region, Region, list[Strip]]
    """Where a widget's rows stand, its clip, and the rows."""


KNOWN: Final = "8.2."
"""The versions of Textual whose compositor is as it is here; another one paints by itself."""


def compositor() -> Compositor:
    """What a page is painted with."""
    return PartCompositor() if textual.__version__.startswith(KNOWN) else Compositor()


class PartCompositor(Compositor):
    """Its partial updates cost what they paint."""

    _cells: dict[int, set[int]] | None = None
    """What a partial update paints, while it does so: the pieces of each line, by their first
    columns. Widgets begin and end only where a piece does."""

    def render_partial_update(self) -> ChopsUpdate | None:
        painted = self._dirty_regions.copy()
        self._dirty_regions.clear()
        if not painted:
            return None
        spans = list(self._regions_to_spans(painted))
        self._cells = self._cells_of(spans)
        try:
            chops = self._render_chops(Region.from_union(painted), self._cells.__contains__)
        finally:
            self._cells = None
        from textual._compositor import ChopsUpdate

        return ChopsUpdate(chops, spans, [cuts[1:] for cuts in self.cuts])

    def _get_renders(self, crop: Region | None = None) -> Iterable[Render]:
        return super()._get_renders(crop) if self._cells is None else self._painted(self._cells)

    def _cells_of(self, spans: Iterable[tuple[int, int, int]]) -> dict[int, set[int]]:
        cells: dict[int, set[int]] = {}
        for y, left, right in spans:
            cuts = self.cuts[y]
            first, end = bisect_right(cuts, left) - 1, bisect_left(cuts, right)
            cells.setdefault(y, set()).update(cuts[first:end])
        return cells

    def _painted(self, cells: dict[int, set[int]]) -> Iterable[Render]:
        """The rows of the widgets that are seen there. The widgets come front to back."""
        for widget, (region, clip) in self.visible_widgets.items():
            place = region.intersection(clip)
            left, right = place.column_span
            rows: list[int] = []
            for y in place.line_range:
                if missing := cells.get(y):
                    seen = {start for start in missing if left <= start < right}
                    if seen:
                        rows.append(y)
                        missing -= seen
            if rows:
                top, bottom = rows[0], rows[-1] + 1
                part = Region(place.x, top, place.width, bottom - top)
                yield part, part, widget.render_lines(part.translate(-region.offset))
