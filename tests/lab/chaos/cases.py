"""All cases. A new one goes to the module of its subject."""

from __future__ import annotations

from typing import Final

from . import (
    agents,
    caches,
    checkouts,
    dirty,
    fetches,
    forges,
    homes,
    hosts,
    inputs,
    links,
    macs,
    outputs,
    rollbacks,
    roots,
    setups,
    switches,
)
from .case import Case

CASES: Final[tuple[Case, ...]] = (
    *links.CASES,
    *roots.CASES,
    *hosts.CASES,
    *fetches.CASES,
    *forges.CASES,
    *inputs.CASES,
    *caches.CASES,
    *agents.CASES,
    *checkouts.CASES,
    *dirty.CASES,
    *switches.CASES,
    *rollbacks.CASES,
    *outputs.CASES,
    *setups.CASES,
    *macs.CASES,
    *homes.CASES,
)
