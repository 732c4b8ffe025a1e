"""Opens sessions with hosts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from nixfleet_core.session.shell_session import ShellSession
from nixfleet_core.transport.gate import Gate
from nixfleet_core.transport.local import local_shell
from nixfleet_core.transport.openssh import session_options
from nixfleet_core.transport.ssh import CONFIG_VARIABLE, Road, Ssh, socket_directory, ssh_shell

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nixfleet_core.host import Host
    from nixfleet_core.job.copies import Copies


_GATE: Final = Gate()
"""All connections of this process pass it, whatever asks for them."""


def open_session(host: Host, copies: Copies) -> ShellSession:
    """A session with one host; it contacts nothing yet. Raises SocketDirectoryError."""
    if host.address is None:
        return ShellSession(host=host, shell=local_shell(host.name), copies=copies)
    ssh = Ssh(
        address=host.address,
        sockets=socket_directory(),
        config=os.environ.get(CONFIG_VARIABLE) or None,
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


def open_sessions(hosts: Iterable[Host], copies: Copies) -> tuple[ShellSession, ...]:
    """Sessions with all of these hosts, in their order."""
    return tuple(open_session(host, copies) for host in hosts)
