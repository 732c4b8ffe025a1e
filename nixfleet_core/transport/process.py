"""The one way a local process is run: in a session of its own, its output kept or handed on.

Nothing is inherited from our stdin: a child that reads it would eat the app's keyboard. Output is
taken in chunks as it comes, never by line, so neither a long line nor invalid UTF-8 matters.
A child that is ended is ended with its whole process group, and always reaped.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from asyncio.subprocess import DEVNULL, PIPE
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

KEEP: Final = 4 * 1024 * 1024
"""Bytes of each stream that `run` keeps."""

CHUNK: Final = 64 * 1024
"""Bytes; what one `Process.read` returns at most unless asked otherwise."""

STDERR_KEEP: Final = 64 * 1024
"""Bytes of a long-lived process's stderr that are kept: its last ones."""

GRACE: Final = 2.0
"""Seconds between SIGTERM and SIGKILL."""

_DRAIN: Final = 0.25
"""Seconds of silence after a process's exit until its pipes are given up: a background child
(ssh's connection master) may hold them open for ever."""

_REAP: Final = 1.0
"""Seconds that a killed process may take to vanish; longer only inside a hung system call."""


@dataclass(frozen=True, slots=True)
class Completed:
    """A process that has ended. `rc` is negative for a signal, as everywhere in Python. Of too long
    output it is the beginning of stdout and the end of stderr."""

    rc: int
    stdout: bytes
    stderr: bytes
    timed_out: bool = False


async def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    limit: float,
) -> Completed:
    """Run a process to its end, at most `limit` seconds; then it is ended with its group.

    `env` replaces the environment. Raises OSError when the process cannot be started.
    """
    out, err = _Head(KEEP), _Tail(KEEP)
    child = await _start(argv, {1: out.add, 2: err.add}, env=env, cwd=cwd)
    timed_out = False
    try:
        async with asyncio.timeout(limit) as clock:
            await asyncio.shield(child.done)
    except TimeoutError:
        if not clock.expired():
            raise
        timed_out = True
    finally:
        await child.end()
    return Completed(child.final_rc, bytes(out.data), err.data, timed_out)


async def open_process(argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> Process:
    """Start a process that is talked to while it runs. Raises OSError when it cannot start."""
    loop = asyncio.get_running_loop()
    reader = _Reader(limit=CHUNK, loop=loop)
    tail, heard = _Tail(STDERR_KEEP), _Heard()
    child = await _start(
        argv,
        {1: _each(reader.take, heard.note), 2: _each(tail.add, heard.note)},
        env=env,
        reader=reader,
    )
    child.done.add_done_callback(lambda _: heard.set())
    return Process(child, reader, tail, heard)


class Process:
    """A running process with a pipe to its stdin. `close` it in any case.

    stdout is flow-controlled: a process whose output is not read waits. stderr is read always,
    and its last 64 KiB are kept.
    """

    def __init__(self, child: _Child, reader: _Reader, tail: _Tail, heard: _Heard) -> None:
        self._child, self._reader, self._tail, self._heard = child, reader, tail, heard

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def rc(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._child.rc

    @property
    def stderr(self) -> bytes:
        """The end of what it has written to stderr so far."""
        return self._tail.data

    @property
    def unread(self) -> bytes:
        """What has come on stdout, and `read` has not returned yet."""
        return bytes(self._reader.waiting)

    @property
    def heard_at(self) -> float:
        """When it has last written anything, as the monotonic clock counts."""
        return self._heard.at

    async def wait_output(self) -> None:
        """Wait until it has written more to stdout or stderr, or is over."""
        await self._heard.wait()
        if not self._child.done.done():
            self._heard.clear()

    def write(self, data: bytes) -> None:
        """Send to its stdin, in the background. What a process that has ended gets is lost."""
        self._child.write(data)

    def close_stdin(self) -> None:
        """Let it see the end of its input, after all that was written."""
        self._child.close_stdin()

    async def read(self, size: int = CHUNK) -> bytes:
        """Wait for output and return what is there, at most `size` bytes; b"" at its end."""
        return await self._reader.read(size)

    async def wait(self) -> int:
        """Wait for its end and that of its output, which somebody must read; its exit code."""
        await asyncio.shield(self._child.done)
        return self._child.final_rc

    async def close(self) -> int:
        """End it and its group, TERM then KILL, within a few seconds; its exit code."""
        await self._child.end()
        return self._child.final_rc


class _Heard(asyncio.Event):
    """Set by output, and knows when that was."""

    def __init__(self) -> None:
        super().__init__()
        self.at = time.monotonic()

    def note(self, _: bytes) -> None:
        self.at = time.monotonic()
        self.set()


class _Reader(asyncio.StreamReader):
    """A stream that knows what of it waits to be read: while something does, its pipe may be paused
    (asking the pipe itself works from Python 3.11.4 on only)."""

    def __init__(self, limit: int, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(limit, loop)
        self.waiting = bytearray()

    def take(self, data: bytes) -> None:
        self.waiting += data
        self.feed_data(data)

    async def read(self, n: int = -1) -> bytes:
        data = await super().read(n)
        del self.waiting[: len(data)]
        return data


class _Child(asyncio.SubprocessProtocol):
    """A started process: hands on its output and knows when it is over.

    `done` is set when the process has been reaped and its output has ended. asyncio's own Process
    waits for ever for pipes that a grandchild holds open.
    """

    def __init__(
        self, sinks: Mapping[int, Callable[[bytes], None]], reader: _Reader | None
    ) -> None:
        self._sinks = sinks
        self._reader = reader
        self._loop = asyncio.get_running_loop()
        self._heard = False
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.SubprocessTransport
        self.done: asyncio.Future[None] = self._loop.create_future()

    @property
    def pid(self) -> int:
        return self._transport.get_pid()

    @property
    def rc(self) -> int | None:
        return self._transport.get_returncode()

    @property
    def final_rc(self) -> int:
        """The exit code once ended; a process stuck in the kernel counts as killed."""
        return -signal.SIGKILL if self.rc is None else self.rc

    def write(self, data: bytes) -> None:
        self._stdin.write(data)

    def close_stdin(self) -> None:
        self._stdin.close()

    async def end(self) -> None:
        """End the whole group unless the process is over already. Bounded, also if cancelled."""
        if self.done.done():
            return
        try:
            self._signal_group(signal.SIGTERM)
            await asyncio.wait([self.done], timeout=GRACE)
            self._signal_group(signal.SIGKILL)
            # Closing earlier would have the transport reap the process, and its exit code lost.
            await asyncio.wait([self.done], timeout=_REAP)
        finally:
            self.kill()
        await asyncio.wait([self.done], timeout=_REAP)

    def kill(self) -> None:
        """Kill the whole group, and give its output up."""
        self._signal_group(signal.SIGKILL)
        self._transport.close()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.SubprocessTransport", transport)
        if self._reader is not None:
            pipe = self._transport.get_pipe_transport(1)
            if pipe is not None:
                self._reader.set_transport(pipe)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self._heard = True
        self._sinks[fd](data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        del exc  # a reader that went away is no failure of ours
        if fd == 1 and self._reader is not None:
            self._reader.feed_eof()

    def process_exited(self) -> None:
        self._heard = False
        self._timer = self._loop.call_later(_DRAIN, self._give_up_if_silent)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self._timer is not None:
            self._timer.cancel()
        self._transport.close()
        self.done.set_result(None)

    # Inside.

    @property
    def _stdin(self) -> asyncio.WriteTransport:
        return cast("asyncio.WriteTransport", self._transport.get_pipe_transport(0))

    def _give_up_if_silent(self) -> None:
        """Close pipes that nothing comes from; bytes on the way are never dropped."""
        behind = self._reader is not None and bool(self._reader.waiting)
        if self._heard or behind:
            self.process_exited()
        else:
            self._transport.close()

    def _signal_group(self, number: signal.Signals) -> None:
        # macOS answers EPERM for a group of zombies.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


async def _start(
    argv: Sequence[str],
    sinks: Mapping[int, Callable[[bytes], None]],
    *,
    env: Mapping[str, str] | None,
    cwd: Path | None = None,
    reader: _Reader | None = None,
) -> _Child:
    """Its stdin is open if there is a `reader`, and empty if not.

    What is cancelled while it starts is killed as soon as it has: asyncio would leave its group
    alone, and wait for pipes that the group holds open.
    """
    loop = asyncio.get_running_loop()
    starting = asyncio.ensure_future(
        loop.subprocess_exec(
            lambda: _Child(sinks, reader),
            *argv,
            stdin=DEVNULL if reader is None else PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=env,
            cwd=cwd,
            start_new_session=True,
        )
    )
    try:
        await asyncio.wait([starting])
    except asyncio.CancelledError:
        starting.add_done_callback(_kill_started)
        await _outlast(starting)
        if not starting.cancelled() and starting.exception() is None:
            await starting.result()[1].end()
        raise
    _, child = starting.result()
    return child


_Starting = asyncio.Future[tuple[asyncio.SubprocessTransport, _Child]]


async def _outlast(starting: _Starting) -> None:
    """Wait for the end of a start, whoever else cancels us meanwhile. It is near, unless the loop
    is ending and has cancelled what asyncio itself waits for (seen with Python 3.11 to 3.13)."""
    loop = asyncio.get_running_loop()
    until = loop.time() + _REAP
    while not starting.done():
        if loop.time() >= until:
            starting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([starting], timeout=max(0.1, until - loop.time()))


def _kill_started(starting: _Starting) -> None:
    if not starting.cancelled() and starting.exception() is None:
        starting.result()[1].kill()


def _each(*sinks: Callable[[bytes], None]) -> Callable[[bytes], None]:
    def call(data: bytes) -> None:
        for sink in sinks:
            sink(data)

    return call


class _Head:
    """The first `keep` bytes of a stream."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self.data = bytearray()

    def add(self, data: bytes) -> None:
        self.data += data[: max(0, self._keep - len(self.data))]


class _Tail:
    """The last `keep` bytes of a stream."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._data = bytearray()

    @property
    def data(self) -> bytes:
        return bytes(self._data[max(0, len(self._data) - self._keep) :])

    def add(self, data: bytes) -> None:
        self._data += data
        # Cut only now and then: each cut moves what is kept.
        if len(self._data) > 2 * self._keep:
            del self._data[: len(self._data) - self._keep]
