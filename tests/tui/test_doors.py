"""The command and the app go the same way: in each situation both come to the same report."""

# ruff: noqa: ARG002 - a stand-in has the signatures of its model

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, get_args

import pytest
from fakes import JOB, NEW, NOT_RESTARTED, FakeLatest, FakeSession, make_host
from screen_text import settle
from test_path import press

from nixfleet_core.errors import LaunchFailed, NeedsPassword, NoSuchJob, NotAllowed, Unreachable
from nixfleet_core.job.events import JobEnd, JobStart
from nixfleet_core.job.outcome import Kind
from nixfleet_core.judge.verdict import Verdict
from nixfleet_core.plan.model import Options, Plan, Refusal
from nixfleet_core.session.conduct import Conductor, Report
from nixfleet_core.session.passwords import Passwords
from nixfleet_core.session.protocol import AskLatest, Busy, Launched
from tui.app import NixFleetApp

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from conftest import MakeApp
    from nixfleet_core.job.events import JobEvent


@dataclass(frozen=True)
class Situation:
    """What happens to a host at one time, and what its operator types."""

    refusal: Refusal | None = None
    busy: bool = False
    launch: Exception | None = None
    follow: Exception | None = None
    verdict: Verdict = field(default_factory=lambda: Verdict(kind="updated", sentence="new"))
    password: str | None = None
    typed: tuple[str, ...] = ()
    """Passwords; after the last one, the question is left without."""


SITUATIONS: Final = {
    "refused": Situation(refusal=Refusal("disk", "the disk is full", "free some")),
    "busy": Situation(busy=True),
    "not allowed": Situation(launch=NotAllowed("no sudo here")),
    "launch failed": Situation(launch=LaunchFailed("systemd-run said no")),
    "launch lost": Situation(launch=Unreachable("lost", "look at the VPN")),
    "password wrong twice": Situation(password="good", typed=("bad", "worse", "good")),
    "no password": Situation(password="good", typed=("bad",)),
    "job forgotten": Situation(
        follow=NoSuchJob("the host has no job"),
        verdict=Verdict(kind="interrupted", cause="killed", sentence="killed"),
    ),
    "not allowed to follow": Situation(follow=NotAllowed("no sudo here")),
    "link gone": Situation(follow=Unreachable("lost", "look at the VPN")),
    **{
        kind: Situation(verdict=Verdict(kind=kind, cause="current", sentence=f"it is {kind}"))
        for kind in get_args(Kind)
        if kind != "unreachable"
    },
}


class Host(FakeSession):
    """Does what a situation says, and asks what is latest as the engine does."""

    def __init__(self, situation: Situation, folder: Path) -> None:
        super().__init__(make_host("csb0"), NOT_RESTARTED, folder)
        self.refusal, self.password = situation.refusal, situation.password
        self.situation = situation
        self.told: list[object] = []

    async def launch(self, plan: Plan, job: str) -> Launched | Busy:
        if self.situation.launch is not None:
            raise self.situation.launch
        self._want_password()
        return Busy(JOB) if self.situation.busy else Launched(job)

    async def follow(self, job: str) -> AsyncGenerator[JobEvent, None]:
        yield JobStart(at=1)
        if self.situation.follow is not None:
            raise self.situation.follow
        yield JobEnd(at=2, outcome="done")

    async def verdict(self, job: str, latest: AskLatest) -> Verdict:
        self.told.append(await latest(NOT_RESTARTED))
        return self.situation.verdict


@dataclass
class Came:
    """What a door came to."""

    verdict: Verdict | None
    busy: bool
    judged_by: list[object]
    asked: list[bool]
    """For each question for the password: whether the one before was wrong."""


def came(report: Report, host: Host, asked: list[bool]) -> Came:
    return Came(report.verdict, report.busy, host.told, asked)


async def by_command(situation: Situation, folder: Path) -> Came:
    host, asked, typed = Host(situation, folder), [], list(situation.typed)

    async def ask(need: NeedsPassword) -> str | None:
        asked.append(need.wrong)
        return typed.pop(0) if typed else None

    conductor = Conductor(FakeLatest(), Passwords(ask))
    return came(await conductor.update(host, Options(force=True)), host, asked)


async def by_app(
    situation: Situation, folder: Path, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> Came:
    host, asked, typed = Host(situation, folder), [], list(situation.typed)

    async def ask(self: NixFleetApp, need: NeedsPassword) -> str | None:
        asked.append(need.wrong)
        return typed.pop(0) if typed else None

    monkeypatch.setattr(NixFleetApp, "_ask_password", ask)
    app = make_app([host])
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "enter", "enter")
        report = app.fleet.entries["csb0"].report
        assert report is not None
        return came(report, host, asked)


@pytest.mark.parametrize("name", SITUATIONS)
async def test_both_doors_come_to_the_same(
    name: str, tmp_path: Path, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    situation = SITUATIONS[name]
    command = await by_command(situation, tmp_path / "command")
    app = await by_app(situation, tmp_path / "app", make_app, monkeypatch)
    assert app == command
    assert command.busy is (name == "busy")
    assert (command.verdict is None) is (name == "busy")
    if command.judged_by:
        assert command.judged_by == [NEW]


async def test_a_job_that_nobody_watches_any_more_is_neither_judged_nor_cancelled(
    tmp_path: Path,
) -> None:
    """ctrl-c at the command, quitting the app: the job goes on."""
    watching = asyncio.Event()

    class Waits(Host):
        async def follow(self, job: str) -> AsyncGenerator[JobEvent, None]:
            watching.set()
            await asyncio.Event().wait()
            yield JobStart(at=1)

    host = Waits(Situation(), tmp_path / "waits")

    async def nobody(_: NeedsPassword) -> str | None:
        return None

    conductor = Conductor(FakeLatest(), Passwords(nobody))
    update = asyncio.create_task(conductor.update(host, Options(force=True)))
    await watching.wait()
    update.cancel()
    with pytest.raises(asyncio.CancelledError):
        await update
    assert host.told == []
    assert host.cancelled == []


@pytest.mark.parametrize("name", ["not allowed to follow", "link gone"])
async def test_what_cannot_be_followed_is_no_verdict_on_the_host(
    name: str, tmp_path: Path, make_app: MakeApp
) -> None:
    """Its job may go on well: the app says why it does not follow, and offers to try again."""
    app = make_app([Host(SITUATIONS[name], tmp_path / "one")])
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "enter", "enter")
        entry = app.fleet.entries["csb0"]
        assert entry.watcher is not None
        assert entry.watcher.problem
        assert entry.watcher.verdict is None
        assert entry.verdict is None
