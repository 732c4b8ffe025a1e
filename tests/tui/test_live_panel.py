"""A panel that shows something that changes is drawn once for each paint, and never late."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from screen_text import at_rest
from textual import screen
from textual.app import App
from textual.content import Content

from tui.widgets.live import LivePanel

if TYPE_CHECKING:
    from textual.app import ComposeResult

pytestmark = pytest.mark.draws_frames


class Panel(LivePanel):
    """Says a word, and how wide it is."""

    word = "one"
    drawn = 0

    def picture(self) -> Content:
        self.drawn += 1
        return Content(f"{self.word} {self.size.width}")


class PanelApp(App[None]):
    def compose(self) -> ComposeResult:
        yield Panel()

    @property
    def panel(self) -> Panel:
        return self.query_one(Panel)

    async def paint(self) -> str:
        await at_rest()
        self.screen._on_timer_update()
        await at_rest()
        return self.screen._compositor.render_strips()[0].text.rstrip()


@pytest.fixture(autouse=True)
def _painted_when_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "UPDATE_PERIOD", 3600.0)


async def test_a_change_is_drawn_once() -> None:
    async with (app := PanelApp()).run_test(size=(40, 20)):
        assert await app.paint() == "one 40"
        app.panel.word, app.panel.drawn = "two", 0
        app.panel.show(layout=False)
        assert await app.paint() == "two 40"
        assert app.panel.drawn == 1
        app.panel.show(layout=False)
        assert app.panel.drawn == 2, "whether it has changed"
        assert await app.paint() == "two 40"
        assert app.panel.drawn == 2


async def test_the_last_picture_before_a_paint_counts() -> None:
    async with (app := PanelApp()).run_test(size=(40, 20)):
        await app.paint()
        for word in ("two", "one"):
            app.panel.word = word
            app.panel.show(layout=False)
        assert await app.paint() == "one 40"


async def test_a_picture_for_another_size_is_drawn_again() -> None:
    async with (app := PanelApp()).run_test(size=(40, 20)):
        await app.paint()
        app.panel.word = "two"
        app.panel.show(layout=False)
        app.panel.styles.width = 30
        assert await app.paint() == "two 30"
