"""The journal's export format, taken apart as it arrives (systemd.io/JOURNAL_EXPORT_FORMATS). Pure.

An entry is its fields and an empty line. A field is `NAME=value` and a newline. A value that is not
plain text stands as NAME and a newline, 8 bytes for its length (little endian), the value, and a
newline. Nothing of it is decoded here, and nothing is lost: `raw` has the entry's own bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from nixfleet_core.job.frames import StreamError

ENTRY_LIMIT: Final = 8 * 1024 * 1024
"""Bytes; of a larger entry only its small fields are kept. systemd's own limit is 768 MiB."""

FIELDS: Final = ("MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "_PID")
"""What we ask journalctl for. It adds each entry's cursor and its times."""

_READ: Final = frozenset(name.encode() for name in (*FIELDS, "__CURSOR", "__REALTIME_TIMESTAMP"))
_NAME_LIMIT: Final = 256
"""Bytes of a field's name; systemd allows 64."""
_CURSOR_LIMIT: Final = 512
"""Bytes; systemd's have some 160."""
_SIZE: Final = 8


class ExportError(StreamError):
    """This is not the journal's export format."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. `raw` is empty if it was too large to be kept; then it may have no message."""

    raw: bytes
    cursor: str = ""
    at: int = 0
    """When journald got it, in microseconds since the epoch."""
    message: bytes | None = None
    priority: int = 6
    """syslog's: 3 is an error, 4 a warning, less is worse."""
    identifier: str = ""
    pid: str = ""


class ExportReader:
    """Takes bytes in any portions, gives whole entries."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        """Of the entry that has not ended yet, all bytes; of one that is too large, the rest."""
        self._at = 0
        """So much of the buffer is read."""
        self._searched = 0
        """So much of the buffer has no newline after `_at`."""
        self._fields: dict[bytes, bytes] = {}
        self._too_large = False
        self._skip = 0
        """So many bytes of a value that is too large are still to come."""
        self._skip_line = False

    def feed(self, data: bytes) -> list[Entry]:
        """The entries that `data` completes. Raises ExportError."""
        self._buffer += data
        entries: list[Entry] = []
        while self._skipped() and (end := self._take_field()):
            if end is not True:
                entries.append(end)
        if len(self._buffer) > ENTRY_LIMIT:
            self._shed()
        return entries

    def _skipped(self) -> bool:
        """Whether all is dropped that was to be dropped."""
        if self._skip_line:
            end = self._buffer.find(b"\n") + 1
            self._skip, self._skip_line = end or len(self._buffer), not end
        if self._skip:
            gone = min(self._skip, len(self._buffer))
            del self._buffer[:gone]
            self._skip -= gone
            self._at = self._searched = 0
        return not self._skip and not self._skip_line

    def _take_field(self) -> Entry | bool:
        """Take the next field, or the entry that ends here; False if it has not come yet."""
        end = self._buffer.find(b"\n", max(self._at, self._searched))
        if end < 0:
            self._searched = len(self._buffer)
            return False
        name, sign, value = self._buffer[self._at : end].partition(b"=")
        if not name:
            if sign:
                raise ExportError("a field without a name")
            return self._end_entry(end + 1)
        if sign:
            self._keep(name, value)
            self._at = self._searched = end + 1
            return True
        if len(name) > _NAME_LIMIT:
            raise ExportError(f"no field of a journal: {bytes(name[:40])!r}")
        begin = end + 1 + _SIZE
        size = int.from_bytes(self._buffer[end + 1 : begin], "little")
        if len(self._buffer) < begin or len(self._buffer) <= begin + size:
            return False
        if self._buffer[begin + size] != ord("\n"):
            raise ExportError(f"the field {bytes(name)!r} has the wrong length")
        self._keep(name, self._buffer[begin : begin + size])
        self._at = self._searched = begin + size + 1
        return True

    def _keep(self, name: bytearray, value: bytearray) -> None:
        """Of a field that an entry has several times, the first one counts."""
        if (key := bytes(name)) in _READ:
            self._fields.setdefault(key, bytes(value))

    def _end_entry(self, end: int) -> Entry | bool:
        fields, self._fields = self._fields, {}
        raw = b"" if self._too_large else bytes(self._buffer[:end])
        empty = self._at == 0 and not self._too_large
        del self._buffer[:end]
        self._at = self._searched = 0
        self._too_large = False
        return True if empty else _entry(raw, fields)

    def _shed(self) -> None:
        """Keep no more of this entry than its small fields: it is too large."""
        self._too_large = True
        del self._buffer[: self._at]
        self._at = self._searched = 0
        end = self._buffer.find(b"\n")
        if end < 0:
            self._skip_line = True
        elif b"=" not in self._buffer[:end] and len(self._buffer) >= end + 1 + _SIZE:
            begin = end + 1 + _SIZE
            size = int.from_bytes(self._buffer[end + 1 : begin], "little")
            self._skip = begin + size + 1


def _entry(raw: bytes, fields: dict[bytes, bytes]) -> Entry:
    at, priority = fields.get(b"__REALTIME_TIMESTAMP", b""), fields.get(b"PRIORITY", b"")
    return Entry(
        raw,
        cursor=fields.get(b"__CURSOR", b"")[:_CURSOR_LIMIT].decode("ascii", "replace"),
        at=int(at) if at.isdigit() and len(at) < 17 else 0,
        message=fields.get(b"MESSAGE"),
        priority=int(priority) if priority in b"0 1 2 3 4 5 6 7".split() else 6,
        identifier=fields.get(b"SYSLOG_IDENTIFIER", b"")[:64].decode("utf-8", "replace"),
        pid=fields.get(b"_PID", b"")[:10].decode("ascii", "replace"),
    )
