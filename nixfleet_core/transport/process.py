"""The one way a local process is run: in a session of its own, output to a file and to a reader.

Nothing is inherited from our stdin: a child that reads it would eat the app's keyboard. Output is
taken in chunks as it comes, never by line, so neither a long line nor invalid UTF-8 matters.
A child that is ended is ended with its whole process group, and always reaped.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

KEEP: Final = 4 * 1024 * 1024
"""Bytes of each stream that are kept in memory unless asked otherwise."""

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
    """A process that has ended. `rc` is negative for a signal, as everywhere in Python.

    `truncated`: more was written than was kept (stdout: the beginning, stderr: the end).
    """

    rc: int
    stdout: bytes
    stderr: bytes
    truncated: bool = False
    timed_out: bool = False


async def run(
    argv: Sequence[str],
    *,
    stdin: bytes | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    limit: float,
    keep: int = KEEP,
    to_file: Path | None = None,
    on_chunk: Callable[[bytes], None] | None = None,
) -> Completed:
    """Run a process to its end, at most `limit` seconds; then it is ended with its group.

    `env` replaces the environment. `to_file` is appended to, and then `on_chunk` called, with
    all output of both streams as it comes. Raises OSError when the process cannot be started or the
    file cannot be written, and what `on_chunk` raises; the process has been ended then too.
    """
    out, err = _Head(keep), _Tail(keep)
    with contextlib.ExitStack() as stack:
        copies: list[Callable[[bytes], None]] = []
        if to_file is not None:
            copies.append(stack.enter_context(_AppendFile(to_file)).write)
        if on_chunk is not None:
            copies.append(on_chunk)
        child = await _start(
            argv,
            {1: _each(out.add, *copies), 2: _each(err.add, *copies)},
            has_stdin=stdin is not None,
            env=env,
            cwd=cwd,
        )
        timed_out = False
        try:
            if stdin is not None:
                child.write(stdin)
                child.close_stdin()
            async with asyncio.timeout(limit) as clock:
                await asyncio.shield(child.done)
        except TimeoutError:
            if not clock.expired():
                raise
            timed_out = True
        finally:
            await child.end()
    return Completed(
        rc=child.final_rc,
        stdout=bytes(out.data),
        stderr=err.data,
        truncated=out.truncated or err.truncated,
        timed_out=timed_out,
    )


async def open_process(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Process:
    """Start a process that is talked to while it runs. Raises OSError when it cannot start."""
    loop = asyncio.get_running_loop()
    reader = _Reader(limit=CHUNK, loop=loop)
    tail, heard = _Tail(STDERR_KEEP), asyncio.Event()
    child = await _start(
        argv,
        {1: _each(reader.take, lambda _: heard.set()), 2: _each(tail.add, lambda _: heard.set())},
        has_stdin=True,
        env=env,
        cwd=cwd,
        reader=reader,
    )
    child.done.add_done_callback(lambda _: heard.set())
    return Process(child, reader, tail, heard)


class Process:
    """A running process with a pipe to its stdin. `close` it in any case.

    stdout is flow-controlled: a process whose output is not read waits. stderr is read always,
    and its last 64 KiB are kept.
    """

    def __init__(self, child: _Child, reader: _Reader, tail: _Tail, heard: asyncio.Event) -> None:
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

    `done` is set when the process has been reaped and its output has ended, or holds what a sink
    raised. asyncio's own Process waits for ever for pipes that a grandchild holds open.
    """

    def __init__(
        self, sinks: Mapping[int, Callable[[bytes], None]], reader: _Reader | None
    ) -> None:
        self._sinks = sinks
        self._reader = reader
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
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
        if self._over.is_set():
            return
        try:
            self._signal_group(signal.SIGTERM)
            await self._wait_over(GRACE)
            self._signal_group(signal.SIGKILL)
            # Closing earlier would have the transport reap the process, and its exit code lost.
            await self._wait_over(_REAP)
        finally:
            self._signal_group(signal.SIGKILL)
            self._transport.close()
        await self._wait_over(_REAP)

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.SubprocessTransport", transport)
        if self._reader is not None:
            pipe = self._transport.get_pipe_transport(1)
            if pipe is not None:
                self._reader.set_transport(pipe)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self._heard = True
        if self.done.done():
            return
        try:
            self._sinks[fd](data)
        except Exception as error:
            self.done.set_exception(error)

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
        self._over.set()
        if not self.done.done():
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

    async def _wait_over(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._over.wait()


async def _start(
    argv: Sequence[str],
    sinks: Mapping[int, Callable[[bytes], None]],
    *,
    has_stdin: bool,
    env: Mapping[str, str] | None,
    cwd: Path | None,
    reader: _Reader | None = None,
) -> _Child:
    loop = asyncio.get_running_loop()
    _, child = await loop.subprocess_exec(
        lambda: _Child(sinks, reader),
        *argv,
        stdin=PIPE if has_stdin else DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
        env=env,
        cwd=cwd,
        start_new_session=True,
    )
    return child


def _each(*sinks: Callable[[bytes], None]) -> Callable[[bytes], None]:
    def call(data: bytes) -> None:
        for sink in sinks:
            sink(data)

    return call


class _Head:
    """The first `keep` bytes of a stream."""

    def __init__(self, keep: int) -> None:
        self._keep, self._seen = keep, 0
        self.data = bytearray()

    @property
    def truncated(self) -> bool:
        return self._seen > self._keep

    def add(self, data: bytes) -> None:
        self._seen += len(data)
        self.data += data[: max(0, self._keep - len(self.data))]


class _Tail:
    """The last `keep` bytes of a stream."""

    def __init__(self, keep: int) -> None:
        self._keep, self._seen = keep, 0
        self._data = bytearray()

    @property
    def data(self) -> bytes:
        return bytes(self._data[max(0, len(self._data) - self._keep) :])

    @property
    def truncated(self) -> bool:
        return self._seen > self._keep

    def add(self, data: bytes) -> None:
        self._seen += len(data)
        self._data += data
        # Cut only now and then: each cut moves what is kept.
        if len(self._data) > 2 * self._keep:
            del self._data[: len(self._data) - self._keep]


class _AppendFile:
    """A file, readable by its owner only, in which every written chunk is there at once."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def __enter__(self) -> _AppendFile:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._fd, rest) :]
