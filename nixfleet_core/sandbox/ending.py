"""Ending a program that has a sandbox fleet: the fleet is removed, also if a signal ends it."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import FrameType

_ENDING: Final = (signal.SIGHUP, signal.SIGTERM)


def leave_in_order() -> None:
    """From now on these signals end the program as `exit` does, with what belongs to its end."""
    for number in _ENDING:
        signal.signal(number, _leave)


def _leave(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)
