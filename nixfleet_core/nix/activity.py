"""What one line of Nix's `--log-format internal-json` says, by name.

Such a log is plain text with `@nix {json}` lines in between. Only this module knows what each
number means and where each field stands (Nix's logging.hh; measured on 2.8.0, 2.26.3 and 2.34.8).
log_state.py keeps the builds that run, log_lines.py knows which lines to show.

The three modules compare types by `is`, which is faster than `isinstance`: a log has a million
lines.
"""

from __future__ import annotations

import re
from typing import Final, Literal, TypeGuard, final

import msgspec

from nixfleet_core.limits import MOST


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


class StartEvaluation(StartActivity, frozen=True):
    """Nix evaluates `installable`, FLAKE#ATTRIBUTE, in order to build it."""

    id: int
    installable: str


class StartBuild(StartActivity, frozen=True):
    id: int
    drv_path: str


CounterKind = Literal["builds", "copies"]


class StartCounter(StartActivity, frozen=True):
    """A worker has two counters, that of its builds first."""

    id: int
    kind: CounterKind


class StopActivity(msgspec.Struct, frozen=True, tag="stop", tag_field="action"):
    id: int


class Counts(Tally, frozen=True):
    """How far an activity is, a counter or another."""

    id: int


class BuildLine(msgspec.Struct, frozen=True):
    """A line that a builder printed, or the hook after the build (`post`)."""

    id: int
    text: str
    post: bool


Activity = PlainText | Message | StartActivity | StopActivity | Counts | BuildLine

INFO: Final = 3
"""The least important level that Nix shows by default: error, warn, notice, info."""

_UNKNOWN: Final = 0
_COPY_PATHS: Final = 103
_BUILDS: Final = 104
_BUILD: Final = 105

_BUILD_LOG_LINE: Final = 101
_PROGRESS: Final = 105
_POST_BUILD_LOG_LINE: Final = 107


_EVALUATES: Final = re.compile(r"evaluating derivation '(.*)'", re.DOTALL)


@final
class _Start(msgspec.Struct, tag="start", tag_field="action"):
    id: int
    type: int = 0
    level: int = INFO
    text: str = ""
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


def _result(event: _Result) -> Counts | BuildLine | None:
    fields = event.fields
    if event.type in (_BUILD_LOG_LINE, _POST_BUILD_LOG_LINE):
        return BuildLine(event.id, _text(fields), event.type == _POST_BUILD_LOG_LINE)
    if event.type == _PROGRESS and len(fields) > 1:
        done, expected = fields[0], fields[1]
        if _is_count(done) and _is_count(expected):
            return Counts(done, expected, event.id)
    return None


def _start(event: _Start) -> StartActivity:
    if event.type == _BUILD and (drv_path := _text(event.fields)):
        return StartBuild(event.level, event.text, event.id, drv_path)
    if event.type in (_BUILDS, _COPY_PATHS):
        kind: CounterKind = "builds" if event.type == _BUILDS else "copies"
        return StartCounter(event.level, event.text, event.id, kind)
    if event.type == _UNKNOWN and (evaluated := _EVALUATES.fullmatch(event.text)):
        return StartEvaluation(event.level, event.text, event.id, evaluated[1])
    return StartActivity(event.level, event.text)


def _text(fields: list[object]) -> str:
    """The first field, if it is text as it should be; else empty."""
    return fields[0] if fields and isinstance(fields[0], str) else ""


def _is_count(field: object) -> TypeGuard[int]:
    return type(field) is int and 0 <= field <= MOST


def _is_json(text: bytes) -> bool:
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except _NOT_JSON:
        return False
    return True
