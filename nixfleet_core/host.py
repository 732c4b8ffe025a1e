"""A host as we know it before we ask it anything, and the rules for names.

Host names, job ids and flake names become paths and arguments, so every name from outside is
checked here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

Platform = Literal["nixos", "home-manager"]

HELD: Final = "hold = true in hosts.toml: nothing that is done to several hosts includes it"
"""What `hold` means, for people."""

DEFAULT_CHECKOUT: Final = "~/Code/nixcfg"
DEFAULT_INPUT: Final = "nixfleet"
DEFAULT_FORGES: Final = ("github.com", "gitlab.com", "git.sr.ht", "codeberg.org")

_HOST_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}")
_INPUT_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_'-]{0,62}")
_FORGE: Final = re.compile(
    r"(?P<host>[a-z0-9_][a-z0-9_.-]{0,252}|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
)
_ADDRESS: Final = re.compile(
    r"(?:(?P<user>[A-Za-z0-9_][A-Za-z0-9_.-]{0,31})@)?"
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]+(?:%[A-Za-z0-9]+)?)\]|(?P<host>[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}))"
    r"(?::(?P<port>[0-9]{1,5}))?"
)


class BadNameError(ValueError):
    """A name or address that must not become a path or an argument. The message says why."""


@dataclass(frozen=True, slots=True)
class SshAddress:
    """Where ssh goes: `user@host:port`. An absent user or port comes from the ssh config."""

    host: str
    user: str | None = None
    port: int | None = None

    def __str__(self) -> str:
        shown = f"[{self.host}]" if ":" in self.host else self.host
        user = f"{self.user}@" if self.user else ""
        return f"{user}{shown}" + (f":{self.port}" if self.port else "")


@dataclass(frozen=True, slots=True)
class Host:
    """One line of the fleet. `address` is None for this machine.

    `attribute` is the name under nixosConfigurations or homeConfigurations. The probe finds out
    `platform` and `attribute` if they are absent.
    """

    name: str
    address: SshAddress | None = None
    platform: Platform | None = None
    checkout: str = DEFAULT_CHECKOUT
    input: str = DEFAULT_INPUT
    attribute: str | None = None
    tags: tuple[str, ...] = ()
    forges: tuple[str, ...] = DEFAULT_FORGES
    """Servers (`host` or `host:port`, by https) that may get the operator's git credentials if this
    host's flake.lock names them."""
    hold: bool = False
    """No batch includes the host: what is done to several hosts leaves it alone."""
    remembered: bool = False
    """The flake could not be asked for its hosts: this one is from the last time that it could."""

    @property
    def where(self) -> str:
        """The address for people: `ops@cs0:2222`, or `local`."""
        return str(self.address) if self.address else "local"

    @property
    def listed_where(self) -> str:
        """The same in a list of hosts: it marks those that are held or only remembered."""
        marks = {"held": self.hold, "remembered": self.remembered}
        return " ".join([self.where, *(f"({mark})" for mark, is_so in marks.items() if is_so)])


def check_host_name(name: str) -> str:
    """Return `name`, or raise BadNameError: it becomes a directory of the client's copies."""
    if not _HOST_NAME.fullmatch(name):
        raise BadNameError(
            f"{name!r} is no host name: letters, digits, '.', '_' and '-' only, "
            "not beginning with '-' or '.', at most 63"
        )
    return name


def is_host_name(name: str) -> bool:
    """Whether it can be a host's name."""
    return _HOST_NAME.fullmatch(name) is not None


def check_input_name(name: str) -> str:
    """Return `name`, or raise BadNameError: it becomes an argument of nix."""
    if not _INPUT_NAME.fullmatch(name):
        raise BadNameError(f"{name!r} is no flake input: a Nix identifier such as 'nixfleet'")
    return name


def check_forge(text: str) -> str:
    """Return a server's name, with its port unless that is 443; or raise BadNameError."""
    match = _FORGE.fullmatch(text.lower())
    if match is None:
        raise BadNameError(
            f"{text!r} is no server: write its name alone, such as 'git.example.org', "
            "and its port if that is not 443"
        )
    port = _port(text, match["port"]) or 443
    return match["host"] if port == 443 else f"{match['host']}:{port}"


def parse_address(text: str) -> SshAddress:
    """Read `[user@]host[:port]` (IPv6 in brackets); raise BadNameError.

    ssh would read a destination that begins with '-' as an option.
    """
    match = _ADDRESS.fullmatch(text)
    if match is None:
        raise BadNameError(f"{text!r} is no ssh address: write it as user@host or user@host:port")
    port = _port(text, match["port"])
    return SshAddress(host=match["v6"] or match["host"], user=match["user"], port=port)


def _port(text: str, digits: str | None) -> int | None:
    port = int(digits) if digits else None
    if port is not None and not 0 < port < 65536:
        raise BadNameError(f"port {port} in {text!r} is out of range: 1 to 65535")
    return port
