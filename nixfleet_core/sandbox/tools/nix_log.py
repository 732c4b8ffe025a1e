"""Nix's internal-json, as Nix 2.34 writes it: `@nix` and one object a line, keys sorted."""

from __future__ import annotations

import json
import os
from typing import Final

COPY_PATH, FILE_TRANSFER, REALISE, COPY_PATHS, BUILDS, BUILD = 100, 101, 102, 103, 104, 105
SUBSTITUTE: Final = 108
LOG_LINE, SET_PHASE, PROGRESS, SET_EXPECTED = 101, 104, 105, 106

Field = str | int


def record(**fields: object) -> str:
    """One line."""
    text = json.dumps(fields, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return f"@nix {text}\n"


def message(level: int, text: str) -> str:
    """A message; errors carry their place as well."""
    if level:
        return record(action="msg", level=level, msg=text)
    raw = text.removeprefix("\x1b[31;1merror:\x1b[0m ")
    return record(action="msg", column=None, file=None, level=0, line=None, msg=text, raw_msg=raw)


class Session:
    """One Nix process's activities; their ids begin at its pid, shifted."""

    def __init__(self) -> None:
        self._next = os.getpid() << 32

    def start(
        self, kind: int, text: str = "", *, level: int = 0, fields: tuple[Field, ...] = ()
    ) -> tuple[int, str]:
        """A new activity: its id and its line."""
        number, self._next = self._next, self._next + 1
        extra = {"fields": fields} if fields else {}
        line = record(
            action="start", id=number, level=level, parent=0, text=text, type=kind, **extra
        )
        return number, line


def stop(activity: int) -> str:
    """The end of an activity; it says nothing of how it went."""
    return record(action="stop", id=activity)


def result(activity: int, kind: int, *fields: Field) -> str:
    """Something that an activity tells."""
    return record(action="result", fields=fields, id=activity, type=kind)
