"""A TOML file that a person wrote: it is read whole, and every mistake is named with its place.

hosts.toml (`nixfleet_core.inventory`) and config.toml (`nixfleet_core.config`) are such files.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, NoReturn, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

SIZE_LIMIT: Final = 1024 * 1024
"""Bytes; some hundred hosts take some tens of KiB."""

At = tuple[str, ...]
"""A key's whole path, such as ("hosts", "csb0", "ssh")."""
Table = Mapping[str, object]


class TomlError(Exception):
    """The file, or a key in it, cannot be used. `line` counts from 1; `key` is a dotted path."""

    def __init__(
        self, path: Path, problem: str, *, line: int | None = None, key: str = "", hint: str = ""
    ) -> None:
        text = ": ".join(part for part in (_place(path, line), key, problem) if part)
        super().__init__(f"{text}; {hint}" if hint else text)
        self.path, self.line, self.key, self.problem, self.hint = path, line, key, problem, hint


class TomlFile:
    """One file being read. Every problem is raised with its place, as an `error`."""

    error: ClassVar[type[TomlError]] = TomlError

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises FileNotFoundError, and the class's `error` if the file cannot be read or is no
        TOML."""
        try:
            with path.open("rb") as file:
                return cls(path, file.read(SIZE_LIMIT + 1))
        except FileNotFoundError:
            raise
        except IsADirectoryError:
            raise cls.error(path, "is a directory", hint="name a file") from None
        except OSError as error:
            raise cls.error(path, f"cannot be read: {error.strerror}") from error

    def __init__(self, path: Path, data: bytes) -> None:
        self._path = path
        if len(data) > SIZE_LIMIT:
            raise self.error(path, f"is larger than {SIZE_LIMIT // 1024} KiB")
        try:
            self._source = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise self.error(
                path, "is not UTF-8", line=line, hint="save the file as UTF-8"
            ) from None
        try:
            self.top: dict[str, object] = tomllib.loads(self._source)
        except tomllib.TOMLDecodeError as error:
            raise self._syntax_error(str(error)) from None
        except RecursionError:
            raise self.error(path, "is nested too deeply") from None

    def texts(self, at: At, value: object, example: str) -> tuple[str, ...]:
        """A list of texts, each once."""
        if not isinstance(value, list):
            self.wrong_type(at, "a list", value, example)
        for text in value:
            if not isinstance(text, str):
                self.wrong_type(at, "a list of texts", text, example)
        return tuple(dict.fromkeys(value))

    def text(self, at: At, table: Table, key: str, example: str) -> str | None:
        value = table.get(key)
        if value is not None and not isinstance(value, str):
            self.wrong_type((*at, key), "text", value, example)
        return value

    def table(self, at: At, value: object, keys: Sequence[str] | None) -> Table:
        """A table that has no other key; without `keys` it may have any."""
        if not isinstance(value, dict):
            self.wrong_type(at, "a table", value, f"[{dotted(at)}]")
        for key in value:
            if keys is not None:
                self.known((*at, key), keys)
        return value

    def known(self, at: At, keys: Sequence[str]) -> None:
        """Fail unless the key is one of these."""
        if at[-1] not in keys:
            hint = did_you_mean(at[-1], keys) or f"known keys: {', '.join(keys)}"
            self.fail(at, "unknown key", hint)

    def wrong_type(self, at: At, wanted: str, value: object, example: str) -> NoReturn:
        self.fail(at, f"must be {wanted}, not {_type_name(value)}", f"write {example}")

    def fail(self, at: At, problem: str, hint: str = "") -> NoReturn:
        raise self.error(self._path, problem, line=self._line_of(at), key=dotted(at), hint=hint)

    def place(self, *at: str) -> str:
        """The file and the line that define a key."""
        return _place(self._path, self._line_of(at))

    def _line_of(self, at: At) -> int | None:
        """The line that defines `at`, or the nearest key to it."""
        best, best_length = None, 0
        for number, key in _keys_by_line(self._source).items():
            length = _common(key, at)
            if length > best_length:
                best, best_length = number, length
        return best

    def _syntax_error(self, message: str) -> TomlError:
        place = _TOML_PLACE.search(message)
        line = int(place["line"]) if place and place["line"] else self._source.count("\n") + 1
        problem = message[: place.start()] if place else message
        if _TOML_TWICE.match(problem):
            key = dotted(_keys_by_line(self._source).get(line, ()))
            hint = "remove one of them"
            return self.error(self._path, "is defined twice", line=line, key=key, hint=hint)
        problem = f"is not TOML: {problem[:1].lower()}{problem[1:]}"
        return self.error(self._path, problem, line=line)


_PART: Final = r"(?:[A-Za-z0-9_-]+|\"[^\"\n]*\"|'[^'\n]*')"
_KEY: Final = rf"{_PART}(?:[ \t]*\.[ \t]*{_PART})*"
_HEADER_LINE: Final = re.compile(rf"[ \t]*\[[ \t]*(?P<key>{_KEY})[ \t]*\][ \t]*(?:#.*)?")
_KEY_LINE: Final = re.compile(rf"[ \t]*(?P<key>{_KEY})[ \t]*=")

_TOML_PLACE: Final = re.compile(r" \(at (?:line (?P<line>\d+), column \d+|end of document)\)$")
_TOML_TWICE: Final = re.compile(r"Cannot (?:declare \(.*\) twice|overwrite a value)")


def _keys_by_line(source: str) -> dict[int, At]:
    """The full key that each line defines; tomllib does not tell it."""
    found: dict[int, At] = {}
    table: At = ()
    for number, line in enumerate(source.split("\n"), 1):
        if header := _HEADER_LINE.fullmatch(line.rstrip("\r")):
            table = found[number] = _parse_key(header["key"])
        elif key := _KEY_LINE.match(line):
            found[number] = (*table, *_parse_key(key["key"]))
    return found


def _parse_key(text: str) -> At:
    try:
        value: object = tomllib.loads(f"{text} = 0")
    except tomllib.TOMLDecodeError:
        return (text,)
    parts: list[str] = []
    while isinstance(value, dict):
        part, value = next(iter(value.items()))
        parts.append(part)
    return tuple(parts)


def _common(one: At, other: At) -> int:
    """How many parts of two keys agree, from the left."""
    return next(
        (index for index, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]),
        min(len(one), len(other)),
    )


def dotted(at: At) -> str:
    """A key as one writes it in TOML."""
    return ".".join(part if _BARE.fullmatch(part) else json.dumps(part) for part in at)


_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """A hint if the word is much like a known one; else empty."""
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


def _place(path: Path, line: int | None) -> str:
    return f"{_short(path)}:{line}" if line else _short(path)


def _short(path: Path) -> str:
    """The path as people write it: with ~ for the home directory."""
    try:
        return f"~/{path.relative_to(Path.home())}"
    except (ValueError, RuntimeError):
        return str(path)
