"""A host's restart debt as the app knows it: what a look has found, and of which system. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nixfleet_core.judge.debt import more_units, restart_debt, waits_for_reboot
from tui.text import ago

if TYPE_CHECKING:
    from nixfleet_core.facts.model import Facts
    from nixfleet_core.judge.debt import Debt

_FRESH: Final = 60.0
"""Seconds after which a finding tells its age."""


@dataclass(frozen=True, slots=True)
class SeenDebt:
    """The restart debt that a look has found."""

    at: float
    debt: Debt
    system: str | None
    """The system that was active then."""
    boot: str | None
    """The boot of that time."""

    @classmethod
    def of(cls, debt: Debt, facts: Facts, at: float) -> SeenDebt:
        """What was found at that time on a host with these facts."""
        return cls(at, debt, facts.system.current, facts.boot)

    def holds(self, facts: Facts) -> bool:
        """Whether the same system is still active, and the host has not booted since."""
        return (self.system, self.boot) == (facts.system.current, facts.boot)

    def words(self, now: float) -> tuple[str, ...]:
        """`3 more units run old programs, seen 2 hours ago`, and what waits for a reboot; empty if
        nothing beside the agent is old."""
        age = now - self.at
        when = f", seen {ago(age)}" if age >= _FRESH else ""
        said = (more_units(self.debt), waits_for_reboot(self.debt))
        return tuple(f"{words}{when}" for words in said if words)


def debt_in(facts: Facts | None, at: float) -> SeenDebt | None:
    """The restart debt in what a look of that time saw, if it asked for that."""
    if facts is None or facts.old_units is None:
        return None
    return SeenDebt.of(restart_debt(facts.old_units), facts, at)
