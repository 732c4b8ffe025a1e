"""`ps` for machines that have none (procps is no part of a bare Linux): what POSIX says of it, read
from /proc.

It knows `-A` (or `-e`), `-p LIST`, `-o FORMAT` and `-w` (it never cuts a line), and refuses
everything else: a script that asks for more must learn so here. Without `-o` it shows pid and args.
"""

from __future__ import annotations

import getopt
import os
import pwd
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
        self.name = head.partition(b"(")[2]
        self.fields = tail.split()
        self.words = (folder / "cmdline").read_bytes()
        found = re.search(rb"^Uid:\s+(\d+)\s+(\d+)", (folder / "status").read_bytes(), re.M)
        if found is None:
            raise ValueError(f"no user of process {pid}")
        self.real_uid, self.uid = map(int, found.groups())

    def stat(self, number: int) -> str:
        """A field of /proc/PID/stat by its number in proc(5), from 3 on."""
        return self.fields[number - 3].decode()

    @property
    def args(self) -> str:
        words = self.words.rstrip(b"\0").replace(b"\0", b" ")
        return _plain(words) if words else f"[{_plain(self.name)}]"

    @property
    def started(self) -> int:
        """Seconds since the epoch."""
        boot = re.search(rb"^btime (\d+)", (_PROC / "stat").read_bytes(), re.M)
        return (int(boot[1]) if boot else 0) + int(self.stat(22)) // _TICKS

    @property
    def age(self) -> str:
        """[[DAYS-]HOURS:]MINUTES:SECONDS"""
        uptime = float((_PROC / "uptime").read_text().split()[0])
        seconds = max(0, int(uptime - int(self.stat(22)) / _TICKS))
        days, hours, minutes = seconds // _DAY, seconds % _DAY // 3600, seconds % 3600 // 60
        text = f"{minutes:02}:{seconds % 60:02}"
        if days:
            return f"{days}-{hours:02}:{text}"
        return f"{hours:02}:{text}" if hours else text


def _plain(text: bytes) -> str:
    """As procps shows it where the locale is C: no control characters, and ASCII's alone."""
    text = re.sub(rb"[\0-\x1f\x7f]", b".", text.replace(b"\n", b" "))
    return re.sub(rb"[\x80-\xff]", b"?", text).decode("ascii")


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _since(process: _Process) -> str:
    # in English, whatever the locale is
    return time.asctime(time.localtime(process.started))


FIELDS: Final[dict[str, tuple[str, Callable[[_Process], str]]]] = {
    "pid": ("PID", lambda process: str(process.pid)),
    "ppid": ("PPID", lambda process: process.stat(4)),
    "pgid": ("PGID", lambda process: process.stat(5)),
    "sid": ("SID", lambda process: process.stat(6)),
    "uid": ("UID", lambda process: str(process.uid)),
    "ruid": ("RUID", lambda process: str(process.real_uid)),
    "user": ("USER", lambda process: _user(process.uid)),
    "ruser": ("RUSER", lambda process: _user(process.real_uid)),
    "stat": ("STAT", lambda process: process.stat(3)),
    "state": ("S", lambda process: process.stat(3)),
    "comm": ("COMMAND", lambda process: _plain(process.name)),
    "args": ("COMMAND", lambda process: process.args),
    "command": ("COMMAND", lambda process: process.args),
    "etime": ("ELAPSED", lambda process: process.age),
    "lstart": ("STARTED", _since),
}
"""Each field's title and value."""


def ps(argv: list[str]) -> int:
    """Print what was asked for; 1 where no process is shown, or the question is not understood."""
    try:
        options, rest = getopt.getopt(argv, "Aewp:o:")
        if rest:
            raise getopt.GetoptError(f"only -A, -p and -o are known, not {rest[0]}")
        columns = [column for name, value in options if name == "-o" for column in _columns(value)]
        listed = [pid for name, value in options if name == "-p" for pid in _numbers(value)]
    except getopt.GetoptError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    everything = any(name in ("-A", "-e") for name, _ in options)
    if not everything and not any(name == "-p" for name, _ in options):
        sys.stderr.write("error: only -A and -p are known\n")
        return 1
    columns = columns or [("pid", "PID"), ("args", "COMMAND")]
    rows = list(
        _rows(sorted(_living() if everything else set(listed)), [name for name, _ in columns])
    )
    titles = [title for _, title in columns]
    _print(([titles] if any(titles) else []) + rows)
    return 0 if rows else 1


def _columns(text: str) -> Iterator[tuple[str, str]]:
    """`a=,b=Title,c`: a field's name, and its title where another is wanted, or none."""
    for word in text.split(","):
        name, named, title = word.partition("=")
        if name not in FIELDS:
            raise getopt.GetoptError(f'unknown user-defined format specifier "{name}"')
        yield name, title if named else FIELDS[name][0]


def _numbers(text: str) -> list[int]:
    words = re.split(r"[\s,]+", text.strip())
    if not all(word.isdecimal() for word in words):
        raise getopt.GetoptError(f"process ID list syntax error: {text}")
    return [int(word) for word in words]


def _living() -> Iterator[int]:
    return (int(entry.name) for entry in _PROC.iterdir() if entry.name.isdecimal())


def _rows(pids: list[int], names: list[str]) -> Iterator[list[str]]:
    for pid in pids:
        try:
            process = _Process(pid)
            yield [FIELDS[name][1](process) for name in names]
        except (OSError, ValueError, IndexError):
            continue


def _print(rows: list[list[str]]) -> None:
    """Columns, numbers to the right; the last is as long as it is."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))] if rows else []
    for row in rows:
        cells = [
            cell.rjust(width) if cell.isdecimal() else cell.ljust(width)
            for cell, width in zip(row[:-1], widths, strict=False)
        ]
        sys.stdout.write(" ".join([*cells, row[-1]]) + "\n")
