"""What keeps ssh from a host, by the client's own words, and what helps.

The words are those of OpenSSH 9.2 to 10, as it prints them with `LogLevel=ERROR`: to a line each,
with a carriage return. What a server says itself stands behind `Received disconnect from`, so no
other pattern begins there. A jump's own ssh says the same of the jump.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import Final

from nixfleet_core.limits import SAID_LIMIT


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What keeps ssh from a host: the line that says so, and what helps."""

    said: str
    advice: str
    at_terminal: bool = False
    """A person at the terminal helps: ssh asks there (`nixfleet connect`)."""


@dataclass(frozen=True, slots=True)
class _Row:
    """`pattern` is found in a line. In `advice`, {host} is our name for the host, {server} the name
    by which ssh knows the key, {file} the words `-f FILE`."""

    pattern: str
    advice: str
    at_terminal: bool = False


_CONNECT: Final = r"^(ssh: connect to host .+ port \d+|channel \d+: open failed: connect failed): "
"""ssh's frame for an address that cannot be reached, from here or from a jump."""

_CHANGED: Final = (
    "its key is not the one that this machine knows. If the host was set up anew, compare its new "
    "key, and take out the old one: ssh-keygen {file}-R {server}. If not, somebody may pose as it"
)

_ROWS: Final = (
    _Row(r"^Host key for (?P<server>.+) has changed and you have requested", _CHANGED),
    # ssh goes on with a changed key if it is told not to check keys
    _Row("^@ +WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!", _CHANGED),
    _Row(
        r"^The .+ host key for (?P<server>.+) is marked as revoked",
        "give the host a new key; known_hosts here says that the old one must not be used",
    ),
    _Row(
        r"^No .+ host key is known for (?P<server>.+) and you have requested",
        "ssh's configuration takes no unknown key (StrictHostKeyChecking): get the host's key by a "
        "way that you trust, and put it into known_hosts here",
    ),
    _Row(
        "^Host key verification failed",
        "this machine does not know its key: nixfleet connect {host} shows it, and asks whether it "
        "is right",
        at_terminal=True,
    ),
    _Row(
        "^Received disconnect from .*: Too many authentication failures",
        "it takes no more keys: name the right one in ssh's configuration (IdentityFile, and "
        "IdentitiesOnly yes)",
    ),
    _Row(
        r"Permission denied \([^)]*(password|keyboard-interactive)",
        "it wants a password, a one-time password or another key: nixfleet connect {host} asks for "
        "the first two, and for a key's passphrase",
        at_terminal=True,
    ),
    _Row(
        r"Permission denied \([^)]*publickey",
        "it takes none of our keys: nixfleet connect {host} asks for a key's passphrase; if no key "
        "has one, put yours into ~/.ssh/authorized_keys there, or name another user in hosts.toml",
        at_terminal=True,
    ),
    _Row(
        r"^\S+: Could not resolve hostname |open failed: connect failed: .*([Nn]ame|nodename)",
        "no name server knows it: correct `ssh` in hosts.toml, or HostName in ssh's configuration; "
        "or look at the network and its VPN",
    ),
    _Row(
        f"{_CONNECT}Connection refused",
        "the machine is there, and nothing listens on that port: see that sshd runs on it, and "
        "that the port is right",
    ),
    _Row(
        f"{_CONNECT}(Connection|Operation) timed out|^Connection timed out during banner exchange"
        "|^Connection .*timed out|^Timeout, server .* not responding",
        "nothing answers: see that the host is on and not too busy, and that no firewall drops "
        "what comes from here",
    ),
    _Row(
        f"{_CONNECT}|^channel \\d+: open failed: connect failed",
        "there is no way to it: look at the network and its VPN, and that the host is on",
    ),
    _Row(
        r"^channel \d+: open failed: ",
        "the jump does not let us through: see AllowTcpForwarding and PermitOpen in its "
        "sshd_config",
    ),
    _Row(
        "Bad configuration option: |Bad owner or permissions on |terminating, [0-9]+ bad config",
        "correct ssh's configuration on this machine, as it says",
    ),
    _Row(
        "^Unable to negotiate with .* no matching ",
        "ssh here and sshd there have nothing in common that it names: bring the older one up to "
        "date",
    ),
    _Row(
        "^(kex|ssh)_exchange_identification: |^(Connection|Disconnected) .*(closed|reset|from) "
        "|^client_loop: send disconnect: |^Received disconnect from ",
        "it closed the connection: it may have too many at once (MaxStartups), or refuse this "
        "machine; try again in a minute",
    ),
)
"""In their order: ssh says first what it found, and then what became of it."""

_OFFENDING: Final = re.compile(r"^Offending .*key in (?P<file>.+):\d+$")


def find_obstacle(stderr: str, host: str) -> Obstacle | None:
    """What ssh's words mean; None if we do not know them. `host` is our name for the host."""
    lines = [line.strip() for line in stderr.splitlines()]
    for row in _ROWS:
        for line in lines:
            if found := re.search(row.pattern, line):
                server = found.groupdict().get("server")
                words = row.advice.format(
                    host=shlex.quote(host),
                    server=shlex.quote(server) if server else "NAME",
                    file=_file(lines),
                )
                return Obstacle(line.strip("@ ")[:SAID_LIMIT], words, row.at_terminal)
    return None


def _file(lines: list[str]) -> str:
    """`-f FILE`, of the file that has the key that offends."""
    found = next((match for line in lines if (match := _OFFENDING.search(line))), None)
    return f"{shlex.join(('-f', found['file']))} " if found else ""
