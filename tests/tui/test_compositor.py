"""A partial update shows what Textual's own shows, and asks only the widgets that stand in it."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from fakes import NOW
from screen_text import settle
from test_path import press
from textual._compositor import Compositor
from textual.geometry import Region
from textual.widget import Widget

from nixfleet_core.job.events import JobStart, StepStart
from tui.compositor import PartCompositor, compositor
from tui.screens.base import Page
from tui.screens.update import UpdateScreen
from tui.widgets.log_view import LogView

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fakes import FakeSession
    from textual._compositor import ChopsUpdate

    from conftest import MakeApp

    Pieces = dict[tuple[int, int], str]
    """The text of each piece of a line, by row and first column."""

WIDTH, HEIGHT = 120, 40
REGIONS = [
    {Region(5, 3, 60, 9)},
    {Region(0, 0, WIDTH, 1), Region(0, HEIGHT - 1, WIDTH, 1)},
    {Region(118, 0, 2, HEIGHT)},
    {Region(30, 10, 50, 8), Region(2, 14, 110, 20)},
    {Region(7, 38, 1, 2), Region(0, 12, 1, 1)},
]


@pytest.fixture
async def page(make_app: MakeApp, fleet: list[FakeSession]) -> AsyncIterator[UpdateScreen]:
    async with (app := make_app()).run_test(size=(WIDTH, HEIGHT)) as pilot:
        await settle(pilot)
        await press(pilot, "enter", "enter")
        await fleet[0].say(JobStart(at=NOW), StepStart(step="rebuild", at=NOW, log=0))
        await fleet[0].log("".join(f"line {number}\n" for number in range(99)))
        await settle(pilot)
        assert isinstance(app.screen, UpdateScreen)
        yield app.screen


def painted(page: Page, regions: set[Region]) -> Pieces:
    page._compositor._dirty_regions |= regions
    update: ChopsUpdate | None = page._compositor.render_partial_update()
    assert update is not None
    assert not page._compositor._dirty_regions
    found: Pieces = {}
    for y, left, right in update.spans:
        for start, end in pairwise(page._compositor.cuts[y]):
            if start < right and end > left:
                found[y, start] = update.chops[y][start].render(page.app.console)
    return found


@pytest.mark.parametrize("regions", REGIONS)
async def test_an_update_shows_what_textuals_own_shows(
    page: UpdateScreen, regions: set[Region], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(page._compositor, PartCompositor)
    ours = painted(page, regions)
    monkeypatch.setattr(PartCompositor, "_get_renders", Compositor._get_renders)
    assert ours == painted(page, regions)


async def test_a_row_that_has_been_scrolled_is_the_right_one(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (app := make_app()).run_test(size=(WIDTH, 20)) as pilot:
        await settle(pilot)
        details = app.screen.query_one("#details")
        details.scroll_to(y=1, animate=False)
        await settle(pilot)
        assert details.scroll_offset.y == 1
        assert isinstance(app.screen, Page)
        ours = painted(app.screen, {details.region})
        monkeypatch.setattr(PartCompositor, "_get_renders", Compositor._get_renders)
        assert ours == painted(app.screen, {details.region})


async def test_only_rows_that_are_painted_are_asked_for(
    page: UpdateScreen, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, Region]] = []
    view = page.query_one(LogView)

    def noted(cls: type[Widget]) -> None:
        real = cls.render_lines

        def render_lines(self: Widget, crop: Region) -> object:
            asked.append((self.id or "", crop))
            return real(self, crop)

        monkeypatch.setattr(cls, "render_lines", render_lines)

    noted(Widget)
    noted(LogView)
    rows = Region(view.region.x, view.region.y + 2, 20, 3)
    painted(page, {rows})
    assert asked == [(view.id, Region(0, 2, view.region.width, 3))]
    asked.clear()
    painted(page, {Region(0, 0, WIDTH, 1)})
    assert [name for name, _ in asked] == ["title"]


def test_another_textual_paints_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its compositor may have changed."""
    assert isinstance(compositor(), PartCompositor)
    for version in ("8.3.0", "8.20.1", "9.0"):
        monkeypatch.setattr("textual.__version__", version)
        assert type(compositor()) is Compositor
