"""Run a script in a shell on a host, as the one who is logged in or as root.

Whatever carries the shell (a local process, ssh) hands over its argv; the rest is the same.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from nixfleet_core.errors import NeedsPassword, NotAllowed
from nixfleet_core.transport.dialogue import ROOTS_OWN, Dialogue, RootPrograms
from nixfleet_core.transport.process import Process, open_process

if TYPE_CHECKING:
    from collections.abc import Mapping

ANSWER_LIMIT: Final = 8 * 1024 * 1024
"""Bytes of stdout that `run` takes from a host before it stops listening."""

CARRIER_FAILED: Final = 255
"""The exit code that is ssh's own; anything else comes from the host."""

ELEVATE_LIMIT: Final = 45.0
"""Seconds until a shell of root must have answered; sudo itself may ask a slow directory."""

_REPEATS: Final = (
    "the shell there repeats what it is sent, so no password goes to it: look at SHELLOPTS, at the "
    "account's start-up files and at a forced command in authorized_keys"
)
_CROWDED: Final = "sudo's prompt stands among other words, so no password goes there: "


@dataclass(frozen=True, slots=True)
class Answer:
    """What a script has said. `rc` is the carrier's exit code, see CARRIER_FAILED."""

    rc: int
    stdout: bytes
    stderr: str
    timed_out: bool = False


@dataclass(slots=True)
class Shell:
    """How to get a shell on one host.

    `argv` starts `/bin/sh -s` there. `root` is where its file system begins. `elevates` is False
    where the one who is logged in already may do all (the sandbox).
    """

    host: str
    argv: tuple[str, ...]
    root: str = ""
    env: Mapping[str, str] | None = None
    elevates: bool = True
    password: str | None = field(default=None, repr=False)
    root_programs: RootPrograms = ROOTS_OWN

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
        if not self.elevates:
            return
        dialogue = Dialogue(self.root_programs)
        process.write(dialogue.text)
        answered = 0
        async with asyncio.timeout(ELEVATE_LIMIT):
            while True:
                await process.wait_output()
                said = process.stderr
                if dialogue.is_repeated(said) or dialogue.is_repeated(process.unread):
                    raise NotAllowed(_REPEATS)
                if dialogue.is_ready(said):
                    return
                prompts = dialogue.prompts(said)
                if prompts > answered:
                    if not answered and not dialogue.is_asking(said):
                        raise NotAllowed(f"{_CROWDED}{dialogue.last_words(said)}")
                    if answered or self.password is None:
                        process.close_stdin()
                        raise NeedsPassword(self.host, wrong=answered > 0)
                    process.write(self.password.encode() + b"\n")
                    answered = prompts
                elif process.rc == CARRIER_FAILED:
                    return  # the link broke, which is no answer: whoever reads on will see it
                elif process.rc is not None:
                    raise NotAllowed(dialogue.last_words(said) or "becoming root was refused")
