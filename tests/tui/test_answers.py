"""Answers of a host come in any order; none of them overwrites something newer."""

# ruff: noqa: ARG002 - a fake has the signatures of what it stands for

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from fakes import (
    CURRENT,
    JOB,
    NEW,
    NOT_PROVEN,
    NOT_RESTARTED,
    NOW,
    OFFLINE,
    OLD,
    PROVEN,
    STALE,
    FakeLatest,
    FakeSession,
    make_host,
)
from screen_text import at_rest, press_key, screen_text, settle
from test_path import press

from nixfleet_core.errors import BadAnswer
from nixfleet_core.sandbox.fleet import sandbox_fleet
from nixfleet_core.sandbox.sessions import sandbox_sessions
from nixfleet_core.session.latest import GitLatest
from tui import actions
from tui.app import NixFleetApp
from tui.fleet import Fleet, HostEntry, Seen
from tui.settings import AppSettings

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import MakeApp
    from nixfleet_core.facts.model import Facts
    from nixfleet_core.host import Host
    from nixfleet_core.nix.git_url import Latest
    from nixfleet_core.nix.lock import Source

UPDATING = replace(STALE, job_running=JOB)
"""What a look sees while the job runs."""


class Slow(FakeSession):
    """Each look waits for its answer, which the test gives in any order."""

    def __init__(self) -> None:
        super().__init__(make_host("csb0"))
        self.asked: list[asyncio.Future[Facts]] = []

    async def probe(self, *, again: bool = False) -> Facts:
        self.asked.append(asyncio.get_running_loop().create_future())
        return await self.asked[-1]


class SlowLatest(FakeLatest):
    """The same for the latest commit."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[asyncio.Future[Latest]] = []

    async def latest(self, source: Source, host: Host, *, since: float = 0.0) -> Latest:
        self.answers.append(asyncio.get_running_loop().create_future())
        return await self.answers[-1]


class Bench:
    """One host whose looks are answered by hand."""

    def __init__(self) -> None:
        self.session, self.latest = Slow(), SlowLatest()
        self.fleet = Fleet.of([self.session], self.latest, lambda: NOW)
        (self.entry,) = self.fleet.entries.values()
        self._looks: list[asyncio.Task[None]] = []

    async def look(self) -> asyncio.Future[Facts]:
        """Begin a look; return the last question that the host got."""
        self._looks.append(asyncio.create_task(self.fleet.look(self.entry, lambda: None)))
        await at_rest()
        return self.session.asked[-1]

    async def answer(self, question: asyncio.Future[Facts], said: Facts | Exception) -> None:
        if isinstance(said, Exception):
            question.set_exception(said)
        else:
            question.set_result(said)
        await at_rest()

    @property
    def state(self) -> str:
        found = self.entry.assessment
        return found.state if found else ""


@pytest.mark.parametrize("said", [UPDATING, OFFLINE])
async def test_look_of_before_a_jobs_end_says_nothing_afterwards(said: Facts | Exception) -> None:
    bench = Bench()
    before = await bench.look()
    bench.entry.learn_end(JOB, PROVEN)
    after = await bench.look()
    assert after is not before, "it waited for a look that cannot know the end"
    await bench.answer(after, CURRENT)
    await bench.answer(before, said)
    assert (bench.entry.facts, bench.entry.problem) == (CURRENT, None)


async def test_look_of_before_a_jobs_end_says_nothing_while_the_next_one_is_out() -> None:
    bench = Bench()
    before = await bench.look()
    bench.entry.learn_end(JOB, PROVEN)
    after = await bench.look()
    await bench.answer(before, UPDATING)
    assert bench.entry.facts is None
    assert bench.entry.doing == "asking"
    assert await bench.look() is after, "a third look was begun"
    await bench.answer(after, CURRENT)
    assert bench.entry.facts == CURRENT
    assert bench.entry.look is None


async def test_a_unit_that_outlives_its_jobs_result_is_no_running_job() -> None:
    bench = Bench()
    bench.entry.learn_end(JOB, PROVEN)
    await bench.answer(await bench.look(), UPDATING)
    assert bench.entry.facts == STALE
    assert bench.state != "updating"


async def test_the_next_job_shows_although_the_last_one_has_ended() -> None:
    bench, other = Bench(), "20261123-004102-ab12"
    bench.entry.learn_end(JOB, PROVEN)
    await bench.answer(await bench.look(), replace(STALE, job_running=other))
    assert bench.state == "updating"


async def test_the_end_of_a_job_shows_before_the_next_look() -> None:
    bench = Bench()
    await bench.answer(await bench.look(), UPDATING)
    assert bench.state == "updating"
    bench.entry.learn_end(JOB, None)
    assert bench.entry.facts == replace(STALE, proofs=()), "nothing of before counts as proven"


async def test_older_answer_about_the_latest_commit_is_dropped() -> None:
    bench = Bench()
    for _ in range(2):
        await bench.answer(await bench.look(), CURRENT)
    older, newer = bench.latest.answers
    newer.set_result(NEW)
    await at_rest()
    older.set_result(OLD)
    await at_rest()
    assert bench.entry.answer == NEW


async def test_answer_about_the_latest_commit_of_before_a_jobs_end_is_dropped() -> None:
    bench = Bench()
    await bench.answer(await bench.look(), CURRENT)
    bench.entry.learn_end(JOB, None)
    bench.latest.answers[0].set_result(OLD)
    await at_rest()
    assert bench.entry.answer is None


async def test_failure_of_an_older_question_is_dropped() -> None:
    bench = Bench()
    await bench.answer(await bench.look(), STALE)
    await bench.answer(await bench.look(), CURRENT)
    bench.latest.answers[0].set_exception(BadAnswer("odd"))
    await at_rest()
    assert (bench.entry.facts, bench.entry.problem) == (CURRENT, None)


def test_equal_places_in_the_order_are_one_question() -> None:
    entry = HostEntry(FakeSession(make_host("csb0")))
    first, second = entry.ask(), entry.ask()
    entry.learn(second, Seen(NOW, STALE))
    entry.learn(second, Seen(NOW, CURRENT))
    entry.learn(first, Seen(NOW, NOT_RESTARTED), NOT_PROVEN)
    assert (entry.facts, entry.verdict) == (CURRENT, None)


async def test_verification_of_before_a_jobs_end_is_shown_but_not_kept(make_app: MakeApp) -> None:
    session = Slow()
    async with (app := make_app([session])).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        session.asked.pop().set_result(STALE)
        await press(pilot, "v")
        entry = app.fleet.entries["csb0"]
        entry.learn_end(JOB, PROVEN)
        session.asked.pop().set_result(NOT_RESTARTED)
        await settle(pilot)
        assert "restart" in screen_text(app)
        assert (entry.facts, entry.verdict) == (replace(STALE, proofs=()), PROVEN)


async def test_closer_look_of_a_plan_does_not_overwrite_a_newer_one(make_app: MakeApp) -> None:
    session, closer = FakeSession(make_host("csb0"), probe=STALE), asyncio.Event()

    async def examine(_: Facts) -> Facts:
        await closer.wait()
        return replace(STALE, os="NixOS, long ago")

    session.examine = examine  # type: ignore[method-assign]
    async with (app := make_app([session])).run_test(size=(120, 40)) as pilot:
        await press(pilot, "enter")
        entry = app.fleet.entries["csb0"]
        entry.learn(entry.ask(), Seen(NOW, CURRENT))
        closer.set()
        await settle(pilot)
        assert entry.facts == CURRENT


async def test_look_after_connecting_waits_for_no_look_of_before(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def connected(*_: object) -> int:
        return 0

    monkeypatch.setattr("tui.terminal.run_at_terminal", connected)
    session = Slow()
    session.connect_argv = ("ssh",)
    async with (app := make_app([session])).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "C")
        before, after = session.asked
        after.set_result(CURRENT)
        before.set_exception(OFFLINE)
        await settle(pilot)
        assert app.fleet.entries["csb0"].facts == CURRENT


async def test_job_that_the_app_followed_to_its_end_leaves_no_host_updating(
    make_app: MakeApp, tmp_path: Path
) -> None:
    session = Slow()
    session.folder = tmp_path
    async with (app := make_app([session])).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        session.asked.pop().set_result(STALE)
        await press(pilot, "enter", "enter", "escape")
        press_key(pilot, "R")
        await settle(pilot)
        (during,) = session.asked
        await session.run_job()
        await settle(pilot)
        during.set_result(UPDATING)
        session.asked[-1].set_result(UPDATING)
        await settle(pilot)
        assert len(session.asked) == 2
        assert "updating" not in screen_text(app)
        assert app.fleet.entries["csb0"].facts == STALE


async def test_ten_quick_failing_jobs_leave_no_host_updating() -> None:
    async with sandbox_fleet(speed=20.0) as fleet:
        sessions = [one for one in sandbox_sessions(fleet) if one.host.name == "hsb1"]
        app = NixFleetApp(sessions, GitLatest(here=True), settings=AppSettings(bell=False))
        async with app.run_test(size=(120, 40)) as pilot:
            (entry,) = app.fleet.entries.values()
            await settle(pilot)
            await app.workers.wait_for_complete()
            for _ in range(10):
                plan = await actions._plan(app, entry, actions._plan_update)
                assert not isinstance(plan, str), plan
                await actions._start_quietly(app, entry, plan)
                await app.workers.wait_for_complete()
                assert entry.watcher is not None
                assert entry.watcher.state.outcome == "failed"
                assert entry.assessment is not None
                assert entry.assessment.state == "stale"
