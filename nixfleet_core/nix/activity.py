"""Nix's `--log-format internal-json` as readable lines and progress.

Such a log is plain text with `@nix {json}` lines in between. What is shown is what Nix's own plain
log with `-L` shows (measured on 2.8.0, 2.26.3 and 2.34.8; the rules are in Nix's logging.cc and
progress-bar.cc).
"""

from __future__ import annotations

import re
from typing import Final, TypeGuard

import msgspec

from nixfleet_core.limits import MOST


class Progress(msgspec.Struct, frozen=True):
    """Builds (or substituted paths) done of those expected so far; `expected` can still grow."""

    done: int
    expected: int


_INFO: Final = 3
"""The least important level that Nix shows unless asked for more: error, warn, notice, info."""

_COPY_PATHS: Final = 103
_BUILDS: Final = 104
_BUILD: Final = 105

_BUILDS_LIMIT: Final = 4096
_NAME_LIMIT: Final = 211
"""Characters; the longest name that Nix allows in the store."""
_UNNAMED: Final = "unnamed"

_BUILD_LOG_LINE: Final = 101
_PROGRESS: Final = 105
_POST_BUILD_LOG_LINE: Final = 107


class _Start(msgspec.Struct, tag="start", tag_field="action"):
    id: int
    type: int = 0
    level: int = _INFO
    text: str = ""
    fields: list[object] = []


class _Stop(msgspec.Struct, tag="stop", tag_field="action"):
    id: int


class _Result(msgspec.Struct, tag="result", tag_field="action"):
    id: int
    type: int
    fields: list[object] = []


class _Msg(msgspec.Struct, tag="msg", tag_field="action"):
    level: int = 0
    msg: str = ""


_NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_decoder: Final = msgspec.json.Decoder(_Start | _Stop | _Result | _Msg)

_HASH: Final = re.compile(r"^[0-9a-z]{32}-")
_VERSION: Final = re.compile(r"-[^A-Za-z]")
"""Where Nix cuts a name (DrvName): a dash that no letter follows."""


class NixLogDecoder:
    """Turns lines into readable lines, one by one, and keeps count."""

    def __init__(self) -> None:
        self._building: dict[int, str] = {}
        """What prefixes the log lines of each build that runs."""
        self._counts: dict[int, tuple[int, ...]] = {}
        """The live worker's [done, expected], by activity type."""
        self._counters: dict[int, int] = {}
        """Activity type → activity id, of the live worker's two counters."""

    @property
    def progress(self) -> Progress | None:
        """Builds and substituted paths of the live worker; None before the first one.

        A rebuild runs several workers one after another, each counting from nothing. `expected`
        grows, and need not be reached: Nix 2.34 ends at 6 of 7.
        """
        if _BUILDS not in self._counts:
            return None
        done, expected = map(sum, zip(*self._counts.values(), strict=True))
        return Progress(done=done, expected=expected)

    def feed(self, line: bytes) -> list[bytes]:
        """Decode one line (without its newline); the readable lines that it stands for."""
        if not line.startswith(b"@nix "):
            return [_visible(line)]
        json = line[5:]
        try:
            event = _decoder.decode(json)
        except msgspec.ValidationError:
            # An action or a field of another Nix; or an object that is cut off later on.
            return [] if _is_json(json) else [_visible(line)]
        except _NOT_JSON:
            return [_visible(line)]
        match event:
            case _Result():
                return self._result(event)
            case _Msg():
                return _lines(event.msg) if event.level <= _INFO else []
            case _Start():
                return self._start(event)
            case _Stop():
                self._building.pop(event.id, None)
        return []

    def _start(self, event: _Start) -> list[bytes]:
        if event.type == _BUILDS:
            self._counts.clear()
            self._counters.clear()
            self._building.clear()
        if event.type in (_BUILDS, _COPY_PATHS):
            self._counters[event.type] = event.id
            self._counts[event.type] = (0, 0)
        elif event.type == _BUILD and (drv_path := _text(event.fields)):
            self._building[event.id] = _label(drv_path)
            if len(self._building) > _BUILDS_LIMIT:
                del self._building[next(iter(self._building))]
        return _lines(event.text + "...") if event.text and event.level <= _INFO else []

    def _result(self, event: _Result) -> list[bytes]:
        if event.type == _PROGRESS:
            counts = tuple(count for count in event.fields[:2] if _is_count(count))
            for kind, counter in self._counters.items():
                if counter == event.id and len(counts) == 2:
                    self._counts[kind] = counts
        elif event.type in (_BUILD_LOG_LINE, _POST_BUILD_LOG_LINE):
            label = self._building.get(event.id, _UNNAMED)
            post = " (post)" if event.type == _POST_BUILD_LOG_LINE else ""
            prefix = f"{label}{post}> ".encode("utf-8", "replace")
            # one line, as Nix means it: newlines of a host's would each bring the long prefix
            text = _text(event.fields).replace("\n", " ")
            line = _visible(text.encode("utf-8", "replace"))
            return [prefix + line] if line else []
        return []


def _label(drv_path: str) -> str:
    """The package's name without its version."""
    base = drv_path.rpartition("/")[2].removesuffix(".drv")
    name = _HASH.sub("", base)[:_NAME_LIMIT] or _UNNAMED
    version = _VERSION.search(name)
    return name[: version.start()] if version else name


def _text(fields: list[object]) -> str:
    """The first field, where it is the text that it should be; else empty."""
    return fields[0] if fields and isinstance(fields[0], str) else ""


def _is_count(field: object) -> TypeGuard[int]:
    return type(field) is int and 0 <= field <= MOST


def _is_json(text: bytes) -> bool:
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except _NOT_JSON:
        return False
    return True


def _lines(text: str) -> list[bytes]:
    return [_visible(line) for line in text.encode("utf-8", "replace").split(b"\n")]


def _visible(line: bytes) -> bytes:
    """What a terminal would still show: the text after the last carriage return."""
    return line.rstrip(b"\r").rpartition(b"\r")[2] if b"\r" in line else line
