"""Textual's compositor, which asks widgets only for rows that are painted.

Textual by itself asks for all rows of all widgets whose clip has some part of what is painted: for
a line more in the log, that is the whole screen, of which the log covers most.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from textual._compositor import Compositor
from textual.geometry import Region

if TYPE_CHECKING:
    from collections.abc import Iterable

    from textual._compositor import ChopsUpdate
    from textual.strip import Strip

    Render = tuple[Region, Region, list[Strip]]
    """Where a widget's rows stand, its clip, and the rows."""


class PartCompositor(Compositor):
    """Its partial updates cost what they paint."""

    _painted: frozenset[Region] | None = None
    """What a partial update paints, while it does so."""

    def render_partial_update(self) -> ChopsUpdate | None:
        self._painted = frozenset(self._dirty_regions)
        try:
            return super().render_partial_update()
        finally:
            self._painted = None

    def _get_renders(self, crop: Region | None = None) -> Iterable[Render]:
        if self._painted is None:
            return super()._get_renders(crop)
        return self._painted_renders(self._cells_of(self._painted))

    def _cells_of(self, painted: Iterable[Region]) -> dict[int, set[int]]:
        """The pieces of each line that have something of these regions, by their first columns.
        Widgets begin and end only where a piece does."""
        cells: dict[int, set[int]] = {}
        for y, left, right in self._regions_to_spans(painted):
            if 0 <= y < self.size.height:
                pieces = pairwise(self.cuts[y])
                found = {start for start, end in pieces if start < right and end > left}
                cells.setdefault(y, set()).update(found)
        return cells

    def _painted_renders(self, cells: dict[int, set[int]]) -> Iterable[Render]:
        """The rows of the widgets that are seen there. The widgets come front to back."""
        for widget, (region, clip) in self.visible_widgets.items():
            place = region.intersection(clip)
            left, right = place.column_span
            rows: list[int] = []
            for y in place.line_range:
                if seen := {start for start in cells.get(y, ()) if left <= start < right}:
                    rows.append(y)
                    cells[y] -= seen
            if rows:
                top, bottom = rows[0], rows[-1] + 1
                part = Region(place.x, top, place.width, bottom - top)
                yield part, part, widget.render_lines(part.translate(-region.offset))
