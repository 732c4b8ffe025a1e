"""What --json says of a job on one host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from nixfleet_core.facts.model import Snapshot
from nixfleet_core.facts.package_changes import Change
from nixfleet_core.judge.left_behind import Left
from nixfleet_core.judge.running_commit import RunningCommit
from nixfleet_core.vocabulary import Cause

if TYPE_CHECKING:
    from nixfleet_core.session.conduct import Report


class StepLine(msgspec.Struct, frozen=True):
    """One step in the JSON answer."""

    id: str
    title: str
    status: str
    seconds: int | None
    attempts: int


class HostLine(msgspec.Struct, frozen=True):
    """One host in the JSON answer; `verdict` is null if the host is busy, if we detached, or if the
    operator ended a command that only looks."""

    host: str
    verdict: str | None
    cause: Cause | Literal[""]
    advice: str
    before: Snapshot
    after: Snapshot
    left: tuple[Left, ...]
    notes: tuple[str, ...]
    changes: tuple[Change, ...]
    steps: tuple[StepLine, ...]
    running_commit: RunningCommit | None
    """What the running agent was built from, if that is proven."""
    job: str | None
    log: str | None


def host_line(report: Report) -> HostLine:
    """The JSON answer for one host."""
    verdict, state = report.verdict, report.state
    steps = state.steps if state else ()
    cause, advice = _unjudged(report) if verdict is None else (verdict.cause, verdict.advice)
    return HostLine(
        host=report.host,
        verdict=verdict.kind if verdict else None,
        cause=cause,
        advice=advice,
        before=verdict.before if verdict else Snapshot(),
        after=verdict.after if verdict else Snapshot(),
        left=verdict.left if verdict else (),
        notes=verdict.notes if verdict else (),
        changes=verdict.changes if verdict else (),
        steps=tuple(
            StepLine(step.id, step.title, step.status, step.seconds, step.attempts)
            for step in steps
        ),
        running_commit=verdict.running_commit if verdict else None,
        job=report.job,
        log=str(report.files.log) if report.files else None,
    )


def _unjudged(report: Report) -> tuple[Cause | Literal[""], str]:
    """The cause and the advice where there is no verdict."""
    if report.stopped or report.not_begun:
        return "", ""
    return "busy" if report.busy else "detached", f"nixfleet attach {report.host}"
