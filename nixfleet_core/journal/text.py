"""The agent's log as readable, safe text: what is shown, searched, copied and saved.

A line of a message is redacted alone, before anything of ours stands beside it: the line of a key
or of a YAML file is recognised by how it begins and ends.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Literal

from nixfleet_core.limits import LAST_SECOND
from nixfleet_core.log.characters import end_colours, log_line, one_line, without_colours
from nixfleet_core.log.redact import Redactor, redact
from nixfleet_core.log.text import LINE_LIMIT, pieces_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nixfleet_core.journal.export import Entry

Stream = Literal["err", "out", "log"]
"""Which of launchd's files a line is from: that of stderr, that of stdout, or one for both."""

SIGNS: Final[dict[Stream, str]] = {"err": "err│ ", "out": "out│ ", "log": "log│ "}
"""What stands before its lines, so none of them looks like one of ours."""

_GO_ON: Final = "    "
"""Stands before the further lines of a message."""
_ERROR, _WARNING = 3, 4
_RED, _YELLOW, _PLAIN = "\x1b[31m", "\x1b[33m", "\x1b[0m"


def remark(text: str) -> bytes:
    """A line of ours in the log, such as a gap."""
    return f"── {one_line(redact(text))} ──\n".encode()


class EntryText:
    """Entries of the journal as `journalctl` shows them, without the host's name: by the clock of
    this machine."""

    def __init__(self) -> None:
        self._redactor = Redactor()

    def feed(self, entry: Entry) -> bytes:
        """The lines of one entry."""
        if not entry.raw:
            return remark("an entry of more than 8 MiB is left out")
        lines = self._lines(b"[no message]" if entry.message is None else entry.message)
        before = f"{clock(entry.at)} {self._sender(entry)}: "
        colour = {_WARNING: _YELLOW}.get(entry.priority, _RED if entry.priority <= _ERROR else "")
        shown = (f"{colour}{line}{_PLAIN}" if colour else end_colours(line) for line in lines)
        return "".join(
            f"{_GO_ON if number else before}{line}\n" for number, line in enumerate(shown)
        ).encode()

    def _lines(self, message: bytes) -> Iterator[str]:
        for line in message.removesuffix(b"\n").split(b"\n"):
            cut, end = pieces_of(line)
            for piece in (*cut, end):
                yield self._redactor.line(log_line(piece.decode("utf-8", "replace")))

    def _sender(self, entry: Entry) -> str:
        name = without_colours(one_line(redact(entry.identifier))) or "unknown"
        return f"{name}[{entry.pid}]" if entry.pid.isdigit() else name


class FileText:
    """Lines of a file that grows, in any portions; each stream has its own."""

    def __init__(self, stream: Stream) -> None:
        self._sign = SIGNS[stream]
        self._rest = bytearray()
        self._redactor = Redactor()

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """The bytes that are shown now, and as what."""
        self._rest += data
        if b"\n" not in data and len(self._rest) <= LINE_LIMIT:
            return b"", b""
        raw = bytes(self._rest)
        *lines, rest = raw.split(b"\n")
        cut, rest = pieces_of(rest)
        self._rest = bytearray(rest)
        text = b"".join(self._shown(line) for line in (*lines, *cut))
        return raw[: len(raw) - len(rest)], text

    def end(self) -> tuple[bytes, bytes]:
        """The same for a last line that has no newline: nothing will be added to it."""
        raw = bytes(self._rest)
        self._rest.clear()
        return raw, self._shown(raw) if raw else b""

    def forget(self) -> None:
        """What is not shown yet will come again."""
        self._rest.clear()

    def _shown(self, line: bytes) -> bytes:
        cut, end = pieces_of(line)
        texts = (
            self._redactor.line(log_line(piece.decode("utf-8", "replace"))) for piece in (*cut, end)
        )
        return "".join(f"{self._sign}{end_colours(text)}\n" for text in texts).encode()


def clock(at: int) -> str:
    """A time in microseconds, as people read it here."""
    seconds = at // 1_000_000
    if not 0 < seconds <= LAST_SECOND:
        return "(no time)"
    return time.strftime("%b %d %H:%M:%S", time.localtime(seconds))
