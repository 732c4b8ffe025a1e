"""Textual's driver, for a terminal that may vanish, and whose input is untrusted."""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import time
from codecs import getincrementaldecoder
from io import TextIOWrapper
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING, Final, cast

from textual.drivers.linux_driver import LinuxDriver
from textual.events import Key

from tui.terminal_input import TerminalInput

if TYPE_CHECKING:
    from textual.message import Message

    from tui.stage import Stage

_TICK: Final = 0.1
"""Seconds between looks at what may have ended, such as a lone escape."""

_LOOK: Final = 0.5
"""Seconds between looks, for kernels that do not report a vanished terminal (macOS)."""

_BACKGROUND: Final = "\x1b]11;?\x1b\\"
_SCHEMES: Final = "\x1b[?2031h"
_NO_SCHEMES: Final = "\x1b[?2031l"
"""What asks for the background's colour, and for reports when the colours change."""


def speaks_unicode() -> bool:
    """Whether the app can write all its signs, by the locale."""
    encoding = sys.__stderr__.encoding if sys.__stderr__ is not None else ""
    return encoding.lower().replace("-", "") == "utf8"


class TerminalDriver(LinuxDriver):
    """Ends the app as SIGHUP does when its terminal is gone; make, for one, keeps that signal.

    Textual's own driver then reads the end of input for ever. Its writer dies or blocks for good,
    and so does the app, which waits until there is room for its output.
    """

    held_at = 0.0
    """When a read last brought several keys at once that say yes: nobody types so fast."""
    _gone = False
    _watching = False

    def start_application_mode(self) -> None:
        if isinstance(sys.__stderr__, TextIOWrapper):  # what it cannot say must not end its writer
            sys.__stderr__.reconfigure(errors="replace")
        super().start_application_mode()  # type: ignore[no-untyped-call]
        self._ask_background()
        if not self._watching:
            self._watching = True
            Thread(target=self._watch, name="terminal-watch", daemon=True).start()

    def stop_application_mode(self) -> None:
        if self._asks_background:
            self.write(_NO_SCHEMES)
        super().stop_application_mode()

    def resume_application_mode(self) -> None:
        if not self._gone:  # the kernel sends SIGCONT with SIGHUP
            super().resume_application_mode()

    def _ask_background(self) -> None:
        """Its answer comes as a message, at once or late; not every terminal answers."""
        if self._asks_background:
            self.write(_BACKGROUND + _SCHEMES)
            self.flush()

    @property
    def _asks_background(self) -> bool:
        """Whether it matters, and a terminal that does not know the question swallows it: the Linux
        console showed it in former times."""
        return not self._app.no_color and os.environ.get("TERM") != "linux"

    def run_input_thread(self) -> None:
        try:
            self._read_input()
        except OSError:  # EIO
            self._hang_up()

    def _read_input(self) -> None:
        decode = getincrementaldecoder("utf-8")("replace").decode
        terminal = TerminalInput()
        while not self.exit_event.is_set():
            if select.select([self.fileno], [], [], _TICK)[0]:
                data = os.read(self.fileno, 4096)
                if not data:  # it is closed, which _watch sees, too
                    self.exit_event.wait(_TICK)
                self._pass_on(list(terminal.feed(decode(data))))
            for event in terminal.tick():
                self.process_message(event)

    def _pass_on(self, read: list[Message]) -> None:
        """What was read at once has one time, however long we take to understand it."""
        now = monotonic()
        accepting = cast("Stage", self._app).accept_keys
        if sum(isinstance(one, Key) and one.key in accepting for one in read) > 1:
            self.held_at = now
        for event in read:
            event.time = now
            self.process_message(event)

    def write(self, data: str) -> None:
        if not self._gone and self._writer_thread is not None:
            super().write(data)

    def close(self) -> None:
        if not self._gone:
            super().close()

    def let_go(self) -> None:
        """Nobody reads our output any more: drop it, and wait for nothing."""
        if self._gone:
            return
        self._gone = True
        self.exit_event.set()
        Thread(target=self._make_room, name="terminal-drain", daemon=True).start()
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (sys.__stdout__, sys.__stderr__):
            if stream is not None:
                os.dup2(null, stream.fileno())

    def leave_streams(self) -> None:
        """After the app's end. Python flushes its streams at its exit, and would wait for the
        writer, which is stuck in one of them for good."""
        if self._gone:
            sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - open to the end

    def _make_room(self) -> None:
        """Take what the writer no longer takes: the app, with its loop, may be waiting for room."""
        writer = self._writer_thread
        while writer is not None:
            writer._queue.get()

    def _watch(self) -> None:
        terminal = select.poll()
        terminal.register(self.fileno, 0)  # poll reports a hang-up in any case
        while _is_there(self.fileno):
            if terminal.poll(_LOOK * 1000):
                time.sleep(_LOOK if _is_there(self.fileno) else 0)
        self._hang_up()

    def _hang_up(self) -> None:
        if not self._gone:
            self.let_go()
            os.kill(os.getpid(), signal.SIGHUP)


def _is_there(fd: int) -> bool:
    try:
        termios.tcgetattr(fd)
    except termios.error:
        return False
    return True
