"""The engine from end to end on the sandbox fleet: real scripts, git and processes, no root."""

# ruff: noqa: ARG002 - a watcher has the signatures of what it overrides

from __future__ import annotations

import asyncio
import stat
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
import pytest
import pytest_asyncio
from msgspec.structs import replace

from nixfleet_core.errors import NoSuchJob
from nixfleet_core.job.events import LogGrew, StepEnd
from nixfleet_core.journal.wanted import Grew, Wanted
from nixfleet_core.judge.diagnosis import Diagnosis
from nixfleet_core.plan.model import Options
from nixfleet_core.report.gather import gather
from nixfleet_core.sandbox.fleet import SandboxFleet, sandbox_fleet
from nixfleet_core.sandbox.sessions import sandbox_sessions
from nixfleet_core.session.coming import InputCommits
from nixfleet_core.session.conduct import Conductor, Report, Watcher
from nixfleet_core.session.latest import GitLatest
from nixfleet_core.session.passwords import Passwords
from nixfleet_core.transport.process import run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from nixfleet_core.errors import NeedsPassword
    from nixfleet_core.host import Host
    from nixfleet_core.job.copies import JobFiles
    from nixfleet_core.job.events import JobEvent
    from nixfleet_core.job.progress import JobState
    from nixfleet_core.judge.verdict import Verdict
    from nixfleet_core.plan.model import Plan
    from nixfleet_core.session.protocol import Commit
    from nixfleet_core.session.shell_session import ShellSession

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHAIN = ("preflight", "stop", "pull", "update", "rebuild", "start", "verify")
QUICK = Options(stable=1)
FORCED = Options(force=True, stable=1)


@dataclass
class Recorder(Watcher):
    events: list[JobEvent] = field(default_factory=list)
    jobs: list[str] = field(default_factory=list)

    def follows(self, host: Host, job: str, plan: Plan, files: JobFiles) -> None:
        self.jobs.append(job)

    def event(self, host: Host, event: JobEvent, state: JobState) -> None:
        self.events.append(event)

    @property
    def steps(self) -> dict[str, str]:
        return {event.step: event.status for event in self.events if isinstance(event, StepEnd)}


async def nobody(_: NeedsPassword) -> str | None:
    return None


@dataclass(frozen=True)
class Bench:
    fleet: SandboxFleet
    sessions: dict[str, ShellSession]

    def conductor(self) -> tuple[Conductor, Recorder]:
        recorder = Recorder()
        return Conductor(GitLatest(here=True), Passwords(nobody), recorder), recorder

    def root(self, name: str) -> Path:
        return self.fleet.find(name).root


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def bench(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    async with sandbox_fleet(speed=500.0, base=tmp_path_factory.mktemp("fleet")) as fleet:
        sessions = {session.host.name: session for session in sandbox_sessions(fleet)}
        yield Bench(fleet, sessions)


@dataclass(frozen=True)
class Updates:
    """Three hosts that were updated at once, before and after."""

    stale: Report
    stale_events: Recorder
    incoming: tuple[Commit, ...]
    current: Report
    forced: Report
    forced_events: Recorder
    not_restarted: Report
    alone: Report
    cured: Report


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def updates(bench: Bench) -> Updates:
    async def csb0() -> tuple[Report, Recorder, tuple[Commit, ...]]:
        session = bench.sessions["csb0"]
        incoming = await session.incoming(await session.probe())
        conductor, recorder = bench.conductor()
        return await conductor.update(session, QUICK), recorder, incoming

    async def csb1() -> tuple[Report, Report, Recorder]:
        conductor, recorder = bench.conductor()
        current = await conductor.update(bench.sessions["csb1"], QUICK)
        assert not (bench.root("csb1") / "var/lib/nixfleet").exists()
        return current, await conductor.update(bench.sessions["csb1"], FORCED), recorder

    async def gpc0() -> tuple[Report, Report, Report]:
        session = bench.sessions["gpc0"]
        conductor, recorder = bench.conductor()
        found = await conductor.verify(session)
        alone = await conductor.update(session, QUICK, detach=True)
        assert recorder.jobs == []
        assert alone.job is not None
        assert await session.newest_job() == alone.job
        return found, alone, await conductor.watch(session, alone.job)

    stale, forced, restarted = await asyncio.gather(csb0(), csb1(), gpc0())
    return Updates(*stale, *forced, *restarted)


def judged(report: Report) -> Verdict:
    assert report.verdict is not None
    return report.verdict


async def test_csb0_is_updated(updates: Updates) -> None:
    report = updates.stale
    verdict = judged(report)
    assert (verdict.kind, verdict.cause, report.exit_code) == ("updated", "", 0), verdict.sentence
    assert (verdict.before.version, verdict.after.version) == ("2.1.0", "2.2.0")
    assert None not in (verdict.before.commit, verdict.after.commit, verdict.after.sha256)
    assert verdict.before.commit != verdict.after.commit
    assert (verdict.before.generation, verdict.after.generation) == (412, 413)
    assert updates.stale_events.steps == dict.fromkeys(CHAIN, "ok")
    assert report.state is not None
    assert (report.state.outcome, report.state.fraction) == ("done", 1.0)
    assert [commit.title for commit in updates.incoming]


async def test_csb0_tells_its_changes_and_that_flake_lock_is_not_committed(
    updates: Updates,
) -> None:
    verdict = judged(updates.stale)
    assert [(found.name, found.before, found.after) for found in verdict.changes] == [
        ("nixfleet-agent", "2.1.0", "2.2.0")
    ]
    (note,) = verdict.notes
    assert note.startswith("flake.lock is changed, but not committed")


async def test_the_copy_is_the_hosts_byte_for_byte(bench: Bench, updates: Updates) -> None:
    report = updates.stale
    assert report.files is not None
    assert report.job is not None
    theirs = bench.root("csb0") / "var/lib/nixfleet/jobs" / report.job
    for name, ours in (("log", report.files.log), ("events", report.files.events)):
        assert ours.read_bytes() == (theirs / name).read_bytes()
        assert stat.S_IMODE(ours.stat().st_mode) == 0o600
    grew = [event for event in updates.stale_events.events if isinstance(event, LogGrew)]
    assert grew[-1].size == report.files.log.stat().st_size
    assert grew[-1].text_size == report.files.text.stat().st_size


async def test_csb0_is_current_afterwards_and_its_job_can_be_seen_again(
    bench: Bench, updates: Updates
) -> None:
    conductor, recorder = bench.conductor()
    again = await conductor.update(bench.sessions["csb0"], QUICK)
    assert (judged(again).kind, again.job) == ("current", None)
    assert updates.stale.job is not None
    seen = await conductor.watch(bench.sessions["csb0"], updates.stale.job)
    assert seen.verdict == updates.stale.verdict
    assert recorder.steps == updates.stale_events.steps


async def test_flake_lock_is_committed_and_pushed_when_asked(tmp_path: Path) -> None:
    async with sandbox_fleet(speed=500.0, base=tmp_path) as fleet:
        session = next(found for found in sandbox_sessions(fleet) if found.host.name == "csb0")
        recorder = Recorder()
        conductor = Conductor(GitLatest(here=True), Passwords(nobody), recorder)
        options = msgspec.structs.replace(FORCED, commit_lock=True, push=True)
        verdict = judged(await conductor.update(session, options))
        nixcfg = str(fleet.find("csb0").root.parents[1] / "git/nixcfg")
        pushed = await run(("git", "-C", nixcfg, "log", "-1", "--format=%s", "main"), limit=30)
    assert (verdict.kind, verdict.cause) == ("updated", ""), verdict.sentence
    assert recorder.steps == dict.fromkeys((*CHAIN, "commit", "push"), "ok")
    (note,) = verdict.notes
    assert note.startswith("flake.lock is committed and pushed.")
    old, new = verdict.before.commit or "", verdict.after.commit or ""
    assert pushed.stdout.decode() == f"flake.lock: nixfleet {old[:7]} -> {new[:7]}\n"


async def test_csb1_is_current_and_with_force_every_step_runs(updates: Updates) -> None:
    assert (judged(updates.current).kind, updates.current.job) == ("current", None)
    verdict = judged(updates.forced)
    assert (verdict.kind, updates.forced.exit_code) == ("current", 0), verdict.sentence
    assert updates.forced_events.steps == dict.fromkeys(CHAIN, "ok")


async def test_the_highest_level_checks_and_builds_the_agent_too(
    bench: Bench, updates: Updates
) -> None:
    assert updates.forced.job
    conductor, recorder = bench.conductor()
    report = await conductor.update(bench.sessions["csb1"], replace(FORCED, level=7))
    assert judged(report).kind == "current"
    steps = (*CHAIN[:4], "repair", "build", *CHAIN[4:])
    assert recorder.steps == dict.fromkeys(steps, "ok")
    assert report.files is not None
    log = report.files.text.read_text()
    assert "store verify --no-trust /nix/store/" in log
    assert "has the hash that Nix noted" in log


async def test_a_detached_update_cures_gpc0_which_was_not_restarted(
    updates: Updates,
) -> None:
    found = judged(updates.not_restarted)
    assert (found.kind, found.cause, found.exit_code) == ("stale", "not-restarted", 3)
    assert found.before == found.after
    assert (updates.alone.verdict, updates.alone.exit_code) == (None, 9)
    cured = judged(updates.cured)
    assert (cured.kind, cured.after.version) == ("updated", "2.2.0"), cured.sentence


async def test_hsb1_is_refused_before_anything_is_touched(bench: Bench) -> None:
    session = bench.sessions["hsb1"]
    before = await session.probe()
    conductor, recorder = bench.conductor()
    report = await conductor.update(session, FORCED)
    verdict = report.verdict
    assert verdict is not None
    assert (verdict.kind, verdict.cause, report.exit_code) == ("failed", "preflight-remote", 1)
    assert verdict.sentence.startswith("refused before anything was touched")
    assert verdict.advice
    assert recorder.steps == dict.fromkeys(CHAIN, "skipped") | {"preflight": "failed"}
    told = await gather(Passwords(nobody), session, report.job, commits=InputCommits())
    assert {row.after for row in (*told.compared, *told.commits)} == {None}, "nobody has looked"
    assert told.evidence_from == "before the job; no look after it is here"
    check = next(moment for moment in told.moments if moment.what == "Check remote")
    assert check.how == "failed: fetch"
    assert [line.is_error for one in told.log.excerpts for line in one.lines].count(True) == 1
    after = await session.probe()
    # the same process, not started again
    assert (after.unit, after.checkout) == (before.unit, before.checkout)


async def test_a_report_tells_what_a_job_has_done(bench: Bench, updates: Updates) -> None:
    session, job = bench.sessions["csb0"], updates.stale.job
    found = await gather(Passwords(nobody), session, job, commits=InputCommits())
    verdict = judged(updates.stale)
    assert (found.progress, found.remarks, found.verdict) == ("over", (), verdict)
    assert {row.what: (row.before, row.after) for row in found.compared}["version"] == (
        *("2.1.0", "2.2.0"),
    )
    commits = {row.what: (row.before, row.after) for row in found.commits}
    moved = (verdict.before.commit, verdict.after.commit)
    assert commits["nixfleet in flake.lock"] == commits["the running agent"] == moved
    assert commits["nixcfg"][1] == updates.incoming[0].rev
    evidence = dict(found.evidence)
    assert evidence["running path"] == evidence["expected path"] is not None
    assert evidence["latest"] == verdict.after.commit
    titles = [moment.what for moment in found.moments]
    assert titles[:2] == ["The job began", "Preflight"]
    assert (titles[-1], found.moments[-1].how) == ("The job ended", "done")
    assert found.asked_by
    assert updates.stale.files is not None
    assert found.log.lines == updates.stale.files.text.read_bytes().count(b"\n")
    assert found.log.excerpts[-1].step == "Rebuild"


async def test_imac0_is_unreachable(bench: Bench) -> None:
    conductor, _ = bench.conductor()
    for report in (
        await conductor.update(bench.sessions["imac0"], QUICK),
        await conductor.verify(bench.sessions["imac0"]),
    ):
        assert report.verdict is not None
        assert (report.verdict.kind, report.exit_code) == ("unreachable", 5)
        assert "No route to host" in report.verdict.sentence


async def test_why_explains_the_sandbox_too(bench: Bench, updates: Updates) -> None:
    conductor, _ = bench.conductor()
    found = {name: await conductor.explain(bench.sessions[name]) for name in ("csb0", "imac0")}
    updated, away = found["csb0"], found["imac0"]
    assert isinstance(updated, Diagnosis)
    cure = "nixfleet commit csb0 --push"
    assert (updated.cause, updated.cure("csb0")) == ("lock-not-pushed", cure)
    assert dict(updated.evidence)["lock"] == judged(updates.stale).after.commit
    assert away.cause == "unreachable"


async def test_a_job_that_never_ran_is_unknown(bench: Bench) -> None:
    conductor, _ = bench.conductor()
    with pytest.raises(NoSuchJob):
        await conductor.watch(bench.sessions["csb1"], "20200101-000000-0000")


async def test_the_agents_log_is_followed(bench: Bench) -> None:
    session = bench.sessions["csb1"]
    copy = session.journal_copy()
    log = bench.root("csb1") / "var/log/journal/nixfleet-agent.service.log"
    try:
        async with aclosing(session.journal(copy, Wanted())) as events:
            async for event in events:
                if event == Grew() and b"connected" in copy.text.read_bytes():
                    break
            with log.open("a") as file:
                file.write("token: ghp_0123456789abcdefghijABCDEFGHIJ012345\n")
            async for event in events:
                if event == Grew() and b"token" in copy.text.read_bytes():
                    break
        lines = copy.text.read_text().splitlines()
        assert lines[0][16:].startswith("nixfleet-agent: nixfleet-agent ")
        assert lines[-1][16:] == "nixfleet-agent: token: ‹redacted›"
        assert len(lines) == len(log.read_text().splitlines())
    finally:
        copy.close()
