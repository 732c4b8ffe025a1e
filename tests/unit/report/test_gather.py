"""What a report knows of a job: from the copy here, and from the host if it answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from fakes import EVENTS, JOB, OFFLINE, PLAN, PROVEN, FakeSession, finished, make_host

from nixfleet_core.errors import NeedsPassword, NoSuchJob, Unreachable
from nixfleet_core.job.events import (
    CopyHalt,
    Heartbeat,
    JobEvent,
    JobStart,
    Link,
    LogGrew,
    StepPlace,
    StepStart,
    Tick,
)
from nixfleet_core.job.work import BuildTime, BuildTimes
from nixfleet_core.report.gather import gather
from nixfleet_core.session.passwords import Passwords

if TYPE_CHECKING:
    from pathlib import Path

    from nixfleet_core.report.model import Incident

ASKED = (
    b'{"plan":{"host":"csb0","attribute":"csb0","checkout":"/c","owner":"ops","input":"nixfleet",'
    b'"options":{},"steps":[],"tools":[]},"at":1,"uid":1000,"user":"ops","from":"192.0.2.7 1 22"}'
)


async def nobody(_: NeedsPassword) -> str | None:
    return None


async def gathered(session: FakeSession, job: str | None = None) -> Incident:
    return await gather(Passwords(nobody), session, job)


def host(folder: Path, **says: Any) -> FakeSession:
    session = finished(make_host("csb0", "ops@csb0"), **says)
    session.folder = folder
    return session


async def test_a_job_that_has_ended_is_told_whole(tmp_path: Path) -> None:
    events: tuple[JobEvent, ...] = (
        *EVENTS[:2],
        StepPlace(step="pull", text_offset=6),
        Tick(at=3, log=4),
        *EVENTS[2:],
        BuildTimes((BuildTime("agent-2", "agent", 9),)),
    )
    session = host(tmp_path, follow=events)
    (tmp_path / "log.txt").write_text("first\nerror: x\n")
    (tmp_path / "plan.json").write_bytes(ASKED)
    one = await gathered(session)
    assert (one.host, one.job, one.progress) == ("csb0", JOB, "over")
    assert (one.began, one.ended, one.verdict, one.remarks) == (1, 6, PROVEN, ())
    assert one.asked_by == "ops from 192.0.2.7"
    assert [moment.what for moment in one.moments] == [
        "The job began",
        PLAN.steps[0].title,
        "The job ended",
    ]
    assert one.slowest == (BuildTime("agent-2", "agent", 9),)
    (excerpt,) = one.log.excerpts
    assert [(line.text, line.is_error) for line in excerpt.lines] == [
        ("first", False),
        ("error: x", True),
    ]
    # a report tells what was known then
    assert session.calls[-1] == "verdict None"


async def test_the_running_job_is_told_as_far_as_it_is(tmp_path: Path) -> None:
    stop, pull = StepStart(step="stop", at=2, log=0), StepStart(step="pull", at=2, log=0)
    events = (JobStart(at=1), LogGrew(4, 4), Heartbeat(9, 9), LogGrew(9, 9), stop, Heartbeat(9, 9))
    session = host(tmp_path, follow=(*events, pull))
    one = await gathered(session)
    assert (one.progress, one.verdict, one.ended) == ("running", None, None)
    assert one.remarks == ("The job is running: this is what is known of it so far.",)
    assert [moment.what for moment in one.moments] == ["The job began", "Stop agent"]


async def test_of_a_host_that_is_away_the_copy_is_told(tmp_path: Path) -> None:
    away = await gathered(host(tmp_path, probe=OFFLINE))
    assert away.verdict == PROVEN
    (said,) = away.remarks
    assert said.startswith("The host does not answer (No route to host): this is what")
    torn = await gathered(
        host(tmp_path, follow=(JobStart(at=1), Link(up=False, seconds=3, why="no route"))), JOB
    )
    assert (torn.progress, torn.verdict) == ("not known", None)
    (said,) = torn.remarks
    assert said.startswith("The host does not answer (no route): this is what")
    assert said.endswith("which may go on.")
    halted = await gathered(host(tmp_path, follow=(CopyHalt("no room"),)), JOB)
    assert halted.remarks == ("The copy on this machine is not whole: no room",)


async def test_without_a_copy_and_a_host_there_is_nothing_to_tell(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="no job is known here"):
        await gathered(host(tmp_path, probe=OFFLINE, newest_job=OFFLINE.without_jobs()))
    with pytest.raises(NoSuchJob, match="csb0 has had no job"):
        await gathered(host(tmp_path, newest_job=None))
    with pytest.raises(Unreachable):
        await gathered(host(tmp_path, fetch_plan=OFFLINE), JOB)


async def test_a_job_that_cannot_be_judged_is_told_all_the_same(tmp_path: Path) -> None:
    one = await gathered(host(tmp_path, verdict=Unreachable("odd", "")))
    assert (one.verdict, one.remarks) == (None, ("There is no verdict: odd",))
    assert one.progress == "over"


async def test_a_named_job_looks_at_nothing_else(tmp_path: Path) -> None:
    session = host(tmp_path)
    await gathered(session, JOB)
    assert "probe" not in session.calls
    assert "newest_job" not in session.calls


async def test_a_damaged_look_is_no_evidence(tmp_path: Path) -> None:
    (tmp_path / "after").write_bytes(b"nonsense")
    assert (await gathered(host(tmp_path))).evidence == ()
