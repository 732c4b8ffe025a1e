"""hosts.toml: which hosts there are. Without the file there is one: this machine.

A wrong file is refused as a whole, before any host is contacted. The error says where it is, what
is wrong, and what would be right.
"""

from __future__ import annotations

import difflib
import json
import platform
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

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

if TYPE_CHECKING:
    from collections.abc import Sequence

SIZE_LIMIT: Final = 1024 * 1024
"""Bytes; some hundred hosts take some tens of KiB."""

_At = tuple[str, ...]
"""A key's whole path, such as ("hosts", "csb0", "ssh")."""
_Table = Mapping[str, object]

_TABLES: Final = ("defaults", "hosts")
_DEFAULT_KEYS: Final = ("checkout", "input", "forges")
_HOST_KEYS: Final = ("ssh", "local", "platform", "attribute", "checkout", "input", "tags")
_PLATFORMS: Final[tuple[Platform, ...]] = ("nixos", "home-manager")


@dataclass(frozen=True, slots=True)
class Inventory:
    """The hosts, in the file's order. `path` is None when there is no file."""

    hosts: tuple[Host, ...]
    path: Path | None = None


class InventoryError(Exception):
    """hosts.toml cannot be used. `line` counts from 1; `key` is a dotted path."""

    def __init__(
        self, path: Path, problem: str, *, line: int | None = None, key: str = "", hint: str = ""
    ) -> None:
        where = f"{_short(path)}:{line}" if line else _short(path)
        text = ": ".join(part for part in (where, key, problem) if part)
        super().__init__(f"{text}; {hint}" if hint else text)
        self.path, self.line, self.key, self.problem, self.hint = path, line, key, problem, hint


class UnknownHostError(Exception):
    """The inventory does not have that host. The message lists the hosts that it has."""


def default_inventory_path() -> Path:
    """`${XDG_CONFIG_HOME:-~/.config}/nixfleet/hosts.toml`, on macOS too."""
    return Unix("nixfleet", appauthor=False).user_config_path / "hosts.toml"


def load_inventory(path: Path) -> Inventory:
    """Read the hosts from `path`. Only the default path may be absent. Raises InventoryError."""
    try:
        with path.open("rb") as file:
            data = file.read(SIZE_LIMIT + 1)
    except FileNotFoundError:
        if path == default_inventory_path():
            return Inventory(hosts=(this_machine(),))
        raise InventoryError(path, "there is no such file") from None
    except IsADirectoryError:
        raise InventoryError(path, "is a directory", hint="name a file") from None
    except OSError as error:
        raise InventoryError(path, f"cannot be read: {error.strerror}") from error
    return Inventory(hosts=_HostsFile(path, data).hosts(), path=path)


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
            meant = _did_you_mean(name, known)
            raise UnknownHostError("; ".join(filter(None, (f"no host {name!r}", meant, listed))))
    return tuple(host for host in hosts if not names or host.name in names)


class _HostsFile:
    """One hosts.toml being read. Every problem is raised with its place."""

    def __init__(self, path: Path, data: bytes) -> None:
        self._path = path
        if len(data) > SIZE_LIMIT:
            raise InventoryError(path, f"is larger than {SIZE_LIMIT // 1024} KiB")
        try:
            self._source = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise InventoryError(
                path, "is not UTF-8", line=line, hint="save the file as UTF-8"
            ) from None
        try:
            self._top: dict[str, object] = tomllib.loads(self._source)
        except tomllib.TOMLDecodeError as error:
            raise _syntax_error(path, self._source, str(error)) from None
        except RecursionError:
            raise InventoryError(path, "is nested too deeply") from None

    def hosts(self) -> tuple[Host, ...]:
        for key, value in self._top.items():
            if key not in _TABLES:
                hint = _did_you_mean(key, _TABLES)
                if not hint and isinstance(value, dict):
                    hint = f"write [{_dotted(('hosts', key))}] for a host"
                self._fail((key,), "unknown key", hint or "there are only 'defaults' and 'hosts'")
        defaults = self._table(("defaults",), self._top.get("defaults", {}), _DEFAULT_KEYS)
        checkout = self._checkout(("defaults",), defaults, DEFAULT_CHECKOUT)
        flake_input = self._input(("defaults",), defaults, DEFAULT_INPUT)
        forges = self._forges(("defaults",), defaults)
        tables = self._table(("hosts",), self._top.get("hosts", {}), None)
        if not tables:
            self._fail(("hosts",), "there is no host", 'write [hosts.NAME] and ssh = "user@host"')
        return tuple(
            replace(self._host(name, tables[name], checkout, flake_input), forges=forges)
            for name in tables
        )

    def _host(self, name: str, value: object, checkout: str, flake_input: str) -> Host:
        at = ("hosts", name)
        try:
            check_host_name(name)
        except BadNameError as error:
            self._fail(at, str(error), 'put the address into ssh = "user@host"')
        table = self._table(at, value, _HOST_KEYS)
        return Host(
            name=name,
            address=self._address(at, table),
            platform=self._platform(at, table),
            attribute=self._attribute(at, table),
            checkout=self._checkout(at, table, checkout),
            input=self._input(at, table, flake_input),
            tags=self._tags(at, table),
        )

    def _address(self, at: _At, table: _Table) -> SshAddress | None:
        local = table.get("local", False)
        if not isinstance(local, bool):
            self._wrong_type((*at, "local"), "true or false", local, "local = true")
        text = self._text(at, table, "ssh", 'ssh = "user@host"')
        if text is None:
            if not local:
                self._fail(at, "has no address", 'write ssh = "user@host", or local = true')
            return None
        if local:
            self._fail(at, "has both ssh and local = true", "keep one of them")
        try:
            return parse_address(text)
        except BadNameError as error:
            self._fail((*at, "ssh"), str(error))

    def _platform(self, at: _At, table: _Table) -> Platform | None:
        text = self._text(at, table, "platform", 'platform = "nixos"')
        match text:
            case None | "nixos" | "home-manager":
                return text
        hint = _did_you_mean(text, _PLATFORMS) or "write 'nixos', or 'home-manager' (Macs)"
        return self._fail((*at, "platform"), f"{text!r} is no platform", hint)

    def _attribute(self, at: _At, table: _Table) -> str | None:
        text = self._text(at, table, "attribute", 'attribute = "user@host"')
        if text is not None and not _ATTRIBUTE.fullmatch(text):
            hint = "give the name under nixosConfigurations or homeConfigurations"
            self._fail((*at, "attribute"), f"{text!r} cannot be a configuration's name", hint)
        return text

    def _checkout(self, at: _At, table: _Table, default: str) -> str:
        example = f'checkout = "{DEFAULT_CHECKOUT}"'
        text = self._text(at, table, "checkout", example)
        if text is None:
            return default
        if not text.startswith(("/", "~/")) or not text.isprintable():
            self._fail((*at, "checkout"), f"{text!r} is no absolute path", f"write {example}")
        return text

    def _input(self, at: _At, table: _Table, default: str) -> str:
        text = self._text(at, table, "input", f'input = "{DEFAULT_INPUT}"')
        try:
            return default if text is None else check_input_name(text)
        except BadNameError as error:
            self._fail((*at, "input"), str(error))

    def _tags(self, at: _At, table: _Table) -> tuple[str, ...]:
        tags = self._texts((*at, "tags"), table.get("tags", []), 'tags = ["cloud"]')
        for tag in tags:
            if not _TAG.fullmatch(tag):
                hint = "use letters, digits, '.', '_' and '-'"
                self._fail((*at, "tags"), f"{tag!r} is no tag", hint)
        return tags

    def _forges(self, at: _At, table: _Table) -> tuple[str, ...]:
        example = f'forges = ["{DEFAULT_FORGES[0]}"]'
        listed = self._texts((*at, "forges"), table.get("forges", [*DEFAULT_FORGES]), example)
        try:
            return tuple(dict.fromkeys(map(check_forge, listed)))
        except BadNameError as error:
            self._fail((*at, "forges"), str(error))

    def _texts(self, at: _At, value: object, example: str) -> tuple[str, ...]:
        """A list of texts, each once."""
        if not isinstance(value, list):
            self._wrong_type(at, "a list", value, example)
        for text in value:
            if not isinstance(text, str):
                self._wrong_type(at, "a list of texts", text, example)
        return tuple(dict.fromkeys(value))

    def _text(self, at: _At, table: _Table, key: str, example: str) -> str | None:
        value = table.get(key)
        if value is not None and not isinstance(value, str):
            self._wrong_type((*at, key), "text", value, example)
        return value

    def _table(self, at: _At, value: object, keys: Sequence[str] | None) -> _Table:
        if not isinstance(value, dict):
            self._wrong_type(at, "a table", value, f"[{_dotted(at)}]")
        for key in value:
            if keys is not None and key not in keys:
                hint = _did_you_mean(key, keys) or f"known keys: {', '.join(keys)}"
                self._fail((*at, key), "unknown key", hint)
        return value

    def _wrong_type(self, at: _At, wanted: str, value: object, example: str) -> NoReturn:
        self._fail(at, f"must be {wanted}, not {_type_name(value)}", f"write {example}")

    def _fail(self, at: _At, problem: str, hint: str = "") -> NoReturn:
        raise InventoryError(
            self._path, problem, line=_line_of(self._source, at), key=_dotted(at), hint=hint
        )


_ATTRIBUTE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,127}")
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}")

_PART: Final = r"(?:[A-Za-z0-9_-]+|\"[^\"\n]*\"|'[^'\n]*')"
_KEY: Final = rf"{_PART}(?:[ \t]*\.[ \t]*{_PART})*"
_HEADER_LINE: Final = re.compile(rf"[ \t]*\[[ \t]*(?P<key>{_KEY})[ \t]*\][ \t]*(?:#.*)?")
_KEY_LINE: Final = re.compile(rf"[ \t]*(?P<key>{_KEY})[ \t]*=")

_TOML_PLACE: Final = re.compile(r" \(at (?:line (?P<line>\d+), column \d+|end of document)\)$")
_TOML_TWICE: Final = re.compile(r"Cannot (?:declare \(.*\) twice|overwrite a value)")


def _syntax_error(path: Path, source: str, message: str) -> InventoryError:
    place = _TOML_PLACE.search(message)
    line = int(place["line"]) if place and place["line"] else source.count("\n") + 1
    problem = message[: place.start()] if place else message
    if _TOML_TWICE.match(problem):
        key = _keys_by_line(source).get(line, ())
        return InventoryError(
            path, "is defined twice", line=line, key=_dotted(key), hint="remove one of them"
        )
    return InventoryError(path, f"is not TOML: {problem[:1].lower()}{problem[1:]}", line=line)


def _keys_by_line(source: str) -> dict[int, _At]:
    """The full key that each line defines; tomllib does not tell it."""
    found: dict[int, _At] = {}
    table: _At = ()
    for number, line in enumerate(source.split("\n"), 1):
        if header := _HEADER_LINE.fullmatch(line.rstrip("\r")):
            table = found[number] = _parse_key(header["key"])
        elif key := _KEY_LINE.match(line):
            found[number] = (*table, *_parse_key(key["key"]))
    return found


def _parse_key(text: str) -> _At:
    try:
        value: object = tomllib.loads(f"{text} = 0")
    except tomllib.TOMLDecodeError:
        return (text,)
    parts: list[str] = []
    while isinstance(value, dict):
        part, value = next(iter(value.items()))
        parts.append(part)
    return tuple(parts)


def _line_of(source: str, at: _At) -> int | None:
    """The line that defines `at`, or the nearest key to it."""
    best, best_length = None, 0
    for number, key in _keys_by_line(source).items():
        length = _common(key, at)
        if length > best_length:
            best, best_length = number, length
    return best


def _common(one: _At, other: _At) -> int:
    """How many parts of two keys agree, from the left."""
    return next(
        (index for index, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]),
        min(len(one), len(other)),
    )


def _dotted(at: _At) -> str:
    return ".".join(part if _BARE.fullmatch(part) else json.dumps(part) for part in at)


_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")


def _did_you_mean(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {close[0]!r}?" if close else ""


def _type_name(value: object) -> str:
    match value:
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case dict():
            return "a table"
        case _:
            return "a date"


def _short(path: Path) -> str:
    """The path as people write it: with ~ for the home directory."""
    try:
        return f"~/{path.relative_to(Path.home())}"
    except (ValueError, RuntimeError):
        return str(path)
