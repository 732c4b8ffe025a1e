"""Hosts over the OpenSSH client: the users' own configuration, keys and jumps just work.

One connection a host is shared (ControlMaster) and kept a minute. Its socket lies in a short
directory of ours, 0700: a socket's path may have 104 bytes on macOS.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nixfleet_core.tee import run
from nixfleet_core.transport.shell import Shell

if TYPE_CHECKING:
    from nixfleet_core.host import SshAddress

SSH_FAILED: Final = 255
"""The exit code that is ssh's own; anything else comes from the host."""

CONFIG_VARIABLE: Final = "NIXFLEET_SSH_CONFIG"
"""Names a file that is read instead of ~/.ssh/config (`ssh -F`)."""


class SocketDirectoryError(RuntimeError):
    """The directory for connection sockets belongs to somebody else or is open to others."""


def socket_directory() -> Path:
    """Make (or check) the directory for connection sockets. Raises SocketDirectoryError."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    short = Path(runtime) / "nixfleet" if runtime else None
    path = short if short and len(str(short)) <= 40 else Path(f"/tmp/nixfleet-{os.getuid()}")
    path.mkdir(mode=0o700, parents=False, exist_ok=True)
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise SocketDirectoryError(f"{path} is not a directory of yours: remove it")
    if status.st_mode & 0o077:
        path.chmod(0o700)
    return path


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
