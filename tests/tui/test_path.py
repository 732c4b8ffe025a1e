"""The main path, by keys: fleet, preview, update, verdict; leaving and coming back."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from fakes import (
    CURRENT,
    JOB,
    NOT_RESTARTED,
    NOW,
    OFFLINE,
    STALE,
    UPDATED,
    FakeLatest,
    make_facts,
)
from screen_text import press_key, screen_text, settle

from nixfleet_core.errors import NeedsPassword, Unreachable
from nixfleet_core.job.events import (
    CancelSeen,
    JobEnd,
    JobStart,
    Link,
    Retry,
    StepEnd,
    StepStart,
    Waiting,
)
from nixfleet_core.judge.verdict import Verdict
from nixfleet_core.nix.log_state import Progress
from nixfleet_core.plan.model import Refusal
from nixfleet_core.session.protocol import Busy, Commit
from tui.app import NixFleetApp
from tui.details import host_details
from tui.screens.base import Confirm
from tui.screens.fleet import FleetScreen
from tui.screens.password import PasswordDialog
from tui.screens.plan import PlanDialog
from tui.screens.remedy import RemedyNotice
from tui.screens.update import UpdateScreen
from tui.settings import AppSettings

if TYPE_CHECKING:
    import pytest
    from fakes import FakeSession
    from textual.pilot import Pilot

    from conftest import MakeApp
    from nixfleet_core.facts.model import Facts


async def press(pilot: Pilot[None], *keys: str) -> str:
    """Press keys one after the other, and read the screen when all has come to rest."""
    for key in keys:
        press_key(pilot, key)
        await settle(pilot)
    return screen_text(pilot.app)


async def test_hosts_of_an_earlier_look_are_marked_and_the_app_says_why(
    fleet: list[FakeSession],
) -> None:
    fleet[1].host = replace(fleet[1].host, remembered=True)
    notice = "The names of hosts could not be read: [@click=app.quit]no network[/]"
    settings = AppSettings(notices=(notice,))
    app = NixFleetApp(fleet, FakeLatest(), settings=settings, clock=lambda: NOW)
    async with app.run_test(size=(160, 40)) as pilot:
        await settle(pilot)
        text = screen_text(app)
        assert [(note.message, note.severity) for note in app._notifications] == [
            (notice, "warning")
        ]
    assert "ops@cs1:2222 (remembered)" in text
    assert "ops@cs0:2222 (remembered)" not in text
    details = [host_details(entry, app.glyphs, NOW).plain for entry in app.fleet.entries.values()]
    assert ["remembered: the flake" in text for text in details] == [False, True, False, False]


async def test_a_notice_stays_until_somebody_is_there_to_see_it(fleet: list[FakeSession]) -> None:
    settings = AppSettings(notices=("refresh: 3 is out of range",))
    app = NixFleetApp(fleet, FakeLatest(), settings=settings, clock=lambda: NOW)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        (unseen,) = app._notifications
        assert unseen.time_left > 24 * 3600
        await press(pilot, "down")
        (seen,) = app._notifications
        assert (seen.message, seen.timeout) == (unseen.message, 30.0)
        await press(pilot, "down")
        assert list(app._notifications) == [seen]


async def test_every_host_is_asked_and_shown(make_app: MakeApp, fleet: list[FakeSession]) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        rows = {words[1]: words[2:] for words in _table(screen_text(app)) if len(words) > 1}
    assert rows["csb0"] == ["ops@cs0:2222", "2.1.0", "2.2.0", "2.2.0", "▲", "stale"]
    assert rows["csb1"] == ["ops@cs1:2222", "2.2.0", "2.2.0", "2.2.0", "✔", "current"]
    assert rows["imac0"] == ["markus@imac0", "–", "–", "2.2.0", "✖", "offline"]
    assert [session.calls.count("probe") for session in fleet] == [1, 1, 1, 1]
    assert all("close" in session.calls for session in fleet)


def _table(text: str) -> list[list[str]]:
    """The words of the table's rows; a row that is not under the cursor gets a sign too."""
    rows = [line.split("│")[1] for line in text.splitlines() if line.startswith("│")]
    return [row.split() if "▸" in row else ["", *row.split()] for row in rows]


async def test_enter_enter_leads_to_the_verdict(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    session = fleet[0]
    session.says["incoming"] = (Commit("c" * 40, "Raise the limit"),)
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        preview = await press(pilot, "enter")
        assert isinstance(app.screen, PlanDialog)
        for shown in ("Force update csb0, level 1?", "git merge --ff-only", "Raise the limit"):
            assert shown in preview
        assert session.launched == []

        running = await press(pilot, "enter")
        assert isinstance(app.screen, UpdateScreen)
        assert session.launched == [JOB]
        assert "following" in running

        session.says["probe"] = CURRENT
        await session.run_job()
        await app.screen._watcher.ended.wait()
        await settle(pilot)
        ended = screen_text(app)
        for shown in ("✔ Verify", "generation 412", "generation 413", "✔ updated", "c0ff1e…"):
            assert shown in ended

        back = await press(pilot, "escape")
        assert "2 current" in back
        assert "✔ updated" in back


async def test_escape_in_the_preview_starts_nothing(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    async with (app := make_app()).run_test() as pilot:
        await press(pilot, "enter", "escape")
        assert isinstance(app.screen, FleetScreen)
    assert fleet[0].launched == []


async def test_the_job_goes_on_without_its_screen(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await press(pilot, "enter", "enter", "escape")
        await fleet[0].say(
            JobStart(at=NOW),
            StepStart(step="preflight", at=NOW, log=0),
            StepEnd(step="preflight", at=NOW, status="ok", log=0),
            StepStart(step="stop", at=NOW, log=0),
        )
        await settle(pilot)
        assert "2/7" in screen_text(app)
        again = await press(pilot, "enter")
        assert isinstance(app.screen, UpdateScreen)
        assert "▶ Stop agent" in again
    assert fleet[0].launched == [JOB]


async def test_app_attaches_to_the_job_of_somebody_else(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    other = "20261123-000000-ffff"
    fleet[0].says["probe"] = replace(NOT_RESTARTED, job_running=other)
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        text = await press(pilot, "enter")
        assert isinstance(app.screen, UpdateScreen)
        assert other in text
    assert fleet[0].launched == []


async def test_a_busy_host_offers_its_job(make_app: MakeApp, fleet: list[FakeSession]) -> None:
    fleet[0].says["launch"] = Busy("20261123-000000-ffff")
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        text = await press(pilot, "enter", "enter")
        assert "csb0 is busy" in text
        text = await press(pilot, "enter")
        assert isinstance(app.screen, UpdateScreen)
        assert "20261123-000000-ffff" in text


async def test_an_unreachable_host_says_why_and_what_to_try(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        text = await press(pilot, "end", "enter")
        assert isinstance(app.screen, RemedyNotice)
    assert "No route to host" in text
    assert "is the host up, and the VPN?" in text


async def test_a_refusal_is_explained(make_app: MakeApp, fleet: list[FakeSession]) -> None:
    fleet[0].says["plan"] = Refusal("checkout", "flake.nix was changed", "commit it first")
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        text = await press(pilot, "enter")
        assert isinstance(app.screen, RemedyNotice)
    assert "flake.nix was changed" in text
    assert "commit it first" in text


async def test_a_wrong_password_is_asked_for_again(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    fleet[0].password = "right"
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        text = await press(pilot, "enter", "enter")
        assert isinstance(app.screen, PasswordDialog)
        assert "sudo on csb0" in text
        text = await press(pilot, *"nope", "enter")
        assert "wrong password" in text
        text = await press(pilot, *"right")
        assert "right" not in text
        await press(pilot, "enter")
        assert isinstance(app.screen, UpdateScreen)
    assert fleet[0].given == ["nope", "right"]
    assert fleet[0].launched == [JOB]


async def test_app_looks_at_a_closed_checkout_as_root_before_the_plan(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    fleet[0].says["examine"] = [NeedsPassword("csb0"), NOT_RESTARTED]
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        assert "sudo on csb0" in await press(pilot, "enter")
        assert "plan" not in fleet[0].calls
        await press(pilot, *"right", "enter")
        assert isinstance(app.screen, PlanDialog)
    assert fleet[0].given == ["right"]


async def test_app_starts_nothing_without_the_password(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    fleet[0].password = "right"
    async with (app := make_app()).run_test(size=(120, 40), notifications=True) as pilot:
        text = await press(pilot, "enter", "enter", "escape")
        assert isinstance(app.screen, FleetScreen)
        assert "nothing was started" in text
    assert fleet[0].launched == []


async def test_cancel_names_the_host_and_asks(make_app: MakeApp, fleet: list[FakeSession]) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await press(pilot, "enter", "enter")
        await fleet[0].say(JobStart(at=NOW), StepStart(step="rebuild", at=NOW, log=0))
        text = await press(pilot, "c")
        assert "Cancel the job on csb0?" in text
        assert fleet[0].cancelled == []
        await press(pilot, "enter")
        assert fleet[0].cancelled == [JOB]
        await fleet[0].say(CancelSeen(at=NOW, deferred=True))
        await settle(pilot)
        assert "cancelling once the activation has ended" in screen_text(app)


async def test_app_says_what_the_job_waits_for(make_app: MakeApp, fleet: list[FakeSession]) -> None:
    said = [
        (Progress(done=12, expected=47), "12/47"),
        (Retry(step="pull", at=NOW, attempt=2, tries=5, wait=8), "retry 2/5 in 8 s"),
        (
            Waiting(reason="switch", at=NOW, limit=1800),
            "waiting for another rebuild on this host",
        ),
        (Link(up=False, seconds=12, why="timed out"), "no answer for 12 s, retrying"),
    ]
    for event, shown in said:
        fleet[0].events.clear()
        async with (app := make_app(fleet[:1])).run_test(size=(120, 40)) as pilot:
            await press(pilot, "enter", "enter")
            await fleet[0].say(JobStart(at=NOW), StepStart(step="pull", at=NOW, log=0), event)
            await settle(pilot)
            assert shown in screen_text(app)


async def test_app_explains_a_bad_end_in_one_sentence_with_advice(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    fleet[0].says["verdict"] = Verdict(
        kind="failed", cause="build-failed", sentence="the rebuild failed", advice="press e"
    )
    for size in ((120, 40), (80, 24)):
        fleet[0].events.clear()
        async with (app := make_app(fleet[:1])).run_test(size=size) as pilot:
            await press(pilot, "enter", "enter")
            await fleet[0].say(JobEnd(at=NOW, outcome="failed"), None)
            await settle(pilot)
            text = screen_text(app)
            assert "✖ failed  the rebuild failed" in text
            assert "press e" in text
            assert ("build-failed" in text) == (size == (120, 40))


async def test_a_verdict_that_cannot_be_fetched_can_be_asked_for_again(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    session = fleet[0]
    session.says["verdict"] = [Unreachable("connection reset"), UPDATED]
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await press(pilot, "enter", "enter")
        await session.run_job()
        await settle(pilot)
        assert "no verdict  connection reset" in screen_text(app)
        assert UPDATED.sentence[:30] in await press(pilot, "R")


async def test_quit_says_which_jobs_go_on(make_app: MakeApp, fleet: list[FakeSession]) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await press(pilot, "enter", "enter", "escape")
        text = await press(pilot, "q")
        assert isinstance(app.screen, Confirm)
        assert f"csb0: job {JOB}" in text
        await pilot.press("enter")
    assert app.jobs_going_on() == [("csb0", JOB)]


async def test_verify_shows_the_verdict_and_updates_the_row(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        fleet[0].says["probe"] = CURRENT
        fleet[0].says["verify"] = Verdict(kind="current", sentence="runs what flake.lock builds")
        text = await press(pilot, "v")
        assert "✔ current  runs what flake.lock builds" in text
        text = await press(pilot, "escape")
        assert "2 current" in text


async def test_v_in_capitals_verifies_every_unproven_host_and_no_other(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    for session in fleet[1:3]:
        session.says["probe"] = replace(CURRENT, proofs=())
    async with (app := make_app()).run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        assert "2 unproven" in screen_text(app)
        text = await press(pilot, "V")
        assert f"Verify {fleet[1].host.name}, {fleet[2].host.name}" in text
        verified = [row for row in text.split("\n") if "stale  old" in row]
        assert len(verified) == 2
        for session in fleet[1:3]:
            session.says["probe"] = CURRENT
        await press(pilot, "escape", "R")
        assert "No host is unproven." in await press(pilot, "V")


async def test_the_fleet_is_shown_before_any_host_is_asked(
    make_app: MakeApp, fleet: list[FakeSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app()
    look_at_all, seen = app.look_at_all, list[str]()

    def look() -> None:
        seen.append(screen_text(app))
        assert not any(session.calls for session in fleet)
        look_at_all()

    monkeypatch.setattr(app, "look_at_all", look)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert "csb0" in seen[0]
        assert all("probe" in session.calls for session in fleet)


async def test_log_shows_the_last_job(make_app: MakeApp, fleet: list[FakeSession]) -> None:
    fleet[0].says["probe"] = replace(NOT_RESTARTED, job_last=JOB)
    async with (app := make_app()).run_test(size=(120, 40), notifications=True) as pilot:
        text = await press(pilot, "l")
        assert isinstance(app.screen, UpdateScreen)
        assert "Steps" not in text
        await press(pilot, "escape", "down")
        fleet[1].says["newest_job"] = None
        text = await press(pilot, "l")
        assert "csb1 has had no job" in text
        away = Unreachable("no route").without_jobs()
        fleet[3].says["newest_job"] = away
        await press(pilot, "end")
        text = " ".join((await press(pilot, "l")).split())
        assert "imac0: no job is known here, and the host" in text


async def test_log_shows_a_job_that_is_known_of_a_host_that_is_away(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await press(pilot, "end", "l")
        assert isinstance(app.screen, UpdateScreen)
    assert "newest_job" in fleet[3].calls


async def test_filter_marks_and_order(make_app: MakeApp, fleet: list[FakeSession]) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:

        def names(text: str) -> list[str]:
            known = {session.host.name for session in fleet}
            return [word for words in _table(text) for word in words if word in known]

        await settle(pilot)
        assert names(await press(pilot, "slash", *"cs", "enter")) == ["csb0", "csb1"]
        assert "2 marked" in await press(pilot, "ctrl+a")
        assert names(await press(pilot, "escape")) == ["csb0", "csb1", "gpc0", "imac0"]
        assert "marked" not in await press(pilot, "escape")
        assert names(await press(pilot, "s", "S")) == ["imac0", "gpc0", "csb1", "csb0"]
        assert names(await press(pilot, *"sssss")) == ["imac0", "gpc0", "csb0", "csb1"]
        assert app.screen.query_one("RowTable").selected == "csb0"


async def test_refresh_asks_again(make_app: MakeApp, fleet: list[FakeSession]) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        fleet[2].says["probe"], fleet[3].says["probe"] = OFFLINE, STALE
        text = await press(pilot, "R")
    assert "2 stale · 1 offline" in text
    assert [session.calls.count("probe") for session in fleet] == [2, 2, 2, 2]


async def test_latest_is_shown_as_a_commit_when_no_host_knows_its_version(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    fleet[0].says["probe"] = make_facts()
    async with (app := make_app(fleet[:1])).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert "9f2c1ab" in screen_text(app).splitlines()[3]


async def test_app_waits_for_a_host_that_is_still_asked(
    make_app: MakeApp, fleet: list[FakeSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = asyncio.Event()
    probe = fleet[0].probe

    async def slow(**_: bool) -> Facts:
        await answers.wait()
        return await probe()

    monkeypatch.setattr(fleet[0], "probe", slow)
    async with make_app().run_test(size=(120, 40)) as pilot:
        assert "Force update" not in await press(pilot, "enter")
        answers.set()
        await settle(pilot)
        assert "Force update csb0" in screen_text(pilot.app)
        assert fleet[0].calls.count("probe") == 1
