"""Scrollbars in plain ASCII: whole cells only."""

from __future__ import annotations

from typing import ClassVar

from textual.scrollbar import ScrollBar, ScrollBarRender


class AsciiScrollBarRender(ScrollBarRender):
    """Draws the thumb's ends as blank cells; Textual draws them with block elements."""

    VERTICAL_BARS: ClassVar[list[str]] = [" "] * 8
    HORIZONTAL_BARS: ClassVar[list[str]] = [" "] * 8


def draw_scrollbars(*, ascii_only: bool) -> None:
    """Choose how all scrollbars are drawn."""
    ScrollBar.renderer = AsciiScrollBarRender if ascii_only else ScrollBarRender
