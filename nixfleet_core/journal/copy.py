"""The client's copy of an agent's log while it is followed: in a folder of its own, bounded.

It has the host's own bytes (`raw`), in whole entries or lines, and the text made of them. Together
they take at most `LIMIT` bytes; then the oldest quarter goes. Nobody needs it later: the host has
its log, so the folder ends with the one who follows. What a killed program left goes with the next.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nixfleet_core.errors import ClientFailed
from nixfleet_core.host import check_host_name
from nixfleet_core.journal.reached import Reached
from nixfleet_core.log.plain_file import open_plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nixfleet_core.job.copies import Copies

LIMIT: Final = 50 * 1024 * 1024
"""Bytes on this machine's disk, of one log that is followed."""

_MARK_EVERY: Final = 64 * 1024
_PIECE: Final = 1024 * 1024


class JournalCopy:
    """The copy of one log. Its methods work in the calling thread, one at a time."""

    def __init__(self, folder: Path, lock: int = -1, limit: int = LIMIT) -> None:
        """`lock` is the folder's open lock."""
        self._folder, self._lock, self._limit = folder, lock, limit
        self.reached = Reached()
        self._files: dict[str, int] = {}
        """An open file for each name."""
        self._sizes: dict[str, int] = {}
        self._marks: list[dict[str, int]] = []
        """Sizes of the files at ends of entries."""
        self._dropped: dict[str, int] = {}

    @property
    def text(self) -> Path:
        """The readable text."""
        return self._folder / "log.txt"

    @property
    def text_size(self) -> int:
        return self._sizes.get("log.txt", 0)

    @property
    def dropped(self) -> int:
        """Bytes of text that have gone so far."""
        return self._dropped.get("log.txt", 0)

    @property
    def raw_files(self) -> tuple[Path, ...]:
        return tuple(self._folder / name for name in self._files if name != "log.txt")

    def read(self, path: Path, at: int) -> bytes:
        """What came after the first `at` bytes of one of the files, as far as it is there."""
        with path.open("rb") as file:
            file.seek(max(0, at - self._dropped.get(path.name, 0)))
            return file.read()

    def raw(self, name: str) -> Path:
        """The host's own bytes of the journal, or of one of launchd's files."""
        return self._folder / f"{name}.raw"

    def append(self, name: str, raw: bytes, text: bytes) -> None:
        """Add whole entries, and their text. Raises ClientFailed."""
        try:
            self._write(f"{name}.raw", raw)
            self._write("log.txt", text)
            last = sum(self._marks[-1].values()) if self._marks else 0
            if sum(self._sizes.values()) - last >= _MARK_EVERY:
                self._marks.append(dict(self._sizes))
            if sum(self._sizes.values()) > self._limit:
                self._drop_oldest()
        except OSError as error:
            raise ClientFailed(
                f"the log's copy here cannot be written: {error.strerror} ({self._folder})",
                f"make room in {self._folder}, then ask again",
            ) from error

    def close(self) -> None:
        """Remove it."""
        for file in self._files.values():
            os.close(file)
        self._files.clear()
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _write(self, name: str, data: bytes) -> None:
        if name not in self._files:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            self._files[name] = open_plain(self._folder / name, flags)
            self._sizes[name] = 0
        rest = memoryview(data)
        while rest:
            written = os.write(self._files[name], rest)
            self._sizes[name] += written
            rest = rest[written:]

    def _drop_oldest(self) -> None:
        """Drop the oldest entries, so that a quarter of the room is free."""
        excess = sum(self._sizes.values()) - self._limit * 3 // 4
        mark = next((one for one in self._marks if sum(one.values()) >= excess), self._marks[-1])
        self._marks = [
            {name: size - mark.get(name, 0) for name, size in one.items()}
            for one in self._marks[self._marks.index(mark) + 1 :]
        ]
        for name, gone in mark.items():
            # first: who sees the new file knows at once how much of it has gone
            self._dropped[name] = self._dropped.get(name, 0) + gone
            self._cut(name, gone)

    def _cut(self, name: str, gone: int) -> None:
        path, new = self._folder / name, self._folder / f"{name}.new"
        file = open_plain(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
        try:
            with path.open("rb") as old:
                old.seek(gone)
                while piece := old.read(_PIECE):
                    rest = memoryview(piece)
                    while rest:
                        rest = rest[os.write(file, rest) :]
            new.replace(path)
        except OSError:
            os.close(file)
            raise
        os.close(self._files[name])
        self._files[name] = file
        self._sizes[name] -= gone


def new_copy(copies: Copies, host: str) -> JournalCopy:
    """An empty copy of the log of this host. Raises ClientFailed."""
    folder = copies.root / "hosts" / check_host_name(host) / "journal"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _held(folder / "lock"):
            _remove_left(folder)
            own = Path(tempfile.mkdtemp(dir=folder))
            lock = open_plain(own / "lock", os.O_RDWR | os.O_CREAT)
            fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError as error:
        raise ClientFailed(
            f"there is no place for the log's copy here: {error.strerror} ({folder})",
            f"look at {folder}, then ask again",
        ) from error
    return JournalCopy(own, lock)


def _remove_left(folder: Path) -> None:
    """Remove the copies of programs that have ended without doing so."""
    for left in folder.iterdir():
        with suppress(OSError), _held(left / "lock", wait=False):
            shutil.rmtree(left, ignore_errors=True)


@contextmanager
def _held(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock on a file. Raises OSError, also if somebody else holds it and we do not
    `wait`."""
    flags = os.O_RDWR | (os.O_CREAT if wait else 0)
    lock = open_plain(path, flags)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(lock)
