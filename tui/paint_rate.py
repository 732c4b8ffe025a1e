"""How often the app paints: over a slow link each paint takes time, and keys wait behind it."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Final

from textual import constants, screen

_BEAT: Final = 0.25
"""Seconds; nobody needs to see news sooner."""
_TURN: Final = 0.5
"""Seconds; what only shows that something goes on need not turn more often."""
_AGEING: Final = 1.0
"""Seconds; no age is shown more exactly."""


def limit_paints(fps: int) -> None:
    """Let every screen that opens from now on paint at most so many times a second. TEXTUAL_FPS may
    still say fewer; a new screen and new colours are drawn at once.

    Textual has one number for all screens of a process, its own ones too, and reads it when it is
    imported: that is before anybody knows the settings.
    """
    screen.UPDATE_PERIOD = 1 / min(fps, constants.MAX_FPS)  # type: ignore[misc]


@dataclass(frozen=True, slots=True)
class Pace:
    """How often the app repaints what has changed since, and what changes by itself."""

    beat: float
    """Seconds between two looks whether something has changed."""
    turn: int
    """With each so many beats all that turns moves on."""
    ageing: int
    """With each so many beats all ages grow, together with what turns."""


def pace(fps: int) -> Pace:
    """The pace of an app that may paint so often in a second."""
    beat = max(_BEAT, 1 / fps)
    turn = ceil(_TURN / beat)
    return Pace(beat, turn, turn * max(1, int(_AGEING / (turn * beat))))
