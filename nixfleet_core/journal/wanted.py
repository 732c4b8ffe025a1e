"""What is wanted of an agent's log, and what is told of it while it is followed."""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

from nixfleet_core.facts.service import Manager
from nixfleet_core.job.events import Link

LAST_LINES: Final = 200
"""So many lines are shown of what is there already, unless somebody asks for others."""


class Wanted(msgspec.Struct, frozen=True):
    """The last `lines` (None: all) since a time (as `read_since` gives it), and then what comes."""

    lines: int | None = LAST_LINES
    since: str = ""
    follow: bool = True
    patient: bool = True
    """Wait for a host that has not answered yet."""


class Opened(msgspec.Struct, frozen=True):
    """The host sends the log; `manager` is what runs the agent."""

    manager: Manager


class Grew(msgspec.Struct, frozen=True):
    """There is more text, or the oldest has gone."""


JournalEvent: TypeAlias = Opened | Grew | Link
