"""The verdict: did the host end up with the agent it should have? The only place that judges.

Exit codes are not believed in either direction. What counts is what was seen: the path that the
flake builds, the path that the unit names, the path that the process runs, and the commit in
flake.lock compared with the one that the input's repository names.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

Kind = Literal[
    "updated",
    "current",
    "partial",
    "stale",
    "rolled-back",
    "agent-down",
    "failed",
    "interrupted",
    "cancelled",
    "unreachable",
]

EXIT_CODES: Final[dict[Kind, int]] = {
    "updated": 0,
    "current": 0,
    "failed": 1,
    "interrupted": 1,
    "agent-down": 1,
    "stale": 3,
    "partial": 4,
    "unreachable": 5,
    "cancelled": 7,
    "rolled-back": 8,
}
EXIT_USAGE: Final = 2
EXIT_BUSY: Final = 6
EXIT_DETACHED: Final = 9

EXIT_ORDER: Final = (2, 1, 3, 8, 4, 5, 6, 7, 9)
"""For several hosts: the first of these that occurred."""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One side of the before/after comparison; None where it could not be seen."""

    version: str | None = None
    commit: str | None = None
    store_path: str | None = None
    sha256: str | None = None
    system: str | None = None
    generation: int | None = None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """`cause` is a token from a closed list ("" when all is well); `sentence` is for people."""

    kind: Kind
    cause: str = ""
    sentence: str
    advice: str = ""
    before: Snapshot = Snapshot()
    after: Snapshot = Snapshot()

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.kind]


def worst_exit(codes: list[int]) -> int:
    """The exit code for several hosts."""
    return next((code for code in EXIT_ORDER if code in codes), 0)
