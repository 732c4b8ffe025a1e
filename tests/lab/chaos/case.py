"""A case: a fault in an update, and the end that it must have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from .scene import NEW

if TYPE_CHECKING:
    from ..client import Answer
    from .scene import Scene

MAC: Final = "imac0"

Play = Callable[["Scene"], "Answer"]
"""Causes the fault, proves it in `scene.proof`, and returns the operator's final answer."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """`agent` is the version that runs in the end; None where none can. `lock` says whether
    flake.lock is as it was or at the newest commit. `seconds` bounds the whole."""

    name: str
    play: Play
    verdict: str | None = "updated"
    cause: str = ""
    agent: str | None = NEW
    lock: Literal["old", "new"] = "new"
    host: str | None = None
    """The host that the case needs; None for any with NixOS."""
    seconds: int = 60

    def fits(self, host: str) -> bool:
        return self.host == host or (self.host is None and host != MAC)


@dataclass(frozen=True)
class Row:
    """A case that ended as it must."""

    case: str
    proof: str
    verdict: str
    cause: str
    agent: str
    host: str
    seconds: float
