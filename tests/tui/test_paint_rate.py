"""The setting `fps` bounds the paints of every screen: ours, dialogs, and Textual's own."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

import pytest
from fakes import NOW, FakeLatest
from screen_text import settle
from test_path import press
from textual import constants, screen

from tui.app import NixFleetApp
from tui.paint_rate import pace
from tui.settings import AppSettings

if TYPE_CHECKING:
    from fakes import FakeSession


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests find Textual as it was."""
    monkeypatch.setattr(screen, "UPDATE_PERIOD", screen.UPDATE_PERIOD)


def make_app(fleet: list[FakeSession], settings: AppSettings) -> NixFleetApp:
    return NixFleetApp(fleet, FakeLatest(), settings=settings, clock=lambda: NOW)


def seconds_between_paints(app: NixFleetApp) -> list[float]:
    return [shown._update_timer._interval for shown in app.screen_stack]


def seconds_between_beats(app: NixFleetApp) -> float:
    (beat,) = [timer for timer in app._timers if timer.name == "beat"]
    return beat._interval


@pytest.mark.parametrize(
    ("fps", "paints", "beats"),
    [(1, 1.0, 1.0), (2, 0.5, 0.5), (4, 0.25, 0.25), (10, 0.1, 0.25), (60, 1 / 60, 0.25)],
)
async def test_no_screen_paints_more_often(
    fleet: list[FakeSession], fps: int, paints: float, beats: float
) -> None:
    app = make_app(fleet, AppSettings(fps=fps))
    async with app.run_test() as pilot:
        await settle(pilot)
        for key in ("d", "question_mark"):
            await press(pilot, key)
        app.action_command_palette()
        await settle(pilot)
        assert len(app.screen_stack) == 4
        assert seconds_between_paints(app) == [paints] * 4
        assert seconds_between_beats(app) == beats


@pytest.mark.parametrize(
    ("fps", "turn", "ageing"),
    [
        (1, 1.0, 1.0),
        (2, 0.5, 1.0),
        (3, 2 / 3, 2 / 3),
        (4, 0.5, 1.0),
        (10, 0.5, 1.0),
        (60, 0.5, 1.0),
    ],
)
def test_what_moves_by_itself_does_so_with_every_few_beats(
    fps: int, turn: float, ageing: float
) -> None:
    found = pace(fps)
    assert found.turn * found.beat == pytest.approx(turn)
    assert found.ageing * found.beat == pytest.approx(ageing)
    assert found.ageing % found.turn == 0, "ages grow together with what turns"


async def test_the_sizes_of_a_window_that_is_dragged_are_taken_no_more_often(
    fleet: list[FakeSession],
) -> None:
    async with (app := make_app(fleet, AppSettings(fps=1))).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        app._sized_at = shown_at = monotonic() + 1000
        for width in (110, 100, 90):
            await pilot.resize_terminal(width, 30)
            app._check_resize()
            await settle(pilot)
            assert app._resize_event is not None
            assert app._resize_timer is not None
            assert shown_at + 1 - monotonic() < app._resize_timer._interval <= 1001
        app._sized_at = monotonic() - 2
        app._check_resize()
        await settle(pilot)
        assert app._resize_event is None
        assert app.screen.size == (90, 30)
        assert shown_at - 1000 < app._sized_at <= monotonic()


async def test_each_app_has_its_own_setting(fleet: list[FakeSession]) -> None:
    async with make_app(fleet, AppSettings(fps=2)).run_test() as pilot:
        await settle(pilot)
    async with (app := make_app(fleet, AppSettings())).run_test() as pilot:
        await settle(pilot)
        assert seconds_between_paints(app) == [1 / 60]


async def test_textuals_own_variable_may_say_fewer(
    fleet: list[FakeSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "MAX_FPS", 5)
    async with (app := make_app(fleet, AppSettings(fps=30))).run_test() as pilot:
        await settle(pilot)
        assert seconds_between_paints(app) == [0.2]
