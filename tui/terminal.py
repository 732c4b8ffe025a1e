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
least=$2
shift 2
"$@"
code=$?
[ "$code" -ge "$least" ] || exit "$code"
printf '\\n%s ended with %s. Enter goes back to NixFleet. ' "$1" "$code"
read -r _
exit "$code"
"""
"""Shows a line and runs the rest. After a failure the output stays until enter is pressed."""


async def run_at_terminal(
    app: Stage, title: str, argv: Sequence[str], least_failure: int = 1
) -> int:
    """Give the terminal to a program and run it; the app goes on behind it. An exit code from
    `least_failure` on is a failure, of which the operator reads before the app comes back.

    Return the program's exit code. Raises SuspendNotSupported if there is no terminal.
    """
    with app.suspend(), app.batch_update(), _lend(app):
        process = await asyncio.create_subprocess_exec(
            *("/bin/sh", "-c", _RUN, "sh", title, str(least_failure), *argv)
        )
        try:
            return await process.wait()
        finally:
            if process.returncode is None:
                process.terminate()


@contextmanager
def _lend(app: Stage) -> Iterator[None]:
    """Keep the app quiet, and let ctrl-c end the other program only: that program does not inherit
    a handler, as it would inherit SIG_IGN."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    app.terminal_lent = True
    try:
        yield
    finally:
        app.terminal_lent = False
        signal.signal(signal.SIGINT, before)
