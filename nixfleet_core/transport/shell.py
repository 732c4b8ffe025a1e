"""Run a script in a shell on a host, as the user who is logged in or as root.

A carrier of the shell (a local process, ssh) gives its argv, and the door that its connections
pass; the rest is the same.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from nixfleet_core.errors import HostError, NeedsPassword, NotAllowed
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
from nixfleet_core.transport.password import Password
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

QUIET: Final = 5.0
"""Seconds without a word after which a line that is not complete counts as a question."""

_KILL_LIMIT: Final = 10.0


class Conversation:
    """A script that runs, and its answer as it comes. `close` it in any case."""

    def __init__(self, process: Process, mark: Mark, leave: Leave) -> None:
        self.process, self.mark, self._leave = process, mark, leave
        self._reader = AnswerReader(mark)
        self._over = False
        self._sent = 0

    @property
    def heard_at(self) -> float:
        """When anything has last come, on stdout or on stderr; by the monotonic clock."""
        return self.process.heard_at

    def write(self, data: bytes) -> None:
        """Send input to the shell there."""
        self._sent += len(data)
        self.process.write(data)

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
        # a shell may repeat its input
        return len(self._reader.noise) > NOISE_LIMIT + self._sent

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
    password: Password = field(default_factory=Password, repr=False)
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
        talk.write(talk.mark.around(script))
        talk.process.close_stdin()

    async def _become_root(self, talk: Conversation) -> None:
        way = self.way()
        try:
            await self._talk(way, talk)
        except HostError:
            if way.process is not None and talk.process.rc is None:
                # Before its input ends: sudo would count that as more wrong passwords. It is still
                # the user's own process while it asks.
                await self.run(f"kill -s KILL {way.process}\n", limit=_KILL_LIMIT)
            raise

    async def _talk(self, way: Way, talk: Conversation) -> None:
        heard, given, process = Heard(), None, talk.process
        talk.write(talk.mark.hello + way.opening)
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
