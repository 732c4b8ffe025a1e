"""One host from the question to the verdict, with a session that does what a test says."""

# ruff: noqa: ARG002 - a watcher has the signatures of its model

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from fakes import (
    EVENTS,
    HOST,
    JOB,
    NEW,
    NOT_PROVEN,
    PLAN,
    PROVEN,
    STALE,
    FakeLatest,
    FakeSession,
    finished,
)

from nixfleet_core.errors import LaunchFailed, NeedsPassword, NoSuchJob, NotAllowed, Unreachable
from nixfleet_core.facts.model import Facts
from nixfleet_core.host import Host
from nixfleet_core.ids import is_job_id
from nixfleet_core.job.copies import JobFiles
from nixfleet_core.job.history import JobLine
from nixfleet_core.judge.verdict import Verdict
from nixfleet_core.nix.lock import Source
from nixfleet_core.plan.model import Options, Plan, Refusal
from nixfleet_core.session.conduct import Conductor, Report, Watcher, asker
from nixfleet_core.session.passwords import Passwords
from nixfleet_core.session.protocol import Busy, Commit, Launched

if TYPE_CHECKING:
    from nixfleet_core.job.events import JobEvent
    from nixfleet_core.job.progress import JobState

CURRENT = Verdict(kind="current", sentence="all is well")


@dataclass
class Recorder(Watcher):
    launches: list[str] = field(default_factory=list)
    seen: list[tuple[JobEvent, JobState]] = field(default_factory=list)

    def follows(self, host: Host, job: str, plan: Plan, files: JobFiles) -> None:
        self.launches.append(job)

    def event(self, host: Host, event: JobEvent, state: JobState) -> None:
        self.seen.append((event, state))


@dataclass
class Bench:
    session: FakeSession
    passwords: list[str | None] = field(default_factory=list)
    asked: list[bool] = field(default_factory=list)
    recorder: Recorder = field(default_factory=Recorder)

    @property
    def conductor(self) -> Conductor:
        async def ask(error: NeedsPassword) -> str | None:
            self.asked.append(error.wrong)
            return self.passwords.pop(0) if self.passwords else None

        return Conductor(FakeLatest(), Passwords(ask), self.recorder)

    async def update(self, *, detach: bool = False, **options: Any) -> Report:
        return await self.conductor.update(self.session, Options(**options), detach=detach)


def bench(passwords: list[str | None] | None = None, /, **says: Any) -> Bench:
    return Bench(finished(HOST, **says), passwords or [])


def kind(report: Report) -> tuple[str, str]:
    assert report.verdict is not None
    return report.verdict.kind, report.verdict.cause


LOOK = ["probe", "examine", "plan"]
PROVE = ["probe", f"verify {NEW}"]
RUN = ["launch", "follow", f"verdict {NEW}"]


async def test_a_stale_host_is_updated_followed_and_judged() -> None:
    made = bench()
    report = await made.update()
    assert (report.verdict, report.exit_code) == (PROVEN, 0)
    assert made.session.calls == [*LOOK, *PROVE, *RUN]
    assert report.job is not None
    assert is_job_id(report.job)
    assert made.recorder.launches == [report.job]
    assert [event for event, _ in made.recorder.seen] == list(EVENTS)
    assert made.recorder.seen[-1][1] == report.state
    assert report.state is not None
    assert [(step.id, step.status, step.seconds) for step in report.state.steps] == [
        ("pull", "ok", 3)
    ]


async def test_update_leaves_a_proven_current_host_alone() -> None:
    made = bench(verify=CURRENT)
    report = await made.update()
    assert (report.verdict, report.job, report.exit_code) == (CURRENT, None, 0)
    assert "launch" not in made.session.calls


@pytest.mark.parametrize(
    ("incoming", "pull", "runs"),
    [((), True, False), ((Commit(NEW, "fix"),), True, True), ((Commit(NEW, "fix"),), False, False)],
)
async def test_a_host_that_runs_what_is_locked_is_left_alone_unless_a_pull_may_bring_another_lock(
    incoming: tuple[Commit, ...], pull: bool, runs: bool
) -> None:
    made = bench(verify=CURRENT, incoming=incoming)
    report = await made.update(as_locked=True, pull=pull)
    assert f"verify {NEW} as-locked" in made.session.calls
    assert (report.job is not None) == runs
    # the usual update knows without asking: it moves the lock to the latest anyway
    usual = bench(verify=CURRENT, incoming=incoming)
    assert (await usual.update(pull=pull)).job is None
    assert "incoming" not in usual.session.calls


async def test_a_forced_update_asks_for_no_proof_first() -> None:
    made = bench()
    await made.update(force=True)
    assert made.session.calls == [*LOOK, *RUN]


async def test_update_goes_on_when_the_proof_fails() -> None:
    made = bench(verify=Unreachable("lost"))
    assert (await made.update()).verdict == PROVEN


async def test_a_refusal_touches_nothing() -> None:
    made = bench(plan=Refusal("disk", "the disk is full", "free some"))
    report = await made.update(force=True)
    assert kind(report) == ("failed", "preflight-disk")
    assert report.verdict is not None
    assert report.verdict.before == report.verdict.after
    assert report.verdict.before.version == "2.1.0"
    assert made.session.calls == LOOK


@pytest.mark.parametrize(
    ("call", "error", "expected"),
    [
        ("probe", Unreachable("no route", "ping it"), ("unreachable", "unreachable")),
        ("examine", NotAllowed("no sudo"), ("failed", "preflight-elevation")),
        ("launch", Unreachable("lost"), ("unreachable", "unreachable")),
        ("launch", NotAllowed("no sudo"), ("failed", "preflight-elevation")),
        ("launch", NeedsPassword("csb0"), ("failed", "preflight-elevation")),
        ("launch", LaunchFailed("no bus"), ("failed", "launch-failed")),
    ],
)
async def test_every_failure_becomes_a_verdict(
    call: str, error: Exception, expected: tuple[str, str]
) -> None:
    report = await bench(**{call: error}).update(force=True)
    assert kind(report) == expected
    assert report.verdict is not None
    assert str(error) in report.verdict.sentence


async def test_advice_of_an_unreachable_host_is_kept() -> None:
    report = await bench(probe=Unreachable("no route", "ping it")).update()
    assert report.verdict is not None
    assert (report.verdict.advice, report.exit_code) == ("ping it", 5)


async def test_another_job_is_offered() -> None:
    report = await bench(launch=Busy(JOB)).update(force=True)
    assert (report.verdict, report.job, report.busy, report.exit_code) == (None, JOB, True, 6)


async def test_a_detached_update_follows_no_job() -> None:
    made = bench()
    report = await made.update(detach=True, force=True)
    assert (report.verdict, report.busy, report.exit_code) == (None, False, 9)
    assert report.files is not None
    assert made.session.calls == [*LOOK, "launch"]


async def test_a_job_that_its_host_forgot_is_judged_from_the_copy() -> None:
    verdict = Verdict(kind="interrupted", sentence="killed", advice="again")
    made = bench(follow=NoSuchJob("gone"), verdict=verdict)
    report = await made.update(force=True)
    assert report.verdict == verdict
    assert report.job is not None


# Passwords.


async def test_the_password_is_asked_for_when_it_is_needed() -> None:
    made = bench(["secret"], launch=[NeedsPassword("csb0"), Launched(JOB)])
    assert (await made.update(force=True)).verdict == PROVEN
    assert (made.asked, made.session.given) == ([False], ["secret"])


async def test_the_password_is_asked_for_again_when_it_was_wrong() -> None:
    errors = [NeedsPassword("csb0"), NeedsPassword("csb0", wrong=True), CURRENT]
    made = bench(["bad", "good"], verify=errors)
    assert (await made.update()).verdict == CURRENT
    assert (made.asked, made.session.given) == ([False, True], ["bad", "good"])


async def test_update_without_a_password_fails_with_the_reason() -> None:
    made = bench(["bad", None], launch=[NeedsPassword("csb0"), NeedsPassword("csb0", wrong=True)])
    report = await made.update(force=True)
    assert kind(report) == ("failed", "preflight-elevation")
    assert made.session.given == ["bad"]


# The other ways in.


async def test_a_proof_asks_for_the_latest_commit() -> None:
    made = bench()
    report = await made.conductor.verify(made.session)
    assert (report.verdict, report.job, report.exit_code) == (NOT_PROVEN, None, 3)
    assert made.session.calls == PROVE


async def test_the_job_of_somebody_else_is_followed_to_its_verdict() -> None:
    made = bench(["secret"], fetch_plan=[NeedsPassword("csb0"), PLAN])
    report = await made.conductor.watch(made.session, JOB)
    assert (report.verdict, report.job) == (PROVEN, JOB)
    assert made.session.calls == ["fetch_plan", "fetch_plan", "follow", f"verdict {NEW}"]


async def test_attaching_to_a_missing_job_is_an_error() -> None:
    made = bench(fetch_plan=NoSuchJob("gone"))
    with pytest.raises(NoSuchJob):
        await made.conductor.watch(made.session, JOB)


async def test_attaching_to_an_absent_host_gives_a_verdict() -> None:
    made = bench(fetch_plan=Unreachable("lost"))
    assert kind(await made.conductor.watch(made.session, JOB))[0] == "unreachable"


async def test_cancel_asks_for_the_password() -> None:
    made = bench(["secret"], cancel=[NeedsPassword("csb0"), None])
    await made.conductor.cancel(made.session, JOB)
    assert made.session.given == ["secret"]
    refused = bench(cancel=NotAllowed("no"))
    with pytest.raises(NotAllowed):
        await refused.conductor.cancel(refused.session, JOB)


async def test_the_history_comes_from_the_host_or_says_why_not() -> None:
    line = JobLine(job=JOB, at=1, asked_by="root", goal="update", outcome="done")
    made = bench(["secret"], jobs=[NeedsPassword("csb0"), (line,)])
    assert await made.conductor.jobs(made.session) == (line,)
    away = bench(jobs=NotAllowed("no sudo"))
    verdict = await away.conductor.jobs(away.session)
    assert isinstance(verdict, Verdict)
    assert verdict.cause == "preflight-elevation"


@pytest.mark.parametrize("keep", [True, False])
async def test_a_rollback_runs_as_a_job(keep: bool) -> None:
    made = bench()
    report = await made.conductor.roll_back(made.session, Options(), keep_lock=keep)
    assert report.verdict == PROVEN
    assert made.session.calls == ["probe", "examine", f"plan_rollback {keep}", *RUN]


async def test_rollback_without_a_generation_touches_nothing() -> None:
    made = bench(plan_rollback=Refusal("target", "no older system", "none"))
    report = await made.conductor.roll_back(made.session, Options(), keep_lock=False)
    assert kind(report) == ("failed", "preflight-target")
    assert "launch" not in made.session.calls


async def test_the_latest_commit_is_that_of_the_hosts_own_input() -> None:
    latest = FakeLatest()
    assert await asker(latest, HOST)(STALE) == NEW
    assert latest.asked == [Source("https://git.example/nixfleet")]
    for unknown in (Host(name="x", input="other"), HOST):
        facts = STALE if unknown is not HOST else Facts(hostname="", os="", platform="nixos")
        assert await asker(latest, unknown)(facts) is None
    assert len(latest.asked) == 1
