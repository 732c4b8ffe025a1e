"""The log widget over real files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fakes import NOW
from screen_text import at_rest, press_key
from textual.app import App, ComposeResult

import tui
from nixfleet_core.log.index import CLIP, SEGMENT
from tui.glyphs import UNICODE
from tui.line_times import LineTimes
from tui.log_file import GROW_BUDGET
from tui.themes import added
from tui.widgets.log_panel import LogPanel, save_plain

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from tui.log_file import LogFile
    from tui.widgets.log_view import LogView

SIZE = (60, 12)
ROWS = 10
"""Rows of log in a terminal of 12: a border above and below."""
WIDTH = 56
"""Cells of log in a terminal of 60: a border at both sides, the gutter, the scrollbar."""


class LogApp(App[None]):
    """An app that shows only a log."""

    CSS_PATH = Path(tui.__file__).parent / "app.tcss"

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.times = LineTimes()
        self.panel = LogPanel(path, self.times, UNICODE, id="log")

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return added(self.current_theme)

    def compose(self) -> ComposeResult:
        yield self.panel

    @property
    def log_view(self) -> LogView:
        return self.panel.view


def count_reads(file: LogFile) -> list[int]:
    """The size of each read of the file from now on."""
    sizes: list[int] = []
    read = file._read

    def counted(start: int, size: int) -> bytes:
        data = read(start, size)
        sizes.append(len(data))
        return data

    file._read = counted  # type: ignore[method-assign]
    return sizes


async def rest(pilot: Pilot[None]) -> None:
    """Let searches end and messages be handled."""
    await at_rest()
    await pilot.app.workers.wait_for_complete()
    await at_rest()


async def press(pilot: Pilot[None], *keys: str) -> None:
    for key in keys:
        press_key(pilot, key)
        await rest(pilot)


def shown(view: LogView) -> list[str]:
    """The rows in the window, without the blanks at the right."""
    return [view.render_line(y).text.rstrip() for y in range(view.size.height)]


def title(app: LogApp) -> str:
    return app.panel._border_title.plain  # type: ignore[attr-defined]


def numbered(count: int, start: int = 0) -> str:
    return "".join(f"line {number}\n" for number in range(start, start + count))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "log.txt", numbered(100))


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def append(app: LogApp, text: str) -> None:
    with app.log_view.file.path.open("a") as file:
        file.write(text)
    app.log_view.mark_dirty()
    app.log_view.flush()


async def test_log_view_follows_until_scrolled_up(path: Path) -> None:
    async with (app := LogApp(path)).run_test(size=SIZE) as pilot:
        await rest(pilot)
        assert shown(app.log_view)[-1] == " line 99"
        assert title(app) == "Log · 100 lines · following"
        append(app, numbered(50, 100))
        assert shown(app.log_view)[-1] == " line 149"

        await press(pilot, "up")
        append(app, numbered(1000, 150))
        await rest(pilot)
        assert shown(app.log_view)[-1] == " line 148"
        assert title(app) == "Log · 1,150 lines · +1,001 lines · G to follow"

        await press(pilot, "G")
        assert shown(app.log_view)[-1] == " line 1149"
        assert title(app) == "Log · 1,150 lines · following"


async def test_scrolling_to_the_end_follows_again(path: Path) -> None:
    async with (app := LogApp(path)).run_test(size=SIZE) as pilot:
        await rest(pilot)
        await press(pilot, "pageup")
        assert not app.log_view.following
        await press(pilot, "pagedown")
        assert app.log_view.following


async def test_ends_and_pages(path: Path) -> None:
    async with (app := LogApp(path)).run_test(size=SIZE) as pilot:
        await rest(pilot)
        await press(pilot, "g")
        assert shown(app.log_view)[0] == " line 0"
        append(app, "more\n")
        assert shown(app.log_view)[0] == " line 0"
        await press(pilot, "pagedown")
        assert shown(app.log_view)[0] == f" line {ROWS - 1}"
        await press(pilot, "f")
        assert shown(app.log_view)[-1] == " more"


async def test_an_unfinished_line_is_shown_and_grows(path: Path) -> None:
    async with (app := LogApp(path)).run_test(size=SIZE) as pilot:
        await rest(pilot)
        append(app, "half")
        assert shown(app.log_view)[-1] == " half"
        append(app, " and half\nnext")
        assert shown(app.log_view)[-2:] == [" half and half", " next"]


async def test_log_view_reads_a_file_that_comes_late_or_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "late.txt"
    async with (app := LogApp(path)).run_test(size=SIZE) as pilot:
        await rest(pilot)
        assert title(app) == "Log · 0 lines · following"
        append(app, numbered(200))
        assert shown(app.log_view)[-1] == " line 199"
        write(path, "anew\n")
        app.log_view.mark_dirty()
        app.log_view.flush()
        assert shown(app.log_view)[0] == " anew"


async def test_wrap_keeps_the_spot(path: Path) -> None:
    long = "".join(f"{number} {'x' * 100}\n" for number in range(100))
    write(path, long)
    async with (app := LogApp(path)).run_test(size=SIZE) as pilot:
        await rest(pilot)
        await press(pilot, "g", "pagedown")
        top = shown(app.log_view)[0]
        assert top.startswith(" 9 xxx")
        await press(pilot, "w")
        rows = shown(app.log_view)
        assert rows[0] == top
        assert len(rows[0]) == WIDTH + 1
        assert "".join(row.strip() for row in rows[:2]) == f"9 {'x' * 100}"
        await press(pilot, "w")
        assert shown(app.log_view)[0] == top
        await press(pilot, "right")
        assert shown(app.log_view)[0].startswith(" xxx")


async def test_search_goes_from_hit_to_hit(path: Path) -> None:
    write(path, numbered(100) + "an error\n" + numbered(100) + "Another Error\n" + numbered(50))
    async with (app := LogApp(path)).run_test(size=SIZE) as pilot:
        await rest(pilot)
        await press(pilot, "g", "slash", *"error", "enter")
        assert "▸an error" in shown(app.log_view)
        assert title(app).endswith("hit 1/2")
        await press(pilot, "n")
        assert "▸Another Error" in shown(app.log_view)
        await press(pilot, "n")
        assert "▸an error" in shown(app.log_view)
        await press(pilot, "N")
        assert "▸Another Error" in shown(app.log_view)
        append(app, "third error\n")
        await press(pilot, "n")
        assert "▸third error" in shown(app.log_view)
        await press(pilot, "slash", *"xyz", "enter")
        assert "hit" not in title(app)


async def test_a_hit_is_shown_when_colours_change_inside_it(path: Path) -> None:
    write(path, "\x1b[31merr\x1b[1mor:\x1b[0m bad\n")
    async with (app := LogApp(path)).run_test(size=SIZE) as pilot:
        await rest(pilot)
        await press(pilot, "slash", *"error: b", "enter")
        strip = app.log_view.render_line(0)
        style = app.log_view.get_component_rich_style("log-view--hit")
        hit = "".join(
            part.text for part in strip if part.style and part.style.bgcolor == style.bgcolor
        )
        assert hit == "error: b"


async def test_next_error(path: Path) -> None:
    write(path, numbered(50) + "error: one\n" + numbered(50) + "build failed\n" + numbered(50))
    async with (app := LogApp(path)).run_test(size=SIZE) as pilot:
        await rest(pilot)
        await press(pilot, "g", "e")
        assert "▸error: one" in shown(app.log_view)
        await press(pilot, "e")
        assert "▸build failed" in shown(app.log_view)
        await press(pilot, "E")
        assert "▸error: one" in shown(app.log_view)


async def test_marks_times_and_copy(path: Path) -> None:
    async with (app := LogApp(path)).run_test(size=SIZE) as pilot:
        app.times.add_time(NOW, 35)
        await rest(pilot)
        await press(pilot, "g", "down", "m", "t")
        assert shown(app.log_view)[0] == "●02:13:20 line 1"
        assert shown(app.log_view)[6] == "          line 7".rstrip()
        await press(pilot, "t", "down", "down", "y")
        assert app.clipboard == numbered(ROWS + 2, 1).rstrip("\n")
        await press(pilot, "G", "apostrophe")
        assert shown(app.log_view)[0] == "●line 1"
        await press(pilot, "m", "y")
        assert app.clipboard == numbered(ROWS, 1).rstrip("\n")


async def test_the_mouse_selects_the_text_to_copy(path: Path) -> None:
    async with (app := LogApp(path)).run_test(size=SIZE) as pilot:
        await rest(pilot)
        await press(pilot, "g")
        await pilot.mouse_down(app.log_view, offset=(1 + len("line "), 1))
        await pilot.hover(app.log_view, offset=(1 + len("lin"), 3))
        await pilot.mouse_up(app.log_view, offset=(1 + len("lin"), 3))
        await rest(pilot)
        await press(pilot, "y")
        assert app.clipboard == "1\nline 2\nline"


async def test_saved_text_has_no_colours_and_overwrites_nothing(tmp_path: Path) -> None:
    source, target = tmp_path / "log.txt", tmp_path / "saved.log"
    source.write_bytes(b"\x1b[31mred\x1b[0m\tand \x1b]2;t\x07more\n" + b"x" * 9000)
    said, failed = save_plain(source, target)
    assert not failed
    assert target.read_bytes() == b"red\tand more\n" + b"x" * 9000
    assert target.stat().st_mode & 0o777 == 0o600
    said, failed = save_plain(source, target)
    assert failed
    assert "is there already" in said


async def test_the_panel_saves_the_whole_log(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "saved.log"
    async with (app := LogApp(path)).run_test(size=SIZE) as pilot:
        await rest(pilot)
        app.panel.save(target)
        await rest(pilot)
    assert target.read_text() == numbered(100)


async def test_a_tick_reads_a_bounded_part_of_a_million_lines(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    line = b"building '/nix/store/abcdabcdabcdabcdabcdabcdabcdabcd-package-0.drv'\n"
    path.write_bytes(line * 1_000_000)
    app = LogApp(path)
    file, steps = app.log_view.file, []
    grow = file.grow
    reads = count_reads(file)

    def counted(budget: int = GROW_BUDGET) -> bool:
        before = sum(reads)
        more = grow(budget)
        steps.append(sum(reads) - before)
        return more

    file.grow = counted  # type: ignore[method-assign]
    async with app.run_test(size=SIZE) as pilot:
        while file.size < len(line) * 1_000_000:
            await rest(pilot)
        assert max(steps) <= GROW_BUDGET
        assert file.rows == 1_000_000
        shown(app.log_view)
        before = sum(reads)
        await press(pilot, "g")
        app.log_view.scroll_to(y=500_000, animate=False)
        shown(app.log_view)
        assert sum(reads) - before <= 4 * (SEGMENT + CLIP)


async def test_a_giant_line_costs_as_much_as_any_other(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(b"first\n" + b"x" * 50_000_000 + b"\nlast\n")
    app = LogApp(path)
    reads = count_reads(app.log_view.file)
    async with app.run_test(size=SIZE) as pilot:
        file = app.log_view.file
        while file.size < path.stat().st_size:
            await rest(pilot)
        indexed = sum(reads)
        assert [row[:6] for row in shown(app.log_view)[:3]] == [" first", " xxxxx", " last"]
        await press(pilot, "w")
        while file.size < path.stat().st_size:
            await rest(pilot)
        assert file.rows == 2 + -(-CLIP // WIDTH)
        assert sum(reads) - indexed < indexed + 8 * (SEGMENT + CLIP)


async def test_a_growing_log_causes_no_layout(path: Path) -> None:
    async with (app := LogApp(path)).run_test(size=SIZE) as pilot:
        await rest(pilot)
        await pilot.pause()
        layouts = 0
        original = app.screen._refresh_layout

        def counted(*args: object, **kwargs: object) -> None:
            nonlocal layouts
            layouts += 1
            original(*args, **kwargs)  # type: ignore[arg-type]

        app.screen._refresh_layout = counted  # type: ignore[method-assign]
        for start in range(100, 1000, 100):
            append(app, numbered(100, start))
            await rest(pilot)
        assert layouts == 0
        assert shown(app.log_view)[-1] == " line 999"
