"""Lending the terminal to another program, such as ssh when it has something to ask."""

from __future__ import annotations

import asyncio
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tui.stage import Stage

_RUN: Final = """\
printf '%s\\n' "$1"
shift
"$@" && exit
code=$?
printf '\\n%s ended with %s. Enter goes back to NixFleet. ' "$1" "$code"
read -r _
exit "$code"
"""
"""Shows a line, runs the rest; after a failure its last words stay until enter is pressed."""


async def run_at_terminal(app: Stage, title: str, argv: Sequence[str]) -> int:
    """Run a program with the terminal in place of the app, which goes on behind it.

    Return its exit code. Raises SuspendNotSupported where there is no terminal.
    """
    with app.suspend(), app.batch_update(), _lend(app):
        process = await asyncio.create_subprocess_exec("/bin/sh", "-c", _RUN, "sh", title, *argv)
        try:
            return await process.wait()
        finally:
            if process.returncode is None:
                process.terminate()


@contextmanager
def _lend(app: Stage) -> Iterator[None]:
    """The app keeps quiet, and ctrl-c ends the other program only: unlike SIG_IGN, a handler is
    not inherited by it."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    app.terminal_lent = True
    try:
        yield
    finally:
        app.terminal_lent = False
        signal.signal(signal.SIGINT, before)
