"""Which processes belong to a unit, or to the whole fleet, also after they left their group.

What cgroups do for systemd, a mark in the environment and descent do here.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    import signal

_PROC: Final = Path("/proc")


class Process(NamedTuple):
    """A living process; `environment` is empty where it may not be seen."""

    pid: int
    parent: int
    environment: bytes


def marked(mark: str) -> set[int]:
    """The processes that carry `NAME=VALUE`, and all below them, but this process."""
    processes = snapshot()
    found = {process.pid for process in processes if mark.encode() in process.environment}
    while below := {process.pid for process in processes if process.parent in found} - found:
        found |= below
    return found - {os.getpid()}


def send(pids: set[int], signum: signal.Signals) -> None:
    """Signal each process that still lives."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signum)


def snapshot() -> list[Process]:
    """All living processes that can be seen."""
    return list(_from_proc() if (_PROC / "self/stat").exists() else _from_ps())


def _from_proc() -> list[Process]:
    found = []
    for entry in _PROC.iterdir():
        if not entry.name.isdecimal():
            continue
        with contextlib.suppress(OSError, ValueError):
            # The command's name stands in parentheses and may hold any byte.
            state, parent = (entry / "stat").read_bytes().rpartition(b")")[2].split()[:2]
            if state not in (b"Z", b"X"):
                environment = b""
                with contextlib.suppress(OSError):
                    environment = (entry / "environ").read_bytes()
                found.append(Process(int(entry.name), int(parent), environment))
    return found


def _from_ps() -> list[Process]:
    import subprocess  # every call of systemctl would pay for it

    listing = subprocess.run(
        ["ps", "-axEww", "-o", "pid=,ppid=,stat=,command="],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    lines = (line.split(None, 3) for line in listing.stdout.splitlines())
    return [
        Process(int(fields[0]), int(fields[1]), fields[3])
        for fields in lines
        if len(fields) == 4 and not fields[2].startswith(b"Z")
    ]
