"""The one process behind the sandbox fleet: service manager, and the end of everything.

Its stdin comes from the app. A line there is a request, answered on stdout; the end of the file
means that the app is gone, also by SIGKILL. Then every process of the fleet is killed, the
folder is deleted, and this process ends. The shims ask over a unix socket in the folder, by a
relative path, because a socket's path must stay short.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING, Final, cast

from nixfleet_core.sandbox import processes
from nixfleet_core.sandbox.machine import MARK, Machine
from nixfleet_core.sandbox.manager import Manager, Reaper
from nixfleet_core.sandbox.systemctl import Answer, systemctl
from nixfleet_core.sandbox.systemd_run import systemd_run

if TYPE_CHECKING:
    from pathlib import Path

    from nixfleet_core.sandbox.manager import Streams

SOCKET: Final = "manager"
READY: Final = b"ready\n"
_REQUEST_LIMIT: Final = 4 * 1024 * 1024
_KILL_SECONDS: Final = 5.0


def run_manager(fleet: Path) -> int:
    """Serve until the app is gone, then leave nothing behind."""
    processes.adopt_orphans()
    os.chdir(fleet)
    try:
        asyncio.run(_Supervisor(fleet).serve())
    finally:
        _end_everything(fleet)
    return 0


class _Supervisor:
    def __init__(self, fleet: Path) -> None:
        self._fleet = fleet
        self._path = (fleet / "path").read_text()
        self._reaper = Reaper()
        self._managers: dict[str, Manager] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGCHLD, self._reaper.reap)
        over = asyncio.Event()
        for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(signum, over.set)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(SOCKET)
            listener.listen(64)
            listener.setblocking(False)
            tasks = [
                asyncio.create_task(self._accept(listener)),
                asyncio.create_task(self._obey_app()),
                asyncio.create_task(_wait(over)),
            ]
            _tell_app(READY)
            await asyncio.wait(tasks[1:], return_when=asyncio.FIRST_COMPLETED)

    def _manager(self, host: str) -> Manager:
        if host not in self._managers:
            machine = Machine(self._fleet / "hosts" / host)
            self._managers[host] = Manager(machine, self._reaper, self._path)
        return self._managers[host]

    async def _obey_app(self) -> None:
        """Requests of the app, until it is gone."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            request = json.loads(line)
            answer = await systemctl(self._manager(request["host"]), request["argv"])
            _tell_app(json.dumps(answer._asdict()).encode() + b"\n")

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(listener)
            task = asyncio.create_task(self._answer(connection))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(self, connection: socket.socket) -> None:
        """One call of a shim; `nixfleet_core.sandbox.client` says what it looks like."""
        loop = asyncio.get_running_loop()
        with connection, contextlib.suppress(OSError), contextlib.ExitStack() as descriptors:
            await _readable(connection)
            _, fds, _, _ = socket.recv_fds(connection, 1, 3)
            for fd in fds:
                os.set_inheritable(fd, False)
                descriptors.callback(os.close, fd)
            data = bytearray()
            while len(data) < _REQUEST_LIMIT:
                chunk = await loop.sock_recv(connection, 65536)
                if not chunk:
                    break
                data += chunk
            answer = await self._call(bytes(data), cast("Streams", tuple(fds)))
            fields = (str(answer.code), answer.out, answer.err)
            reply = b"".join(os.fsencode(field) + b"\0" for field in fields)
            await loop.sock_sendall(connection, reply)

    async def _call(self, request: bytes, streams: Streams) -> Answer:
        host, tool, directory, count, *rest = map(os.fsdecode, request.split(b"\0")[:-1])
        argv, variables = rest[: int(count)], rest[int(count) :]
        if tool == "systemctl":
            return await systemctl(self._manager(host), argv)
        return await systemd_run(
            self._manager(host),
            argv,
            directory=directory,
            environment=dict(variable.split("=", 1) for variable in variables),
            streams=streams,
        )


async def _wait(event: asyncio.Event) -> None:
    await event.wait()


async def _readable(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(connection, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(connection)


def _tell_app(data: bytes) -> None:
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def _end_everything(fleet: Path) -> None:
    """Kill all that carries the fleet's mark or descends from this process; delete the folder."""
    mark = f"{MARK}={fleet}".encode()
    deadline = time.monotonic() + _KILL_SECONDS
    while time.monotonic() < deadline:
        living = processes.snapshot()
        doomed = processes.members(living, -1, mark)
        doomed |= processes.descendants(living, {os.getpid()})
        if not doomed:
            break
        processes.send(doomed, signal.SIGKILL)
        time.sleep(0.01)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
    os.chdir("/")
    shutil.rmtree(fleet, ignore_errors=True)
