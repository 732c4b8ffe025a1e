"""Run a script in a shell on a host, as the user who is logged in or as root.

A carrier of the shell (a local process, ssh) gives its argv, and the door that its connections
pass; the rest is the same.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from nixfleet_core.errors import NeedsPassword, NotAllowed
from nixfleet_core.transport.answer import (
    CARRIER_FAILED,
    NOISE_LIMIT,
    Answer,
    AnswerReader,
    Mark,
    own_words,
)
from nixfleet_core.transport.dialogue import Dialogue
from nixfleet_core.transport.gate import NoDoor
from nixfleet_core.transport.process import Process, open_process
from nixfleet_core.transport.roots import Heard, Next

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nixfleet_core.transport.answer import End
    from nixfleet_core.transport.gate import Door, Leave
    from nixfleet_core.transport.roots import Way

ANSWER_LIMIT: Final = 8 * 1024 * 1024
"""Bytes of stdout that `run` accepts from a script."""

ELEVATE_LIMIT: Final = 45.0
"""Seconds within which root's shell must answer; sudo may have to ask a slow directory service."""

_AFTERWARDS: Final = 2.0
"""Seconds that the carrier may take to end after the script; what a start-up file has started may
hold the connection open for ever."""


class Conversation:
    """A script that runs, and its answer as it comes. `close` it in any case."""

    def __init__(self, process: Process, mark: Mark, leave: Leave) -> None:
        self.process, self.mark, self._leave = process, mark, leave
        self._reader = AnswerReader(mark)
        self._over = False

    async def read(self) -> bytes:
        """Wait for a part of the answer and return it; b"" at its end."""
        while not self._over:
            data = await self.process.read()
            part = self._reader.feed(data) if data else self._reader.rest()
            if self._reader.begun:
                self._leave()
            self._over = not data or self._reader.rc is not None or self._is_flooded
            if part:
                return part
        return b""

    async def close(self, *, late: bool = False) -> Answer:
        """End it, and say how it ended; `read` has given its stdout. `late`: its time was over."""
        self._leave()
        own = self._reader.rc
        if own is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_AFTERWARDS):
                    while await self.process.read():
                        pass
                    await self.process.wait()
        rc = await self.process.close()
        end = self._find_end(rc, late=late)
        words = own_words(self.process.stderr, self.mark).decode("utf-8", "replace")
        noise = self._reader.noise.decode("utf-8", "replace") + words if end == "mute" else ""
        return Answer(rc if own is None else own, b"", words, end, noise)

    @property
    def _is_flooded(self) -> bool:
        return len(self._reader.noise) > NOISE_LIMIT

    def _find_end(self, rc: int, *, late: bool) -> End:
        if self._reader.rc is not None:
            return "whole"
        works = self._reader.begun or self.mark.greeting in self._reader.noise
        if not works and (self._is_flooded or (late and self._reader.noise)):
            return "mute"
        if late:
            return "late"
        if rc == CARRIER_FAILED or rc < 0:
            return "lost" if works else "away"
        return "cut" if works else "mute"


@dataclass(slots=True)
class Shell:
    """How to get a shell on one host.

    `argv` starts `/bin/sh -s` there. `root` is where its file system begins. `way` begins one
    attempt to become root. Each new connection passes the `door`.
    """

    host: str
    argv: tuple[str, ...]
    root: str = ""
    env: Mapping[str, str] | None = None
    password: str | None = field(default=None, repr=False)
    way: Callable[[], Way] = Dialogue
    door: Door = field(default_factory=NoDoor)

    async def run(self, script: str, *, limit: float, elevate: bool = False) -> Answer:
        """Run a script to its end. Raises NeedsPassword and NotAllowed if `elevate`.

        `limit` is in seconds, without the waits at the door and between tries.
        """
        tries = 0
        while True:
            answer = await self._run_once(script, limit, elevate=elevate)
            tries += 1
            pause = self.door.pause(answer.stderr, tries) if answer.end == "away" else None
            if pause is None:
                return answer
            await asyncio.sleep(pause)

    async def open(self, script: str, *, elevate: bool = False) -> Conversation:
        """Start a script whose output is read while it runs. Raises as `run` does."""
        talk = await self._connect()
        try:
            await self._send(talk, script, elevate=elevate)
        except BaseException:
            await talk.close()
            raise
        return talk

    async def _run_once(self, script: str, limit: float, *, elevate: bool) -> Answer:
        talk = await self._connect()
        chunks: list[bytes] = []
        size, late = 0, False
        try:
            async with asyncio.timeout(limit):
                await self._send(talk, script, elevate=elevate)
                while size <= ANSWER_LIMIT and (chunk := await talk.read()):
                    chunks.append(chunk)
                    size += len(chunk)
        except TimeoutError:
            late = True
        finally:
            answer = await talk.close(late=late)
        end = "cut" if size > ANSWER_LIMIT else answer.end
        return replace(answer, stdout=b"".join(chunks), end=end)

    async def _connect(self) -> Conversation:
        leave = await self.door.enter()
        try:
            return Conversation(await open_process(self.argv, env=self.env), Mark(), leave)
        except BaseException:
            leave()
            raise

    async def _send(self, talk: Conversation, script: str, *, elevate: bool) -> None:
        if elevate:
            try:
                await self._become_root(talk)
            except NotAllowed:
                if talk.process.rc is None or talk.mark.greeting in talk.process.unread:
                    raise
                return  # the login shell has run nothing; the end of the answer says so
        talk.process.write(talk.mark.around(script))
        talk.process.close_stdin()

    async def _become_root(self, talk: Conversation) -> None:
        way, heard, process = self.way(), Heard(), talk.process
        process.write(talk.mark.hello + way.opening)
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
