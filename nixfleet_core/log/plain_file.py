"""Files of ours that somebody may have replaced: by a folder, a link, a named pipe, a device.

Opening a pipe waits for its other end, and reading a device may have no end. So all of the client's
copies are opened here.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, BinaryIO, Final

if TYPE_CHECKING:
    from pathlib import Path

_KINDS: Final = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class OddFileError(OSError):
    """What lies at the path is no plain file of a size that it may have. `strerror` says what it
    is, `filename` where."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(errno.EINVAL, f"it is {what}", str(path))


def open_plain(path: Path, flags: int = os.O_RDONLY) -> int:
    """Open a plain file; return its descriptor, which the caller closes. A file that is made is for
    us only. Raises OddFileError for anything else, at once, and OSError."""
    try:
        found = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            raise
        if kind := _kind(os.lstat(path).st_mode):
            raise OddFileError(path, kind) from error
        raise
    try:
        if kind := _kind(os.fstat(found).st_mode):
            raise OddFileError(path, kind)
    except OSError:
        os.close(found)
        raise
    return found


def reading(path: Path) -> BinaryIO:
    """A plain file, open for its bytes. Raises OddFileError for anything else, and OSError."""
    return os.fdopen(open_plain(path), "rb")


def read_plain(path: Path, limit: int) -> bytes:
    """The bytes of a plain file. Raises OddFileError if it has more than `limit`, and OSError."""
    with reading(path) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OddFileError(path, f"larger than {limit} bytes")
    return data


def _kind(mode: int) -> str:
    """What it is, if it is no plain file."""
    return next((name for is_kind, name in _KINDS if is_kind(mode)), "")
