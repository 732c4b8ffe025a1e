"""The page of an agent's own log: what it shows, and what it outlives."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from fakes import NOW, FakeSession
from screen_text import screen_text, settle
from test_path import press
from textual.widgets import Input

from nixfleet_core.errors import NoLog, NotAllowed
from nixfleet_core.job.events import JobStart, Link, StepStart
from nixfleet_core.journal.copy import JournalCopy
from nixfleet_core.journal.wanted import Grew, Opened
from tui.screens.fleet import FleetScreen
from tui.screens.host import HostScreen
from tui.screens.journal import JournalScreen
from tui.screens.password import PasswordDialog
from tui.screens.update import UpdateScreen
from tui.widgets.journal_view import JournalView

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import MakeApp
    from tui.app import NixFleetApp

TOKEN = f"ghp_{'a1B2' * 9}"


def view_of(app: NixFleetApp) -> JournalView:
    return app.screen.query_one(JournalView)


async def test_the_log_is_shown_live_from_the_list_and_escape_goes_back(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        text = await press(pilot, "a")
        assert isinstance(app.screen, JournalScreen)
        first = text.splitlines()[0]
        assert "csb0 · the agent's log · nixfleet-agent.service" in first
        assert first.rstrip().endswith("● following")
        assert "agent[7]: Started" in text
        await fleet[0].tell("hello", f"fetching {TOKEN}")
        await settle(pilot)
        text = screen_text(app)
        assert "agent[7]: hello" in text
        assert "fetching ‹redacted›" in text
        assert "Log · 3 lines · following" in text
        copy = fleet[0].journal_copies[0]
        await press(pilot, "escape")
        assert isinstance(app.screen, FleetScreen)
        assert not copy.text.parent.exists()


async def test_every_page_of_a_host_has_the_key_but_the_log_itself(make_app: MakeApp) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "d", "a")
        assert isinstance(app.screen, JournalScreen)
        await press(pilot, "a")
        assert len(app.screen_stack) == 3
        assert isinstance(app.screen_stack[1], HostScreen)


async def test_a_lost_link_stands_in_the_title_until_the_host_answers(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "a")
        await fleet[0].tell(Link(up=False, seconds=12, why="[@click=app.quit]gone[/]"))
        await settle(pilot)
        title = screen_text(app).splitlines()[0]
        assert "no answer for 12 s, retrying ([@click=app.quit]gone[/])" in title
        await fleet[0].tell(Opened("user"))
        await settle(pilot)
        title = screen_text(app).splitlines()[0]
        assert "nixfleet-agent.service of the user" in title
        assert "● following" in title


async def test_the_log_beside_a_running_update_leaves_the_update_alone(
    make_app: MakeApp, fleet: list[FakeSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "enter", "enter")
        update, updated = app.screen, list[str]()
        assert isinstance(update, UpdateScreen)
        await fleet[0].say(JobStart(at=NOW))
        await press(pilot, "a")
        monkeypatch.setattr(update, "_title", lambda: updated.append("title"))
        await fleet[0].say(StepStart(step="rebuild", at=NOW, log=0))
        await fleet[0].tell("restarting")
        await settle(pilot)
        assert "agent[7]: restarting" in screen_text(app)
        assert updated == []  # a covered page costs nothing
        assert fleet[0].cancelled == []
        monkeypatch.undo()
        text = await press(pilot, "escape")
        assert app.screen is update
        assert "Rebuild" in text


async def test_the_log_goes_on_below_another_page(
    make_app: MakeApp, fleet: list[FakeSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "a")
        screen, shown = app.screen, list[str]()
        await press(pilot, "H")
        assert isinstance(screen, JournalScreen)
        monkeypatch.setattr(screen, "_show_title", lambda: shown.append("title"))
        await fleet[0].tell("meanwhile")
        await settle(pilot)
        assert shown == []
        monkeypatch.undo()
        assert "agent[7]: meanwhile" in await press(pilot, "escape")


async def test_a_password_is_asked_for_once(make_app: MakeApp, fleet: list[FakeSession]) -> None:
    fleet[0].password = "right"
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "a")
        assert isinstance(app.screen, PasswordDialog)
        app.screen.query_one(Input).value = "right"
        assert "agent[7]: Started" in await press(pilot, "enter")
        await press(pilot, "escape")
        assert "agent[7]: Started" in await press(pilot, "a")


async def test_without_a_password_the_page_says_so_and_a_key_asks_again(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    fleet[0].password = "right"
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        text = await press(pilot, "a", "escape")
        assert "only root may read it, and you gave no password" in text
        assert "not followed" in text.splitlines()[0]
        fleet[0].password = None
        text = await press(pilot, "R")
        assert "agent[7]: Started" in text
        assert "no password" not in text
        assert isinstance(app.screen, JournalScreen)


@pytest.mark.parametrize("error", [NoLog("nothing keeps a log"), NotAllowed("no sudo")])
async def test_what_is_wrong_is_said(
    make_app: MakeApp, fleet: list[FakeSession], error: Exception
) -> None:
    fleet[0].says["journal"] = error
    async with make_app().run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert str(error) in await press(pilot, "a")


async def test_the_log_is_saved_without_credentials(
    make_app: MakeApp, fleet: list[FakeSession], tmp_path: Path
) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "a")
        await fleet[0].tell(f"fetching {TOKEN}")
        await settle(pilot)
        await press(pilot, "ctrl+s")
        field = app.screen.query_one(Input)
        assert field.value == "~/nixfleet-csb0-agent.log"
        field.value = str(tmp_path / "saved")
        await press(pilot, "enter")
        for saving in [worker for worker in app.workers if worker.group == "save"]:
            await saving.wait()
        assert (tmp_path / "saved").read_text().endswith("fetching ‹redacted›\n")


async def test_leaving_waits_for_what_is_written(
    make_app: MakeApp, fleet: list[FakeSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []

    async def journal(copy: JournalCopy, _: object) -> object:
        yield Opened("systemd")
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            order.append("written")

    async with make_app().run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        monkeypatch.setattr(fleet[0], "journal", journal)
        monkeypatch.setattr(JournalCopy, "close", lambda _: order.append("closed"))
        await press(pilot, "a", "escape")
        assert order == ["written", "closed"]


# The oldest lines go.


async def test_where_the_operator_looks_stays_when_the_oldest_lines_go(
    make_app: MakeApp, fleet: list[FakeSession], tmp_path: Path
) -> None:
    (tmp_path / "small").mkdir()
    copy = JournalCopy(tmp_path / "small", limit=400_000)

    def add(first: int, last: int) -> None:
        for number in range(first, last):
            copy.append("journal", b"", b"line %05d %s\n" % (number, b"x" * 60))

    fleet[0].journal_copy = lambda: copy  # type: ignore[method-assign]
    add(0, 5000)
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "a")
        view = view_of(app)
        view.go_to_place(3000 * 72)
        await press(pilot, "m")
        top = screen_text(app).splitlines()[3][1:13]
        assert "line 03000" in screen_text(app)
        marks = list(view._marks)
        assert not view.following
        add(5000, 5600)
        assert copy.dropped
        await fleet[0].tell(Grew())
        await settle(pilot)
        assert screen_text(app).splitlines()[3][1:13] == top
        assert view._marks == [mark - copy.dropped for mark in marks]
        add(5600, 9000)  # now the line itself has gone
        await fleet[0].tell(Grew())
        await settle(pilot)
        first = copy.text.read_bytes()[5:10].decode()
        assert int(first) > 3000
        assert f"line {first}" in screen_text(app)
        assert view._marks == []
        add(9000, 9001)
        await fleet[0].tell(Grew())
        assert "line 09000" in await press(pilot, "G")
        add(9001, 14_000)
        await fleet[0].tell(Grew())
        await settle(pilot)
        assert "line 13999" in screen_text(app)
        assert view.following
