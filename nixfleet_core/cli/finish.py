"""--on-finish: the operator's own command, once for each verdict on a job, on this machine.

It gets the verdict on its stdin, as --json prints it. No shell reads its words, and what it prints
is not shown. It runs beside all else: no host waits for it, and it decides no exit code.
"""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Final

import humanize

from nixfleet_core.cli.host_line import host_line
from nixfleet_core.cli.output import say_waiting
from nixfleet_core.errors import HostError
from nixfleet_core.job.copies import claim_end
from nixfleet_core.log.display import safe, safe_json
from nixfleet_core.session.boundary import one_host
from nixfleet_core.transport.process import open_process

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nixfleet_core.session.conduct import Report

LIMIT = 30.0
"""Seconds that the command may take; then it is ended with its process group."""

_SAID_LIMIT: Final = 200
"""So many characters of its last words are quoted."""


class Finishing:
    """Runs the command at each verdict. `failed` gets one line about each run that went wrong."""

    def __init__(self, argv: Sequence[str], failed: Callable[[str], None]) -> None:
        """An empty `argv` is no command."""
        self._argv, self._failed = argv, failed
        self._running: set[asyncio.Task[None]] = set()
        self._waits = False

    def tell(self, report: Report) -> None:
        """Start the command if this is a verdict on a job, and the first one here on that job."""
        judged = report.verdict is not None and not report.failed
        if not self._argv or not judged or report.files is None or not claim_end(report.files):
            return
        task = asyncio.ensure_future(self._tell(report))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def rest(self) -> None:
        """Wait for the commands that still run; ctrl-c, SIGTERM and SIGHUP end them."""
        if not self._running:
            return
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._end)
        self._waits = True
        say_waiting(f"waiting for {self._argv[0]}, at most {_limit()}; ctrl-c ends it")
        await asyncio.wait(self._running)
        say_waiting("")

    def _end(self) -> None:
        for task in self._running:
            task.cancel()

    async def _tell(self, report: Report) -> None:
        try:
            with one_host(report.host):
                problem = await _run(self._argv, f"{safe_json(host_line(report))}\n".encode())
        except HostError as error:
            problem = str(error)
        if problem:
            if self._waits:
                say_waiting("")
            self._failed(f"{report.host}: --on-finish: {self._argv[0]} {problem}")


def _limit() -> str:
    return humanize.naturaldelta(LIMIT)


async def _run(argv: Sequence[str], told: bytes) -> str:
    """Run the command to its end. Return what went wrong; "" if nothing did."""
    try:
        process = await open_process(argv)
    except OSError as error:
        return f"cannot be started: {error.strerror}"
    try:
        async with asyncio.timeout(LIMIT):
            process.write(told)
            process.close_stdin()
            while await process.read():
                pass
            code = await process.wait()
    except TimeoutError:
        return f"was ended: it took longer than {_limit()}"
    finally:
        await process.close()
    if code == 0:
        return ""
    last = process.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
    said = safe(last)[:_SAID_LIMIT]  # half a credential may not look like one
    return f"ended with {code}: {said}" if said else f"ended with {code}"
