"""The app ends when its terminal goes away or a signal says so, and leaves nothing behind."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

SECONDS = 60


def read_until(fd: int, text: bytes) -> None:
    seen = b""
    while text not in seen:
        assert select.select([fd], [], [], SECONDS)[0], seen
        seen += os.read(fd, 65536)


def processes_of(folder: Path) -> list[int]:
    """A pidfd of every process that has the folder's name in its command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):  # it has ended meanwhile
                if os.fsencode(folder) in (entry / "cmdline").read_bytes():
                    found.append(os.pidfd_open(int(entry.name)))
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="pidfds are Linux's")
@pytest.mark.parametrize("how", ["hang up", "terminate", "hang up, and nobody says so"])
def test_the_demo_ends_and_cleans_up(tmp_path: Path, how: str) -> None:
    ours, theirs = pty.openpty()
    demo = [str(Path(sys.executable).with_name("nixfleet")), "demo"]
    if how == "hang up, and nobody says so":
        # the kernel signals only the leader of the session, which, like make, does not pass it on
        demo = ["/bin/sh", "-c", "trap '' HUP; \"$@\"; exit $?", "sh", *demo]
    app = subprocess.Popen(
        ["setsid", "--ctty", *demo],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=dict(os.environ, TERM="xterm-256color", TMPDIR=str(tmp_path)),
    )
    os.close(theirs)
    try:
        read_until(ours, b"csb0")
        running = processes_of(tmp_path)
        assert running
        if how == "terminate":
            app.terminate()
            read_until(ours, b"\x1b[?1049l")  # the old screen is back
        os.close(ours)
        assert app.wait(SECONDS) in ({129, 143} if how == "terminate" else {129})
        for pidfd in running:
            assert select.select([pidfd], [], [], SECONDS)[0]
            os.close(pidfd)
    finally:
        app.kill()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_without_utf_8_gets_ascii(tmp_path: Path, encoding: str) -> None:
    ours, theirs = pty.openpty()
    app = subprocess.Popen(
        [str(Path(sys.executable).with_name("nixfleet")), "demo", "--speed", "50"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=dict(
            os.environ, TERM="xterm-256color", TMPDIR=str(tmp_path), PYTHONIOENCODING=encoding
        ),
        start_new_session=True,
    )
    os.close(theirs)
    seen = b""
    try:
        while b"stale" not in seen:
            assert select.select([ours], [], [], SECONDS)[0], seen
            seen += os.read(ours, 65536)
        assert seen.isascii()
        os.write(ours, b"q")
        with suppress(OSError):  # the app has ended
            while os.read(ours, 65536):
                pass
        assert app.wait(SECONDS) == 0
    finally:
        app.kill()
        os.close(ours)


@pytest.mark.parametrize("how", ["told", "gone"])
def test_the_app_ends_in_order_when_its_terminal_takes_no_output(how: str) -> None:
    """The app's writer is stuck, and its loop waits for the writer."""
    ours, theirs = pty.openpty()
    told, tells = os.pipe()
    app = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("flooding.py")), str(tells)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        pass_fds=[tells],
        env=dict(os.environ, TERM="xterm-256color", PYTHONUNBUFFERED=""),  # as at a login
        start_new_session=True,
    )
    for fd in (theirs, tells):
        os.close(fd)
    try:
        while told not in (readable := select.select([told, ours], [], [], SECONDS)[0]):
            assert readable
            os.read(ours, 65536)
        assert os.read(told, 5) == b"ready"
        if how == "gone":
            os.close(ours)
        else:
            app.send_signal(signal.SIGHUP)
        assert app.wait(SECONDS) == 129
        assert os.read(told, 5) == b"ended"
    finally:
        app.kill()
        os.close(told)
        if how == "told":
            os.close(ours)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM], ids=["hang up", "terminate"])
def test_the_app_ends_when_its_loop_is_stuck(tmp_path: Path, number: int) -> None:
    ours, theirs = pty.openpty()
    told, tells = os.pipe()
    app = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("stuck.py")), str(tells)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        pass_fds=[tells],
        env=dict(os.environ, TERM="xterm-256color", TMPDIR=str(tmp_path)),
    )
    for fd in (theirs, tells):
        os.close(fd)
    try:
        assert os.read(told, 5) == b"stuck"
        app.send_signal(number)
        assert app.wait(SECONDS) == 128 + number
    finally:
        app.kill()
        for fd in (ours, told):
            os.close(fd)
