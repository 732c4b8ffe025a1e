"""The app at a real pseudo-terminal that sends anything: it does not end, hang, or start a job."""

from __future__ import annotations

import os
import pty
import random
import select
import subprocess
import sys
import termios
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from heard import HEARD, READY
from test_terminal_input import END, START, said

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 60
SIZES = ("COLUMNS", "LINES")
"""What a developer's shell or a test runner may say of another terminal."""
F12 = b"\x1b[24~"
SIGNS = [*"\x1b\x1b\x1b[[]OP<>?;;:~0123456789uRMmtcA$ \r\x07\\vlbHRs/", START, END, "\x1b[?1u"]


class Terminal:
    """A terminal with the app in it. `written` is what the app has sent to it."""

    def __init__(self, rows: int = 40, columns: int = 120, **environ: str) -> None:
        self._ours, theirs = pty.openpty()
        self._told, tells = os.pipe()
        termios.tcsetwinsize(self._ours, (rows, columns))
        self._app = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("heard.py")), str(tells)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            pass_fds=[tells],
            env={
                **{key: value for key, value in os.environ.items() if key not in SIZES},
                "PYTHONPATH": str(Path(__file__).parents[2]),
                "TERM": "xterm-256color",
                **environ,
            },
            start_new_session=True,
        )
        for fd in (theirs, tells):
            os.close(fd)
        self._said = b""
        self.written = b""
        self._more = threading.Condition()
        self._taker = threading.Thread(target=self._take, daemon=True)
        self._taker.start()
        assert self._hears() == READY

    def close(self) -> None:
        self._app.kill()
        self._app.wait()
        self._taker.join()  # or it would read from the next one that gets this number
        os.close(self._told)
        os.close(self._ours)

    def send(self, data: bytes) -> None:
        with suppress(OSError):  # the app has ended
            os.write(self._ours, data)

    def wait_for(self, written: bytes) -> None:
        """Wait until the app has sent that."""
        with self._more:
            assert self._more.wait_for(lambda: written in self.written, SECONDS), written

    def check(self) -> None:
        """It still hears a key, at the latest when what has no end is over."""
        for _ in range(SECONDS):
            self.send(F12)
            if self._hears(1) or self._app.poll() is not None:
                return
        raise AssertionError("it does not hear a key")

    def end(self) -> tuple[int, str]:
        """Quit. The exit code, and what was launched."""
        for _ in range(SECONDS):
            self.send(b"\x1b")  # a dialog may have opened late
            self.check()
            self.send(b"\x11")
            with suppress(subprocess.TimeoutExpired):
                self._app.wait(2)
                break
        code = self._app.wait(SECONDS)
        while self._hears():
            pass
        return code, self._said.decode().lstrip((READY + HEARD).decode())

    def _hears(self, seconds: float = SECONDS) -> bytes:
        ready = select.select([self._told], [], [], seconds)[0]
        said = os.read(self._told, 100) if ready else b""
        self._said += said
        return said

    def _take(self) -> None:
        with suppress(OSError):  # the app has ended
            while data := os.read(self._ours, 65536):
                with self._more:
                    self.written += data
                    self._more.notify_all()


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    made = Terminal()
    yield made
    made.close()


@pytest.mark.parametrize(
    "data",
    [
        b"\x1b[117;1:3u",
        b"\x1b[99999999999999u\x1b[1114112;9999u",
        b"\xff\xfe\x80\x9b[31m\xc3",
        b"\x1b[?62;22c\x1b[?1u\x1b]11;rgb:00/00/00\x1b\\",
        b"\x1b[200~\x1b[31mu\r\x1b[0m\x1b[201~",
        b"\x1b[200~u\r",
        b"\x1b]0;u\r",
    ],
    ids=["release", "numbers", "not UTF-8", "answers", "coloured paste", "paste", "string"],
)
def test_no_report_ends_the_app_or_starts_a_job(terminal: Terminal, data: bytes) -> None:
    terminal.send(data)
    terminal.check()
    assert terminal.end() == (0, "launched 0")


@pytest.mark.parametrize("data", [b"u\r", b"u\r\r\r", b"\r" * 500], ids=["once", "thrice", "held"])
def test_type_ahead_and_a_held_enter_confirm_nothing(terminal: Terminal, data: bytes) -> None:
    terminal.send(data)
    terminal.check()
    assert terminal.end() == (0, "launched 0")


def test_random_bytes_neither_end_nor_start_anything(terminal: Terminal) -> None:
    chance = random.Random(14)
    sent = 0
    while sent < 40:
        text = "".join(chance.choices(SIGNS, k=chance.randint(1, 60)))
        if {"enter", "q", "ctrl+q", "ctrl+c", "ctrl+z"} & set(said(text)):
            continue  # an operator may press these
        cut = chance.randint(0, len(text))
        terminal.send(text[:cut].encode())
        terminal.send(text[cut:].encode())
        terminal.check()
        sent += 1
    assert terminal.end() == (0, "launched 0")


def test_in_a_terminal_that_is_too_small_only_quit_works() -> None:
    small = Terminal(10, 40)
    try:
        small.send(b"u")
        small.check()
        small.send(b"\r")
        small.check()
        small.send(b"q")
        assert small.end() == (0, "launched 0")
    finally:
        small.close()
