"""Starting needs a decision: keys act on what is seen, and nothing that is typed ahead confirms."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from fakes import JOB, NOW
from screen_text import press_key, screen_text, settle
from test_path import press
from textual import events

from nixfleet_core.errors import NeedsPassword
from nixfleet_core.job.events import JobStart
from tui.screens.base import Confirm, Dialog
from tui.screens.batch import ManyPlansDialog
from tui.screens.plan import UpdateDialog
from tui.screens.remedy import RemedyNotice

if TYPE_CHECKING:
    from fakes import FakeSession
    from textual.pilot import Pilot

    from conftest import MakeApp


async def filtered(pilot: Pilot[None], text: str) -> str:
    return await press(pilot, "slash", *text, "enter")


async def start_job(pilot: Pilot[None], fleet: list[FakeSession]) -> None:
    """On the host under the cursor."""
    await press(pilot, "enter", "enter")
    await fleet[0].say(JobStart(at=NOW))


@pytest.mark.enter_pauses
async def test_a_held_enter_starts_nothing(
    make_app: MakeApp, fleet: list[FakeSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.screens.base.ENTER_PAUSE", 3600.0)  # on the slowest machine
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        text = await press(pilot, *["enter"] * 20)
        assert isinstance(app.screen, UpdateDialog)
        assert "  start" in text
        assert "⏎ start" not in text
    assert fleet[0].launched == []


@pytest.mark.enter_pauses
@pytest.mark.parametrize(("after", "launched"), [(-0.1, []), (0.1, []), (0.5, [JOB])])
async def test_an_enter_that_was_on_its_way_when_the_dialog_opened_starts_nothing(
    make_app: MakeApp, fleet: list[FakeSession], after: float, launched: list[str]
) -> None:
    """Textual gives a key that no widget has used to the screen that is shown by then."""
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await press(pilot, "u")
        assert isinstance(app.screen, UpdateDialog)
        assert app.screen._shown_at is not None
        key = events.Key("enter", None)
        key.time = app.screen._shown_at + after
        key._set_forwarded()
        app.post_message(key)
        await settle(pilot)
    assert fleet[0].launched == launched


async def test_the_same_words_are_shown_once(make_app: MakeApp) -> None:
    """A key that is held down would bury the app below them."""
    async with (app := make_app()).run_test(size=(120, 40), notifications=True) as pilot:
        for _ in range(3):
            app.notify("still busy")
        app.notify("something else")
        await settle(pilot)
        assert [one.message for one in app._notifications] == ["still busy", "something else"]


@pytest.mark.enter_pauses
async def test_a_typed_password_is_taken_at_once(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.screens.base.ENTER_PAUSE", 3600.0)
    async with make_app().run_test(size=(120, 40)) as pilot:
        asking = pilot.app.run_worker(pilot.app._ask_password(NeedsPassword("csb0")))  # type: ignore[attr-defined]
        await settle(pilot)
        await press(pilot, "enter", *"right", "enter")
        assert await asking.wait() == "right"


@pytest.mark.enter_pauses
async def test_the_sign_of_enter_comes_back_with_the_key(
    make_app: MakeApp, fleet: list[FakeSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.screens.base.ENTER_PAUSE", 0.05)
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await press(pilot, "u")
        dialog = app.screen
        assert isinstance(dialog, UpdateDialog)
        while not dialog.takes_enter:
            await pilot.pause(0.01)
        await settle(pilot)
        assert "⏎ start" in screen_text(app)
        await press(pilot, "enter")
    assert fleet[0].launched == [JOB]


@pytest.mark.enter_pauses
@pytest.mark.parametrize(
    ("at", "previous", "counts"),
    [(-0.1, 0, False), (0.3, 0, False), (0.5, 0, True), (2.0, 1.4, False), (2.0, 1.2, True)],
)
async def test_an_enter_counts_after_a_pause_without_one(
    make_app: MakeApp, at: float, previous: float, counts: bool
) -> None:
    """By the moments when they were read: the loop may have been busy meanwhile."""
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await press(pilot, "u")
        dialog = app.screen
        assert isinstance(dialog, Dialog)
        shown = dialog._shown_at
        assert shown is not None
        before = shown + previous if previous else 0.0
        assert dialog.takes_enter_of(shown + at, before) is counts


async def test_no_key_acts_behind_the_notice_but_quit(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    async with (app := make_app()).run_test(size=(50, 12)) as pilot:
        await press(pilot, "u", "enter", "ctrl+a", "v", "colon", "question_mark", "slash")
        assert len(app.screen_stack) == 1
        assert "q quits." in screen_text(app)
        await pilot.resize_terminal(120, 40)
        await press(pilot, "u")
        assert isinstance(app.screen, UpdateDialog)
        await pilot.resize_terminal(50, 12)
        await press(pilot, "enter", "escape")
        assert isinstance(app.screen, UpdateDialog)
        press_key(pilot, "q")
        await settle(pilot)
        assert not app.is_running or app._exit
    assert fleet[0].launched == []


async def test_quit_asks_nothing_behind_the_notice(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    """Nobody would see the question."""
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await start_job(pilot, fleet)
        await pilot.resize_terminal(50, 12)
        press_key(pilot, "q")
        await settle(pilot)
        assert not isinstance(app.screen, Confirm)
        assert app._exit
        assert app.jobs_going_on() == [("csb0", JOB)]


async def test_ctrl_c_offers_to_cancel_the_job_in_view_and_says_what_it_does(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await start_job(pilot, fleet)
        text = await press(pilot, "ctrl+c")
        assert isinstance(app.screen, Confirm)
        assert "Cancel the job on csb0?" in text
        assert "q then quits NixFleet, and the job goes on." in text
        await press(pilot, "escape")
        await fleet[0].run_job()
        await settle(pilot)
        press_key(pilot, "ctrl+c")
        await settle(pilot)
        assert app._exit, "no job is in view any more"


@pytest.mark.parametrize("temporary", [False, True])
async def test_quit_says_what_becomes_of_the_jobs(
    make_app: MakeApp, fleet: list[FakeSession], temporary: bool
) -> None:
    app = make_app()
    app.settings = replace(app.settings, temporary=temporary)
    async with app.run_test(size=(120, 40)) as pilot:
        await start_job(pilot, fleet)
        text = await press(pilot, "q")
        assert isinstance(app.screen, Confirm)
        assert ("go on without the app" in text) is not temporary
        assert ("end with the app" in text) is temporary


async def test_the_log_of_an_ended_job_is_not_followed(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await start_job(pilot, fleet)
        await settle(pilot)
        assert "lines · following" in screen_text(app)
        await fleet[0].run_job()
        await settle(pilot)
        text = screen_text(app)
        assert "lines · the end" in text
        assert "following" not in text


async def test_the_sign_of_the_order_is_no_sign_of_a_state(make_app: MakeApp) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        assert "Host ↑" in await press(pilot, "s")
        assert "Host ↓" in await press(pilot, "S")
        assert not {app.glyphs.up, app.glyphs.down} & {app.glyphs.warning, app.glyphs.bad}


async def test_a_crash_never_ends_with_0(make_app: MakeApp) -> None:
    async with (app := make_app()).run_test(size=(120, 40)):
        app.panic("the input broke")
    assert app.return_code == 1


async def test_keys_act_on_marked_hosts_that_are_shown(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await press(pilot, "ctrl+a")
        text = await filtered(pilot, "csb")
        assert "4 marked, 2 of them hidden" in text
        text = await press(pilot, "u")
        assert isinstance(app.screen, ManyPlansDialog)
        assert "Force update 2 hosts" in text
        assert "2 marked hosts are hidden and left alone." in text
        await press(pilot, "escape", "escape")
        assert "4 marked" in screen_text(app), "hidden marks stay"
        await filtered(pilot, "csb0")
        text = await press(pilot, "u")
        assert isinstance(app.screen, UpdateDialog)
        assert "3 marked hosts are hidden and left alone." in text
        await press(pilot, "escape")
        text = await press(pilot, "v")
        assert isinstance(app.screen, RemedyNotice)
        assert "3 marked hosts are hidden and left alone." in text
    assert [session.launched for session in fleet] == [[]] * 4


async def test_if_all_marks_are_hidden_the_cursor_counts(make_app: MakeApp) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await press(pilot, "space")
        await filtered(pilot, "csb1")
        text = await press(pilot, "u")
        assert isinstance(app.screen, UpdateDialog)
        assert "csb1" in text
        assert "1 marked host is hidden and left alone." in text


async def test_unproven_hosts_that_are_hidden_are_left_alone(make_app: MakeApp) -> None:
    async with (app := make_app()).run_test(size=(120, 40), notifications=True) as pilot:
        await filtered(pilot, "imac0")
        assert "No host that is shown is unproven." in await press(pilot, "V")
        assert len(app.screen_stack) == 1
