"""The host's menu: all that can be done to one host now, with its key, or why not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from fakes import CURRENT, JOB, NOT_RESTARTED, STALE
from screen_text import press_key, screen_text, settle
from test_commit_key import uncommitted
from test_path import press
from textual.binding import Binding

from nixfleet_core.errors import Unreachable
from nixfleet_core.host import HELD
from nixfleet_core.plan.model import Refusal
from tui.app import NixFleetApp
from tui.screens.base import Confirm
from tui.screens.debt import DebtScreen
from tui.screens.fleet import FleetScreen
from tui.screens.generation import GenerationDialog
from tui.screens.history import HistoryScreen
from tui.screens.host import HostScreen
from tui.screens.host_menu import HostMenu, MenuRow, listed_rows
from tui.screens.host_page import HostPage
from tui.screens.journal import JournalScreen
from tui.screens.many import ManyScreen
from tui.screens.plan import CommitDialog, RestartDialog, UpdateDialog
from tui.screens.remedy import RemedyNotice
from tui.screens.update import UpdateScreen
from tui.why_not import why_not

if TYPE_CHECKING:
    from fakes import FakeSession

    from conftest import MakeApp

PAGES = (FleetScreen, HostScreen, UpdateScreen, ManyScreen, JournalScreen, DebtScreen)
OF_THE_PAGE = {
    *("fleet.menu", "fleet.update-stale", "fleet.verify-unproven", "fleet.fix", "fleet.filter"),
    *("fleet.mark", "fleet.mark-all", "fleet.copy", "fleet.sort", "fleet.reverse", "fleet.clear"),
    *("host.menu", "host.leave", "host.copy", "host.copy-all"),
    *("update.menu", "update.leave", "update.zoom", "update.copy"),
    *("many.menu", "many.leave", "many.copy", "many.report", "journal.menu", "journal.leave"),
    *("debt.menu", "debt.leave", "debt.copy", "debt.copy-all"),
}
"""What these keys do concerns no host, or not this one alone, or only what the page shows."""


def row_of(app: NixFleetApp, name: str) -> MenuRow:
    """The row that the open menu shows of a binding."""
    assert isinstance(app.screen, HostMenu)
    (row,) = [row for row in app.screen._rows if row.id == name]
    return row


def test_each_key_of_a_page_is_in_the_menu_or_concerns_no_host() -> None:
    def pages(kind: type[HostPage]) -> set[type[HostPage]]:
        below = kind.__subclasses__()
        return set().union(*map(pages, below)) if below else {kind}

    assert pages(HostPage) == set(PAGES)
    found = [binding for page in PAGES for binding in page.BINDINGS]
    without = {one.id for one in found if isinstance(one, Binding) and one.group is None}
    assert without == OF_THE_PAGE
    assert all(one.tooltip or one.description for one in found if isinstance(one, Binding))


@pytest.mark.parametrize(
    ("keys", "page"),
    [
        ((), FleetScreen),
        (("d",), HostScreen),
        (("a",), JournalScreen),
        (("D",), DebtScreen),
        (("enter", "enter"), UpdateScreen),
        (("space", "space", "u", "enter"), ManyScreen),
    ],
)
async def test_it_lists_all_that_the_page_can_do_to_the_host(
    make_app: MakeApp, keys: tuple[str, ...], page: type[HostPage]
) -> None:
    async with (app := make_app()).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, *keys)
        assert isinstance(app.screen, page)
        text = await press(pilot, "full_stop")
        assert isinstance(app.screen, HostMenu)
        assert "What to do with csb0" in text
        assert "⏎ do it" in text
        texts = [row.text for row in app.screen._rows]
        for words in ("Force-update this host", "Restart the agent", "Open your own shell there"):
            assert any(one.startswith(words) for one in texts), texts
        groups = list(dict.fromkeys(row.group for row in app.screen._rows))
        assert groups == ["Look", "Cure", "Log", "Terminal"]
        text = await press(pilot, "pagedown", "pagedown")
        assert "▸ x  Open your own shell there" in text
        text = await press(pilot, "pageup", "pageup")
        assert text.count("▸") == 1
        await press(pilot, "escape")
        assert isinstance(app.screen, page)


async def test_enter_does_what_is_under_the_cursor_and_a_key_does_its_own(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        for keys, screen in (
            (("enter",), UpdateDialog),
            (("down", "enter"), HostScreen),
            (("H",), HistoryScreen),
            (("u",), UpdateDialog),
            (("b",), GenerationDialog),
            (("r",), RestartDialog),
        ):
            await press(pilot, "full_stop", *keys)
            assert isinstance(app.screen, screen), keys
            await press(pilot, "escape")
            assert isinstance(app.screen, FleetScreen)
        probes = [session.calls.count("probe") for session in fleet]
        await press(pilot, "full_stop", "R")
        assert fleet[0].calls.count("probe") == probes[0] + 1
        assert [one.calls.count("probe") for one in fleet[1:]] == probes[1:], "this host alone"


async def test_a_click_does_what_the_key_does(make_app: MakeApp) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "full_stop")
        assert isinstance(app.screen, HostMenu)
        at = [row.id for row in app.screen._rows].index("fleet.restart")
        await pilot.click(f"#menu-{at}")
        await settle(pilot)
        assert isinstance(app.screen, RestartDialog)


async def test_it_acts_on_its_host_and_on_no_marked_one(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "ctrl+a", "full_stop", "u", "enter")
        assert isinstance(app.screen, UpdateScreen)
    assert [len(session.launched) for session in fleet] == [1, 0, 0, 0]


async def test_it_stays_with_its_host_when_the_list_changes(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "slash", *"state:stale", "enter", "full_stop")
        assert isinstance(app.screen, HostMenu)
        fleet[0].says["probe"] = CURRENT
        await app.fleet.look(app.fleet.entries["csb0"], app.tick)
        await settle(pilot)
        page = app.screen_stack[0]
        assert isinstance(page, FleetScreen)
        assert page.host_entry is app.fleet.entries["gpc0"]
        await press(pilot, "r", "enter")
    assert [len(session.launched) for session in fleet] == [1, 0, 0, 0]


async def test_it_says_why_not_as_it_is_now(make_app: MakeApp, fleet: list[FakeSession]) -> None:
    """Also while it is open."""
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        text = await press(pilot, "full_stop")
        assert "flake.lock does not differ from the one of HEAD" in text
        assert row_of(app, "fleet.commit").absent
        assert not row_of(app, "fleet.update").why_not
        fleet[0].says["probe"] = replace(uncommitted(), job_running=JOB)
        await app.fleet.look(app.fleet.entries["csb0"], app.tick)
        await settle(pilot)
        running = f"the job {JOB} is running"
        assert f"not now: {running}" in screen_text(app)
        for name in ("update", "restart", "rollback", "commit"):
            assert row_of(app, f"fleet.{name}").why_not == running
        fleet[0].says["probe"] = uncommitted()
        await app.fleet.look(app.fleet.entries["csb0"], app.tick)
        await settle(pilot)
        assert "is running" not in screen_text(app)
        await press(pilot, "K")
        assert isinstance(app.screen, CommitDialog)


async def test_the_key_that_is_not_there_says_why_and_the_menu_stays(
    make_app: MakeApp,
) -> None:
    async with (app := make_app()).run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        text = await press(pilot, "full_stop", "K")
        assert isinstance(app.screen, HostMenu)
        assert text.count("flake.lock does not differ from") == 2, text


@pytest.mark.parametrize("known", [True, False])
async def test_the_menu_and_the_key_say_the_same(
    make_app: MakeApp, fleet: list[FakeSession], known: bool
) -> None:
    """`known`: a look has seen the host."""
    session = fleet[0]
    refused = Refusal("unit", "its unit is masked", "unmask it")
    session.says |= {"plan": refused, "plan_restart": refused}
    why = "its unit is masked"
    if not known:
        why = "no route to host"
        session.says["probe"] = Unreachable(why)
    async with (app := make_app()).run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        for key, name in (("u", "update"), ("r", "restart")):
            await press(pilot, "full_stop")
            assert row_of(app, f"fleet.{name}").why_not == why
            text = await press(pilot, key)
            assert isinstance(app.screen, RemedyNotice)
            assert why in text
            await press(pilot, "escape")
        for key, name in (("C", "connect"), ("x", "shell")):
            await press(pilot, "full_stop")
            said = row_of(app, f"fleet.{name}").why_not
            assert f"csb0: {said}" in await press(pilot, key)
            assert isinstance(app.screen, FleetScreen)


async def test_a_plan_that_needs_a_closer_look_is_not_refused_before(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    assert STALE.checkout is not None
    unreadable = replace(STALE, checkout=replace(STALE.checkout, state="unreadable"))
    fleet[0].says |= {"probe": unreadable, "plan": Refusal("flake", "it cannot be read", "")}
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert not why_not("update", app.fleet.entries["csb0"])


async def test_a_held_host_can_be_updated_alone(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    fleet[0].host = replace(fleet[0].host, hold=True)
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        entry = app.fleet.entries["csb0"]
        assert entry.left_out == HELD
        assert not why_not("update", entry)


async def test_a_job_can_be_cancelled_from_it_and_nothing_else_be_started(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "enter", "enter", "full_stop")
        running = f"the job {JOB} is running"
        assert row_of(app, "update.update") == replace(
            row_of(app, "update.update"), absent=True, why_not=running
        )
        assert row_of(app, "update.connect").absent
        assert not row_of(app, "update.shell").absent
        assert not row_of(app, "update.cancel").why_not
        await press(pilot, "c")
        assert isinstance(app.screen, Confirm)
        await press(pilot, "escape")
        await fleet[0].run_job()
        await settle(pilot)
        await press(pilot, "full_stop")
        assert row_of(app, "update.cancel").why_not == "the job has ended"
        assert not row_of(app, "update.update").why_not


async def test_the_update_of_several_says_which_job_runs(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    fleet[0].says["probe"] = fleet[2].says["probe"] = NOT_RESTARTED
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "space", "space", "u", "enter", "full_stop")
        assert row_of(app, "many.restart").absent
        assert not row_of(app, "many.cancel").absent
        assert not row_of(app, "many.open").absent
        await press(pilot, "enter")
        assert isinstance(app.screen, UpdateScreen)


def test_of_two_actions_with_one_key_the_one_that_is_there_is_listed() -> None:
    again = MenuRow("update.again", "Look", ("R",), "Ask again", "followed", absent=True)
    look = MenuRow("update.refresh", "Look", ("R",), "Look again")
    other = MenuRow("update.cancel", "Cure", ("c",), "Stop", "ended", absent=True)
    assert listed_rows([again, look, other]) == [look, other]
    assert listed_rows([again, other]) == [again, other]


async def test_without_a_host_there_is_no_menu(make_app: MakeApp) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "slash", *"nothing-like-it", "enter")
        press_key(pilot, "full_stop")
        await settle(pilot)
        assert isinstance(app.screen, FleetScreen)
