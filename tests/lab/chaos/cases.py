"""All cases. Steps × faults first, then what happens only somewhere."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Final

from ..places import PLACES
from ..repos import BASE_VERSION
from .case import Case
from .faults import kill_client, kill_runner, kill_unit, quickly, silence, stop_unit, strike_at
from .scene import NEW

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..places import Place
    from .faults import Strike

_SWITCHED: Final[frozenset[Place]] = frozenset({"activation", "start", "verify"})
"""Places that an update reaches after its profile has moved: the new agent comes up."""


def _harmless() -> Iterator[Case]:
    """The host does not need the operator: whatever becomes of them, the update goes on."""
    for place in PLACES:
        yield Case(name=f"link silent in {place}", play=quickly(strike_at(place, silence)))
        for number in (signal.SIGKILL, signal.SIGHUP, signal.SIGTERM):
            yield Case(
                name=f"client {number.name} in {place}",
                play=strike_at(place, kill_client(number)),
            )


def _deadly() -> Iterator[Case]:
    """The job ends early: the agent comes back, new if the switch had begun."""
    strikes: dict[str, tuple[Strike, str, str]] = {
        "runner SIGKILL": (kill_runner, "interrupted", "killed"),
        "unit SIGKILL": (kill_unit, "interrupted", "killed"),
        "unit stopped": (stop_unit, "cancelled", "cancelled"),
    }
    for place in PLACES:
        for name, (strike, verdict, cause) in strikes.items():
            yield Case(
                name=f"{name} in {place}",
                play=strike_at(place, strike),
                verdict=verdict,
                cause=cause,
                agent=NEW if place in _SWITCHED else BASE_VERSION,
                lock="new" if place in {"rebuild", *_SWITCHED} else "old",
            )


CASES: Final[tuple[Case, ...]] = (
    *_harmless(),
    *_deadly(),
)
