"""What each row passes before it is painted."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.filter import LineFilter

from nixfleet_core.log.display import safe, safe_lines

if TYPE_CHECKING:
    from textual.color import Color


class ScreenFilter(LineFilter):
    """Replaces a row that holds a credential, or a character that no screen gets, in case a widget
    forgot to clean its text.

    Widgets clean foreign text themselves (`tui.text.plain`) while it is whole; a row may hold only
    a part of it. This filter sees one row, and keeps its width. A clean row costs one search.
    """

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:  # noqa: ARG002
        text = _text(segments)
        shown = safe(text)
        if shown == text:
            return segments
        style = next((segment.style for segment in segments if segment.text.strip()), None)
        return [Segment(set_cell_size(shown, cell_len(text)), style)]

    def apply_to_rows(self, rows: list[list[Segment]], background: Color) -> list[list[Segment]]:
        """The same for many rows, which together cost little more than one."""
        text = "\n".join(map(_text, rows))
        if safe_lines(text) == text:
            return rows
        return [self.apply(row, background) for row in rows]


def _text(segments: list[Segment]) -> str:
    return "".join([segment.text for segment in segments])


class NoColours(LineFilter):
    """Leaves out all colours, also greys and the terminal's own. Bold, underline and reverse stay;
    what had a background of its own is reversed.

    Textual's own filters write greys, or the codes of the default colours.
    """

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:  # noqa: ARG002
        return [
            Segment(text, None if style is None else _colourless(style), control)
            for text, style, control in segments
        ]


@lru_cache(maxsize=1024)
def _colourless(style: Style) -> Style:
    has_ground = style.bgcolor is not None and not style.bgcolor.is_default
    kept = Style(meta=style.meta, reverse=True if has_ground else None)  # the mouse needs meta
    return style.without_color + kept
