"""Hosts over the OpenSSH client: the users' own configuration, keys and jumps just work.

One connection a host is shared (ControlMaster) and kept a minute. Its socket lies in a short
directory of ours, 0700: a socket's path may have 104 bytes on macOS.
"""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nixfleet_core.tee import run
from nixfleet_core.transport.shell import Shell

if TYPE_CHECKING:
    from nixfleet_core.host import SshAddress

CONFIG_VARIABLE: Final = "NIXFLEET_SSH_CONFIG"
"""Names a file that is read instead of ~/.ssh/config (`ssh -F`)."""


class SocketDirectoryError(RuntimeError):
    """The directory for connection sockets belongs to somebody else or is open to others."""


def socket_directory() -> Path:
    """Make (or check) the directory for connection sockets. Raises SocketDirectoryError."""
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR", ""))
    path = runtime / "nixfleet"
    # su leaves another user's set, and a session that has ended takes its own away
    if not runtime.is_absolute() or not _is_mine(runtime) or len(str(path)) > 40:
        path = Path(f"/tmp/nixfleet-{os.getuid()}")
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    if not _is_mine(path):
        raise SocketDirectoryError(f"{path} is not a directory of yours: remove it")
    path.chmod(0o700)
    return path


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

    def options(self) -> tuple[str, ...]:
        """Options of every call: never prompt, notice a dead link within 15 s."""
        return (
            *(("-F", self.config) if self.config else ()),
            *("-o", "BatchMode=yes"),
            *("-o", "ConnectTimeout=10"),
            *("-o", "ServerAliveInterval=5"),
            *("-o", "ServerAliveCountMax=3"),
            *("-o", "ForwardAgent=no"),
            *("-o", "ControlMaster=auto"),
            *("-o", "ControlPersist=60"),
            *("-o", f"ControlPath={self.sockets}/%C"),
            *(("-l", self.address.user) if self.address.user else ()),
            *(("-p", str(self.address.port)) if self.address.port else ()),
        )

    def shell_argv(self) -> tuple[str, ...]:
        """Starts a POSIX shell there, whatever the login shell is."""
        return ("ssh", "-T", *self.options(), "--", self.address.host, "exec /bin/sh -s")

    async def drop_master(self) -> None:
        """End the shared connection: one whose link is dead blocks every new session."""
        await run(("ssh", *self.options(), "-O", "exit", "--", self.address.host), limit=5)


def ssh_shell(host: str, ssh: Ssh) -> Shell:
    """A shell on a host over ssh."""
    return Shell(host=host, argv=ssh.shell_argv())
