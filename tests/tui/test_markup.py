"""Every widget shows the words of a host as text; markup in them has no effect."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from fakes import JOB, NEW_PATH, NOW, OLD_PATH, FakeSession, make_facts, make_rollback, ways_of
from owing import debt_of
from screen_text import screen_text, settle
from test_path import press

from nixfleet_core.errors import LaunchFailed, NotAllowed, Unreachable
from nixfleet_core.facts.model import Snapshot
from nixfleet_core.host import Host, SshAddress
from nixfleet_core.job.events import Check, JobEnd, JobStart, Link, StepEnd, StepStart, Waiting
from nixfleet_core.job.history import JobLine
from nixfleet_core.job.work import (
    BuildNow,
    BuildTime,
    BuildTimes,
    DownloadNow,
    RetryNow,
    WordsNow,
    Work,
)
from nixfleet_core.judge.verdict import Verdict
from nixfleet_core.nix.log_state import Progress
from nixfleet_core.plan.model import Refusal
from nixfleet_core.session.protocol import Commit

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import MakeApp

EVILS = ("[@click=app.quit]x[/]", "[/]")
EVIL = "[/][@click=app.quit]x[/]"


def evil_work(evil: str) -> Work:
    words = (WordsNow(evil, NOW),)
    return Work(
        builds=(BuildNow(evil, evil, NOW, evil, evil),),
        downloads=(DownloadNow(evil, evil, 1, 2, NOW),),
        waiting=1,
        names=(evil,),
        waits=words,
        retries=(RetryNow(evil, 9, NOW),),
        others=words,
    )


def evil_session(evil: str, folder: Path) -> FakeSession:
    """A host that says the same thing everywhere."""
    host = Host(name=evil, address=SshAddress(evil), checkout=evil)
    facts = make_facts(running=OLD_PATH, installed=NEW_PATH, version=evil, os=evil)
    assert facts.checkout is not None
    facts = replace(
        facts,
        machine=evil,
        job_last=JOB,
        checkout=replace(facts.checkout, branch=evil, path=evil),
        other=replace(facts.checkout, branch=evil, path=evil),
    )
    verdict = Verdict(
        kind="failed",
        cause=evil,
        sentence=evil,
        advice=evil,
        before=Snapshot(version=evil, commit=evil, store_path=evil, sha256=evil, system=evil),
        after=Snapshot(version=evil, commit=evil, store_path=evil, sha256=evil, system=evil),
    )
    session = FakeSession(
        *(host, folder),
        probe=facts,
        incoming=(Commit(evil, evil),),
        debt=debt_of(evil),
        ways_back=ways_of(evil),
        plan_rollback=make_rollback(evil, lock_from=evil),
        jobs=(JobLine(JOB, NOW, evil, evil, evil, evil, 5),),
        verdict=verdict,
        verify=verdict,
    )
    session.warnings = (evil,)
    return session


@pytest.mark.parametrize("evil", EVILS)
async def test_every_widget_shows_markup_as_text(
    make_app: MakeApp, tmp_path: Path, evil: str
) -> None:
    session = evil_session(evil, tmp_path)
    app = make_app([session])
    async with app.run_test(size=(160, 60), notifications=True) as pilot:

        async def look(*keys: str, times: int = 1) -> None:
            await settle(pilot)
            text = await press(pilot, *keys)
            assert text.count(evil) >= times, text
            for y, line in enumerate(text.splitlines()):
                at = line.find(evil)
                if at >= 0:
                    await pilot.click(offset=(at + evil.index("]") + 1, y))
                    await settle(pilot)
                    break
            assert app.is_running
            assert app._exit is False

        await settle(pilot)
        await look(times=5)  # row, address, title of the panel, details
        await look("v", times=3)
        await look("escape", "H", times=5)  # the history
        await look("escape", "D", times=6)  # the restart debt
        await look("escape", "b", times=5)  # the generations
        await look("enter", times=4)  # the plan of a rollback
        await look("escape", "enter", times=3)  # the plan
        await look("L", times=1)
        await press(pilot, "escape")
        await look("enter", times=2)  # the update
        await session.say(
            JobStart(at=NOW),
            StepStart(step="preflight", at=NOW, log=0),
            Check(check=evil, at=NOW, ok=False, reason=evil),
            Waiting(reason=evil, at=NOW, limit=9, pid=7, program=evil),
        )
        await session.log(f"{evil}\n")
        await look(times=4)  # title, before, waiting, log
        await session.say(
            Progress(done=1, expected=2),
            Link(up=False, seconds=12, why=evil),
        )
        await look(times=3)
        await session.say(evil_work(evil))
        await look(times=9)
        await look("slash", *"x", "enter", times=2)
        await look("c", times=2)
        await look("escape", "question_mark", times=0)
        await session.say(
            StepEnd(step="preflight", at=NOW, status="failed", log=0, reason=evil),
            JobEnd(at=NOW, outcome=evil),
            BuildTimes((BuildTime(evil, evil, 7),)),
            None,
        )
        await look("escape", times=9)
        await look("escape", times=6)


@pytest.mark.parametrize("kind", ["offline", "refused", "not-allowed", "launch-failed"])
async def test_every_dialog_shows_markup_as_text(
    make_app: MakeApp, tmp_path: Path, kind: str
) -> None:
    session = evil_session(EVIL, tmp_path)
    session.says |= {
        "offline": {"probe": Unreachable(EVIL, EVIL)},
        "refused": {"plan": Refusal("disk", EVIL, EVIL)},
        "not-allowed": {"launch": NotAllowed(EVIL)},
        "launch-failed": {"launch": LaunchFailed(EVIL)},
    }[kind]
    async with (app := make_app([session])).run_test(size=(160, 60)) as pilot:
        await press(pilot, "enter")
        if kind not in ("offline", "refused"):
            await press(pilot, "enter")
        box = app.screen.query_one("#box")
        shown = "\n".join(
            line[box.region.x : box.region.right] for line in screen_text(app).splitlines()
        )
        assert shown.count(EVIL) >= 2
        assert app.is_running


async def test_password_dialog_and_list_of_many_show_markup_as_text(
    make_app: MakeApp, tmp_path: Path
) -> None:
    session = evil_session(EVIL, tmp_path)
    other = evil_session(f"{EVIL}2", tmp_path / "2")
    session.password = "right"
    async with (app := make_app([session, other])).run_test(size=(160, 60)) as pilot:
        text = await press(pilot, "ctrl+a", "u", "space", "down", "space")
        assert text.count(EVIL) >= 6  # each name, address and checkout
        text = await press(pilot, "enter")
        assert f"sudo on {EVIL}" in text
        await press(pilot, *"right", "enter")
        await other.say(JobEnd(at=NOW, outcome="failed"), None)
        await settle(pilot)
        assert screen_text(app).count(EVIL) >= 3
        await press(pilot, "escape", "q")
        assert f"{EVIL}: job" in screen_text(app)
