"""Hosts over the OpenSSH client: the users' own configuration, keys and jumps just work.

Each host has one shared connection (ControlMaster), which is kept for a while after its last use.
Its socket lies in a directory of ours with a short path and mode 0700: on macOS a socket's path has
104 bytes at most.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import shutil
import stat
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nixfleet_core.transport.at_terminal import remote_shell
from nixfleet_core.transport.openssh import (
    SESSION,
    as_words,
    ask_settings,
    first_jump,
    in_the_way,
    jump_of,
    not_held,
)
from nixfleet_core.transport.process import run
from nixfleet_core.transport.shell import Shell

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nixfleet_core.host import SshAddress
    from nixfleet_core.transport.gate import Gate, Leave

KEPT: Final = 60
"""Seconds for which the shared connection is kept by default."""

_AT_TERMINAL: Final = "8h"
"""How long a connection is kept that somebody opened at the terminal."""

LONGEST: Final = 40
"""Bytes of the path to our sockets. ssh adds 40 for %C, and 17 more while it creates a socket."""


class SocketDirectoryError(RuntimeError):
    """There is no place for connection sockets. The message says what was tried."""


def socket_directory() -> Path:
    """Make (or check) the directory for connection sockets. Raises SocketDirectoryError.

    The names in it can be guessed, so it must be ours and closed to others. If somebody takes our
    name in /tmp, it lies in the home. If that path is too long, it gets a name that nobody can
    guess, and is removed when we end.
    """
    for path in _places():
        if _make_ours(path):
            return path
    try:
        return _unguessable()
    except OSError as error:
        raise SocketDirectoryError(f"cannot make a folder for ssh's sockets: {error}") from error


def _places() -> Iterator[Path]:
    # su keeps another user's value, and a session that ends removes its own directory
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR", ""))
    if runtime.is_absolute() and _is_mine(runtime):
        yield runtime / "nixfleet"
    yield Path(f"/tmp/nixfleet-{os.getuid()}")
    home = Path("~").expanduser()
    if home.is_absolute() and _is_mine(home):
        yield home / ".nixfleet"


def _make_ours(path: Path) -> bool:
    """Make the directory if the path is short enough. Whether it is now there, and ours alone."""
    if len(os.fsencode(path)) > LONGEST:
        return False
    try:
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
        if not _is_mine(path):
            return False
        path.chmod(0o700)
    except OSError:
        return False
    return True


@cache
def _unguessable() -> Path:
    path = tempfile.mkdtemp(prefix="nixfleet-", dir="/tmp")
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return Path(path)


def _is_mine(path: Path) -> bool:
    """Whether it is a directory of ours, and no link to one."""
    try:
        status = path.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()


@dataclass(frozen=True, slots=True)
class Ssh:
    """The ssh client, set up for one address."""

    address: SshAddress
    sockets: Path
    config: str | None = None
    """A file that ssh reads instead of ~/.ssh/config (`ssh -F`)."""
    persist: int = KEPT
    """Seconds for which the shared connection is kept after its last use."""
    session: tuple[str, ...] = SESSION
    """What replaces the operator's options for sessions, as far as the client knows it."""

    def options(
        self, *, shared: bool = True, at_terminal: bool = False, persist: str = ""
    ) -> tuple[str, ...]:
        """Options of every call: notice a dead link within 15 s. Never prompt, and say nothing but
        errors, unless the operator is at the terminal."""
        ours = (
            *(() if at_terminal else ("BatchMode=yes", "LogLevel=ERROR", "AddKeysToAgent=no")),
            "ConnectTimeout=10",
            "ServerAliveInterval=5",
            "ServerAliveCountMax=3",
            *self.session,
            f"ControlMaster={'auto' if shared else 'no'}",
            f"ControlPersist={persist or self.persist}",
            f"ControlPath={self.sockets}/%C" if shared else "ControlPath=none",
        )
        return (
            *(("-F", self.config) if self.config else ()),
            *as_words(ours),
            *(("-l", self.address.user) if self.address.user else ()),
            *(("-p", str(self.address.port)) if self.address.port else ()),
        )

    def shell_argv(self, *, shared: bool = True) -> tuple[str, ...]:
        """The command that starts a POSIX shell there, whatever the login shell is."""
        options = self.options(shared=shared)
        return ("ssh", "-T", *options, "--", self.address.host, "exec /bin/sh -s")

    def connect_argv(self) -> tuple[str, ...]:
        """The command that opens the shared connection at the terminal, for a one-time password, a
        passphrase or a new host key. The connection lasts eight hours, or until it breaks."""
        options = self.options(at_terminal=True, persist=_AT_TERMINAL)
        # ssh asks at the terminal itself; a login shell that is a menu must not wait there (-n)
        return ("ssh", "-n", "-T", *options, "--", self.address.host, "exit")

    def terminal_argv(self, folder: str) -> tuple[str, ...]:
        """The command that opens the operator's own shell there, in that folder if it can. It opens
        the shared connection as `connect_argv` does, if there is none."""
        options = self.options(at_terminal=True, persist=_AT_TERMINAL)
        # -t counts before our RequestTTY=no: ssh takes the first
        return ("ssh", "-t", *options, "--", self.address.host, remote_shell(folder))

    async def drop_master(self) -> None:
        """End the shared connection. If its link is dead, it blocks every new session."""
        await run(("ssh", *self.options(), "-O", "exit", "--", self.address.host), limit=5)


@dataclass(slots=True)
class Road:
    """What ssh says of the way to one host. It is asked once: `Match exec` runs a command each
    time."""

    ssh: Ssh
    _settings: Mapping[str, str] | None = None

    async def settings(self) -> Mapping[str, str]:
        """What holds for the host in the operator's configuration, with our options."""
        if self._settings is None:
            options = ("-T", *self.ssh.options())
            self._settings = await ask_settings(options, self.ssh.address.host)
        return self._settings

    async def hindrance(self) -> str:
        """Options in the operator's configuration that break the connection, and that we cannot
        replace; "" if there are none. As advice."""
        settings, config = await self.settings(), self.ssh.config
        names, where = not_held(settings), self.ssh.address.host
        if not names and (jump := first_jump(settings)):
            # as ProxyJump calls it; -W changes the defaults
            options = (*(("-F", config) if config else ()), "-W", "localhost:22")
            where = f"the jump {jump}"
            names = in_the_way(await ask_settings(options, f"ssh://{jump}"))
        return f"ssh's configuration sets {', '.join(names)} for {where}: take it out" * bool(names)


@dataclass(frozen=True, slots=True)
class SshDoor:
    """The way to one host over ssh, through the gate. A connection that is `shared` needs no place
    if it is there already."""

    road: Road
    gate: Gate
    shared: bool = True

    async def enter(self) -> Leave:
        leave = await self.gate.enter()
        try:
            settings = await self.road.settings()
        finally:
            leave()
        if self.shared and _is_socket(settings.get("controlpath", "")):
            return lambda: None
        return await self.gate.enter(jump_of(settings))

    def pause(self, stderr: str, tries: int) -> float | None:
        refused = tries <= len(PAUSES) and REFUSED.search(stderr)
        return PAUSES[tries - 1] if refused else None

    async def hindrance(self) -> str:
        return await self.road.hindrance()


def _is_socket(path: str) -> bool:
    return bool(path) and Path(path).is_socket()


REFUSED: Final = re.compile(
    "(kex|ssh)_exchange_identification: |Connection (closed|reset) by .* port "
)
"""ssh's words if the connection was closed before the server's banner, or soon after it. sshd does
that if too many come at once (MaxStartups)."""

PAUSES: Final = (1.0, 2.0, 4.0)
"""Seconds before we try again after such words."""


def ssh_shell(host: str, road: Road, gate: Gate, *, shared: bool = True) -> Shell:
    """A shell on a host over ssh. Without `shared` it gets a new connection of its own."""
    argv = road.ssh.shell_argv(shared=shared)
    return Shell(host=host, argv=argv, door=SshDoor(road, gate, shared))
