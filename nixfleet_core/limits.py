"""How large, how long and how late a host's values may be. We believe nothing beyond these limits.

Results computed from values within them (a difference, a date, a share of a bar) fit Python's dates
and floats, so no view of a host can fail on them.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

LAST_SECOND: Final = 2**32 - 1
"""February 2106, in seconds since the epoch; no later time is believed."""

LONGEST: Final = 10**9
"""Seconds, some 31 years; no longer wait is believed."""

LARGEST: Final = 10**15
"""Bytes; the largest number that follow.sh writes has 15 digits."""

MOST: Final = 10**9
"""The largest count of anything: restarts, tries, builds."""

TEXT_LIMIT: Final = 4096
"""Bytes of one name, path or sentence; it is the length of Linux's longest path."""

SAID_LIMIT: Final = 500
"""Characters of a host's own words in a message."""

EVENTS_LIMIT: Final = 16 * 1024 * 1024
"""Bytes of a job's events; with a tick a second they last four days."""

PLAN_LIMIT: Final = 256 * 1024
"""Bytes of plan.json; the largest real plan has some 10 KiB."""

PLAN_STEPS: Final = 64
"""Steps of a plan; there are 13 kinds."""

Second = Annotated[int, msgspec.Meta(ge=0, le=LAST_SECOND)]
"""A time, in seconds since the epoch, by the host's clock."""
Seconds = Annotated[int, msgspec.Meta(ge=0, le=LONGEST)]
Size = Annotated[int, msgspec.Meta(ge=0, le=LARGEST)]
Count = Annotated[int, msgspec.Meta(ge=0, le=MOST)]
UserId = Annotated[int, msgspec.Meta(ge=-1, le=2**32)]
ExitCode = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31)]
Word = Annotated[str, msgspec.Meta(max_length=200)]
