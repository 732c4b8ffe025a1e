"""What a report knows of a job: from the copy here, and from the host if it answers."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from fakes import EVENTS, JOB, OFFLINE, PLAN, PROVEN, FakeSession, finished, make_host
from seen_hosts import NEW_AGENT, OLD_AGENT

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
from nixfleet_core.session.coming import InputCommits
from nixfleet_core.session.passwords import Passwords
from nixfleet_core.session.repository import Repository, repositories_path

if TYPE_CHECKING:
    from pathlib import Path

    from a_history import History

    from nixfleet_core.facts.model import Binary
    from nixfleet_core.report.model import Incident

ASKED = (
    b'{"plan":{"host":"csb0","attribute":"csb0","checkout":"/c","owner":"ops","input":"nixfleet",'
    b'"options":{},"steps":[],"tools":[]},"at":1,"uid":1000,"user":"ops","from":"192.0.2.7 1 22"}'
)


async def nobody(_: NeedsPassword) -> str | None:
    return None


async def gathered(
    session: FakeSession, job: str | None = None, commits: InputCommits | None = None
) -> Incident:
    return await gather(Passwords(nobody), session, job, commits=commits or InputCommits())


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


def look(locked: str, history: History, agent: Binary, built: str = "") -> bytes:
    """A job's look at its host: what flake.lock names, and from what the agent that runs was
    built."""
    nodes = {
        "root": {"inputs": {"nixfleet": "n"}},
        "n": {"locked": {"rev": locked}, "original": {"type": "git", "url": history.url}},
    }
    proof = {"at": "1", "builds": agent.path, "input": "nixfleet", "commit": built}
    records = {
        "running.path": agent.path,
        "running.proof": "exe",
        "checkout.path": "/c",
        "checkout.state": "ok",
        "checkout.lock": json.dumps({"nodes": nodes, "root": "root", "version": 7}),
        "proofs": "\n".join(("proof", *map(" ".join, proof.items()))) if built else "",
    }
    told = "".join(f"{key} {len(text)}\n{text}\n" for key, text in records.items())
    return f"nixfleet-probe 1\n{told}end 0\n".encode()


async def fetch(history: History) -> None:
    await Repository.of(replace(history.question, ref=None, any_kind=False)).fetch()


async def test_the_commits_between_are_told_as_far_as_they_are_here(
    tmp_path: Path, history: History
) -> None:
    old, fix = history.commit("Begin"), history.commit("Fix")
    new = history.revert(fix)
    (tmp_path / "before").write_bytes(look(old, history, OLD_AGENT))
    (tmp_path / "after").write_bytes(look(new, history, NEW_AGENT))
    session = host(tmp_path)
    session.host = make_host("csb0", None)  # a path is this machine's
    assert (await gathered(session)).brought is None
    assert not repositories_path().exists(), "a report fetches nothing"

    await fetch(history)
    shutil.rmtree(history.folder)
    found = (await gathered(session)).brought
    assert found is not None
    assert (found.input, found.place) == ("nixfleet", "in flake.lock")
    assert [(one.title, one.reverts) for one in found.commits.commits] == [
        ('Revert "Fix"', True),
        ("Fix", False),
    ]

    # what is proven to have run counts first
    (tmp_path / "before").write_bytes(look(new, history, NEW_AGENT, built=new))
    (tmp_path / "after").write_bytes(look(new, history, OLD_AGENT, built=fix))
    found = (await gathered(session)).brought
    assert found is not None
    assert (found.place, found.commits.count) == ("in the running agent", 0)
    assert [one.title for one in found.commits.losses] == ['Revert "Fix"']

    (tmp_path / "after").write_bytes(look("1" * 40, history, NEW_AGENT))
    assert (await gathered(session)).brought is None, "what is not known is left out"
    (tmp_path / "after").write_bytes(look(new, history, NEW_AGENT, built=new))
    assert (await gathered(session)).brought is None, "nothing has changed"
    (tmp_path / "after").unlink()
    assert (await gathered(session)).brought is None


async def test_hosts_of_one_report_share_the_question(
    tmp_path: Path, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = history.commit("Begin"), history.commit("Fix")
    await fetch(history)
    asked = 0
    apart = Repository.apart

    async def ask(self: Repository, commit: str, other: str, most: int) -> Any:
        nonlocal asked
        asked += 1
        return await apart(self, commit, other, most)

    monkeypatch.setattr(Repository, "apart", ask)
    commits = InputCommits()
    for name in ("csb0", "csb1"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "before").write_bytes(look(old, history, OLD_AGENT))
        (folder / "after").write_bytes(look(new, history, NEW_AGENT))
        session = host(folder)
        session.host = make_host(name, None)
        found = (await gathered(session, commits=commits)).brought
        assert found is not None
        assert [one.title for one in found.commits.commits] == ["Fix"]
    assert asked == 1
