"""python3 -m launchd UID: logs the user in, and answers launchctl."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from contextlib import suppress
from pathlib import Path

from .domains import Domains


async def main(uid: int) -> None:
    domains = Domains(uid)
    await domains.log_in()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The words of a call, and code, stdout and stderr; between them are NULs."""
        said = await domains.ask((await reader.read()).decode().split("\0"))
        writer.write(f"{said.code}\0{said.out}\0{said.err}".encode())
        with suppress(ConnectionError):  # the caller has gone; the request is done anyway
            await writer.drain()
        writer.close()

    path = f"/run/lab/launchd-{uid}"
    Path(path).unlink(missing_ok=True)  # noqa: ASYNC240
    server = await asyncio.start_unix_server(answer, path)
    Path(path).chmod(0o666)  # noqa: ASYNC240
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
    await server.serve_forever()


asyncio.run(main(int(sys.argv[1])))
