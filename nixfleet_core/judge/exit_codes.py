"""The exit codes of the commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from nixfleet_core.job.outcome import Kind

EXIT_CODES: Final[dict[Kind, int]] = {
    "updated": 0,
    "current": 0,
    "restarted": 0,
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


def worst_exit(codes: list[int]) -> int:
    """The exit code for several hosts."""
    return next((code for code in EXIT_ORDER if code in codes), 0)
