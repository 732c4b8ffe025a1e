"""A process that is asked for a password leaves no core dump."""

from __future__ import annotations

import os
import pty
import resource
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SECONDS = 60
SECRET = "marked-secret"

COMMAND = """
import asyncio, os
from nixfleet_core.cli.run import ask_for_password
from nixfleet_core.errors import NeedsPassword
held = asyncio.run(ask_for_password(NeedsPassword("csb0", wrong=False)))
assert held == os.environ["BACKWARDS"][::-1]
os.abort()
"""
APP = """
import os, sys, tempfile
sys.path.insert(0, os.environ["FAKES"])
from pathlib import Path
from fakes import FakeLatest, make_fleet
from nixfleet_core.errors import NeedsPassword
from tui.app import NixFleetApp
from tui.settings import AppSettings

class App(NixFleetApp):
    def on_ready(self):
        self.run_worker(self.ask())

    async def ask(self):
        held = await self._ask_password(NeedsPassword("csb0"))
        assert held == os.environ["BACKWARDS"][::-1]
        os.abort()

with tempfile.TemporaryDirectory() as folder:
    App(make_fleet(Path(folder)), FakeLatest(), settings=AppSettings()).run()
"""
WITHOUT = """
import nixfleet_core.transport.core_dumps
nixfleet_core.transport.core_dumps.forbid_core_dumps = lambda: None
"""


def crash_with_secret(folder: Path, script: str) -> bool:
    """Give the secret to a program that asks for it at its terminal and then crashes. Return
    whether the kernel has dumped it: into a file in `folder`, or to a program."""
    ours, theirs = pty.openpty()
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=folder,
        env=dict(
            os.environ,
            BACKWARDS=SECRET[::-1],
            FAKES=str(Path(__file__).parents[2]),
            TERM="xterm-256color",
            TMPDIR=str(folder),
        ),
        start_new_session=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (hard, hard)),
    )
    os.close(theirs)
    seen, given = b"", False
    while select.select([ours], [], [], SECONDS)[0]:
        try:
            seen += os.read(ours, 65536)
        except OSError:  # the end
            break
        if not given and b"assword" in seen:
            os.write(ours, f"{SECRET}\r".encode())
            given = True
    _, status = os.waitpid(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    os.close(ours)
    assert process.returncode == -signal.SIGABRT, seen
    return os.WCOREDUMP(status)


@pytest.mark.parametrize("script", [COMMAND, APP], ids=["command", "app"])
def test_a_process_that_asks_for_a_password_leaves_no_core_dump(
    tmp_path: Path, script: str
) -> None:
    assert not crash_with_secret(tmp_path, script)
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes()


def test_an_unprotected_core_dump_holds_the_password(tmp_path: Path) -> None:
    """The test above could find the password, if this machine makes core dumps."""
    if not crash_with_secret(tmp_path, WITHOUT + COMMAND):
        pytest.skip("this machine makes no core dumps")


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_the_kernel_hands_no_core_dump_to_a_program() -> None:
    """For that the kernel goes by PR_GET_DUMPABLE, not by the limit."""
    say = (
        "import ctypes, resource\n"
        "from nixfleet_core.transport.core_dumps import forbid_core_dumps\n"
        "forbid_core_dumps()\n"
        "print(ctypes.CDLL(None).prctl(3), resource.getrlimit(resource.RLIMIT_CORE)[0])"
    )
    done = subprocess.run([sys.executable, "-c", say], capture_output=True, check=True)
    assert done.stdout == b"0 0\n"
