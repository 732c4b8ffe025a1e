"""The notice that covers a screen in a terminal that is too small."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widget import Widget

from tui.keys import shown_key
from tui.stage import stage

if TYPE_CHECKING:
    from textual.geometry import Size

    from tui.glyphs import Glyphs

LEAST_WIDTH = 60
LEAST_HEIGHT = 15


def is_too_small(size: Size) -> bool:
    return size.width < LEAST_WIDTH or size.height < LEAST_HEIGHT


class TooSmall(Widget):
    """Covers the screen while the terminal is smaller than 60 by 15."""

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__(id="too-small")
        self._glyphs = glyphs

    def render(self) -> str:
        size, times = self.app.size, self._glyphs.times
        key = shown_key(stage(self).quit_keys[0], self._glyphs)
        return (
            f"NixFleet needs {LEAST_WIDTH}{times}{LEAST_HEIGHT};\n"
            f"this terminal has {size.width}{times}{size.height}.\n"
            "Jobs go on meanwhile.\n"
            f"{key} quits."
        )
