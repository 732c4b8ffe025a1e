"""The log widget over real files."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fakes import NOW
from odd_files import ODD
from screen_text import at_rest, press_key
from textual.app import App, ComposeResult
from textual.geometry import Region

import tui
from nixfleet_core.log.index import CLIP, SEGMENT
from nixfleet_core.log.line_times import LineTimes
from tui.glyphs import UNICODE
from tui.log_colours import derivation_style
from tui.log_file import GROW_BUDGET
from tui.themes import added
from tui.widgets.log_panel import LogPanel, save_plain
from tui.widgets.log_view import LogView

if TYPE_CHECKING:
    from collections.abc import Collection

    from textual.content import Content
    from textual.pilot import Pilot
    from textual.strip import Strip

    from nixfleet_core.vocabulary import StepId
    from tui.log_file import LogFile

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
        self.places: dict[StepId, int] = {}
        view = LogView(path, self.times, self.places, UNICODE, id="log-view")
        self.panel = LogPanel(view, UNICODE, id="log")
        self.heard: list[LogView.Changed] = []

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return added(self.current_theme)

    def compose(self) -> ComposeResult:
        yield self.panel

    def on_log_view_changed(self, message: LogView.Changed) -> None:
        self.heard.append(message)

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
    """Let searches end, messages be handled and the layout be made."""
    await at_rest()
    await pilot.app.workers.wait_for_complete()
    for _ in range(3):
        await at_rest()
        pilot.app.screen._on_timer_update()
    await at_rest()


async def press(pilot: Pilot[None], *keys: str) -> None:
    for key in keys:
        press_key(pilot, key)
        await rest(pilot)


def shown(view: LogView) -> list[str]:
    """The rows in the window, without the blanks at the right."""
    return [view.render_line(y).text.rstrip() for y in range(view.size.height)]


def said(app: LogApp) -> list[str]:
    return [note.message for note in app._notifications]


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


def remove(path: Path) -> None:
    path.unlink()


def append(app: LogApp, text: str) -> None:
    with app.log_view.file.path.open("a") as file:
        file.write(text)
    app.log_view.mark_dirty()
    app.log_view.flush()


async def test_what_is_appended_makes_one_new_title_and_tells_nobody_else(path: Path) -> None:
    async with (app := LogApp(path)).run_test(size=SIZE) as pilot:
        await rest(pilot)
        titles: list[str] = []
        show_titles = app.panel.show_titles

        def shown(new: Content, below: Content | None = None) -> None:
            titles.append(new.plain)
            show_titles(new, below)

        app.panel.show_titles = shown  # type: ignore[method-assign]
        append(app, "error: no\n")
        await rest(pilot)
        assert titles == ["Log · 101 lines · following · 1 error"]
        assert app.heard == []


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


async def test_a_log_that_was_replaced_is_read_anew(path: Path) -> None:
    async with (app := LogApp(path)).run_test(size=SIZE) as pilot:
        await rest(pilot)
        assert " line 99" in shown(app.log_view)
        remove(path)
        append(app, numbered(200, start=1000))
        await rest(pilot)
        assert " line 1199" in shown(app.log_view)
        assert app.log_view.file.lines == 200
        remove(path)
        ODD["a named pipe"](path)
        app.log_view.mark_dirty()
        app.log_view.flush()
        assert app.log_view.file.lines == 0


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


async def test_the_way_to_the_right_ends_with_the_longest_shown_line(path: Path) -> None:
    write(path, "x" * 4000 + "\n" + numbered(100) + f"{'y' * WIDTH}{'z' * 20}\n")
    async with (app := LogApp(path)).run_test(size=SIZE) as pilot:
        await rest(pilot)
        assert "columns" not in title(app)
        await press(pilot, "g", "G", *["right"] * 9)
        assert shown(app.log_view)[-1] == f" {'y' * (WIDTH - 20)}{'z' * 20}"
        assert title(app) == "Log · 102 lines · columns 21-76 · ← back · following"
        await press(pilot, "g", *["right"] * 300)
        assert shown(app.log_view)[0] == f" {'x' * WIDTH}"
        assert "columns 3945-4000 · ← back" in title(app)


async def test_one_step_left_leads_back_from_where_nothing_is_shown(path: Path) -> None:
    write(path, "x" * 4000 + "\n" + numbered(100))
    async with (app := LogApp(path)).run_test(size=SIZE) as pilot:
        await rest(pilot)
        await press(pilot, "right")
        assert "columns" not in title(app), "short lines have no more to show"
        await press(pilot, "g", *["right"] * 6, "G")
        assert "".join(shown(app.log_view)).strip() == ""
        assert "columns 97-152 · ← back" in title(app)
        await press(pilot, "right")
        assert "line 99" in shown(app.log_view)[-1]
        await press(pilot, "g", *["right"] * 6, "G", "left")
        assert "line 99" in shown(app.log_view)[-1]
        assert "columns" not in title(app)


async def test_search_goes_from_hit_to_hit(path: Path) -> None:
    write(path, numbered(100) + "an error\n" + numbered(100) + "Another Error\n" + numbered(50))
    async with (app := LogApp(path)).run_test(size=SIZE) as pilot:
        await rest(pilot)
        await press(pilot, "g", "slash", *"error", "enter")
        assert "▸an error" in shown(app.log_view)
        assert "find: error · 1 of 2 · 2 errors" in title(app)
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
        assert "find: xyz · 0 ·" in title(app)


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


async def test_one_line_is_said_as_one(path: Path) -> None:
    write(path, "alone\n")
    async with (app := LogApp(path)).run_test(size=SIZE) as pilot:
        await rest(pilot)
        assert title(app) == "Log · 1 line · following"


async def test_next_error(path: Path) -> None:
    write(path, numbered(50) + "error: one\n" + numbered(50) + "build failed\n" + numbered(50))
    async with (app := LogApp(path)).run_test(size=SIZE) as pilot:
        await rest(pilot)
        await press(pilot, "g", "e")
        assert "▸error: one" in shown(app.log_view)
        assert title(app).endswith("error 1 of 2")
        await press(pilot, "e")
        assert "▸build failed" in shown(app.log_view)
        await press(pilot, "E")
        assert "▸error: one" in shown(app.log_view)


async def test_half_pages(path: Path) -> None:
    async with (app := LogApp(path)).run_test(size=SIZE) as pilot:
        await rest(pilot)
        await press(pilot, "g", "ctrl+d")
        assert shown(app.log_view)[0] == " line 4"
        await press(pilot, "ctrl+d", "ctrl+u", "ctrl+u")
        assert shown(app.log_view)[0] == " line 0"


async def test_find_counts_while_it_is_typed_and_says_when_it_wraps(path: Path) -> None:
    write(path, "an error\n" + numbered(100) + "Another Error\nerr\n" + numbered(50))
    async with (app := LogApp(path)).run_test(size=SIZE, notifications=True) as pilot:
        await rest(pilot)
        await press(pilot, "g", "down", "slash", *"err")
        assert "find: err · 3 ·" in title(app)
        await press(pilot, *"or")
        assert "find: error · 2 ·" in title(app)
        assert shown(app.log_view)[0] == " line 0", "nothing moves before enter"
        await press(pilot, "enter")
        assert "▸Another Error" in shown(app.log_view)
        assert "find: error · 2 of 2" in title(app)
        assert not said(app)
        await press(pilot, "n")
        assert "▸an error" in shown(app.log_view)
        assert said(app) == ["from the top"]
        await press(pilot, "N")
        assert said(app)[-1] == "from the end"


async def test_escape_forgets_what_was_typed_and_goes_back_to_the_find_before(path: Path) -> None:
    async with (app := LogApp(path)).run_test(size=SIZE) as pilot:
        await rest(pilot)
        await press(pilot, "g", "slash", *"line 7", "enter", "slash", *"xyz")
        assert "find: xyz · 0" in title(app)
        await press(pilot, "escape")
        assert "find: line 7 · 1 of 11" in title(app)
        await press(pilot, "n")
        assert "▸line 70" in shown(app.log_view)
        await press(pilot, "slash", "enter")
        assert "find" not in title(app)


async def test_the_newest_text_wins(path: Path) -> None:
    async with (app := LogApp(path)).run_test(size=SIZE) as pilot:
        await rest(pilot)
        view = app.log_view
        view.count_typed("find", "line")
        old = view._typed
        assert old is not None
        await rest(pilot)
        with old[1]._lock:  # as if it still had much to do
            append(app, numbered(10, 900))
            view._scan(old[1], lambda: None)
            view.count_typed("find", "line 9")
        scanned = old[1].scanned
        await rest(pilot)
        assert old[1].scanned == scanned, "nobody searches for the older text any more"
        assert "find: line 9 · 21" in title(app)


async def test_filter_shows_only_matching_lines_and_follows(path: Path) -> None:
    write(path, numbered(100) + "error: one\n" + numbered(100) + "error: two\n" + numbered(50))
    async with (app := LogApp(path)).run_test(size=SIZE) as pilot:
        await rest(pilot)
        await press(pilot, "ampersand", *"error")
        assert "filter: error · 2 of 252 lines" in title(app)
        assert " line 49" in shown(app.log_view), "nothing is hidden before enter"
        await press(pilot, "enter")
        assert shown(app.log_view)[:3] == ["✖error: one", "✖error: two", ""]
        assert title(app) == "Log · filter: error · 2 of 252 lines · following · 2 errors"

        append(app, numbered(30) + "".join(f"error: more {n}\n" for n in range(20)) + "half err")
        await rest(pilot)
        assert shown(app.log_view)[-1] == "✖error: more 19"
        assert "22 of 303 lines · following" in title(app)
        assert not [worker for worker in app.workers if worker.is_running], "it waits for the rest"
        await press(pilot, "up")
        append(app, "or\n")
        await rest(pilot)
        assert "23 of 303 lines · +2 lines · G to follow" in title(app)

        await press(pilot, "escape")
        assert "filter" not in title(app)
        assert shown(app.log_view)[0].startswith("✖error: more")


async def test_the_filter_keeps_the_spot_in_both_directions(path: Path) -> None:
    async with (app := LogApp(path)).run_test(size=SIZE) as pilot:
        await rest(pilot)
        await press(pilot, "g", *["pagedown"] * 5)
        assert shown(app.log_view)[0] == " line 45"
        await press(pilot, "ampersand", *"5", "enter")
        assert shown(app.log_view)[0] == " line 45"
        await press(pilot, "down", "escape")
        assert shown(app.log_view)[0] == " line 50"
        await press(pilot, "ampersand", *"nowhere", "enter")
        assert set(shown(app.log_view)) == {""}
        assert "0 of 100 lines" in title(app)
        await press(pilot, "escape")
        assert shown(app.log_view)[0] == " line 50"


async def test_find_and_errors_stay_within_the_filter(path: Path) -> None:
    write(path, "".join(f"a> error {n}\nb> error {n}\n" for n in range(50)))
    async with (app := LogApp(path)).run_test(size=SIZE) as pilot:
        await rest(pilot)
        await press(pilot, "ampersand", *"b>", "enter", "g", "slash", *"error 1", "enter")
        assert "find: error 1 · 1 of 11" in title(app)
        await press(pilot, "n")
        assert "▸b> error 10" in shown(app.log_view)
        await press(pilot, "e")
        assert "▸b> error 11" in shown(app.log_view)
        await press(pilot, "escape")
        assert "find: error 1 · 22" in title(app)


async def test_one_key_shows_what_one_build_printed(path: Path) -> None:
    write(path, "start\n" + "".join(f"git> {n}\ngit-lfs> {n}\njq> {n}\n" for n in range(50)))
    async with (app := LogApp(path)).run_test(size=SIZE, notifications=True) as pilot:
        await rest(pilot)
        await press(pilot, "g", "o")
        assert shown(app.log_view) == [f" git> {n}" for n in range(ROWS)]
        assert "filter: git> · 50 of 151 lines" in title(app)
        await press(pilot, "o")
        assert shown(app.log_view)[:2] == [" git> 0", " git-lfs> 0"]
        await press(pilot, "ampersand", *"jq>", "enter")
        assert shown(app.log_view)[:2] == [" jq> 0", " jq> 1"]
        await press(pilot, "escape")
        write(path, "")
        append(app, numbered(3))
        await press(pilot, "o")
        assert said(app)[-1] == "no line here was printed by a build"


async def test_times_marks_wrap_and_copies_go_by_the_filter(path: Path) -> None:
    write(path, "".join(f"{'a' if n % 2 else 'b'} {n} {'x' * 60}\n" for n in range(40)))
    async with (app := LogApp(path)).run_test(size=SIZE) as pilot:
        app.times.add_time(NOW, 300)
        await rest(pilot)
        await press(pilot, "ampersand", *"a ", "enter", "g", "t")
        assert shown(app.log_view)[0].startswith(" 02:13:20 a 1 xxx")
        assert shown(app.log_view)[2].startswith("          a 5 xxx")
        await press(pilot, "t", "down", "m", "w", "g")
        rows = shown(app.log_view)
        assert rows[0].startswith(" a 1 xxx")
        assert set(rows[1]) == {" ", "x"}
        assert rows[2].startswith("●a 3 xxx")
        await press(pilot, "down", "down", "y")
        assert app.clipboard.splitlines() == [f"a {n} {'x' * 60}" for n in (3, 5, 7, 9, 11)]
        await press(pilot, "escape")
        assert shown(app.log_view)[0].startswith("●a 3 xxx")


async def test_a_file_written_anew_is_counted_and_filtered_anew(path: Path) -> None:
    write(path, "error: old\n" * 50)
    async with (app := LogApp(path)).run_test(size=SIZE) as pilot:
        await rest(pilot)
        await press(pilot, "ampersand", *"error", "enter", "slash", *"old", "enter")
        assert "50 errors" in title(app)
        write(path, "error: new\nfine\n")
        app.log_view.mark_dirty()
        app.log_view.flush()
        await rest(pilot)
        assert shown(app.log_view)[:2] == ["✖error: new", ""]
        assert title(app).startswith("Log · filter: error · 1 of 2 lines")
        assert "find: old · 0" in title(app)
        assert "1 error" in title(app)


async def test_steps_are_jumped_to(path: Path) -> None:
    async with (app := LogApp(path)).run_test(size=SIZE, notifications=True) as pilot:
        app.places.update(preflight=0, stop=70, pull=70, rebuild=334)
        await rest(pilot)
        await press(pilot, "g", "right_square_bracket")
        assert shown(app.log_view)[0] == "▸line 10"
        await press(pilot, "right_square_bracket")
        assert shown(app.log_view)[0] == "▸line 43"
        await press(pilot, "left_square_bracket", "left_square_bracket")
        assert shown(app.log_view)[0] == "▸line 0"
        await press(pilot, "left_square_bracket")
        assert said(app)[-1] == "from the end"
        await press(pilot, "ampersand", *"9", "enter")
        app.log_view.go_to_place(70)
        assert shown(app.log_view)[0] == " line 19"
        await press(pilot, "left_square_bracket")
        assert shown(app.log_view)[0] == " line 9"


async def test_without_known_steps_the_keys_go_to_commands(path: Path) -> None:
    write(path, "$ git pull\n" + numbered(50) + "$ nix build\n" + numbered(50))
    async with (app := LogApp(path)).run_test(size=SIZE) as pilot:
        await rest(pilot)
        await press(pilot, "g", "right_square_bracket")
        assert "▸$ nix build" in shown(app.log_view)
        await press(pilot, "left_square_bracket")
        assert shown(app.log_view)[0] == "▸$ git pull"


async def test_kinds_stand_out_by_sign_style_and_number(path: Path) -> None:
    write(
        path,
        "$ nix build\n"
        "\x1b[35;1mwarning:\x1b[0m ignoring\n"
        "git> Running phase: buildPhase\n"
        "warning: HTTP 502; retrying in 300 ms\n"
        "error: it broke\n"
        "git> quiet\n",
    )
    async with (app := LogApp(path)).run_test(size=SIZE) as pilot:
        await rest(pilot)
        view = app.log_view
        assert [row[0] for row in shown(view)[:6]] == [" ", "▲", " ", "↻", "✖", " "]
        assert title(app).endswith("following · 1 error · 1 warning · 1 retry")
        styles = [list(view.render_line(y))[-2].style for y in range(6)]
        quiet = styles.pop()
        assert quiet is not None
        for style in styles:
            assert style is not None
            assert (style.color, style.bold) != (quiet.color, quiet.bold)


async def test_the_name_of_a_build_has_its_own_colour_by_the_theme(path: Path) -> None:
    write(path, "nixfleet-agent> go build\nerror: it broke\n")
    async with (app := LogApp(path)).run_test(size=SIZE) as pilot:
        await rest(pilot)
        errors = set()
        for theme, dark in (("textual-dark", True), ("textual-light", False)):
            app.theme = theme
            await rest(pilot)
            name = list(app.log_view.render_line(0))[1]
            assert name.text == "nixfleet-agent"
            assert name.style is not None
            assert name.style.color == derivation_style("nixfleet-agent", dark=dark).color
            error = list(app.log_view.render_line(1))[1].style
            errors.add(error.color if error else None)
        assert len(errors) == 2


async def test_a_log_that_holds_escapes_writes_none(path: Path) -> None:
    write(path, "a> \x1b]2;title\x07error\x1b[2J\x9b1mx\n")
    async with (app := LogApp(path)).run_test(size=SIZE) as pilot:
        await rest(pilot)
        await press(pilot, "ampersand", *"error", "enter", "slash", *"error", "enter", "y")
        assert shown(app.log_view)[0] == "▸a> errorx"
        assert app.clipboard.rstrip() == "a> errorx"


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


async def drag(
    pilot: Pilot[None], view: LogView, start: tuple[int, int], end: tuple[int, int]
) -> str:
    """The text that is copied after the mouse was dragged from one cell to the other."""
    await pilot.mouse_down(view, offset=start)
    await pilot.hover(view, offset=end)
    await pilot.mouse_up(view, offset=end)
    await rest(pilot)
    await press(pilot, "y")
    return pilot.app.clipboard


async def test_what_is_selected_has_no_signs_no_times_and_no_hidden_lines(path: Path) -> None:
    write(path, "".join(f"error: {n}\nquiet {n}\n" for n in range(20)))
    async with (app := LogApp(path)).run_test(size=SIZE) as pilot:
        view = app.log_view
        app.times.add_time(NOW, 1000)
        await rest(pilot)
        await press(pilot, "ampersand", *"error", "enter", "g", "t")
        left = len("✖02:13:20 ")
        assert shown(view)[1] == "✖02:13:20 error: 1"
        text = await drag(pilot, view, (left + len("error: "), 0), (left + len("erro"), 2))
        assert text == "0\nerror: 1\nerror"


async def test_wrapped_wide_and_shifted_text_is_selected_as_it_is_seen(path: Path) -> None:
    long = f"first {'x' * 50}日本語 end"
    write(path, f"{long}\nsecond {'y' * 100}\nthird\n")
    async with (app := LogApp(path)).run_test(size=SIZE) as pilot:
        view = app.log_view
        await rest(pilot)
        await press(pilot, "g", "w")
        rows = [row[1:] for row in shown(view)]
        assert rows[:2] == [f"first {'x' * 50}", "日本語 end"]
        assert await drag(pilot, view, (1 + 55, 0), (1 + 4, 1)) == "x日本語"
        assert await drag(pilot, view, (1 + 2, 1), (1 + 4, 1)) == "本語"
        selected = app.screen.get_component_rich_style("screen--selection").bgcolor
        strip = view.render_line(1)
        marked = [part.text for part in strip if part.style and part.style.bgcolor == selected]
        assert "".join(marked) == "本語"
        await press(pilot, "w", "right")
        assert shown(view)[1][1:].startswith("y" * 50)
        text = await drag(pilot, view, (1 + 10, 0), (1 + 3, 1))
        assert text == f"{long[26:]}\nsecond {'y' * 13}"


async def test_a_drag_that_begins_at_the_signs_selects_whole_lines(path: Path) -> None:
    async with (app := LogApp(path)).run_test(size=SIZE) as pilot:
        await rest(pilot)
        await press(pilot, "g", "t")
        text = await drag(pilot, app.log_view, (0, 1), (10 + len("lin"), 2))
        assert text == "line 1\nline"


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


@pytest.mark.parametrize("key", ["", "w"])
async def test_all_else_has_its_turn_between_the_parts_of_a_large_file(
    tmp_path: Path, key: str
) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(
        b"building '/nix/store/abcdabcdabcdabcdabcdabcdabcdabcd-package-0.drv'\n" * 99_999
    )
    app = LogApp(path)
    file, loop, turn = app.log_view.file, asyncio.get_running_loop(), 0
    grow, grown = file.grow, list[int]()

    def count_turn() -> None:
        nonlocal turn
        turn += 1
        app.log_view.flush()  # the beat does not wait until it has its end
        if len(grown) < 7:
            loop.call_soon(count_turn)

    def counted(budget: int = GROW_BUDGET) -> bool:
        grown.append(turn)
        return grow(budget)

    async with app.run_test(size=SIZE) as pilot:
        await rest(pilot)
        file.grow = counted  # type: ignore[method-assign]
        app.log_view.mark_dirty()
        file.set_width(7)  # it is counted anew
        count_turn()
        if key:
            await press(pilot, key)
        else:
            app.log_view.flush()
        await rest(pilot)
        assert file.size == path.stat().st_size
        assert len(grown) > 6
        counted_turns = grown[:7]
        assert len(set(counted_turns)) >= 7 - bool(key)  # the key's own part comes at once


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


def cells(strip: Strip) -> list[tuple[str, object]]:
    """Each character with what is seen of its style: of a blank the background, and lines."""
    found: list[tuple[str, object]] = []
    for text, style, _ in strip:
        assert style is not None
        lines = (style.bgcolor, style.underline, style.reverse)
        look = (*lines, style.color, style.bold)
        found += [(letter, lines if letter == " " else look) for letter in text]
    return found


async def test_what_is_painted_is_what_the_mouse_finds(path: Path) -> None:
    write(
        path,
        f"first {'x' * 50}日本語 end\n"
        "git> cc \x1b[4m \x1b[0m \x1b[31mred \x1b[1mbold\x1b[0m after\n"
        "error: \x1b[44mblue  \x1b[0m  \n"
        "\n"
        "$ nix build\n",
    )
    async with (app := LogApp(path)).run_test(size=SIZE) as pilot:
        view = app.log_view
        await rest(pilot)
        plain = [line_filter for line_filter in view.get_line_filters() if line_filter.enabled]
        for keys in ((), ("g", "m"), ("slash", *"error", "enter"), ("t",), ("right",), ("h", "w")):
            await press(pilot, *keys)
            await drag(pilot, view, (8, 0), (5, 1))
            region = Region(0, 0, view.size.width, view.size.height)
            painted = view.render_lines(region)
            assert [strip.cell_length for strip in painted] == [WIDTH + 1] * ROWS
            for y, strip in enumerate(painted):
                for_mouse = view.render_line(y)
                for line_filter in plain:
                    for_mouse = for_mouse.apply_filter(line_filter, view.background_colors[1])
                assert cells(strip) == cells(for_mouse)
            part = view.render_lines(Region(3, 1, 9, 2))
            assert [one.text for one in part] == [one.crop(3, 12).text for one in painted[1:3]]


async def test_a_row_is_sent_in_as_few_pieces_as_its_styles_need(path: Path) -> None:
    write(path, "quiet\ngit> cc\n\n\x1b[1m\x1b[31m\x1b[0mplain\x1b[0m again\n\x1b[7m \x1b[0m x\n")
    async with (app := LogApp(path)).run_test(size=SIZE) as pilot:
        await rest(pilot)
        painted = app.log_view.render_lines(Region(0, 0, WIDTH + 1, 6))
        assert [len(list(strip)) for strip in painted] == [2, 3, 2, 2, 3, 1]


class Painted:
    """Counts what is painted again of the scrollbar, and which columns of the log are."""

    def __init__(self, view: LogView) -> None:
        self.bars = 0
        self.columns = set[tuple[int, int]]()
        bar = view.vertical_scrollbar
        set_dirty, exchange = bar._set_dirty, view._exchange_repaint_regions

        def dirtied(*regions: Region) -> None:
            self.bars += 1
            set_dirty(*regions)

        def exchanged() -> Collection[Region]:
            regions = exchange()
            self.columns |= {region.column_span for region in regions}
            return regions

        bar._set_dirty = dirtied  # type: ignore[method-assign]
        view._exchange_repaint_regions = exchanged  # type: ignore[method-assign]


async def test_the_scrollbar_is_painted_only_when_it_looks_different(path: Path) -> None:
    write(path, numbered(5000))
    async with (app := LogApp(path)).run_test(size=SIZE) as pilot:
        view = app.log_view
        await rest(pilot)
        painted = Painted(view)
        with path.open("a") as file:
            file.write(numbered(50, 5000))
        view.mark_dirty()
        view.flush()
        await rest(pilot)
        assert shown(view)[-1].strip() == "line 5049"
        assert (painted.bars, painted.columns) == (0, {(0, WIDTH + 1)})
        await press(pilot, "g")
        assert painted.bars > 0
        assert thumb(view) == [0]
        await press(pilot, "G")
        assert thumb(view) == [ROWS - 1]


def thumb(view: LogView) -> list[int]:
    """The rows in which the scrollbar's thumb is seen on the screen."""
    bar = view.vertical_scrollbar
    rows = view.screen._compositor.render_strips()[bar.region.y : bar.region.bottom]
    cells = [next(iter(row.crop(bar.region.x, bar.region.right))).style for row in rows]
    return [y for y, style in enumerate(cells) if style is not None and style.reverse]
