"""A host's jobs, as scripts/past_jobs.sh tells them. Parsing only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import msgspec

from nixfleet_core.job import is_job_id, job_time
from nixfleet_core.session import JobLine
from nixfleet_core.store import Asked, Result

_T = TypeVar("_T")

_STORE = "/nix/store/"


@dataclass(frozen=True, slots=True)
class PastJob:
    """One job as the host keeps it; `before` is the system profile at its start."""

    job: str
    asked: Asked | None
    result: Result | None
    before: str | None


@dataclass(frozen=True, slots=True)
class History:
    """Newest first; `previous` is the generation before the active one."""

    jobs: tuple[PastJob, ...]
    running: str | None
    previous: str | None


def read_history(answer: bytes) -> History:
    """Read the script's answer; what cannot be read of a job is left out."""
    lines = answer.decode("utf-8", "replace").split("\n")
    jobs: list[PastJob] = []
    last: dict[str, str] = {}
    at = 0
    while at < len(lines):
        kind, _, value = lines[at].removeprefix("@nf ").partition(" ")
        if lines[at].startswith("@nf job ") and at + 3 < len(lines) and is_job_id(value):
            asked, result, system = lines[at + 1 : at + 4]
            before = system if system.startswith(_STORE) else None
            jobs.append(PastJob(value, _decode(asked, Asked), _decode(result, Result), before))
            at += 4
            continue
        if lines[at].startswith("@nf "):
            last[kind] = value
        at += 1
    previous = last.get("previous", "")
    return History(
        jobs=tuple(reversed(jobs)),
        running=last.get("running") or None,
        previous=previous if previous.startswith(_STORE) else None,
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


def _asked_by(asked: Asked | None) -> str:
    if asked is None:
        return ""
    source = asked.from_.split(" ")[0]
    return f"uid {asked.uid} from {source}" if source else f"uid {asked.uid}"


def _decode(text: str, kind: type[_T]) -> _T | None:
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, RecursionError):
        return None
