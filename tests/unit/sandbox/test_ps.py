"""The ps of machines that have none: it answers as the real one, where that is here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nixfleet_core.sandbox.layout import TOOLS

if TYPE_CHECKING:
    from collections.abc import Iterator

FIELDS = ("pid", "ppid", "pgid", "uid", "args", "etime", "lstart")
SCRIPTS = Path(__file__).parents[3] / "nixfleet_core" / "scripts"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the stand-in reads Linux's /proc")


def ps(*argv: str) -> subprocess.CompletedProcess[str]:
    return run("/bin/sh", str(TOOLS / "ps.sh"), *argv)


def run(*argv: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"LC_ALL": "C"}
    return subprocess.run(argv, capture_output=True, text=True, check=False, env=env)


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    """A process with blanks in its command line, and empty words."""
    program = [sys.executable, "-c", "print(flush=True); input()", "a b", "", ""]
    pipe = subprocess.PIPE
    with subprocess.Popen(program, stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        process.stdout.readline()  # until then it may still be a copy of this process
        yield process
        process.kill()


@pytest.mark.needs("ps")
@pytest.mark.parametrize(
    "fields",
    [
        *[(f"{name}=",) for name in FIELDS if name != "etime"],
        ("pid=", "ppid=", "args="),
    ],
    ids=" ".join,
)
def test_it_answers_as_the_real_one(
    other: subprocess.Popen[bytes], fields: tuple[str, ...]
) -> None:
    argv = [word for field in fields for word in ("-o", field)]
    which = str(other.pid)
    ours, real = ps("-ww", *argv, "-p", which), run("ps", "-ww", *argv, "-p", which)
    assert ours.returncode == real.returncode == 0
    assert ours.stdout.split() == real.stdout.split()


@pytest.mark.needs("ps")
@pytest.mark.parametrize(
    "argv", [("-o", "pid=", "-p", "4194305"), ("-o", "what", "-A"), ("-o", "pid=", "-p", "x")]
)
def test_it_refuses_as_the_real_one(argv: tuple[str, ...]) -> None:
    assert ps(*argv).returncode == run("ps", *argv).returncode == 1


@pytest.mark.parametrize("argv", [(), ("aux",), ("-f",), ("-A",), ("-o", "pid=")])
def test_it_refuses_what_it_does_not_know(argv: tuple[str, ...]) -> None:
    done = ps(*argv)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")


def test_all_processes_are_listed_and_how_old_they_are(other: subprocess.Popen[bytes]) -> None:
    lines = [line.split() for line in ps("-A", "-o", "pid=", "-o", "etime=").stdout.splitlines()]
    ages = {int(pid): age for pid, age in lines}
    assert {os.getpid(), other.pid} <= ages.keys()
    assert re.fullmatch(r"00:[0-5]\d", ages[other.pid])


def test_it_knows_each_field_that_a_script_asks_for() -> None:
    asked = set()
    for script in SCRIPTS.glob("*/*.sh"):
        for call in re.findall(r'\bps((?: -\w+(?: [a-z]+=)?(?: "[^"]*")?)+)', script.read_text()):
            if " -E" in call:  # of a Mac's ps alone
                continue
            asked |= set(re.findall(r"-o ([a-z]+)=", call))
            assert ps(*re.sub(r'"[^"]*"', str(os.getpid()), call).split()).returncode == 0
    assert asked
    assert asked <= set(FIELDS)
