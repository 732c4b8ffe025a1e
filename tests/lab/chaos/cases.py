"""All cases. A new one goes to the module of its subject."""

from __future__ import annotations

from typing import Final

from . import (
    agents,
    caches,
    checkouts,
    fetches,
    forges,
    hosts,
    links,
    macs,
    outputs,
    setups,
    switches,
)
from .case import Case

CASES: Final[tuple[Case, ...]] = (
    *links.CASES,
    *hosts.CASES,
    *fetches.CASES,
    *forges.CASES,
    *caches.CASES,
    *agents.CASES,
    *checkouts.CASES,
    *switches.CASES,
    *outputs.CASES,
    *setups.CASES,
    *macs.CASES,
)
