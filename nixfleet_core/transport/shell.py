"""Run a script in a shell on a host, as the user who is logged in or as root.

A carrier of the shell (a local process, ssh) gives only its argv; the rest is the same.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from nixfleet_core.errors import NeedsPassword
from nixfleet_core.transport.dialogue import Dialogue
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
    password: str | None = field(default=None, repr=False)
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
        way, heard = self.way(), Heard()
        process.write(way.opening)
        async with asyncio.timeout(ELEVATE_LIMIT):
            while (then := way.hear(heard)) is not Next.GO_ON:
                if then is not Next.LISTEN:
                    self._give_password(process, wrong=then is Next.GIVE_ANOTHER)
                elif process.rc == CARRIER_FAILED:
                    return  # the link broke, which is no answer; the next read will show it
                await process.wait_output()
                over = process.rc not in (None, CARRIER_FAILED)
                heard = Heard(process.stderr, process.unread, over)

    def _give_password(self, process: Process, *, wrong: bool) -> None:
        if wrong or self.password is None:
            process.close_stdin()
            raise NeedsPassword(self.host, wrong=wrong)
        process.write(self.password.encode() + b"\n")
