"""The readable lines of Nix's log: the same lines as in Nix's own plain log with `-L`.

The rules are in Nix's logging.cc and progress-bar.cc (measured on 2.8.0, 2.26.3 and 2.34.8).
"""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING, Final

from nixfleet_core.nix.activity import INFO, BuildLine, Message, PlainText, StartActivity, decode
from nixfleet_core.nix.log_state import LogState
from nixfleet_core.nix.running import package_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nixfleet_core.nix.activity import Activity
    from nixfleet_core.nix.log_state import Progress
    from nixfleet_core.nix.running import Running

_IGNORES: Final = re.compile(rb"warning: [Ii]gnoring (?:the|untrusted) ")
"""As in Nix's daemon.cc, remote-store.cc and flake config; Lix begins with a capital."""
_IGNORING: Final = b"gnoring "
_COLOURS: Final = re.compile(rb"\x1b\[[0-9;]*m")
_WARNINGS: Final = 64
_WARNING_LIMIT: Final = 1024
"""So many warnings of so many bytes are remembered; all others are shown each time."""

_UNNAMED: Final = package_name("")

_AT_ONCE: Final = 64
"""So many lines are read again one by one if one of them says more than its text."""
_MORE: Final = ("\r", "\n  /", "; retrying ", "gnoring ")
"""What is in messages that say more: to LogState, or to people once."""


class NixLogDecoder:
    """Turns lines into readable lines, one by one, and keeps count."""

    def __init__(self) -> None:
        self._state = LogState()
        self._warnings: set[bytes] = set()

    @property
    def progress(self) -> Progress | None:
        """See LogState."""
        return self._state.progress

    @property
    def running(self) -> Running:
        """What Nix does now. It changes with each line."""
        return self._state.running

    def feed(self, line: bytes, at: int = 0) -> list[bytes]:
        """Decode one line (without its newline), which ends at `at`, into readable lines."""
        return self._take(decode(line), at)

    def feed_all(
        self, lines: Sequence[bytes], ends: Sequence[int]
    ) -> tuple[list[bytes], list[int]]:
        """Decode lines that follow one another, as `feed` does: twice as fast. Return the readable
        lines, and how many of them each line has become."""
        shown: list[bytes] = []
        counts: list[int] = []
        for first in range(0, len(lines), _AT_ONCE):
            for is_text, run in groupby(map(decode, lines[first : first + _AT_ONCE]), _is_text):
                activities = list(run)
                if is_text and (texts := _texts(activities, self._state)):
                    shown += texts
                    counts += [1] * len(texts)
                    continue
                for activity in activities:
                    texts = self._take(activity, ends[len(counts)])
                    shown += texts
                    counts.append(len(texts))
        return shown, counts

    def _take(self, activity: Activity | None, at: int) -> list[bytes]:
        if activity is None:
            return []
        self._state.take(activity, at)
        shown = readable(activity, self._state)
        if shown and _IGNORING in shown[0] and self._is_repeated(shown):
            return []
        return shown

    def _is_repeated(self, shown: list[bytes]) -> bool:
        """Whether it is a warning that says who we are, not what happens, and was shown before.

        Each process of Nix says that it ignores a setting or a substituter, since the daemon does
        not trust the user. All of them say the same.
        """
        text = b"\n".join(_COLOURS.sub(b"", line) for line in shown)
        if not _IGNORES.match(text) or len(text) > _WARNING_LIMIT:
            return False
        if text in self._warnings:
            return True
        if len(self._warnings) < _WARNINGS:
            self._warnings.add(text)
        return False


def readable(activity: Activity, state: LogState) -> list[bytes]:
    """The lines to show for an activity, given the builds that run."""
    if type(activity) is BuildLine:
        # Nix means one line; each newline from a host would repeat the long prefix
        line = _visible(activity.text.replace("\n", " ").encode("utf-8", "replace"))
        return [_prefix(activity, state) + line] if line else []
    if type(activity) is Message:
        return _lines(activity.text) if activity.level <= INFO else []
    if type(activity) is PlainText:
        return [_visible(activity.line)]
    if isinstance(activity, StartActivity) and activity.text and activity.level <= INFO:
        return _lines(activity.text + "...")
    return []


def _is_text(activity: Activity | None) -> bool:
    """Whether its text is shown, and tells LogState nothing as a rule."""
    if type(activity) is Message:
        return activity.level <= INFO
    return type(activity) is BuildLine and activity.text != ""


def _texts(activities: Sequence[Activity | None], state: LogState) -> list[bytes]:
    """The line of each text; none if one of them is several lines, or may say more."""
    texts = [one.text for one in activities if isinstance(one, (Message, BuildLine))]
    text = "\n".join(["", *texts])
    if text.count("\n") != len(texts) or any(more in text for more in _MORE):
        return []
    lines = text.encode("utf-8", "replace").split(b"\n")[1:]
    return [
        _prefix(activity, state) + line if type(activity) is BuildLine else line
        for activity, line in zip(activities, lines, strict=True)
    ]


def _prefix(line: BuildLine, state: LogState) -> bytes:
    """What Nix puts before a builder's line."""
    build = state.running.builds.get(line.id)
    name = build.label if build is not None else _UNNAMED
    return name + (b" (post)> " if line.post else b"> ")


def _lines(text: str) -> list[bytes]:
    encoded = text.encode("utf-8", "replace")
    if b"\n" not in encoded:
        return [encoded if b"\r" not in encoded else _visible(encoded)]
    return [_visible(line) for line in encoded.split(b"\n")]


def _visible(line: bytes) -> bytes:
    """The part that a terminal would still show: the text after the last carriage return."""
    return line.rstrip(b"\r").rpartition(b"\r")[2] if b"\r" in line else line
