"""Opens sessions with hosts."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Final

from nixfleet_core.session.shell_session import ShellSession
from nixfleet_core.transport.gate import Gate
from nixfleet_core.transport.local import local_shell
from nixfleet_core.transport.openssh import session_options
from nixfleet_core.transport.ssh import (
    CONFIG_VARIABLE,
    KEPT,
    Road,
    Ssh,
    socket_directory,
    ssh_shell,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nixfleet_core.host import Host
    from nixfleet_core.job.copies import Copies


REFRESH: Final = 60.0
"""Seconds after which the app looks at a host again by itself, unless it is told otherwise."""

_SLACK: Final = 40
"""Seconds by which a look may be late."""

_GATE: Final = Gate()
"""All connections of this process pass it, whatever asks for them."""


def open_session(host: Host, copies: Copies, *, refresh: float | None = None) -> ShellSession:
    """A session with one host; it contacts nothing yet. Raises SocketDirectoryError.

    `refresh`: seconds between two looks at the host. The connection outlives two of them.
    """
    if host.address is None:
        return ShellSession(host=host, shell=local_shell(host.name), copies=copies)
    ssh = Ssh(
        address=host.address,
        sockets=socket_directory(),
        config=os.environ.get(CONFIG_VARIABLE) or None,
        persist=max(KEPT, math.ceil(2 * (refresh or 0) + _SLACK)),
        session=session_options(),
    )
    road = Road(ssh)
    return ShellSession(
        host=host,
        shell=ssh_shell(host.name, road, _GATE),
        copies=copies,
        let_go=ssh.drop_master,
        own_shell=ssh_shell(host.name, road, _GATE, shared=False),
        connect_argv=ssh.connect_argv(),
    )


def open_sessions(
    hosts: Iterable[Host], copies: Copies, *, refresh: float | None = None
) -> tuple[ShellSession, ...]:
    """Sessions with all of these hosts, in their order, as `open_session` opens one."""
    return tuple(open_session(host, copies, refresh=refresh) for host in hosts)
