"""Opens sessions with hosts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from nixfleet_core.session.shell_session import ShellSession
from nixfleet_core.transport.at_terminal import local_shell_argv
from nixfleet_core.transport.gate import Gate
from nixfleet_core.transport.local import local_shell
from nixfleet_core.transport.openssh import session_options
from nixfleet_core.transport.ssh import KEPT, Road, Ssh, socket_directory, ssh_shell

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nixfleet_core.config import Config
    from nixfleet_core.host import Host
    from nixfleet_core.job.copies import Copies


_SLACK: Final = 40
"""Seconds by which a look may be late."""


def open_sessions(
    hosts: Iterable[Host], copies: Copies, config: Config, refresh: float | None = None
) -> tuple[ShellSession, ...]:
    """Sessions with all of these hosts, in their order. They contact nothing yet, and all their
    connections pass one gate. Raises SocketDirectoryError.

    `refresh`: seconds between two looks at a host. Its connection outlives two of them.
    """
    gate = Gate(config.limits)
    persist = max(KEPT, math.ceil(2 * (refresh or 0) + _SLACK))
    return tuple(_open(host, copies, config, gate, persist) for host in hosts)


def open_session(host: Host, copies: Copies, config: Config) -> ShellSession:
    """A session with one host, as `open_sessions` makes it."""
    return open_sessions((host,), copies, config)[0]


def _open(host: Host, copies: Copies, config: Config, gate: Gate, persist: int) -> ShellSession:
    limits = config.limits
    if host.address is None:
        shell = local_shell(host.name)
        return ShellSession(host, shell, copies, shell_argv=local_shell_argv, limits=limits)
    ssh = Ssh(
        address=host.address,
        sockets=socket_directory(),
        config=config.ssh_config,
        persist=persist,
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
        shell_argv=ssh.terminal_argv,
        limits=limits,
    )
