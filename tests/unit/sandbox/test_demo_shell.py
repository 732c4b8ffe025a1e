"""The shell in which `nixfleet` means a sandbox fleet."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(sys.executable).with_name("nixfleet")
SECONDS = 120


def start(tmp_path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [PROGRAM, "demo", "--speed", "100", "shell"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "SHELL": "/bin/sh", "HOME": str(tmp_path), "TMPDIR": str(tmp_path)},
    )


def test_commands_mean_the_fleet_which_is_gone_with_the_shell(tmp_path: Path) -> None:
    said, aside = start(tmp_path).communicate(
        "nixfleet hosts --tag cloud; nixfleet update --tag cloud --state stale --yes; "
        "nixfleet hosts csb0; "
        'nixfleet hosts nobody; echo "code $?"; echo "$NIXFLEET_DEMO"; exit 7\n',
        timeout=SECONDS,
    )
    before, _, after = said.partition("the agent that runs is 2.2.0")
    assert "csb1" in before
    assert "gpc0" not in said, "it is stale, but at home"
    assert "stale" in before
    assert "current" in after
    assert "no host 'nobody'" in aside
    assert "code 2" in after
    folder = after.splitlines()[-1]
    assert folder.startswith(str(tmp_path))
    assert not Path(folder).exists()


def test_the_code_is_the_shells(tmp_path: Path) -> None:
    shell = start(tmp_path)
    shell.communicate("exit 7\n", timeout=SECONDS)
    assert shell.returncode == 7


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_shell_and_its_fleet(tmp_path: Path, number: int) -> None:
    shell = start(tmp_path)
    assert shell.stdin is not None
    assert shell.stdout is not None
    shell.stdin.write('echo "$NIXFLEET_DEMO"\n')
    shell.stdin.flush()
    folder = Path(shell.stdout.readline().strip())
    assert folder.is_dir()
    shell.send_signal(number)
    assert shell.wait(SECONDS) == 128 + number
    assert not folder.exists()
    shell.communicate()


def test_a_fleet_that_has_ended_is_named(tmp_path: Path) -> None:
    done = subprocess.run(
        [PROGRAM, "hosts"],
        env={**os.environ, "NIXFLEET_DEMO": str(tmp_path / "gone"), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 2
    assert "this demo has ended; leave its shell" in done.stderr
