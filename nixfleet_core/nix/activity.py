"""What one line of Nix's `--log-format internal-json` says, by name.

Such a log is plain text with `@nix {json}` lines in between. Only this module knows what each
number means and where each field stands (Nix's logging.hh; measured on 2.8.0, 2.26.3 and 2.34.8).
log_state.py counts, running.py keeps what has not ended, log_lines.py knows which lines to show.

These modules compare types by `is`, which is faster than `isinstance`: a log has a million
lines.
"""

from __future__ import annotations

import re
from typing import Final, Literal, TypeGuard, final

import msgspec

from nixfleet_core.limits import LARGEST


class Tally(msgspec.Struct, frozen=True):
    """How many of the expected builds (or substituted paths) are done. `expected` can grow."""

    done: int
    expected: int


class PlainText(msgspec.Struct, frozen=True):
    """A line that is not Nix's JSON."""

    line: bytes


class Message(msgspec.Struct, frozen=True, tag="msg", tag_field="action", rename={"text": "msg"}):
    level: int = 0
    text: str = ""


class StartActivity(msgspec.Struct, frozen=True):
    """Something has begun. Its text may be empty."""

    level: int
    text: str
    id: int


class StartEvaluation(StartActivity, frozen=True):
    """Nix evaluates `installable`, FLAKE#ATTRIBUTE, in order to build it."""

    installable: str


class StartBuild(StartActivity, frozen=True):
    """`machine` is empty if the host builds it itself."""

    drv_path: str
    machine: str = ""


class StartCopy(StartActivity, frozen=True):
    """A store path is copied from `source`, a cache or another store."""

    path: str
    source: str = ""


class StartTransfer(StartActivity, frozen=True):
    """A file is downloaded, for the activity `parent`."""

    url: str
    parent: int


class StartQuery(StartActivity, frozen=True):
    """A store is asked whether it has a path."""


class StartWait(StartActivity, frozen=True):
    """A build waits: for another process that builds the same, for a machine, for a build user."""


CounterKind = Literal["builds", "copies"]


class StartCounter(StartActivity, frozen=True):
    """A worker has two counters, that of its builds first."""

    kind: CounterKind


class StopActivity(msgspec.Struct, frozen=True, tag="stop", tag_field="action"):
    id: int


class Counts(Tally, frozen=True):
    """How far an activity is, a counter or another."""

    id: int


class Phase(msgspec.Struct, frozen=True):
    """A build has come to this phase, in the builder's own words."""

    id: int
    name: str


class DownloadSize(msgspec.Struct, frozen=True):
    """So many bytes a worker wants to download in all. It can grow and shrink."""

    id: int
    size: int


class BuildLine(msgspec.Struct, frozen=True):
    """A line that a builder printed, or the hook after the build (`post`)."""

    id: int
    text: str
    post: bool


Activity = (
    PlainText | Message | StartActivity | StopActivity | Counts | Phase | DownloadSize | BuildLine
)

INFO: Final = 3
"""The least important level that Nix shows by default: error, warn, notice, info."""

_UNKNOWN: Final = 0
_COPY_PATH: Final = 100
_FILE_TRANSFER: Final = 101
_COPY_PATHS: Final = 103
_BUILDS: Final = 104
_BUILD: Final = 105
_QUERY_PATH_INFO: Final = 109
_BUILD_WAITING: Final = 111

_BUILD_LOG_LINE: Final = 101
_SET_PHASE: Final = 104
_PROGRESS: Final = 105
_SET_EXPECTED: Final = 106
_POST_BUILD_LOG_LINE: Final = 107


_EVALUATES: Final = re.compile(r"evaluating derivation '(.*)'", re.DOTALL)


@final
class _Start(msgspec.Struct, tag="start", tag_field="action"):
    id: int
    type: int = 0
    level: int = INFO
    text: str = ""
    parent: int = 0
    fields: list[object] = []


@final
class _Result(msgspec.Struct, tag="result", tag_field="action"):
    id: int
    type: int
    fields: list[object] = []


_NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_Event = _Start | StopActivity | _Result | Message
_decoder: Final[msgspec.json.Decoder[_Event]] = msgspec.json.Decoder(_Event)


def decode(line: bytes) -> Activity | None:
    """Read one line (without its newline); None for what another Nix says, or nothing needs."""
    if not line.startswith(b"@nix "):
        return PlainText(line)
    json = line[5:]
    try:
        event = _decoder.decode(json)
    except msgspec.ValidationError:
        # An action or a field of another Nix, or an object that is cut off.
        return None if _is_json(json) else PlainText(line)
    except _NOT_JSON:
        return PlainText(line)
    if type(event) is _Result:
        return _result(event)
    if type(event) is _Start:
        return _start(event)
    return event


def _result(event: _Result) -> Counts | Phase | DownloadSize | BuildLine | None:
    fields = event.fields
    if event.type in (_BUILD_LOG_LINE, _POST_BUILD_LOG_LINE):
        return BuildLine(event.id, _text(fields), event.type == _POST_BUILD_LOG_LINE)
    if event.type == _SET_PHASE:
        return Phase(event.id, _text(fields))
    if len(fields) > 1:
        first, second = fields[0], fields[1]
        if event.type == _PROGRESS and _is_count(first) and _is_count(second):
            return Counts(first, second, event.id)
        if event.type == _SET_EXPECTED and first == _FILE_TRANSFER and _is_count(second):
            return DownloadSize(event.id, second)
    return None


def _start(event: _Start) -> StartActivity:
    level, text, number, kind = event.level, event.text, event.id, event.type
    first = _text(event.fields)
    if kind == _BUILD and first:
        return StartBuild(level, text, number, first, _text(event.fields, 1))
    if kind == _COPY_PATH and first:
        return StartCopy(level, text, number, first, _text(event.fields, 1))
    if kind == _FILE_TRANSFER and first:
        return StartTransfer(level, text, number, first, event.parent)
    if kind == _QUERY_PATH_INFO:
        return StartQuery(level, text, number)
    if kind == _BUILD_WAITING:
        return StartWait(level, text, number)
    if kind in (_BUILDS, _COPY_PATHS):
        counter: CounterKind = "builds" if kind == _BUILDS else "copies"
        return StartCounter(level, text, number, counter)
    if kind == _UNKNOWN and (evaluated := _EVALUATES.fullmatch(text)):
        return StartEvaluation(level, text, number, evaluated[1])
    return StartActivity(level, text, number)


def _text(fields: list[object], index: int = 0) -> str:
    """That field, if it is text as it should be; else empty."""
    field = fields[index] if index < len(fields) else ""
    return field if isinstance(field, str) else ""


def _is_count(field: object) -> TypeGuard[int]:
    return type(field) is int and 0 <= field <= LARGEST


def _is_json(text: bytes) -> bool:
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except _NOT_JSON:
        return False
    return True
