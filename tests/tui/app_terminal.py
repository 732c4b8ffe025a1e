"""The real app in a terminal of its own, for tests of who has the terminal."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

_APP: Final = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from fakes import FakeLatest, make_fleet
from nixfleet_core.transport.at_terminal import local_shell_argv
from tui.app import NixFleetApp
from tui.settings import AppSettings
fleet = make_fleet(Path({folder!r}))
{setup}
NixFleetApp(fleet, FakeLatest(), settings=AppSettings()).run()
"""
_SECONDS: Final = 60
BACK: Final = b"\x1b[?1049h"
"""The app has the terminal again."""

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="setsid --ctty is Linux's")


class AppTerminal:
    """The app's terminal. Its output is read in order."""

    def __init__(self, fd: int, app: subprocess.Popen[bytes]) -> None:
        self._fd, self._app = fd, app
        self._seen = b""

    def read_until(self, text: bytes) -> None:
        while text not in self._seen:
            assert select.select([self._fd], [], [], _SECONDS)[0], self._seen
            self._seen += os.read(self._fd, 65536)
        self._seen = self._seen.partition(text)[2]

    def write(self, keys: bytes) -> None:
        os.write(self._fd, keys)

    def quit(self) -> None:
        """Press `q`: the app gives the terminal back, and ends well."""
        self.write(b"q")
        self.read_until(b"\x1b[?1049l")
        assert self._app.wait(_SECONDS) == 0


@contextmanager
def app_at_terminal(folder: Path, setup: str, **environment: str) -> Iterator[AppTerminal]:
    """The app over a fleet in that folder; `setup` is Python that changes `fleet` before. It is
    killed with the context."""
    ours, theirs = pty.openpty()
    script = _APP.format(tests=str(Path(__file__).parents[1]), folder=str(folder), setup=setup)
    app = subprocess.Popen(
        ["setsid", "--ctty", sys.executable, "-c", script],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=os.environ | {"TERM": "xterm-256color", **environment},
    )
    os.close(theirs)
    try:
        yield AppTerminal(ours, app)
    finally:
        app.kill()
        os.close(ours)
