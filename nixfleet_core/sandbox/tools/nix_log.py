"""What Nix says on stderr, as Nix 2.34 writes it: internal-json, or plain text."""

from __future__ import annotations

import json
import os
import sys

COPY_PATH, FILE_TRANSFER, REALISE, COPY_PATHS, BUILDS, BUILD = 100, 101, 102, 103, 104, 105
LOG_LINE, SET_PHASE, PROGRESS, SET_EXPECTED = 101, 104, 105, 106

Field = str | int


class Log:
    """One Nix process's log; the ids of its activities begin at its pid, shifted."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._next = os.getpid() << 32

    def info(self, text: str) -> None:
        """A message that Nix shows unless it is asked to be quiet."""
        self._write(text, action="msg", level=3, msg=text)

    def warn(self, text: str) -> None:
        """A warning; the word may be coloured."""
        coloured = f"\x1b[35;1mwarning:\x1b[0m {text}"
        self._write(f"warning: {text}", action="msg", level=1, msg=coloured)

    def error(self, text: str) -> None:
        """The error that ends Nix."""
        coloured = f"\x1b[31;1merror:\x1b[0m {text}"
        self._write(f"error: {text}", action="msg", level=0, msg=coloured, raw_msg=text)

    def bold(self, text: str) -> str:
        """A part of a message."""
        return f"\x1b[1m{text}\x1b[0m" if self._as_json else text

    def start(
        self, kind: int, text: str = "", *fields: Field, level: int = 0, parent: int = 0
    ) -> int:
        """Begin an activity and return its id. Plain text shows it unless it is a detail."""
        number, self._next = self._next, self._next + 1
        extra: dict[str, object] = {"fields": fields} if fields else {}
        extra.update(id=number, level=level, parent=parent, text=text, type=kind)
        self._write(f"{text}..." if level == 3 else "", action="start", **extra)
        return number

    def result(self, activity: int, kind: int, *fields: Field, plain: str = "") -> None:
        """A result of an activity."""
        self._write(plain, action="result", fields=fields, id=activity, type=kind)

    def stop(self, *activities: int) -> None:
        """The end of activities; it does not say whether they succeeded."""
        for activity in activities:
            self._write("", action="stop", id=activity)

    def _write(self, plain: str, **fields: object) -> None:
        """One record, keys sorted, or its plain text, if it has one."""
        if self._as_json:
            text = json.dumps(fields, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
            sys.stderr.write(f"@nix {text}\n")
        elif plain:
            sys.stderr.write(f"{plain}\n")
