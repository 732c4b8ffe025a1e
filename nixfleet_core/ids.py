"""The names of jobs and commits."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime
from typing import Final

from nixfleet_core.limits import LAST_SECOND

_ID: Final = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{4}")


def new_job_id() -> str:
    """`YYYYMMDD-HHMMSS-xxxx`: the time in UTC, and four hex digits to keep two clients apart."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def is_job_id(text: str) -> bool:
    """Whether `text` can be a job id: it begins with a possible time.

    Hosts check only that there are digits (scripts/lib/common.sh), so a host may list other names.
    """
    if _ID.fullmatch(text) is None:
        return False
    try:
        return 0 <= job_time(text) <= LAST_SECOND
    except ValueError:
        return False


def check_job_id(text: str) -> str:
    """Return `text`, or raise ValueError: a job id becomes a path."""
    if not is_job_id(text):
        raise ValueError(f"{text!r} is no job id: it looks like 20261123-004101-ab12")
    return text


def job_time(job: str) -> int:
    """When the job's id was made, in seconds since the epoch. Raises ValueError for a date that no
    calendar has."""
    year, month, day = int(job[:4]), int(job[4:6]), int(job[6:8])
    hour, minute, second = int(job[9:11]), int(job[11:13]), int(job[13:15])
    return int(datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp())


_REV: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


def is_commit(text: str) -> bool:
    """Whether `text` is a whole commit hash, SHA-1 or SHA-256; shorter names and branches are
    ambiguous."""
    return _REV.fullmatch(text) is not None
