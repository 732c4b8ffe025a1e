"""Run a script in a shell on a host, as the user who is logged in or as root.

A carrier of the shell (a local process, ssh) gives only its argv; the rest is the same.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from nixfleet_core.errors import HostError, NeedsPassword
from nixfleet_core.transport.dialogue import Dialogue
from nixfleet_core.transport.password import Password
from nixfleet_core.transport.process import Process, open_process
from nixfleet_core.transport.roots import Heard, Next

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nixfleet_core.transport.roots import Way

ANSWER_LIMIT: Final = 8 * 1024 * 1024
"""Bytes of stdout that `run` accepts from a host."""

CARRIER_FAILED: Final = 255
"""ssh's own exit code; every other code comes from the host."""

ELEVATE_LIMIT: Final = 45.0
"""Seconds within which root's shell must answer; sudo may have to ask a slow directory service."""

QUIET: Final = 5.0
"""Seconds without a word after which a line that is not complete counts as a question."""

_KILL_LIMIT: Final = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A script's output. `rc` is the carrier's exit code, see CARRIER_FAILED."""

    rc: int
    stdout: bytes
    stderr: str
    timed_out: bool = False


@dataclass(slots=True)
class Shell:
    """How to get a shell on one host.

    `argv` starts `/bin/sh -s` there. `root` is where its file system begins. `way` begins one
    attempt to become root.
    """

    host: str
    argv: tuple[str, ...]
    root: str = ""
    env: Mapping[str, str] | None = None
    password: Password = field(default_factory=Password, repr=False)
    way: Callable[[], Way] = Dialogue

    async def run(self, script: str, *, limit: float, elevate: bool = False) -> Answer:
        """Run a script to its end. Raises NeedsPassword and NotAllowed if `elevate`."""
        process = await open_process(self.argv, env=self.env)
        chunks: list[bytes] = []
        size = 0
        timed_out = False
        try:
            async with asyncio.timeout(limit):
                if elevate:
                    await self._become_root(process)
                process.write(script.encode())
                process.close_stdin()
                while size <= ANSWER_LIMIT and (chunk := await process.read()):
                    chunks.append(chunk)
                    size += len(chunk)
                if size <= ANSWER_LIMIT:
                    await process.wait()
        except TimeoutError:
            timed_out = True
        finally:
            rc = await process.close()
        return Answer(rc, b"".join(chunks), process.stderr.decode("utf-8", "replace"), timed_out)

    async def open(self, script: str, *, elevate: bool = False) -> Process:
        """Start a script whose output is read while it runs; `close` the process in any case."""
        process = await open_process(self.argv, env=self.env)
        try:
            if elevate:
                await self._become_root(process)
            process.write(script.encode())
            process.close_stdin()
        except BaseException:
            await process.close()
            raise
        return process

    async def _become_root(self, process: Process) -> None:
        way = self.way()
        try:
            await self._talk(way, process)
        except HostError:
            if way.process is not None and process.rc is None:
                # Before its input ends: sudo would count that as more wrong passwords. It is still
                # the user's own process while it asks.
                await self.run(f"kill -s KILL {way.process}\n", limit=_KILL_LIMIT)
            raise

    async def _talk(self, way: Way, process: Process) -> None:
        heard, given = Heard(), None
        process.write(way.opening)
        async with AsyncExitStack() as trial:
            try:
                async with asyncio.timeout(ELEVATE_LIMIT):
                    while (then := way.hear(heard)) is not Next.GO_ON:
                        if then is Next.GIVE_ANOTHER:
                            raise NeedsPassword(self.host, wrong=True, said=way.said)
                        if then is Next.GIVE_PASSWORD:
                            given = await trial.enter_async_context(self.password.tried())
                            self._give_password(process, given)
                        elif process.rc == CARRIER_FAILED:
                            return  # the link broke, which is no answer; the next read will show it
                        heard = await _listen(process)
            except TimeoutError:
                way.hear(heard._replace(late=True))
                raise  # no program keeps us waiting, but the host's shell
            if given is not None:
                self.password.keep(given)

    def _give_password(self, process: Process, password: str | None) -> None:
        if password is None:
            raise self.password.need(self.host)
        process.write(password.encode() + b"\n")


async def _listen(process: Process) -> Heard:
    """Wait for more, but not for ever."""
    quiet = False
    try:
        async with asyncio.timeout(QUIET):
            await process.wait_output()
    except TimeoutError:
        quiet = True
    over = process.rc not in (None, CARRIER_FAILED)
    return Heard(process.stderr, process.unread, over, quiet)
