"""Which hosts the app proves by itself, if the settings say so (`prove = "background"`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from nixfleet_core.judge.proofs import can_be_proven_idly

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tui.fleet import HostEntry

AT_ONCE: Final = 2
"""So many hosts evaluate their flakes for us at once."""


@dataclass(slots=True)
class Proving:
    """Each look at a host allows one try. A host that was not idle is tried after the next look."""

    is_on: bool
    _under_way: set[str] = field(default_factory=set)
    _tried: dict[str, float] = field(default_factory=dict)
    """The look after which a host was tried last."""

    def due(self, entries: Iterable[HostEntry]) -> list[HostEntry]:
        """The hosts to prove now; each counts as under way until it is `done`."""
        found: list[HostEntry] = []
        for entry in entries if self.is_on else ():
            if len(self._under_way) < AT_ONCE and self._may_begin(entry):
                self._under_way.add(entry.name)
                found.append(entry)
        return found

    def done(self, entry: HostEntry) -> None:
        self._under_way.discard(entry.name)
        self._tried[entry.name] = entry.seen_at

    def _may_begin(self, entry: HostEntry) -> bool:
        if entry.name in self._under_way or self._tried.get(entry.name) == entry.seen_at:
            return False
        facts, found = entry.facts, entry.assessment
        return (
            facts is not None
            and found is not None
            and found.state == "unproven"
            and entry.is_idle
            and can_be_proven_idly(facts, entry.host)
        )
