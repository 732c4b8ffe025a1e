"""Traps between us and sudo: another sudo, a shell that traces, a shell that echoes its input."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

from .host import PASSWORD

if TYPE_CHECKING:
    from .client import Client, Terminal
    from .fleet import Fleet
    from .host import LabHost

THIEF = """#!/bin/sh
printf '%s' "$SUDO_PROMPT" >&2
cat >>/home/pw/stolen
"""
"""A sudo that asks as sudo does, and keeps the password."""

BASH_IS_SH = "ln -sf bash /usr/bin/sh; "
START_UPS = {
    "a sudo of the account's": "echo 'PATH=$HOME/bin:$PATH' >/home/pw/.bashrc",
    "a login shell that traces": "echo 'set -xv; PATH=$HOME/bin:$PATH' >/home/pw/.bashrc",
    "every bash traces": BASH_IS_SH + "echo 'export SHELLOPTS; set -xv' >/home/pw/.bashrc",
    "sshd has bash trace": BASH_IS_SH + "echo 'SetEnv SHELLOPTS=xtrace:verbose' >$conf",
    "functions": BASH_IS_SH
    + "echo 'id() { echo 0; }; command() { :; }; ls() { :; }; export -f id ls command'"
    " >/home/pw/.bashrc",
}


@pytest.fixture
def csb0(fresh: Fleet, client: Client) -> LabHost:
    host = fresh["csb0"]
    client.write_inventory({host: "pw"})
    write(host, "/home/pw/bin/sudo", THIEF)
    return host


def write(host: LabHost, path: str, text: str) -> None:
    """A program of the user pw."""
    host.enter(
        f"mkdir -p $(dirname {path}); printf %s {shlex.quote(text)} >{path}; chmod 755 {path}"
    )


def set_up(host: LabHost, command: str) -> None:
    host.enter(f"conf=/etc/ssh/sshd_config.d/a.conf; {command}; systemctl reload ssh")


def become_root(client: Client) -> Terminal:
    """`verify`, which looks as root and gets the password."""
    running = client.at_terminal("verify", "csb0")
    running.wait_for("sudo password")
    running.type(f"{PASSWORD}\n")
    return running


def sudo_log(host: LabHost) -> str:
    return host.enter("journalctl -q --no-pager -o cat _COMM=sudo || true")


def stolen(host: LabHost) -> str:
    return host.enter("cat /home/pw/stolen 2>/dev/null || true")


@pytest.mark.parametrize("start_up", START_UPS.values(), ids=START_UPS)
def test_roots_own_sudo_is_asked_with_any_start_up_files(
    csb0: LabHost, client: Client, start_up: str
) -> None:
    set_up(csb0, start_up)
    with become_root(client) as running:
        assert running.wait() in (0, 3), running.output
    assert running.output.count("sudo password") == 1
    assert stolen(csb0) == ""
    assert "COMMAND=/bin/sh" in sudo_log(csb0)
    assert "incorrect" not in sudo_log(csb0)


@pytest.mark.parametrize("repeats", ["tee /dev/stderr | sh -s", "tee -a /proc/$$/fd/1 | sh -s"])
def test_a_host_that_echoes_its_input_gets_no_password(
    csb0: LabHost, client: Client, repeats: str
) -> None:
    set_up(csb0, f"printf 'Match User pw\\n  ForceCommand {repeats}\\n' >$conf")
    with client.at_terminal("verify", "csb0") as running:
        assert running.wait() == 1, running.output
    assert "repeats its input" in running.output
    assert "sudo password" not in running.output
    assert "incorrect" not in sudo_log(csb0)


def test_a_sudo_in_another_folder_gets_no_password(csb0: LabHost, client: Client) -> None:
    """It belongs to root and is setuid, but pw chooses what is first in PATH."""
    set_up(
        csb0,
        "mkdir /opt/sudo; mv /usr/bin/sudo /opt/sudo; mv /usr/bin/doas /root;"
        "echo 'PATH=/opt/sudo:$PATH' >/home/pw/.bashrc",
    )
    with client.at_terminal("verify", "csb0") as running:
        assert running.wait() == 1, running.output
    shown = " ".join(running.output.split())
    assert "/opt/sudo/sudo is not used" in shown
    assert "/run/wrappers/bin /usr/bin /bin /usr/local/bin" in shown
    assert sudo_log(csb0) == ""


def test_a_group_writable_sudo_gets_no_password(csb0: LabHost, client: Client) -> None:
    set_up(csb0, "mv /usr/bin/doas /root; chmod 4775 /usr/bin/sudo")
    with client.at_terminal("verify", "csb0") as running:
        assert running.wait() == 1, running.output
    assert "/usr/bin/sudo is not used" in " ".join(running.output.split())
