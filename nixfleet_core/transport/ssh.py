"""Hosts over the OpenSSH client: the users' own configuration, keys and jumps just work.

One connection a host is shared (ControlMaster) and kept a minute. Its socket lies in a short
directory of ours, 0700: a socket's path may have 104 bytes on macOS.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nixfleet_core.transport.process import run
from nixfleet_core.transport.shell import Shell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nixfleet_core.host import SshAddress

CONFIG_VARIABLE: Final = "NIXFLEET_SSH_CONFIG"
"""Names a file that is read instead of ~/.ssh/config (`ssh -F`)."""


LONGEST: Final = 40
"""Bytes of the path to our sockets; ssh adds %C, which has 40, and 17 more while it makes one."""


class SocketDirectoryError(RuntimeError):
    """There is nowhere to put connection sockets. The message says what was tried."""


def socket_directory() -> Path:
    """Make (or check) the directory for connection sockets. Raises SocketDirectoryError.

    The names in it can be guessed, so it must be ours and closed to others. Anyone can take our
    name in /tmp: then it lies in the home, or, where that path is too long, under a name that
    nobody can guess until we end.
    """
    for path in _places():
        if _make_ours(path):
            return path
    try:
        return _unguessable()
    except OSError as error:
        raise SocketDirectoryError(f"no folder for ssh's sockets can be made: {error}") from error


def _places() -> Iterator[Path]:
    # su leaves another user's set, and a session that has ended takes its own away
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR", ""))
    if runtime.is_absolute() and _is_mine(runtime):
        yield runtime / "nixfleet"
    yield Path(f"/tmp/nixfleet-{os.getuid()}")
    home = Path("~").expanduser()
    if home.is_absolute() and _is_mine(home):
        yield home / ".nixfleet"


def _make_ours(path: Path) -> bool:
    """Whether it is short, and is there now, a directory of ours alone."""
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
    """Whether it is a directory, no link to one, and ours."""
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

    def options(
        self, *, shared: bool = True, batch: bool = True, persist: str = "60"
    ) -> tuple[str, ...]:
        """Options of every call: never prompt, notice a dead link within 15 s."""
        return (
            *(("-F", self.config) if self.config else ()),
            *(("-o", "BatchMode=yes") if batch else ()),
            *("-o", "ConnectTimeout=10"),
            *("-o", "ServerAliveInterval=5"),
            *("-o", "ServerAliveCountMax=3"),
            *("-o", "ForwardAgent=no"),
            *("-o", f"ControlMaster={'auto' if shared else 'no'}"),
            *("-o", f"ControlPersist={persist}"),
            *("-o", f"ControlPath={self.sockets}/%C" if shared else "ControlPath=none"),
            *(("-l", self.address.user) if self.address.user else ()),
            *(("-p", str(self.address.port)) if self.address.port else ()),
        )

    def shell_argv(self, *, shared: bool = True) -> tuple[str, ...]:
        """Starts a POSIX shell there, whatever the login shell is."""
        options = self.options(shared=shared)
        return ("ssh", "-T", *options, "--", self.address.host, "exec /bin/sh -s")

    def connect_argv(self) -> tuple[str, ...]:
        """Opens the shared connection with the terminal: for a one-time password, a passphrase or
        a new host key. It is kept for eight hours, or until it breaks."""
        return ("ssh", *self.options(batch=False, persist="8h"), "--", self.address.host, "exit")

    async def drop_master(self) -> None:
        """End the shared connection: one whose link is dead blocks every new session."""
        await run(("ssh", *self.options(), "-O", "exit", "--", self.address.host), limit=5)


def ssh_shell(host: str, ssh: Ssh, *, shared: bool = True) -> Shell:
    """A shell on a host over ssh; not `shared`: over a new connection of its own."""
    return Shell(host=host, argv=ssh.shell_argv(shared=shared))
