"""A text that changes costs the lines that differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from screen_text import at_rest
from textual import screen
from textual.app import App
from textual.containers import VerticalScroll
from textual.content import Content
from textual.selection import SELECT_ALL
from textual.visual import Visual

from tui.widgets.line_text import LineText

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.geometry import Region

pytestmark = pytest.mark.draws_frames


class BoxApp(App[None]):
    CSS = """
    VerticalScroll { height: 6; width: 20; }
    LineText { height: auto; min-height: 100%; color: $foreground; }
    """

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=False):
            yield LineText(id="text")

    @property
    def text(self) -> LineText:
        return self.query_one(LineText)

    async def show(self, *lines: str | Content) -> None:
        parts = [line if isinstance(line, Content) else Content(line) for line in lines]
        self.text.show(Content("\n").join(parts), least=6)
        await at_rest()

    def paint(self) -> set[int]:
        """Paint what has changed; which rows are that?"""
        self.screen._compositor.update_widgets(set(self.screen._dirty_widgets))
        found = set(self.screen._compositor._dirty_regions)
        self.screen._on_timer_update()
        return {row for region in found for row in range(region.y, region.bottom)}

    def lines(self, count: int = 6) -> list[str]:
        return [line.text[:20].rstrip() for line in self.screen._compositor.render_strips()[:count]]


@pytest.fixture(autouse=True)
def _painted_when_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "UPDATE_PERIOD", 3600.0)


async def test_only_lines_that_differ_are_painted() -> None:
    async with (app := BoxApp()).run_test(size=(40, 20)):
        await app.show("one", "two", "three")
        app.paint()
        assert app.lines() == ["one", "two", "three", "", "", ""]
        await app.show("one", "2", "three", "four")
        assert app.paint() == {1, 3}
        assert app.lines() == ["one", "2", "three", "four", "", ""]
        await app.show("one", "2", "three", "four")
        assert app.paint() == set()
        await app.show("one", Content.styled("2", "bold"), "three", "four")
        assert app.paint() == {1}
        await app.show("one")
        assert app.paint() == {1, 2, 3}
        assert app.lines() == ["one", "", "", "", "", ""]


async def test_a_layout_follows_only_if_the_height_is_another_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    laid_out: list[bool] = []
    real = LineText.refresh

    def refresh(self: LineText, *regions: Region, layout: bool = False, **more: bool) -> LineText:
        laid_out.append(layout)
        return real(self, *regions, layout=layout, **more)

    monkeypatch.setattr(LineText, "refresh", refresh)
    async with (app := BoxApp()).run_test(size=(40, 20)):
        await app.show("one")
        app.paint()
        laid_out.clear()
        await app.show("one", "a line that does not fit the width")
        assert laid_out == [False]
        await app.show(*map(str, range(9)))
        assert laid_out == [False, True]
        app.screen._on_timer_update()
        await at_rest()
        assert app.text.size.height == 9
        laid_out.clear()
        await app.show(*map(str, range(10, 19)))
        assert laid_out == [False]


async def test_a_text_is_wrapped_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async with (app := BoxApp()).run_test(size=(40, 20)):
        await app.show("one")
        app.paint()
        wrapped: list[str] = []
        real = Visual.to_strips

        def to_strips(widget: LineText, visual: Content, *more: object) -> object:
            wrapped.append(visual.plain)
            return real(widget, visual, *more)  # type: ignore[arg-type]

        monkeypatch.setattr(Visual, "to_strips", to_strips)
        await app.show("two")
        app.paint()
        assert wrapped == ["two"]


async def test_its_lines_follow_the_width_the_colours_and_the_selection() -> None:
    async with (app := BoxApp()).run_test(size=(40, 20)) as pilot:
        await app.show("a line that has words")
        app.screen._on_timer_update()
        assert app.lines()[:2] == ["a line that has", "words"]
        app.query_one(VerticalScroll).styles.width = 12
        await at_rest()
        app.screen._on_timer_update()
        await at_rest()
        assert app.lines()[:2] == ["a line that", "has words"]
        for change in (
            lambda: setattr(app, "theme", "textual-light"),
            lambda: setattr(app.screen, "selections", {app.text: SELECT_ALL}),
        ):
            before = app.text.render_line(0)
            change()
            await pilot.pause()
            assert app.text.render_line(0) != before
        assert app.screen.get_selected_text() == "a line that has words"
