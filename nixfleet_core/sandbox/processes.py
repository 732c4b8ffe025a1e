"""Which processes belong to a unit, or to the whole fleet, even after they left their group.

systemd uses cgroups for this. Here a mark in the environment, a session and descent replace them.
macOS hides the environment of its own programs.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    import signal

_PROC: Final = Path("/proc")


class Process(NamedTuple):
    """A living process; `environment` is empty where it may not be seen."""

    pid: int
    parent: int
    session: int
    environment: bytes


def boot_time() -> float:
    """When this machine's kernel began, in seconds since the epoch."""
    with contextlib.suppress(OSError, StopIteration, ValueError):
        lines = (_PROC / "stat").read_text().splitlines()
        return float(next(line for line in lines if line.startswith("btime ")).split()[1])
    return time.time() - time.monotonic()


def stat_fields(pid: int) -> list[str]:
    """What the kernel says of a process, from its state on: fields 3 to 26 of proc(5). Where there
    is no /proc, its beginning is now."""
    with contextlib.suppress(OSError):
        stat = (_PROC / str(pid) / "stat").read_text(errors="replace")
        return stat.rpartition(")")[2].split()[:24]
    ticks = round((time.time() - boot_time()) * 100)
    return ["S", str(os.getpid()), *["0"] * 17, str(ticks), "0", "0", "0", "0"]


def marked(mark: str, session: int = -1) -> set[int]:
    """The processes that carry `NAME=VALUE` or are of that session, and all below them."""
    living = snapshot()
    found = {p.pid for p in living if p.session == session or mark.encode() in p.environment}
    while below := {p.pid for p in living if p.parent in found} - found:
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
    for entry in _PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            # The command's name stands in parentheses and may hold any byte.
            fields = (entry / "stat").read_bytes().rpartition(b")")[2].split()
            if fields[0] not in (b"Z", b"X"):
                environment = b""
                with contextlib.suppress(OSError):
                    environment = (entry / "environ").read_bytes()
                parent, _, session = map(int, fields[1:4])
                found.append(Process(int(entry.name), parent, session, environment))
    return found


def _from_ps() -> list[Process]:
    import subprocess  # not at the top: it would slow down every call of systemctl

    listing = subprocess.run(
        ["ps", "-axEww", "-o", "pid=,ppid=,stat=,command="],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    found = []
    for fields in (line.split(None, 3) for line in listing.stdout.splitlines()):
        with contextlib.suppress(OSError, ValueError, IndexError):
            pid, parent = int(fields[0]), int(fields[1])
            if not fields[2].startswith(b"Z"):
                found.append(Process(pid, parent, os.getsid(pid), fields[3]))
    return found
