"""`nixfleet shell`: what it runs, and how it ends."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from fake_fleet import Fleet


@pytest.mark.parametrize(
    ("script", "connect", "code"),
    [
        ("exit 0", ("ssh",), 0),
        ("exit 7", ("ssh",), 7),
        ("exit 255", ("ssh",), 5),  # ssh's own
        ("exit 255", (), 255),
        ("kill -s TERM $$", ("ssh",), 143),
    ],
)
def test_it_ends_as_the_shell_does(
    fleet: Fleet, script: str, connect: tuple[str, ...], code: int
) -> None:
    session = fleet.sessions["csb0"]
    session.says["terminal_argv"] = ("/bin/sh", "-c", script)
    session.connect_argv = connect
    result = fleet.run("shell", "csb0")
    assert (result.exit_code, result.output) == (code, "")
    assert session.calls == ["terminal_argv"]


def test_ctrl_c_is_for_the_shell(fleet: Fleet, tmp_path: Path) -> None:
    """A child that inherited SIG_IGN could not be interrupted."""
    before = signal.getsignal(signal.SIGINT)
    script = "kill -s INT $PPID; kill -s INT $$"
    fleet.sessions["csb0"].says["terminal_argv"] = ("/bin/sh", "-c", script)
    assert fleet.run("shell", "csb0").exit_code == 130
    assert signal.getsignal(signal.SIGINT) is before


def test_a_host_without_a_shell_is_said_to_have_none(fleet: Fleet) -> None:
    result = fleet.run("shell", "csb0")
    assert result.exit_code == 2
    assert "csb0 is a host of the demo" in result.stderr
