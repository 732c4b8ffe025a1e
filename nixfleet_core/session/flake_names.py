"""The names that a flake had when it could last be evaluated: a small file of the client.

It is a help for the eye, no proof, and what it holds is checked as if a stranger had written it. A
file that is damaged, too large, a link or somebody else's counts as missing; one that cannot be
written is no error.
"""

from __future__ import annotations

import os
import stat
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import platformdirs

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LIMIT: Final = 256 * 1024
"""Bytes of the file that are read, or written."""
_FLAKES: Final = 20
"""So many flakes are remembered, the newest looks."""

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
_LATEST: Final = 2**40


class Known(msgspec.Struct, frozen=True):
    """The names under one attribute, and when they were read (seconds since 1970)."""

    at: Annotated[int, msgspec.Meta(ge=1, le=_LATEST)]
    names: Annotated[tuple[_Name, ...], msgspec.Meta(max_length=1000)]


class _File(msgspec.Struct, frozen=True):
    flakes: Annotated[dict[str, dict[str, Known]], msgspec.Meta(max_length=_FLAKES)] = {}


def path() -> Path:
    """Where it is: in the user's state directory, which is closed to others."""
    return platformdirs.user_state_path("nixfleet") / "flake-names.json"


def remember(flake: str, read: Mapping[str, tuple[str, ...]]) -> dict[str, Known]:
    """Remember what was read now (names by attribute); return all that is known of this flake."""
    file = _read()
    before = file.flakes.get(flake, {})
    now = int(time.time())
    known = before | {source: Known(now, names) for source, names in read.items()}
    if read:
        others = [(name, old) for name, old in file.flakes.items() if name != flake]
        _write(_File(flakes=dict([*others, (flake, known)][-_FLAKES:])))
    return known


def _read() -> _File:
    try:
        fd = os.open(path(), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as file:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
                return _File()
            data = file.read(LIMIT + 1)
        return msgspec.json.decode(data, type=_File) if len(data) <= LIMIT else _File()
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return _File()


def _write(file: _File) -> None:
    """Replace the file at once and whole; only its owner may read it."""
    data = msgspec.json.encode(file)
    if len(data) > LIMIT:
        return
    place = path()
    new = place.with_name(f".{place.name}.{os.getpid()}")
    with suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        place.parent.chmod(0o700)
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(data)
        new.replace(place)
