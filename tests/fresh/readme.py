"""A newcomer's steps, in a terminal and in the root file system that enter.sh has entered.

Standard library alone: nothing is installed yet.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Final

LIST: Final = (b"csb0", b"csb1", b"gpc0", b"hsb1", b"imac0", b"2.1.0", b"2.2.0")
"""All hosts, and the versions that prove that the reachable agents have been looked at."""

INSTALL_SECONDS: Final = 600
END_SECONDS: Final = 30


def main() -> int:
    begun = time.monotonic()
    try_demo()
    say(f"make demo lists its hosts, and leaves nothing behind ({time.monotonic() - begun:.0f} s)")
    begun = time.monotonic()
    last = run_tests()
    say(f"make test passes ({time.monotonic() - begun:.0f} s)")
    if not last.startswith("Left out: "):
        fail(f"its last line does not name what was left out: {last!r}")
    if left := others():
        fail(f"make test has left processes behind: {left}")
    return 0


def try_demo() -> None:
    """`make demo` in a terminal, until the list is there; then the terminal is closed."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    before = set(Path("/tmp").iterdir())
    demo = subprocess.Popen(
        ["setsid", "--ctty", "make", "demo"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=os.environ | {"TERM": "xterm-256color"},
    )
    os.close(theirs)
    seen = b""
    while not all(word in seen for word in LIST):
        if not select.select([ours], [], [], INSTALL_SECONDS)[0]:
            fail(f"make demo says nothing more; it said:\n{seen.decode(errors='replace')}")
        try:
            seen += os.read(ours, 65536)
        except OSError:  # all processes of the terminal have ended
            fail(f"make demo has ended; it said:\n{seen.decode(errors='replace')}")
    running = [os.pidfd_open(pid) for pid in others()]
    os.close(ours)
    demo.wait(END_SECONDS)
    for pidfd in running:
        if not select.select([pidfd], [], [], END_SECONDS)[0]:
            break
        os.close(pidfd)
    if left := others():
        fail(f"the demo's terminal is closed, and these go on: {left}")
    if files := set(Path("/tmp").iterdir()) - before:
        fail(f"the demo has left files behind: {sorted(map(str, files))}")


def run_tests() -> str:
    """`make test`; its last line."""
    last = ""
    with subprocess.Popen(
        ["make", "test"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as tests:
        assert tests.stdout is not None
        for line in tests.stdout:
            sys.stdout.write(line)
            sys.stdout.flush()
            last = line
    if tests.returncode:
        fail(f"make test ended with {tests.returncode}")
    return last


def others() -> dict[int, str]:
    """The processes here, except process 1 and this one, with their command lines."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) not in (1, os.getpid()):
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:  # it has ended meanwhile
                continue
            if words:  # else it has ended, and process 1 is about to bury it
                found[int(entry.name)] = words.replace(b"\0", b" ").decode(errors="replace")
    return found


def say(text: str) -> None:
    sys.stdout.write(f"On a fresh machine {text}.\n")


def fail(text: str) -> None:
    sys.stderr.write(f"On a fresh machine {text}\n")
    raise SystemExit(1)


if __name__ == "__main__":
    sys.exit(main())
