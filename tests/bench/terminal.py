"""Programs in a terminal of 120 × 40, and what they write there."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Self

_HERE: Final = Path(__file__).parent
_SIZE: Final = (40, 120)
_LIMIT: Final = 180.0
"""Seconds for one program."""


def environment(**more: str) -> dict[str, str]:
    """That of a user with a good terminal and no settings."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    folders = (_HERE.parent, _HERE.parents[1])
    return {
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        **kept,
        "PYTHONPATH": os.pathsep.join(map(str, folders)),
        "HOME": tempfile.gettempdir(),
        **more,
    }


@dataclass
class Terminal:
    """A program's terminal. It is read at once, unless it is stopped."""

    argv: Sequence[str]
    began: float = field(default_factory=time.perf_counter)
    written: bytearray = field(default_factory=bytearray)
    _moments: list[tuple[int, float]] = field(default_factory=list)
    """How much was there at which moment."""

    def __enter__(self) -> Self:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", *_SIZE, 0, 0))
        self._answer, told = os.pipe()
        self._reading = threading.Event()
        self._reading.set()
        self.began = time.perf_counter()
        self._process = subprocess.Popen(
            self.argv,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            pass_fds=(told,),
            start_new_session=True,
            env=environment(BENCH_FD=str(told)),
        )
        os.close(slave)
        os.close(told)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.resume()
        self._process.kill()
        self._process.wait()
        self._reader.join()
        os.close(self._master)
        os.close(self._answer)

    def lines(self) -> Iterator[Any]:
        """What the program says of itself, in JSON, as it says it."""
        with os.fdopen(os.dup(self._answer), "rb") as told:
            for line in told:
                yield json.loads(line)

    def answer(self) -> Any:
        """The next thing that it says."""
        for said in self.lines():
            return said
        raise RuntimeError(bytes(self.written[-4000:]).decode(errors="replace"))

    def stop(self) -> None:
        """Read no more, as a terminal behind a link that hangs."""
        self._reading.clear()

    def resume(self) -> None:
        self._reading.set()

    def wait_for(self, text: bytes, start: int = 0) -> float:
        """Seconds from the start of the program until it has written that."""
        until = time.perf_counter() + _LIMIT
        while time.perf_counter() < until:
            place = self.written.find(text, start)
            if place >= 0:
                end = place + len(text)
                return next(at for size, at in self._moments if size >= end) - self.began
            time.sleep(0.002)
        raise TimeoutError(bytes(self.written[-4000:]).decode(errors="replace"))

    def _read(self) -> None:
        while True:
            self._reading.wait()
            try:
                data = os.read(self._master, 1 << 16)
            except OSError:
                return
            if not data:
                return
            self.written += data
            self._moments.append((len(self.written), time.perf_counter()))


def child(function: str, *arguments: object) -> Terminal:
    """`module:function` of this package, in a process and a terminal of its own."""
    words = map(str, arguments)
    return Terminal([sys.executable, "-m", "bench.child", function, *words])


def asked(function: str, *arguments: object) -> Any:
    """What such a function returns."""
    with child(function, *arguments) as terminal:
        return terminal.answer()
