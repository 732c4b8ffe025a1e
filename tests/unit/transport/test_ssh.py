from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nixfleet_core.config import Config, Limits
from nixfleet_core.host import Host, SshAddress, parse_address
from nixfleet_core.job.copies import Copies
from nixfleet_core.session.open import open_session, open_sessions
from nixfleet_core.transport import ssh as module
from nixfleet_core.transport.at_terminal import remote_shell
from nixfleet_core.transport.dialogue import Dialogue
from nixfleet_core.transport.gate import Gate
from nixfleet_core.transport.openssh import SESSION
from nixfleet_core.transport.ssh import (
    LONGEST,
    Road,
    SocketDirectoryError,
    Ssh,
    SshDoor,
    socket_directory,
    ssh_shell,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

SOCKETS = Path("/run/user/1000/nixfleet")

SAID = (
    "BatchMode=yes",
    "LogLevel=ERROR",
    "AddKeysToAgent=no",
    "ConnectTimeout=10",
    "ServerAliveInterval=5",
    "ServerAliveCountMax=3",
    *SESSION,
    "ControlMaster=auto",
    "ControlPersist=60",
    "ControlPath=/run/user/1000/nixfleet/%C",
)
OPTIONS = tuple(word for option in SAID for word in ("-o", option))


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
    shell = ssh_shell("csb0", Road(ssh), Gate())
    assert (shell.argv, shell.root, shell.env, shell.way) == (argv, "", None, Dialogue)


def test_at_the_terminal_ssh_may_ask_and_speak() -> None:
    argv = Ssh(parse_address("ops@cs0"), SOCKETS).connect_argv()
    assert argv[:3] == ("ssh", "-n", "-T")
    assert argv[-5:] == ("-l", "ops", "--", "cs0", "exit")
    assert "ControlPersist=8h" in argv
    assert not {"BatchMode=yes", "LogLevel=ERROR", "AddKeysToAgent=no"} & {*argv}
    assert {*SESSION} < {*argv}


def test_a_shell_at_the_terminal_shares_the_connection() -> None:
    ssh = Ssh(parse_address("ops@cs0"), SOCKETS, "/etc/my config")
    argv = ssh.terminal_argv("/srv/nixcfg")
    assert argv[:2] == ("ssh", "-t")
    assert argv[2:-3] == ssh.connect_argv()[3:-3]
    assert argv[-3:] == ("--", "cs0", remote_shell("/srv/nixcfg"))


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
    """XDG_RUNTIME_DIR, as short as a real one."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="nf") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield Path(folder)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_sockets_lie_in_a_private_directory(runtime: Path) -> None:
    assert socket_directory() == runtime / "nixfleet"
    assert mode(runtime / "nixfleet") == 0o700
    (runtime / "nixfleet").chmod(0o755)
    assert mode(socket_directory()) == 0o700


def take(path: Path, what: str, elsewhere: Path) -> None:
    """Put something at the path that is not our directory."""
    match what:
        case "a file":
            path.touch()
        case "a link to a directory":
            elsewhere.mkdir()
            path.symlink_to(elsewhere)
        case "a dangling link":
            path.symlink_to(elsewhere)


@pytest.mark.parametrize("what", ["a file", "a link to a directory", "a dangling link"])
def test_a_path_that_is_not_our_directory_is_skipped(runtime: Path, what: str) -> None:
    take(runtime / "nixfleet", what, runtime / "elsewhere")
    assert socket_directory() == Path(f"/tmp/nixfleet-{os.getuid()}")
    assert not (runtime / "elsewhere").exists() or not list((runtime / "elsewhere").iterdir())


@pytest.fixture
def taken(runtime: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home, while our name in /tmp is taken and there is no runtime directory."""
    name = f"nixfleet-{os.getuid()}-taken"
    home = runtime / "home"
    home.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", "")
    monkeypatch.setenv("HOME", str(home))
    usual = module._places
    (Path("/tmp") / name).symlink_to(runtime)
    ours = Path(f"/tmp/nixfleet-{os.getuid()}")
    monkeypatch.setattr(
        module, "_places", lambda: (Path("/tmp") / name if p == ours else p for p in usual())
    )
    module._unguessable.cache_clear()
    yield home
    (Path("/tmp") / name).unlink()


def test_sockets_lie_in_the_home_when_our_name_is_taken(taken: Path) -> None:
    assert socket_directory() == taken / ".nixfleet"
    assert mode(taken / ".nixfleet") == 0o700
    (taken / ".nixfleet").chmod(0o777)
    assert mode(socket_directory()) == 0o700


def test_another_users_directory_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in /tmp nor in the home: the directories belong to another user."""
    stranger = os.getuid() + 4_000_000
    theirs = Path(f"/tmp/nixfleet-{stranger}")
    theirs.mkdir(mode=0o777)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "")
    monkeypatch.setattr(os, "getuid", lambda: stranger)
    module._unguessable.cache_clear()
    try:
        found = socket_directory()
        assert found != theirs
        assert found.parent == Path("/tmp")
        assert mode(found) == 0o700
    finally:
        theirs.rmdir()
        found.rmdir()


@pytest.mark.parametrize("home", ["long", "taken", "relative", "not ours"])
def test_sockets_lie_in_an_unguessable_directory_as_a_last_resort(
    taken: Path, monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    match home:
        case "long":
            (taken / ("x" * 40)).mkdir()
            monkeypatch.setenv("HOME", str(taken / ("x" * 40)))
        case "taken":
            take(taken / ".nixfleet", "a link to a directory", taken / "elsewhere")
        case "relative":
            monkeypatch.setenv("HOME", "somewhere")
        case _:
            monkeypatch.setenv("HOME", "/nowhere")
    found = socket_directory()
    try:
        assert found.parent == Path("/tmp")
        assert found.name.startswith("nixfleet-")
        assert mode(found) == 0o700
        assert len(str(found)) <= LONGEST
        assert socket_directory() == found  # one socket directory for all hosts
    finally:
        found.rmdir()


def test_the_unguessable_directory_is_removed_in_the_end(taken: Path) -> None:
    say = "from nixfleet_core.transport import ssh; print(ssh._unguessable())"
    done = subprocess.run([sys.executable, "-c", say], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("/tmp/nixfleet-")
    assert not Path(done.stdout.strip()).exists()


def test_having_no_place_for_sockets_is_an_error(
    taken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setenv("HOME", "/nowhere")
    monkeypatch.setattr(tempfile, "mkdtemp", full)
    with pytest.raises(SocketDirectoryError, match="No space left"):
        socket_directory()


@pytest.mark.parametrize("value", ["", "relative", "/tmp/there-is-no-such", "/etc/passwd", "long"])
def test_sockets_lie_in_tmp_without_a_good_runtime_directory(
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
    copies = Copies(tmp_path)
    here = Host(name="here")
    there = Host(name="there", address=parse_address("ops@h"))
    sessions = open_sessions((there, here), copies, Config(ssh_config="/my/config"))
    assert [session.host for session in sessions] == [there, here]
    assert sessions[0].shell.argv[:4] == ("ssh", "-T", "-F", "/my/config")
    assert sessions[1].shell.argv == ("/bin/sh", "-s")
    assert "-F" not in open_session(there, copies, Config()).shell.argv


async def test_all_sessions_pass_one_gate_with_the_limits_of_the_settings(
    runtime: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    hosts = [Host(name=name, address=parse_address(name)) for name in ("a", "b")]
    config = Config(limits=Limits(connections=1))
    one, other = (s.shell.door for s in open_sessions(hosts, Copies(tmp_path), config))
    assert isinstance(one, SshDoor)
    assert isinstance(other, SshDoor)
    leave = await one.gate.enter()
    waiting = asyncio.ensure_future(other.gate.enter())
    await asyncio.sleep(0)
    assert not waiting.done()
    leave()
    (await waiting)()
