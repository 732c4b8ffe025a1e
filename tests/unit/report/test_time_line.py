"""A job's events as a time line."""

from __future__ import annotations

from fakes import PLAN, make_plan

from nixfleet_core.job.events import (
    CancelSeen,
    Check,
    HostEvent,
    JobEnd,
    JobStart,
    Retry,
    Slept,
    StepEnd,
    StepStart,
    Tick,
    Waiting,
)
from nixfleet_core.plan.model import Options
from nixfleet_core.report.model import Moment
from nixfleet_core.report.time_line import FIRST_MOMENTS, LAST_MOMENTS, time_line

EVENTS: tuple[HostEvent, ...] = (
    JobStart(at=100),
    StepStart(step="preflight", at=100, log=0),
    Check(check="idle", at=101, ok=True),
    Check(check="idle", at=101, ok=True, reason="over"),
    Check(check="remote", at=102, ok=False, reason="auth"),
    StepEnd(step="preflight", at=103, status="ok", log=0),
    StepStart(step="pull", at=103, log=0),
    Retry(step="pull", at=104, attempt=2, tries=5, wait=8),
    StepEnd(step="pull", at=115, status="ok", log=0, attempts=2),
    StepStart(step="rebuild", at=115, log=0),
    Waiting(reason="switch", at=116, limit=1800, pid=7, program="nixos-rebuild"),
    Tick(at=117, log=5),
    Slept(at=200, seconds=3700),
    CancelSeen(at=201, deferred=True),
    StepEnd(step="rebuild", at=300, status="failed", log=9, rc=137, reason="lock-link"),
    StepEnd(step="start", at=300, status="skipped", log=9),
    JobEnd(at=301, outcome="cancelled"),
)


def test_steps_tries_waits_and_checks_stand_in_their_order() -> None:
    moments, left_out = time_line(make_plan("csb0", Options()), EVENTS)
    assert left_out == 0
    assert moments == (
        Moment(100, "The job began"),
        Moment(100, "Preflight", "ok", 3),
        Moment(101, "Check idle", "over; the job goes on"),
        Moment(102, "Check remote", "failed: auth"),
        Moment(103, "Pull nixcfg", "ok, 2 tries", 12),
        Moment(104, "New try: Pull nixcfg", "try 2 of 5 begins in 8 s"),
        Moment(115, "Rebuild", "failed, code 137, lock-link: flake.lock is a link", 185),
        Moment(116, f"Waits for {EVENTS[10].words}", "at most 30m 00s"),  # type: ignore[union-attr]
        Moment(200, "The host slept", "for 1h 01m"),
        Moment(201, "The job was cancelled", "it takes effect after the activation"),
        Moment(300, "Start agent", "skipped"),
        Moment(301, "The job ended", "cancelled"),
    )


def test_a_step_that_runs_has_no_end() -> None:
    moments, _ = time_line(PLAN, EVENTS[6:7])
    assert moments == (Moment(103, PLAN.steps[0].title, "began"),)


def test_of_a_long_time_line_the_middle_is_left_out() -> None:
    slept = [Slept(at=at, seconds=1) for at in range(1000)]
    moments, left_out = time_line(PLAN, slept)
    assert left_out == 1000 - len(moments)
    ends = (*range(FIRST_MOMENTS), *range(1000 - LAST_MOMENTS, 1000))
    assert tuple(moment.at for moment in moments) == ends
