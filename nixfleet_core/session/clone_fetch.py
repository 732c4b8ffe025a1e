"""How commits come into a clone: what git is told, and what it may not do.

The server can be anybody's. What is fetched is checked, has a limit, and leads to no other fetch.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nixfleet_core.nix.git_url import NotKnown

if TYPE_CHECKING:
    from pathlib import Path

    from nixfleet_core.transport.process import Completed

SIZE_LIMIT: Final = 2 * 1024**3
"""Bytes of one clone."""

FETCH_SECONDS: Final = 600.0
"""For one fetch, all tries together."""

_BLOCK: Final = 512


@dataclass(frozen=True, slots=True)
class Lacks:
    """What is to be fetched first: a tag leads to this object, and files are left out."""

    object: str


_LACKS: Final = re.compile(
    rb"^fatal: could not fetch ([0-9a-f]{40,64}) from promisor remote", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Fetch:
    """Brings commits, or other objects, into the clone."""

    folder: Path
    refs: tuple[str, ...]
    size: int
    """Bytes of the clone before."""
    filter: str
    """What the server may leave out, to be fetched when it is needed; empty: nothing."""
    seconds: float = FETCH_SECONDS

    def argv(self, url: str) -> tuple[str, ...]:
        # No file that git writes grows beyond the room that is left. A server can say that its
        # history ends at commits that we lack. If files may be left out, git would fetch such a
        # commit, hear the same again, and so on without end.
        filtered = (f"--filter={self.filter}",) if self.filter and can_filter(url) else ()
        limited = 'ulimit -f "$1" && shift && export GIT_NO_LAZY_FETCH=1 && exec git "$@"'
        return (
            *("sh", "-c", limited, "sh", str(max(1, (SIZE_LIMIT - self.size) // _BLOCK))),
            f"--git-dir={self.folder}",
            *("-c", "fetch.fsckObjects=true"),
            *(word for name in _OLD_FAULTS for word in ("-c", f"fetch.fsck.{name}=ignore")),
            *("fetch", "--quiet", "--prune", "--no-tags", "--no-recurse-submodules"),
            *("--no-write-fetch-head", "--no-auto-maintenance", "--update-shallow"),
            *(*filtered, "--", url, *self.refs),
        )

    def read(self, done: Completed) -> bool | Lacks | NotKnown | None:
        if done.rc and (lacks := _LACKS.search(done.stderr)):
            return Lacks(lacks[1].decode("ascii"))
        if b"signal 25" in done.stderr or b"File too large" in done.stderr:
            return NotKnown(
                f"its repository is larger than {SIZE_LIMIT // 1024**3} GiB",
                "ask on a machine that has a clone: git merge-base --is-ancestor",
            )
        return True if done.rc == 0 else None


_OLD_FAULTS: Final = (
    *("zeroPaddedFilemode", "badTimezone", "missingSpaceBeforeDate", "missingSpaceBeforeEmail"),
    *("badDate", "badDateOverflow", "missingEmail", "badEmail", "extraHeaderEntry"),
)
"""What old programs wrote into commits of well-known repositories."""


def can_filter(url: str) -> bool:
    """Whether it is worth to leave out files: a folder costs nothing to copy whole."""
    return not url.startswith(("/", "file:"))
