"""Terminals with 16 colours or none: what the app writes, and what can be told apart there."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest
from rich.segment import Segment
from rich.style import Style
from screen_text import settle
from test_hostile_terminal import Terminal
from test_path import press
from test_themes import find, visit_in_colours
from textual.color import Color

from tui.screen_filter import NoColours
from tui.themes import DARK_16, LIGHT_16, is_colourless

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fakes import FakeSession
    from textual.strip import Strip
    from textual.theme import Theme

    from conftest import MakeApp
    from tui.app import NixFleetApp

COLOURS = {*range(30, 50), *range(90, 108)}
BOLD, REVERSE = 1, 7
ESC = "\x1b"
ASKS = b"\x1b]11;?\x1b\\"
NONE = [{"NO_COLOR": "1", "COLORTERM": "truecolor"}, {"TERM": "vt100", "COLORTERM": ""}]


def parameters(written: bytes) -> set[int]:
    """All numbers that select a rendition: ESC [ numbers m."""
    found = re.findall(rb"\x1b\[([0-9;:]*)m", written)
    return {int(number or 0) for one in found for number in re.split(rb"[;:]", one)}


def visit(terminal: Terminal) -> bytes:
    """Look at some screens, quit, and return what the app has written."""
    for key in (*" j?", ESC, *":go", ESC, "\r", ESC, "H", ESC):
        terminal.send(key.encode())
        terminal.check()
    assert terminal.end() == (0, "launched 0")
    return terminal.written


@pytest.mark.parametrize("environ", NONE, ids=["NO_COLOR", "vt100"])
def test_without_colours_no_colour_code_is_written(environ: dict[str, str]) -> None:
    terminal = Terminal(**environ)
    try:
        written = visit(terminal)
    finally:
        terminal.close()
    found = parameters(written)
    assert found & COLOURS == set()
    assert {BOLD, REVERSE} <= found
    assert ASKS not in written


def test_with_16_colours_no_other_colour_is_written() -> None:
    terminal = Terminal(TERM="linux", COLORTERM="")
    try:
        written = visit(terminal)
    finally:
        terminal.close()
    found = parameters(written)
    assert found & {38, 48} == set()
    assert {BOLD, REVERSE} <= found
    assert len(found & {*range(30, 38), *range(90, 98)}) > 3
    assert ASKS not in written, "the Linux console shows it"


def test_the_background_is_asked_for_and_an_answer_changes_the_theme() -> None:
    terminal = Terminal(COLORTERM="truecolor")
    try:
        terminal.wait_for(ASKS)
        terminal.wait_for(b"48;2;18;18;18")
        assert b"48;2;255;255;255" not in terminal.written
        terminal.send(b"\x1b]11;rgb:ffff/ffff/ffff\x1b\\")
        terminal.wait_for(b"48;2;255;255;255")
        before = len(terminal.written)
        assert b"\x1b[?2031h" in terminal.written
        assert terminal.end() == (0, "launched 0")
        assert b"\x1b[?2031l" in terminal.written[before:]
    finally:
        terminal.close()


# What is drawn.


def styles(strips: list[Strip]) -> Iterator[Style]:
    yield from (style for strip in strips for _, style, _ in strip if style is not None)


async def test_no_screen_has_a_colour(
    make_app: MakeApp,
    fleet: list[FakeSession],
    seen: list[Strip],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    await visit_in_colours(make_app, fleet, "nord")
    assert len(seen) > 500
    assert all(style.color is None and style.bgcolor is None for style in styles(seen))
    assert os.environ["NO_COLOR"] == "1", "children need it, too"


def lines(app: NixFleetApp) -> dict[str, Strip]:
    """The rows of the list, by host."""
    rows = app.screen._compositor.render_strips()
    names = ("csb0", "csb1", "gpc0", "imac0")
    return {
        name: row.crop(1, app.screen.query_one("#hosts").region.right - 1)
        for name in names
        for row in rows
        if row.text[3:].startswith(f" {name} ")
    }


async def test_without_colours_cursor_mark_and_state_are_seen(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await press(pilot, "down", "space", "up", "up")
        shown = lines(app)
        await find(pilot, "colon", "g", "o")
        palette = app.screen._compositor.render_strips()
    reversed_rows = {
        name: all(style.reverse for style in styles([row])) for name, row in shown.items()
    }
    assert reversed_rows == {"csb0": True, "csb1": False, "gpc0": False, "imac0": False}
    assert ["●" in row.text for row in shown.values()] == [False, True, False, False]
    states = [row.text.split()[-2:] for row in shown.values()]
    assert states == [["▲", "stale"], ["✔", "current"], ["▲", "stale"], ["✖", "offline"]]
    assert any(style.reverse for style in styles(palette)), "what enter would do"


@pytest.mark.parametrize("theme", [DARK_16, LIGHT_16], ids=lambda theme: theme.name)
async def test_with_16_colours_states_have_colours_and_the_cursor_is_reversed(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, theme: Theme
) -> None:
    monkeypatch.setenv("TERM", "xterm-16color")
    monkeypatch.setenv("COLORTERM", "")
    choice = "dark" if theme is DARK_16 else "light"
    async with (app := make_app(theme=choice)).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        shown = lines(app)
    assert app.current_theme == theme
    states = {
        name: [style for text, style, _ in row if text.strip()][-1] for name, row in shown.items()
    }
    colours = {name: style.color.number for name, style in states.items()}
    assert len({colours["csb0"], colours["csb1"], colours["imac0"]}) == 3
    assert colours["csb0"] == colours["gpc0"], "under the cursor as elsewhere"
    assert {name: bool(style.reverse) for name, style in states.items()} == {
        "csb0": True,
        "csb1": False,
        "gpc0": False,
        "imac0": False,
    }


def test_what_has_a_background_is_reversed_and_the_mouse_still_finds_its_place() -> None:
    black = Color(0, 0, 0)
    given = [
        Segment("a", Style(color="red", bgcolor="white", bold=True, meta={"offset": (1, 2)})),
        Segment("b", Style(color="red", bgcolor="default", underline=True)),
        Segment("c", None),
    ]
    first, second, third = NoColours().apply(given, black)
    assert first.style == Style(bold=True, reverse=True, meta={"offset": (1, 2)})
    assert second.style == Style(underline=True)
    assert third.style is None


@pytest.mark.parametrize(
    ("environ", "colourless"),
    [
        ({"TERM": "xterm-256color"}, False),
        ({"TERM": "linux"}, False),
        ({"TERM": "vt220"}, True),
        ({"TERM": "dumb"}, True),
        ({"TERM": "xterm-mono"}, True),
        ({"TERM": "linux-m"}, True),
        ({"TERM": "screen"}, False),
        ({}, False),
        ({"TERM": "xterm", "NO_COLOR": "1"}, True),
        ({"TERM": "xterm", "NO_COLOR": ""}, True),
    ],
    ids=str,
)
def test_which_terminals_have_no_colours(environ: dict[str, str], colourless: bool) -> None:
    assert is_colourless(environ) == colourless
