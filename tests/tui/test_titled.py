"""A title that changes costs its row, not its box."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from screen_text import at_rest
from textual import screen
from textual.app import App
from textual.content import Content
from textual.widgets import Static

from tui.widgets.titled import TitledScroll

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.geometry import Region
    from textual.screen import Screen

pytestmark = pytest.mark.draws_frames


class BoxApp(App[None]):
    CSS = "TitledScroll { height: 8; width: 40; border: round white; padding: 0 2; }"

    def __init__(self) -> None:
        super().__init__()
        self.regions: set[Region] = set()

    def compose(self) -> ComposeResult:
        with TitledScroll(can_focus=False) as box:
            box.show_titles(Content("first"), Content("below"))
            yield Static("text")

    def on_mount(self) -> None:
        compositor = self.screen._compositor
        paint = compositor.render_update

        def noted(screen_stack: list[Screen[object]]) -> object:
            self.regions |= compositor._dirty_regions
            return paint(screen_stack=screen_stack)

        compositor.render_update = noted  # type: ignore[method-assign]

    def painted(self) -> set[Region]:
        """What was drawn since this was asked last; the app may have drawn some of it by itself."""
        self.screen._on_timer_update()
        found, self.regions = self.regions, set()
        return found

    def lines(self) -> list[str]:
        return [line.text for line in self.screen._compositor.render_strips()[:8]]


async def test_only_the_rows_of_titles_that_change_are_painted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(screen, "UPDATE_PERIOD", 3600.0)  # it paints only when it is told to
    async with (app := BoxApp()).run_test(size=(60, 20)):
        await at_rest()
        app.painted()
        box = app.query_one(TitledScroll)
        for title, subtitle, rows in (
            ("first", "below", set()),
            ("second", "below", {0}),
            ("second", "other", {7}),
            ("a", "b", {0, 7}),
        ):
            box.show_titles(Content(title), Content(subtitle))
            await at_rest()
            found = app.painted()
            assert {region.y for region in found} == rows
            assert all((region.x, region.width, region.height) == (0, 40, 1) for region in found)
            assert f" {title} " in app.lines()[0]
            assert f" {subtitle} " in app.lines()[7]
        box.refresh()
        await at_rest()
        assert {region.height for region in app.painted()} >= {8}
