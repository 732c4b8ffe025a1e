"""The end that SIGHUP and SIGTERM ask for: in order if possible, and in any case soon."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

ENDING: Final = (signal.SIGHUP, signal.SIGTERM)
LIMIT: Final = 1.5
"""Seconds that an orderly end after a signal may take. What is left then ends by itself: the demo's
hosts, and children that read from us or write to us."""


@contextmanager
def ended_by_signals(
    end: Callable[[int], None],
    *,
    limit: float = LIMIT,
    afterwards: signal.Handlers = signal.SIG_DFL,
) -> Iterator[None]:
    """While the app runs, a signal calls `end` with its number, and a stuck app ends all the same.

    The loop can be stuck behind a terminal that does not drain, so these are no handlers of the
    loop's: those would not be called. `afterwards`: what the signals do when the app is over, and
    what follows may no longer be cut short by the limit.
    """

    def handle(number: int, _: FrameType | None) -> None:
        signal.signal(signal.SIGALRM, lambda *_: os._exit(128 + number))
        signal.setitimer(signal.ITIMER_REAL, limit)
        end(number)

    for number in ENDING:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number in ENDING:
            signal.signal(number, afterwards)
        signal.setitimer(signal.ITIMER_REAL, 0)
        # with SIGHUP the kernel sends SIGCONT, at which Textual would bring its screen back
        for number in (signal.SIGCONT, signal.SIGTSTP):
            signal.signal(number, signal.SIG_DFL)
