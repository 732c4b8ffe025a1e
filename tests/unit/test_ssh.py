from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nixfleet_core.fleet import open_session, open_sessions
from nixfleet_core.host import Host, SshAddress, parse_address
from nixfleet_core.store import Store
from nixfleet_core.transport.ssh import (
    CONFIG_VARIABLE,
    SocketDirectoryError,
    Ssh,
    socket_directory,
    ssh_shell,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

SOCKETS = Path("/run/user/1000/nixfleet")

OPTIONS = (
    *("-o", "BatchMode=yes"),
    *("-o", "ConnectTimeout=10"),
    *("-o", "ServerAliveInterval=5"),
    *("-o", "ServerAliveCountMax=3"),
    *("-o", "ForwardAgent=no"),
    *("-o", "ControlMaster=auto"),
    *("-o", "ControlPersist=60"),
    *("-o", "ControlPath=/run/user/1000/nixfleet/%C"),
)


@pytest.mark.parametrize(
    ("address", "config", "before", "after", "host"),
    [
        ("cs0.example.org", None, (), (), "cs0.example.org"),
        ("ops@cs0:2222", None, (), ("-l", "ops", "-p", "2222"), "cs0"),
        ("[fe80::1%eth0]:22", None, (), ("-p", "22"), "fe80::1%eth0"),
        ("cs0", "/etc/my config", ("-F", "/etc/my config"), (), "cs0"),
    ],
)
def test_the_whole_command_line(
    address: str, config: str | None, before: tuple[str, ...], after: tuple[str, ...], host: str
) -> None:
    ssh = Ssh(parse_address(address), SOCKETS, config)
    argv = ("ssh", "-T", *before, *OPTIONS, *after, "--", host, "exec /bin/sh -s")
    assert ssh.shell_argv() == argv
    shell = ssh_shell("csb0", ssh)
    assert (shell.argv, shell.root, shell.env, shell.elevates) == (argv, "", None, True)


def test_a_destination_is_never_an_option() -> None:
    argv = Ssh(SshAddress("-oProxyCommand=touch x"), SOCKETS).shell_argv()
    assert argv[argv.index("--") + 1] == "-oProxyCommand=touch x"


async def test_letting_go_ends_the_shared_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ssh").write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{tmp_path}/argv\nexit 255\n')
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    ssh = Ssh(parse_address("ops@cs0"), SOCKETS)
    await ssh.drop_master()
    assert (tmp_path / "argv").read_text().splitlines() == [
        *(*ssh.options(), "-O", "exit", "--", "cs0"),
    ]


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """XDG_RUNTIME_DIR, short as in life."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="nf") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield Path(folder)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_sockets_lie_where_only_we_get_in(runtime: Path) -> None:
    assert socket_directory() == runtime / "nixfleet"
    assert mode(runtime / "nixfleet") == 0o700
    (runtime / "nixfleet").chmod(0o755)
    assert mode(socket_directory()) == 0o700


@pytest.mark.parametrize("what", ["file", "link to a directory", "dangling link"])
def test_what_is_no_directory_of_ours_is_refused(runtime: Path, what: str) -> None:
    match what:
        case "file":
            (runtime / "nixfleet").touch()
        case "link to a directory":
            (runtime / "elsewhere").mkdir()
            (runtime / "nixfleet").symlink_to(runtime / "elsewhere")
        case _:
            (runtime / "nixfleet").symlink_to(runtime / "nowhere")
    with pytest.raises(SocketDirectoryError, match="remove it"):
        socket_directory()
    assert not (runtime / "nowhere").exists()


def test_anothers_directory_is_refused(runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "")
    stranger = os.getuid() + 4_000_000
    mine = Path(f"/tmp/nixfleet-{stranger}")
    try:
        monkeypatch.setattr(os, "getuid", lambda: stranger)
        with pytest.raises(SocketDirectoryError, match=str(mine)):
            socket_directory()
    finally:
        mine.rmdir()


@pytest.mark.parametrize("value", ["", "relative", "/tmp/there-is-no-such", "/etc/passwd", "long"])
def test_without_a_good_runtime_directory_they_lie_in_tmp(
    runtime: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    if value == "long":
        (runtime / ("x" * 30)).mkdir()
        value = str(runtime / ("x" * 30))
    monkeypatch.setenv("XDG_RUNTIME_DIR", value)
    found = socket_directory()
    assert found == Path(f"/tmp/nixfleet-{os.getuid()}")
    assert mode(found) == 0o700
    # ControlPath's %C is 40 characters, and ssh adds 17 while it makes the socket
    assert len(str(found)) + 1 + 40 + 17 < 104


def test_sessions_are_opened_without_contacting_anyone(
    runtime: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv(CONFIG_VARIABLE, "/my/config")
    store = Store(tmp_path)
    here = Host(name="here")
    there = Host(name="there", address=parse_address("ops@h"))
    sessions = open_sessions((there, here), store)
    assert [session.host for session in sessions] == [there, here]
    assert sessions[0].shell.argv[:4] == ("ssh", "-T", "-F", "/my/config")
    assert sessions[1].shell.argv == ("/bin/sh", "-s")
    monkeypatch.delenv(CONFIG_VARIABLE)
    assert "-F" not in open_session(there, store).shell.argv
