"""How often the app paints: over a slow link each paint takes time, and keys wait behind it."""

from __future__ import annotations

from typing import Final

from textual import constants, screen

_BEAT: Final = 0.25
"""Seconds; more often nobody needs to see what changes by itself."""


def limit_paints(fps: int) -> None:
    """Let every screen that opens from now on paint at most so many times a second. TEXTUAL_FPS may
    still say fewer; a new screen and new colours are drawn at once.

    Textual has one number for all screens of a process, its own ones too, and reads it when it is
    imported: that is before anybody knows the settings.
    """
    screen.UPDATE_PERIOD = 1 / min(fps, constants.MAX_FPS)  # type: ignore[misc]


def seconds_between_beats(fps: int) -> float:
    """The time between repaints of what changes by itself."""
    return max(_BEAT, 1 / fps)
