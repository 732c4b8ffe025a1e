"""The way out: how text from outside gets to a screen, the clipboard, JSON or a file of ours.

Pure. All that is printed, copied or saved goes through one of these functions. They hide
credentials (`nixfleet_core.log.redact`) and remove what drives a terminal
(`nixfleet_core.log.characters`).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import msgspec

from nixfleet_core.log.characters import (
    end_colours,
    json_escapes,
    log_line,
    one_line,
    without_colours,
)
from nixfleet_core.log.redact import redact, redact_words

if TYPE_CHECKING:
    from collections.abc import Iterable

TEXT_LIMIT: Final = 1000
"""So many characters of one foreign text are shown outside the log at most."""
_READ_LIMIT: Final = 4 * TEXT_LIMIT
"""More is read than shown: a credential that is cut in half would not be recognised."""

_COMMAND_LINES: Final = ("argv",)
"""Fields that hold a command's words: `--token` and the word after it belong together."""


def safe(text: str) -> str:
    """Text from outside, on one line and without credentials: a host must not drive the terminal,
    and must not write lines that look like ours."""
    return one_line(redact(text))


def safe_beginning(text: str) -> str:
    """The beginning of a text as `safe` gives it, with blanks for tabs; it is longer than
    TEXT_LIMIT if there is more than may be shown."""
    return safe(text[:_READ_LIMIT]).replace("\t", " ")


def safe_lines(text: str) -> str:
    """Text of several lines, each as `safe` gives it."""
    return "\n".join(map(one_line, redact(text).split("\n")))


def safe_log_line(line: str, *, colour: bool) -> str:
    """A line of log.txt for a terminal; its colours, if it keeps them, end with it."""
    shown = redact(log_line(line))
    return end_colours(shown) if colour else without_colours(shown)


def safe_json(value: msgspec.Struct) -> str:
    """One line of JSON with every string redacted; a terminal finds nothing in it to obey."""
    built = _redacted(msgspec.to_builtins(value))
    return json_escapes(json.dumps(built, ensure_ascii=False, separators=(",", ":")))


def _redacted(value: object, name: str = "") -> object:
    match value:
        case str():
            return redact(value)
        case list() | tuple() if name in _COMMAND_LINES and _all_words(value):
            return redact_words(value)
        case list() | tuple():
            return [_redacted(item, name) for item in value]
        case dict():
            return {redact(str(key)): _redacted(item, str(key)) for key, item in value.items()}
        case _:
            return value


def _all_words(value: Iterable[object]) -> bool:
    return all(isinstance(word, str) for word in value)
