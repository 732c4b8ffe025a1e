"""Opens sessions with hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nixfleet_core.session.shell_session import ShellSession
from nixfleet_core.transport.gate import Gate
from nixfleet_core.transport.local import local_shell
from nixfleet_core.transport.openssh import session_options
from nixfleet_core.transport.ssh import Road, Ssh, socket_directory, ssh_shell

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nixfleet_core.config import Config
    from nixfleet_core.host import Host
    from nixfleet_core.job.copies import Copies


def open_sessions(
    hosts: Iterable[Host], copies: Copies, config: Config
) -> tuple[ShellSession, ...]:
    """Sessions with all of these hosts, in their order. They contact nothing yet, and all their
    connections pass one gate. Raises SocketDirectoryError."""
    gate = Gate(config.limits)
    return tuple(_open(host, copies, config, gate) for host in hosts)


def open_session(host: Host, copies: Copies, config: Config) -> ShellSession:
    """A session with one host, as `open_sessions` makes it."""
    return open_sessions((host,), copies, config)[0]


def _open(host: Host, copies: Copies, config: Config, gate: Gate) -> ShellSession:
    limits = config.limits
    if host.address is None:
        return ShellSession(host, local_shell(host.name), copies, limits=limits)
    ssh = Ssh(
        address=host.address,
        sockets=socket_directory(),
        config=config.ssh_config,
        session=session_options(),
    )
    road = Road(ssh)
    return ShellSession(
        host=host,
        shell=ssh_shell(host.name, road, gate),
        copies=copies,
        let_go=ssh.drop_master,
        own_shell=ssh_shell(host.name, road, gate, shared=False),
        connect_argv=ssh.connect_argv(),
        limits=limits,
    )
