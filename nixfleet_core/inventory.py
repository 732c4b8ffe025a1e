"""hosts.toml: which hosts there are. Without the file there is one: this machine.

A wrong file is refused as a whole, before any host is contacted. The error says where it is, what
is wrong, and what would be right.
"""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from platformdirs.unix import Unix

from nixfleet_core.host import (
    DEFAULT_CHECKOUT,
    DEFAULT_FORGES,
    DEFAULT_INPUT,
    BadNameError,
    Host,
    Platform,
    SshAddress,
    check_forge,
    check_host_name,
    check_input_name,
    parse_address,
)
from nixfleet_core.toml_file import At, Table, TomlError, TomlFile, did_you_mean, dotted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_TABLES: Final = ("defaults", "hosts")
_DEFAULT_KEYS: Final = ("checkout", "input", "forges")
_HOST_KEYS: Final = ("ssh", "local", "platform", "attribute", "checkout", "input", "tags", "hold")
_PLATFORMS: Final[tuple[Platform, ...]] = ("nixos", "home-manager")


@dataclass(frozen=True, slots=True)
class Inventory:
    """The hosts, in the file's order. `path` is None when there is no file."""

    hosts: tuple[Host, ...]
    path: Path | None = None


class InventoryError(TomlError):
    """hosts.toml cannot be used."""


class NoHostError(InventoryError):
    """The file has no mistake, and no host."""


class UnknownHostError(Exception):
    """The inventory does not have that host. The message lists the hosts that it has."""


def default_inventory_path() -> Path:
    """`${XDG_CONFIG_HOME:-~/.config}/nixfleet/hosts.toml`, on macOS too."""
    return Unix("nixfleet", appauthor=False).user_config_path / "hosts.toml"


def load_inventory(path: Path) -> Inventory:
    """Read the hosts from `path`. Only the default path may be absent. Raises InventoryError."""
    try:
        file = _HostsFile.read(path)
    except FileNotFoundError:
        if path == default_inventory_path():
            return Inventory(hosts=(this_machine(),))
        raise InventoryError(path, "there is no such file") from None
    return Inventory(hosts=file.hosts(), path=path)


def this_machine() -> Host:
    """This machine as a host, named by its short host name."""
    name = re.sub(r"[^A-Za-z0-9_-]", "-", platform.node().partition(".")[0]).lstrip("-")[:63]
    return Host(name=name or "localhost")


def select(hosts: Sequence[Host], names: Sequence[str]) -> tuple[Host, ...]:
    """The hosts of those names, in the inventory's order; all of them where none is given.

    Raises UnknownHostError.
    """
    known = [host.name for host in hosts]
    for name in names:
        if name not in known:
            listed = f"hosts: {', '.join(known)}" if known else "there are no hosts"
            meant = did_you_mean(name, known)
            raise UnknownHostError("; ".join(filter(None, (f"no host {name!r}", meant, listed))))
    return tuple(host for host in hosts if not names or host.name in names)


class _HostsFile(TomlFile):
    """One hosts.toml being read."""

    error = InventoryError

    def hosts(self) -> tuple[Host, ...]:
        for key, value in self.top.items():
            if key not in _TABLES:
                hint = did_you_mean(key, _TABLES)
                if not hint and isinstance(value, dict):
                    hint = f"write [{dotted(('hosts', key))}] for a host"
                self.fail((key,), "unknown key", hint or "there are only 'defaults' and 'hosts'")
        defaults = self.table(("defaults",), self.top.get("defaults", {}), _DEFAULT_KEYS)
        checkout = self._checkout(("defaults",), defaults, DEFAULT_CHECKOUT)
        flake_input = self._input(("defaults",), defaults, DEFAULT_INPUT)
        forges = self._forges(("defaults",), defaults)
        tables = self.table(("hosts",), self.top.get("hosts", {}), None)
        if not tables:
            hint = 'write [hosts.NAME] and ssh = "user@host"'
            line = self._line_of(("hosts",))
            raise NoHostError(self._path, "there is no host", line=line, key="hosts", hint=hint)
        return tuple(
            replace(self._host(name, tables[name], checkout, flake_input), forges=forges)
            for name in tables
        )

    def _host(self, name: str, value: object, checkout: str, flake_input: str) -> Host:
        at = ("hosts", name)
        try:
            check_host_name(name)
        except BadNameError as error:
            self.fail(at, str(error), 'put the address into ssh = "user@host"')
        table = self.table(at, value, _HOST_KEYS)
        return Host(
            name=name,
            address=self._address(at, table),
            platform=self._platform(at, table),
            attribute=self._attribute(at, table),
            checkout=self._checkout(at, table, checkout),
            input=self._input(at, table, flake_input),
            tags=self._tags(at, table),
            hold=self._flag(at, table, "hold"),
        )

    def _address(self, at: At, table: Table) -> SshAddress | None:
        local = self._flag(at, table, "local")
        text = self.text(at, table, "ssh", 'ssh = "user@host"')
        if text is None:
            if not local:
                self.fail(at, "has no address", 'write ssh = "user@host", or local = true')
            return None
        if local:
            self.fail(at, "has both ssh and local = true", "keep one of them")
        try:
            return parse_address(text)
        except BadNameError as error:
            self.fail((*at, "ssh"), str(error))

    def _flag(self, at: At, table: Table, key: str) -> bool:
        value = table.get(key, False)
        if not isinstance(value, bool):
            self.wrong_type((*at, key), "true or false", value, f"{key} = true")
        return value

    def _platform(self, at: At, table: Table) -> Platform | None:
        text = self.text(at, table, "platform", 'platform = "nixos"')
        match text:
            case None | "nixos" | "home-manager":
                return text
        hint = did_you_mean(text, _PLATFORMS) or "write 'nixos', or 'home-manager' (Macs)"
        return self.fail((*at, "platform"), f"{text!r} is no platform", hint)

    def _attribute(self, at: At, table: Table) -> str | None:
        text = self.text(at, table, "attribute", 'attribute = "user@host"')
        if text is not None and not _ATTRIBUTE.fullmatch(text):
            hint = "give the name under nixosConfigurations or homeConfigurations"
            self.fail((*at, "attribute"), f"{text!r} cannot be a configuration's name", hint)
        return text

    def _checkout(self, at: At, table: Table, default: str) -> str:
        example = f'checkout = "{DEFAULT_CHECKOUT}"'
        text = self.text(at, table, "checkout", example)
        if text is None:
            return default
        if not text.isprintable():
            said = f"{text!r} has a character that cannot be printed"
            self.fail((*at, "checkout"), said, f"write {example}")
        elif not text.startswith(("/", "~/")):
            self.fail((*at, "checkout"), f"{text!r} is no absolute path", f"write {example}")
        return text

    def _input(self, at: At, table: Table, default: str) -> str:
        text = self.text(at, table, "input", f'input = "{DEFAULT_INPUT}"')
        try:
            return default if text is None else check_input_name(text)
        except BadNameError as error:
            self.fail((*at, "input"), str(error))

    def _tags(self, at: At, table: Table) -> tuple[str, ...]:
        tags = self.texts((*at, "tags"), table.get("tags", []), 'tags = ["cloud"]')
        for tag in tags:
            if not _TAG.fullmatch(tag):
                hint = "use letters, digits, '.', '_' and '-'"
                self.fail((*at, "tags"), f"{tag!r} is no tag", hint)
        return tags

    def _forges(self, at: At, table: Table) -> tuple[str, ...]:
        example = f'forges = ["{DEFAULT_FORGES[0]}"]'
        listed = self.texts((*at, "forges"), table.get("forges", [*DEFAULT_FORGES]), example)
        try:
            return tuple(dict.fromkeys(map(check_forge, listed)))
        except BadNameError as error:
            self.fail((*at, "forges"), str(error))


_ATTRIBUTE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,127}")
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}")
