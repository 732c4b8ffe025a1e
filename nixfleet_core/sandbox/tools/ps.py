"""`ps` for machines that have none (procps is no part of a bare Linux), read from /proc.

It knows what the host scripts ask: `-A`, `-p PID`, `-o FIELD=` and `-w` (it never cuts a line). It
refuses everything else: a script that asks for more must learn so here.
"""

from __future__ import annotations

import getopt
import os
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PROC: Final = Path("/proc")
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_DAY: Final = 86400


class _Process:
    """One process as /proc has it. Raises OSError and ValueError where it is gone."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        folder = _PROC / str(pid)
        # The command's name stands in parentheses and may hold any byte.
        head, _, tail = (folder / "stat").read_bytes().rpartition(b")")
        self._name = head.partition(b"(")[2]
        self._fields = tail.split()
        self._words = (folder / "cmdline").read_bytes().rstrip(b"\0")
        self.uid = folder.stat().st_uid

    def stat(self, number: int) -> int:
        """A field of /proc/PID/stat by its number in proc(5)."""
        return int(self._fields[number - 3])

    def args(self) -> str:
        """As procps shows it where the locale is C: no control characters, and ASCII's alone."""
        text = self._words.replace(b"\0", b" ") or b"[" + self._name + b"]"
        text = re.sub(rb"[\0-\x1f\x7f]", b".", text.replace(b"\n", b" "))
        return re.sub(rb"[\x80-\xff]", b"?", text).decode("ascii")

    def began(self) -> str:
        """In English, whatever the locale is."""
        boot = re.search(rb"^btime (\d+)", (_PROC / "stat").read_bytes(), re.M)
        return time.asctime(time.localtime(int(boot[1] if boot else 0) + self.stat(22) // _TICKS))

    def age(self) -> str:
        """[[DAYS-]HOURS:]MINUTES:SECONDS"""
        uptime = float((_PROC / "uptime").read_text().split()[0])
        seconds = max(0, int(uptime - self.stat(22) / _TICKS))
        days, hours, minutes = seconds // _DAY, seconds % _DAY // 3600, seconds % 3600 // 60
        text = f"{minutes:02}:{seconds % 60:02}"
        if days:
            return f"{days}-{hours:02}:{text}"
        return f"{hours:02}:{text}" if hours else text


FIELDS: Final[dict[str, Callable[[_Process], str | int]]] = {
    "pid": lambda process: process.pid,
    "ppid": lambda process: process.stat(4),
    "pgid": lambda process: process.stat(5),
    "uid": lambda process: process.uid,
    "args": _Process.args,
    "etime": _Process.age,
    "lstart": _Process.began,
}
"""How each field is found."""


def ps(argv: list[str]) -> int:
    """Print what was asked for; 1 where no process is shown, or the question is not understood."""
    try:
        options, rest = getopt.getopt(argv, "Awp:o:")
        fields = [FIELDS[value.removesuffix("=")] for name, value in options if name == "-o"]
        pids = [int(value) for name, value in options if name == "-p"]
        is_all = ("-A", "") in options
        if rest or not fields or is_all == bool(pids):
            raise ValueError("only -A or -p, and -o, are known")
    except (getopt.GetoptError, KeyError, ValueError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    lines = [
        " ".join(str(field(process)) for field in fields)
        for process in _processes(_all() if is_all else pids)
    ]
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0 if lines else 1


def _all() -> list[int]:
    return sorted(int(entry.name) for entry in _PROC.iterdir() if entry.name.isdecimal())


def _processes(pids: list[int]) -> Iterator[_Process]:
    for pid in pids:
        try:
            yield _Process(pid)
        except (OSError, ValueError):
            continue
