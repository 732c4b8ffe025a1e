"""The last check of each row before it is painted, in case a widget forgot to clean its text.

Widgets clean foreign text themselves (`tui.text.plain`) while it is whole; a row may hold only a
part of it. This filter sees one row, and keeps its width. A clean row costs one search.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual.filter import LineFilter

from nixfleet_core.log.display import safe

if TYPE_CHECKING:
    from textual.color import Color


class ScreenFilter(LineFilter):
    """Replaces a row that holds a credential, or a character that no screen gets."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:  # noqa: ARG002
        text = "".join(segment.text for segment in segments)
        shown = safe(text)
        if shown == text:
            return segments
        style = next((segment.style for segment in segments if segment.text.strip()), None)
        return [Segment(set_cell_size(shown, cell_len(text)), style)]
