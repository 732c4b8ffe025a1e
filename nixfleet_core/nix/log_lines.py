"""The readable lines of Nix's log: the same lines as in Nix's own plain log with `-L`.

The rules are in Nix's logging.cc and progress-bar.cc (measured on 2.8.0, 2.26.3 and 2.34.8).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nixfleet_core.nix.activity import INFO, BuildLine, Message, PlainText, StartActivity, decode
from nixfleet_core.nix.log_state import LogState, package_name

if TYPE_CHECKING:
    from nixfleet_core.nix.activity import Activity, Progress

_UNNAMED: Final = package_name("")


class NixLogDecoder:
    """Turns lines into readable lines, one by one, and keeps count."""

    def __init__(self) -> None:
        self._state = LogState()

    @property
    def progress(self) -> Progress | None:
        """See LogState."""
        return self._state.progress

    def feed(self, line: bytes) -> list[bytes]:
        """Decode one line (without its newline) into readable lines."""
        activity = decode(line)
        if activity is None:
            return []
        self._state.take(activity)
        return readable(activity, self._state)


def readable(activity: Activity, state: LogState) -> list[bytes]:
    """The lines to show for an activity, given the builds that run."""
    if type(activity) is BuildLine:
        # Nix means one line; each newline from a host would repeat the long prefix
        line = _visible(activity.text.replace("\n", " ").encode("utf-8", "replace"))
        name = state.builds.get(activity.id, _UNNAMED)
        return [name + (b" (post)> " if activity.post else b"> ") + line] if line else []
    if type(activity) is PlainText:
        return [_visible(activity.line)]
    if type(activity) is Message:
        return _lines(activity.text) if activity.level <= INFO else []
    if isinstance(activity, StartActivity) and activity.text and activity.level <= INFO:
        return _lines(activity.text + "...")
    return []


def _lines(text: str) -> list[bytes]:
    return [_visible(line) for line in text.encode("utf-8", "replace").split(b"\n")]


def _visible(line: bytes) -> bytes:
    """The part that a terminal would still show: the text after the last carriage return."""
    return line.rstrip(b"\r").rpartition(b"\r")[2] if b"\r" in line else line
