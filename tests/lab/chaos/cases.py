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
    roots,
    switches,
)
from .case import Case

CASES: Final[tuple[Case, ...]] = (
    *links.CASES,
    *roots.CASES,
    *hosts.CASES,
    *fetches.CASES,
    *forges.CASES,
    *caches.CASES,
    *agents.CASES,
    *checkouts.CASES,
    *switches.CASES,
    *outputs.CASES,
    *macs.CASES,
)
