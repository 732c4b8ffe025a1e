"""Sessions with the sandbox's hosts: the same engine as for real ones, over other shells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nixfleet_core.job.copies import Copies
from nixfleet_core.session.shell_session import ShellSession
from nixfleet_core.transport.local import sandbox_shell
from nixfleet_core.transport.roots import NoNeed
from nixfleet_core.transport.shell import Shell

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from nixfleet_core.sandbox.fleet import SandboxFleet
    from nixfleet_core.sandbox.hosts import SandboxHost

_DEAD_LINK = "echo 'ssh: connect to host {where}: No route to host' >&2; exit 255"


def sandbox_sessions(fleet: SandboxFleet) -> tuple[ShellSession, ...]:
    """A session with each host; the copies of their jobs are deleted with the fleet."""
    return sessions_with(fleet.folder, fleet.hosts)


def sessions_with(folder: Path, hosts: Iterable[SandboxHost]) -> tuple[ShellSession, ...]:
    """The same with these hosts of the fleet in that folder."""
    copies = Copies(folder / "state")
    return tuple(ShellSession(host.host, _shell(host), copies) for host in hosts)


def _shell(host: SandboxHost) -> Shell:
    name = host.host.name
    if host.reachable:
        return sandbox_shell(name, str(host.root), host.environment)
    where = f"{host.host.where} port 22"
    return Shell(host=name, argv=("/bin/sh", "-c", _DEAD_LINK.format(where=where)), way=NoNeed)
