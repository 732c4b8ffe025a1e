"""Ending the app after SIGHUP and SIGTERM: in order if possible, and soon in any case."""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ENDING: Final = (signal.SIGHUP, signal.SIGTERM)
LIMIT = 1.5
"""Seconds that an orderly end after a signal may take. After that the rest ends by itself: the
demo's hosts, and children that read from us or write to us."""


@contextmanager
def ended_by_signals(
    end: Callable[[int], None],
    *,
    afterwards: signal.Handlers = signal.SIG_DFL,
) -> Iterator[None]:
    """While the app runs, a signal calls `end` with its number; a stuck app ends all the same.

    `end` runs in a thread of its own. The main thread can be stuck behind a terminal that does not
    drain, and Python runs no handler there if a signal arrives just before it begins to wait.
    `afterwards`: what the signals do after the app's end; the work after it has no time limit.
    """
    hears, tells = os.pipe()
    os.set_blocking(tells, False)
    before = signal.set_wakeup_fd(tells, warn_on_full_buffer=False)
    for number in ENDING:
        signal.signal(number, lambda *_: None)
    Thread(target=_listen, args=(hears, end), name="ending", daemon=True).start()
    try:
        yield
    finally:
        for number in ENDING:
            signal.signal(number, afterwards)
        signal.set_wakeup_fd(before)
        os.close(tells)
        # with SIGHUP the kernel sends SIGCONT, and Textual would bring its screen back
        for number in (signal.SIGCONT, signal.SIGTSTP):
            signal.signal(number, signal.SIG_DFL)


def _listen(hears: int, end: Callable[[int], None]) -> None:
    """Obey the signals whose numbers Python writes here, until the app is over."""
    first, deadline = 0, None
    while True:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        if not select.select([hears], [], [], left)[0]:
            os._exit(128 + first)
        if not (numbers := os.read(hears, 64)):
            break
        for number in ENDING:
            if number in numbers:
                first, deadline = first or number, deadline or time.monotonic() + LIMIT
                end(number)
    os.close(hears)
