"""Which processes belong to a unit, or to the whole fleet, also after they left their group.

What cgroups do for systemd is done here by three signs: the session that a unit was started in, a
mark in the environment, and descent. On Linux the manager is also the reaper of orphans, so that
descent holds for a process that left its session and whose parent is gone.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    import signal

_PR_SET_CHILD_SUBREAPER: Final = 36
_PROC: Final = Path("/proc")


class Process(NamedTuple):
    """A living process; `environment` is empty where it may not be seen."""

    pid: int
    parent: int
    session: int
    environment: bytes


def adopt_orphans() -> None:
    """Make this process the parent of descendants that lose theirs, where the kernel can."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def snapshot() -> list[Process]:
    """All living processes that can be seen."""
    return _from_proc() if (_PROC / "self/stat").exists() else _from_ps()


def members(processes: list[Process], session: int, mark: bytes) -> set[int]:
    """The processes of a session, those that carry the mark, and all their descendants."""
    found = {p.pid for p in processes if p.session == session or mark in p.environment}
    return descendants(processes, found)


def descendants(processes: list[Process], roots: set[int]) -> set[int]:
    """`roots` and everything below them, without this process itself."""
    found = set(roots)
    grew = True
    while grew:
        below = {p.pid for p in processes if p.parent in found} - found
        found |= below
        grew = bool(below)
    return found - {os.getpid()}


def send(pids: set[int], signum: signal.Signals) -> None:
    """Signal each process that still lives."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signum)


def _from_proc() -> list[Process]:
    found = []
    for entry in _PROC.iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            # The command's name stands in parentheses and may hold any byte.
            state, parent, _group, session = (
                (entry / "stat").read_bytes().rpartition(b")")[2].split()[:4]
            )
        except (OSError, ValueError):
            continue
        if state in b"ZX":
            continue
        environment = b""
        with contextlib.suppress(OSError):
            environment = (entry / "environ").read_bytes()
        found.append(Process(int(entry.name), int(parent), int(session), environment))
    return found


def _from_ps() -> list[Process]:
    listing = subprocess.run(
        ["ps", "-axEww", "-o", "pid=,ppid=,stat=,command="],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    found = []
    for line in listing.stdout.splitlines():
        fields = line.split(None, 3)
        if len(fields) < 4 or fields[2].startswith(b"Z"):
            continue
        pid = int(fields[0])
        with contextlib.suppress(OSError):
            found.append(Process(pid, int(fields[1]), os.getsid(pid), fields[3]))
    return found
