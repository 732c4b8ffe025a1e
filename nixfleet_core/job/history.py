"""A host's jobs, as scripts/ask/past_jobs.sh lists them. Parsing only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from nixfleet_core.ids import is_job_id, job_time
from nixfleet_core.job.copies import Asked, Result, read_asked, read_result


class JobLine(msgspec.Struct, frozen=True):
    """One job of a host's history. `at` is in seconds since the epoch, the host's clock."""

    job: str
    at: int
    asked_by: str
    goal: str
    outcome: str
    """done, failed, cancelled, interrupted, running, unreadable, or unknown."""
    failed_step: str = ""
    seconds: int | None = None
    unreadable: str = ""
    """The path of what cannot be read, and why; the outcome is `unreadable` then."""


HISTORY_LIMIT: Final = 100
"""We read so many jobs of one host; it keeps 20."""


@dataclass(frozen=True, slots=True)
class PastJob:
    """One job as the host keeps it."""

    job: str
    asked: Asked | None
    result: Result | None


@dataclass(frozen=True, slots=True)
class History:
    """Newest first."""

    jobs: tuple[PastJob, ...]
    running: str | None


def read_history(answer: bytes) -> History:
    """Read the script's answer; the parts of a job that cannot be read are left out."""
    lines = answer.decode("utf-8", "replace").split("\n")
    jobs: list[PastJob] = []
    last: dict[str, str] = {}
    at = 0
    while at < len(lines) and len(jobs) < HISTORY_LIMIT:
        kind, _, value = lines[at].removeprefix("@nf ").partition(" ")
        if lines[at].startswith("@nf job ") and at + 2 < len(lines) and is_job_id(value):
            asked, result = lines[at + 1 : at + 3]
            jobs.append(
                PastJob(
                    job=value,
                    asked=read_asked(asked.encode()),
                    result=read_result(result.encode()),
                )
            )
            at += 3
            continue
        if lines[at].startswith("@nf "):
            last[kind] = value
        at += 1
    return History(
        jobs=tuple(reversed(jobs)),
        running=last.get("running") or None,
    )


def job_line(job: str, *, asked: Asked | None, result: Result | None, running: bool) -> JobLine:
    """One line of the history, from what is known of the job."""
    at = asked.at if asked and asked.at else job_time(job)
    outcome = "running" if running else result.outcome if result else "interrupted"
    return JobLine(
        job=job,
        at=at,
        asked_by=_asked_by(asked),
        goal=asked.plan.goal if asked else "",
        outcome=outcome,
        failed_step=result.failed if result else "",
        seconds=max(0, result.ended - at) if result and result.ended else None,
    )


def unreadable_line(job: str, why: str) -> JobLine:
    """The line of a job of which our copy cannot be read."""
    return JobLine(job, job_time(job), "", "", "unreadable", unreadable=why)


def _asked_by(asked: Asked | None) -> str:
    if asked is None:
        return ""
    source = asked.from_.split(" ")[0]
    return f"{_user(asked)} from {source}" if source else _user(asked)


def _user(asked: Asked) -> str:
    """The user's name, as the host has it; hosts of earlier versions tell only the number."""
    if asked.uid == 0:
        return "root"
    return asked.user or ("user unknown" if asked.uid is None else f"user number {asked.uid}")
