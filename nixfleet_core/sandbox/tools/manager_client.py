"""The client behind `systemctl` and `systemd-run`: the manager does it, we print its answer."""

from __future__ import annotations

import json
import os
import socket
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from nixfleet_core.sandbox.machine import Machine

_SOCKET: Final = "manager"
_NO_BUS: Final = "Failed to connect to bus: No such file or directory\n"


def call_manager(machine: Machine, tool: str, argv: list[str]) -> int:
    """Run `tool` in the manager, with this process's streams at hand."""
    request = {
        "host": machine.name,
        "tool": tool,
        "argv": argv,
        "directory": os.getcwd(),  # noqa: PTH109 - pathlib is not needed here, and costs time
        "environment": dict(os.environ),
    }
    try:
        os.chdir(machine.fleet)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(_SOCKET)
            socket.send_fds(connection, [b"\0"], [0, 1, 2])
            connection.sendall(json.dumps(request).encode())
            connection.shutdown(socket.SHUT_WR)
            answer = json.loads(b"".join(iter(lambda: connection.recv(65536), b"")))
    except (OSError, ValueError):
        sys.stderr.write(_NO_BUS)
        return 1
    sys.stdout.write(answer["out"])
    sys.stdout.flush()
    sys.stderr.write(answer["err"])
    return int(answer["code"])
