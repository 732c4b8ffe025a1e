"""Help, the palette, the key bar, and the mouse."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from keys_table import README, keys_table, table_in
from screen_text import screen_text, settle
from test_path import press
from textual.binding import Binding

from nixfleet_core.vocabulary import STATE_MEANINGS, STATES
from tui.commands import BindingCommands
from tui.screens.fleet import FleetScreen
from tui.screens.help import HelpDialog
from tui.widgets.key_bar import KeyHint, fit_hints
from tui.widgets.row_table import RowTable

if TYPE_CHECKING:
    from fakes import FakeSession
    from textual.pilot import Pilot

    from conftest import MakeApp


def test_the_readme_has_every_key() -> None:
    assert table_in(README.read_text()) == keys_table(), "make keys writes it again"


def test_a_key_that_is_new_is_missed_in_the_readme(monkeypatch: pytest.MonkeyPatch) -> None:
    new = Binding("j", "history", "New", id="fleet.new")
    monkeypatch.setattr(FleetScreen, "BINDINGS", [*FleetScreen.BINDINGS, new])
    assert table_in(README.read_text()) != keys_table()


async def in_update(pilot: Pilot[None]) -> None:
    await press(pilot, "enter", "enter")


@pytest.mark.parametrize("where", ["fleet", "update", "host"])
async def test_help_and_palette_hold_every_key(
    make_app: MakeApp, fleet: list[FakeSession], where: str
) -> None:
    async with (app := make_app()).run_test(size=(120, 100)) as pilot:
        await settle(pilot)
        if where == "update":
            await in_update(pilot)
        elif where == "host":
            await press(pilot, "d")
        active = [item.binding for item in app.screen.active_bindings.values() if item.enabled]
        provider = BindingCommands(app.screen)
        offered = {str(hit.text) async for hit in provider.discover()}
        helped = await press(pilot, "question_mark")
        assert ": ^p  " in helped, "each key by a name of its own"
        for binding in active:
            text = binding.tooltip or binding.description
            if text:
                shown = text[0].upper() + text[1:]
                assert shown in helped
                moves = ("command_palette", "app.focus_next", "app.focus_previous")
                assert (shown in offered) == (binding.action not in moves)


async def test_the_palette_runs_the_chosen_command(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "colon", *"look at all")
        await app.workers.wait_for_complete()
        await press(pilot, "enter")
        await settle(pilot)
    assert [session.calls.count("probe") for session in fleet] == [2, 2, 2, 2]


@pytest.mark.parametrize(
    ("typed", "action"),
    [
        ("rollback", "roll_back"),
        ("roll back", "roll_back"),
        ("undo", "roll_back"),
        ("history", "history"),
        ("verify", "verify"),
        ("refresh", "refresh"),
        ("mark", "mark"),
        ("level", "update"),
        ("update", "update"),
        ("force", "update"),
        ("log", "log"),
        ("logs", "log"),
        ("quit", "app.leave"),
        ("q", "app.leave"),
        ("Filter", "filter"),
        ("details", "details"),
        ("describe", "details"),
    ],
)
async def test_the_palette_finds_the_best_first(make_app: MakeApp, typed: str, action: str) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        hits = [hit async for hit in BindingCommands(app.screen).search(typed)]
        best = max(hits)
        (found,) = best.command.args  # type: ignore[union-attr]
        assert found.binding.action == action
        assert [hit.score for hit in hits].count(best.score) == 1, "there is one that fits best"


async def test_the_palette_goes_to_hosts_and_filters_by_tags(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    fleet[2].host = replace(fleet[2].host, tags=("cloud",))
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await press(pilot, "colon", *"gpc0")
        await app.workers.wait_for_complete()
        await press(pilot, "enter")
        table = app.screen.query_one(RowTable)
        assert table.selected == "gpc0"
        await press(pilot, "colon", *"cloud")
        await app.workers.wait_for_complete()
        await press(pilot, "enter")
        assert table.keys == ["gpc0"]
        await press(pilot, "colon", *"csb1")  # it is hidden
        await app.workers.wait_for_complete()
        await press(pilot, "enter")
        assert table.selected == "csb1"


async def test_colon_q_quits(make_app: MakeApp) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await press(pilot, "colon", "q")
        await app.workers.wait_for_complete()
        await press(pilot, "enter")
        assert app._exit


async def test_the_mouse_chooses_sorts_and_opens(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.click("#host-table", offset=(5, 3))
        await settle(pilot)
        assert app.screen.query_one(RowTable).selected == "gpc0"
        await pilot.click("#host-table", offset=(5, 0))
        await pilot.click("#host-table", offset=(5, 0))
        await settle(pilot)
        assert app.screen.query_one(RowTable).keys == ["imac0", "gpc0", "csb1", "csb0"]
        await pilot.double_click("#host-table", offset=(5, 4))
        await settle(pilot)
        assert "Force update csb0, level 1?" in screen_text(app)
        await pilot.click("#leave")
        await settle(pilot)
        assert isinstance(app.screen, FleetScreen)


@pytest.mark.parametrize(
    ("room", "shown"),
    [
        (40, ["enter choose", "l log", "v verify", "? help"]),
        (38, ["enter choose", "l log", "v verify", "? help"]),
        (36, ["enter choose", "l log", "? help"]),
        (20, ["enter choose", "? help"]),
        (10, ["? help"]),
        (3, []),
    ],
)
def test_key_bar_drops_keys_without_room_and_keeps_help(room: int, shown: list[str]) -> None:
    hints = [
        *(KeyHint("enter", "choose", "enter", False), KeyHint("l", "log", "l", False)),
        *(KeyHint("v", "verify", "v", False), KeyHint("?", "help", "question_mark", True)),
    ]
    assert [f"{hint.shown} {hint.label}" for hint in fit_hints(hints, room)] == shown


async def test_the_key_bar_can_be_clicked(make_app: MakeApp) -> None:
    async with (app := make_app()).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        bar = screen_text(app).splitlines()[-1]
        assert " u update  " in bar
        await pilot.click(offset=(bar.index("help"), 23))
        await settle(pilot)
        assert isinstance(app.screen, HelpDialog)


async def test_help_says_what_each_state_means(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 100)) as pilot:
        await settle(pilot)
        helped = await press(pilot, "question_mark")
        assert "States of a host" in helped
        for state in STATES:
            assert f"{state:<20} {STATE_MEANINGS[state]}" in helped


async def test_an_unforeseen_error_does_not_show_the_values_of_variables(make_app: MakeApp) -> None:
    async with (app := make_app()).run_test() as pilot:
        await settle(pilot)
        try:
            secret = "hunter" + "2"
            raise RuntimeError(len(secret))
        except RuntimeError:
            app._fatal_error()
        shown = "".join(
            segment.text
            for renderable in app._exit_renderables
            for segment in app.console.render(renderable)
        )
        app._exit_renderables.clear()
    assert "RuntimeError: 7" in shown
    assert "hunter2" not in shown


async def test_the_end_rings_and_names_the_verdict(
    make_app: MakeApp, fleet: list[FakeSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        rung, titles = [], []
        monkeypatch.setattr(app, "bell", lambda: rung.append(1))
        monkeypatch.setattr(app, "_set_window_title", titles.append)
        await in_update(pilot)
        await fleet[0].run_job()
        await settle(pilot)
    assert rung == [1]
    assert titles == ["csb0: updated - NixFleet"]
