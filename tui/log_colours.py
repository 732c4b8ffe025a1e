"""The colours of derivations' names in the log. One name has one colour, in every log.

No colour is near red, yellow or green: these say how something went.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final
from zlib import crc32

from rich.style import Style

DARK: Final = ("#5fafff", "#a0b4d8", "#af87ff", "#d787ff", "#8f9fff", "#5fc8d8", "#c8a8e8")
LIGHT: Final = ("#005faf", "#006878", "#5f3fc0", "#8a2fa8", "#3f4fc0", "#00588f", "#70488f")
"""For a dark and for a light background."""


@lru_cache(maxsize=1024)
def derivation_style(name: str, *, dark: bool) -> Style:
    """The style of a derivation's name."""
    colours = DARK if dark else LIGHT
    return Style(color=colours[crc32(name.encode()) % len(colours)])
