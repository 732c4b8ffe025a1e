"""The engine from end to end on the sandbox fleet: real scripts, git and processes, no root."""

# ruff: noqa: ARG002 - a watcher has the signatures of what it overrides

from __future__ import annotations

import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from nixfleet_core.events import LogGrew, StepEnd
from nixfleet_core.latest import GitLatest
from nixfleet_core.plan import Options
from nixfleet_core.sandbox import SandboxFleet, sandbox_fleet
from nixfleet_core.sandbox.sessions import sandbox_sessions
from nixfleet_core.session import NoSuchJob
from nixfleet_core.update import Updater, Watcher

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from nixfleet_core.engine import ShellSession
    from nixfleet_core.events import JobEvent
    from nixfleet_core.host import Host
    from nixfleet_core.plan import Plan
    from nixfleet_core.progress import JobState
    from nixfleet_core.session import JobFiles, NeedsPassword

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHAIN = ("preflight", "stop", "pull", "update", "rebuild", "start", "verify")
QUICK = Options(stable=1)
FORCED = Options(force=True, stable=1)


@dataclass
class Recorder(Watcher):
    events: list[JobEvent] = field(default_factory=list)
    jobs: list[str] = field(default_factory=list)

    def launched(self, host: Host, job: str, plan: Plan, files: JobFiles) -> None:
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

    def updater(self) -> tuple[Updater, Recorder]:
        recorder = Recorder()
        return Updater(GitLatest(), recorder, nobody), recorder

    def root(self, name: str) -> Path:
        return self.fleet.find(name).root


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def bench(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    async with sandbox_fleet(speed=500.0, base=tmp_path_factory.mktemp("fleet")) as fleet:
        sessions = {session.host.name: session for session in sandbox_sessions(fleet)}
        yield Bench(fleet, sessions)


async def test_csb0_is_updated_and_then_current(bench: Bench) -> None:
    session = bench.sessions["csb0"]
    facts = await session.probe()
    assert [commit.title for commit in await session.incoming(facts)]
    updater, recorder = bench.updater()
    report = await updater.update(session, QUICK)
    verdict = report.verdict
    assert verdict is not None
    assert (verdict.kind, verdict.cause, report.exit_code) == ("updated", "", 0), verdict.sentence
    assert (verdict.before.version, verdict.after.version) == ("2.1.0", "2.2.0")
    assert None not in (verdict.before.commit, verdict.after.commit, verdict.after.sha256)
    assert verdict.before.commit != verdict.after.commit
    assert (verdict.before.generation, verdict.after.generation) == (412, 413)
    assert recorder.steps == dict.fromkeys(CHAIN, "ok")
    assert report.state is not None
    assert (report.state.outcome, report.state.fraction) == ("done", 1.0)

    assert report.files is not None
    assert report.job is not None
    theirs = bench.root("csb0") / "var/lib/nixfleet/jobs" / report.job
    for name, ours in (("log", report.files.log), ("events", report.files.events)):
        assert ours.read_bytes() == (theirs / name).read_bytes()
        assert stat.S_IMODE(ours.stat().st_mode) == 0o600
    grew = [event for event in recorder.events if isinstance(event, LogGrew)]
    assert grew[-1].size == report.files.log.stat().st_size
    assert grew[-1].text_size == report.files.text.stat().st_size

    again = await updater.update(session, QUICK)
    assert again.verdict is not None
    assert (again.verdict.kind, again.job) == ("current", None)

    attached, other = bench.updater()
    seen = await attached.attach(session, report.job)
    assert seen.verdict == verdict
    assert other.steps == recorder.steps


async def test_csb1_is_current_and_with_force_every_step_runs(bench: Bench) -> None:
    session = bench.sessions["csb1"]
    updater, recorder = bench.updater()
    report = await updater.update(session, QUICK)
    assert report.verdict is not None
    assert (report.verdict.kind, report.job, recorder.events) == ("current", None, [])
    assert not (bench.root("csb1") / "var/lib/nixfleet").exists()
    forced = await updater.update(session, FORCED)
    assert forced.verdict is not None
    assert (forced.verdict.kind, forced.exit_code) == ("current", 0), forced.verdict.sentence
    assert recorder.steps == dict.fromkeys(CHAIN, "ok")


async def test_gpc0_was_not_restarted_and_an_update_that_goes_on_alone_cures_it(
    bench: Bench,
) -> None:
    session = bench.sessions["gpc0"]
    updater, recorder = bench.updater()
    found = (await updater.verify(session)).verdict
    assert found is not None
    assert (found.kind, found.cause, found.exit_code) == ("stale", "not-restarted", 3)
    assert found.before == found.after
    alone = await updater.update(session, QUICK, detach=True)
    assert (alone.verdict, alone.exit_code, recorder.jobs) == (None, 9, [])
    assert alone.job is not None
    assert await session.newest_job() == alone.job
    cured = (await updater.attach(session, alone.job)).verdict
    assert cured is not None
    assert (cured.kind, cured.after.version) == ("updated", "2.2.0"), cured.sentence


async def test_hsb1_is_refused_before_anything_is_touched(bench: Bench) -> None:
    session = bench.sessions["hsb1"]
    before = await session.probe()
    updater, recorder = bench.updater()
    report = await updater.update(session, FORCED)
    verdict = report.verdict
    assert verdict is not None
    assert (verdict.kind, verdict.cause, report.exit_code) == ("failed", "preflight-remote", 1)
    assert verdict.sentence.startswith("refused before anything was touched")
    assert verdict.advice
    assert recorder.steps == dict.fromkeys(CHAIN, "skipped") | {"preflight": "failed"}
    after = await session.probe()
    # the same process, not started again
    assert (after.unit, after.checkout) == (before.unit, before.checkout)


async def test_imac0_is_unreachable(bench: Bench) -> None:
    updater, _ = bench.updater()
    for report in (
        await updater.update(bench.sessions["imac0"], QUICK),
        await updater.verify(bench.sessions["imac0"]),
    ):
        assert report.verdict is not None
        assert (report.verdict.kind, report.exit_code) == ("unreachable", 5)
        assert "No route to host" in report.verdict.sentence


async def test_a_job_that_nobody_ran_is_unknown(bench: Bench) -> None:
    updater, _ = bench.updater()
    with pytest.raises(NoSuchJob):
        await updater.attach(bench.sessions["csb1"], "20200101-000000-0000")
