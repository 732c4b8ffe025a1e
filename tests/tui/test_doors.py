"""The command and the app use the same code: in each situation both come to the same report."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, get_args

import pytest
from fakes import HOST, JOB, NEW, NOT_RESTARTED, FakeLatest, FakeSession, finished
from screen_text import settle
from test_path import press

from nixfleet_core.errors import LaunchFailed, NeedsPassword, NoSuchJob, NotAllowed, Unreachable
from nixfleet_core.job.events import JobStart
from nixfleet_core.job.outcome import Kind
from nixfleet_core.judge.verdict import Verdict
from nixfleet_core.plan.model import Options, Refusal
from nixfleet_core.session.conduct import Conductor, Report
from nixfleet_core.session.passwords import Passwords
from nixfleet_core.session.protocol import Busy
from tui.app import NixFleetApp

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    from conftest import MakeApp
    from nixfleet_core.job.events import JobEvent


def breaking(error: Exception) -> Callable[[FakeSession], AsyncGenerator[JobEvent, None]]:
    """A job that nobody can follow beyond its start."""

    async def follow(_: FakeSession) -> AsyncGenerator[JobEvent, None]:
        yield JobStart(at=1)
        raise error

    return follow


@dataclass(frozen=True)
class Situation:
    """A situation of a host, and the keys of its operator."""

    says: dict[str, object] = field(default_factory=dict)
    password: str | None = None
    typed: tuple[str, ...] = ()
    """Passwords; after the last one the operator gives none."""


SITUATIONS: Final = {
    "refused": Situation({"plan": Refusal("disk", "the disk is full", "free some")}),
    "busy": Situation({"launch": Busy(JOB)}),
    "not allowed": Situation({"launch": NotAllowed("no sudo here")}),
    "launch failed": Situation({"launch": LaunchFailed("systemd-run said no")}),
    "launch lost": Situation({"launch": Unreachable("lost", "look at the VPN")}),
    "password wrong twice": Situation(password="good", typed=("bad", "worse", "good")),
    "no password": Situation(password="good", typed=("bad",)),
    "job forgotten": Situation(
        {
            "follow": breaking(NoSuchJob("the host has no job")),
            "verdict": Verdict(kind="interrupted", cause="killed", sentence="killed"),
        }
    ),
    "not allowed to follow": Situation({"follow": breaking(NotAllowed("no sudo here"))}),
    "link gone": Situation({"follow": breaking(Unreachable("lost", "look at the VPN"))}),
    **{
        kind: Situation({"verdict": Verdict(kind=kind, cause="current", sentence=f"it is {kind}")})
        for kind in get_args(Kind)
        if kind != "unreachable"
    },
}


def make_session(situation: Situation, folder: Path) -> FakeSession:
    """A host that behaves as a situation says."""
    session = finished(HOST, probe=NOT_RESTARTED, **situation.says)
    session.folder, session.password = folder, situation.password
    return session


@dataclass
class Came:
    """The result of the command or of the app."""

    verdict: Verdict | None
    busy: bool
    judged_by: list[str]
    asked: list[bool]
    """For each question for the password: whether the last one was wrong."""


def came(report: Report, host: FakeSession, asked: list[bool]) -> Came:
    judged_by = [call for call in host.calls if call.startswith("verdict")]
    return Came(report.verdict, report.busy, judged_by, asked)


async def by_command(situation: Situation, folder: Path) -> Came:
    host, asked, typed = make_session(situation, folder), [], list(situation.typed)

    async def ask(need: NeedsPassword) -> str | None:
        asked.append(need.wrong)
        return typed.pop(0) if typed else None

    conductor = Conductor(FakeLatest(), Passwords(ask))
    return came(await conductor.update(host, Options(force=True)), host, asked)


async def by_app(
    situation: Situation, folder: Path, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> Came:
    host, asked, typed = make_session(situation, folder), [], list(situation.typed)

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
async def test_app_and_command_come_to_the_same_verdict(
    name: str, tmp_path: Path, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    situation = SITUATIONS[name]
    command = await by_command(situation, tmp_path)
    app = await by_app(situation, tmp_path, make_app, monkeypatch)
    assert app == command
    assert command.busy is (name == "busy")
    assert (command.verdict is None) is (name == "busy")
    if command.judged_by:
        assert command.judged_by == [f"verdict {NEW}"]


async def test_leaving_a_job_does_not_judge_or_cancel_it(
    tmp_path: Path,
) -> None:
    """ctrl-c at the command, quitting the app: the job goes on."""
    watching = asyncio.Event()

    async def waits(_: FakeSession) -> AsyncGenerator[JobEvent, None]:
        watching.set()
        await asyncio.Event().wait()
        yield JobStart(at=1)

    host = make_session(Situation({"follow": waits}), tmp_path)

    async def nobody(_: NeedsPassword) -> str | None:
        return None

    conductor = Conductor(FakeLatest(), Passwords(nobody))
    update = asyncio.create_task(conductor.update(host, Options(force=True)))
    await watching.wait()
    update.cancel()
    with pytest.raises(asyncio.CancelledError):
        await update
    assert host.calls[-1] == "follow"


@pytest.mark.parametrize("name", ["not allowed to follow", "link gone"])
async def test_a_job_that_cannot_be_followed_gets_no_verdict(
    name: str, tmp_path: Path, make_app: MakeApp
) -> None:
    """Its job may go on well: the app says why it does not follow, and offers to try again."""
    app = make_app([make_session(SITUATIONS[name], tmp_path)])
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "enter", "enter")
        entry = app.fleet.entries["csb0"]
        assert entry.watcher is not None
        assert entry.watcher.problem
        assert entry.watcher.verdict is None
        assert entry.verdict is None
