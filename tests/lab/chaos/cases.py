"""All cases. A new one goes to the module of its subject."""

from __future__ import annotations

from typing import Final

from . import agents, checkouts, fetches, hosts, links, switches
from .case import Case

CASES: Final[tuple[Case, ...]] = (
    *links.CASES,
    *hosts.CASES,
    *fetches.CASES,
    *agents.CASES,
    *checkouts.CASES,
    *switches.CASES,
)
