"""How far a log has come, and what its next lines depend on. A new connection goes on from here."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from nixfleet_core.journal.text import EntryText

if TYPE_CHECKING:
    from nixfleet_core.journal.export import Entry
    from nixfleet_core.journal.text import FileText, Stream

_RECENT: Final = 512


@dataclass(slots=True)
class Reached:
    """How far a log has come. A new connection goes on from here."""

    last: Entry | None = None
    """The newest entry."""
    _recent: deque[str] = field(default_factory=lambda: deque(maxlen=_RECENT))
    awaited: str = ""
    """The cursor of the entry that was asked for once more, until it comes: only it proves that
    none is missing."""
    began: int = 0
    """The host's clock when it answered first."""
    files: dict[Stream, tuple[str, int]] = field(default_factory=dict)
    """Of launchd's files: the inode, `gone` or `refused`, and the bytes that are in the copy."""
    as_root: bool = False
    """Only root may read it."""
    uid: int | None = None
    """Whose unit root reads; None for a unit of the system."""
    entries: EntryText = field(default_factory=EntryText)
    lines: dict[Stream, FileText] = field(default_factory=dict)
    """They know whether a private key goes on."""

    def take(self, entry: Entry) -> bool:
        """Whether the entry is new. It is the last one now, if so."""
        if entry.cursor == self.awaited:
            self.awaited = ""
        if entry.cursor in self._recent:
            return False
        self._recent.append(entry.cursor)
        self.last = entry
        return True

    def misses(self, entry: Entry) -> bool:
        """Whether entries may be missing before this one: the journal has forgotten the last one.
        Entries of the same moment can stand before it."""
        if not self.awaited or self.last is None or entry.cursor in self._recent:
            return False
        return entry.at != self.last.at
