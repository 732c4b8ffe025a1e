"""What the screens are drawn in: every text can be read, and no state is a colour alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest
from fakes import OLD_PATH, make_facts
from rich.color import ColorSystem
from screen_text import settle
from test_path import press
from test_screens import play_rebuild, visit_all
from textual.color import Color
from textual.command import CommandList

from tui.terminal_input import TerminalBackground
from tui.themes import DARK, LIGHT, NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fakes import FakeSession
    from rich.style import Style
    from textual.pilot import Pilot
    from textual.strip import Strip
    from textual.theme import Theme

    from conftest import MakeApp
    from tui.app import NixFleetApp

LEAST = 4.5
"""The contrast of text that WCAG asks for (AA)."""


class Drawn(NamedTuple):
    """A text on the screen with its colours, the text's first."""

    text: str
    ink: tuple[int, int, int]
    paper: tuple[int, int, int]

    @property
    def contrast(self) -> float:
        """From 1 to 21, as WCAG 2 defines it."""
        lights = sorted(_luminance(colour) for colour in (self.ink, self.paper))
        return (lights[1] + 0.05) / (lights[0] + 0.05)


def _luminance(colour: tuple[int, int, int]) -> float:
    parts = [part / 255 for part in colour]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def is_text(char: str) -> bool:
    """Frames, bars and blanks are decoration: box-drawing characters and block elements."""
    return not char.isspace() and not "\u2500" <= char <= "\u259f"


def drawn(strips: list[Strip], depth: ColorSystem = ColorSystem.TRUECOLOR) -> Iterator[Drawn]:
    """All texts, with the colours that a terminal shows which has so many."""
    for strip in strips:
        for text, style, _ in strip:
            shown = "".join(filter(is_text, text))
            if shown:
                assert style is not None, shown
                yield Drawn(shown, *_colours(style, depth))


def _colours(style: Style, depth: ColorSystem) -> list[tuple[int, int, int]]:
    assert style.color is not None
    assert style.bgcolor is not None
    assert not style.dim
    pair = [style.color, style.bgcolor][:: -1 if style.reverse else 1]
    return [tuple(colour.downgrade(depth).get_truecolor()) for colour in pair]


async def find(pilot: Pilot[None], *keys: str) -> None:
    """Press keys in the palette, and wait until it has found all that fits."""
    await press(pilot, *keys)
    for _ in range(2):  # another palette may have opened
        await pilot.app.workers.wait_for_complete()
        await settle(pilot)


async def visit_in_colours(make_app: MakeApp, fleet: list[FakeSession], theme: str) -> None:
    """Every screen, with the cursor on each host, the palette, and verdicts."""
    app = make_app(theme=theme)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, *["down"] * 3, "space", *["up"] * 3)
        await find(pilot, "colon", "g", "o")
        await press(pilot, "down", "escape")
        await find(pilot, "colon", *"choose a theme")
        await find(pilot, "enter")
        await press(pilot, "down", "escape", "escape")
        await visit_all(pilot, fleet)
        app.notify("an error", severity="error")
        app.notify("a warning", severity="warning", title="title")
        await press(pilot, "escape")


@pytest.mark.parametrize("theme", [DARK, LIGHT], ids=lambda theme: theme.name)
async def test_every_text_can_be_read(
    make_app: MakeApp, fleet: list[FakeSession], seen: list[Strip], theme: Theme
) -> None:
    await visit_in_colours(make_app, fleet, theme.name)
    for depth in (ColorSystem.TRUECOLOR, ColorSystem.EIGHT_BIT):
        found = set(drawn(seen, depth))
        assert len(found) > 200
        pale = {
            (one.ink, one.paper): (round(one.contrast, 2), one.text)
            for one in found
            if one.contrast < LEAST
        }
        assert pale == {}, depth


def row_of(app: NixFleetApp, host: str) -> dict[str, Drawn]:
    """What the row of a host in the list shows, by column."""
    titles = ("host", "where", "running", "installed", "latest", "state")
    rows = app.screen._compositor.render_strips()
    row = next(row for row in rows if row.text[3:].startswith(f" {host} "))
    cells = drawn([row.crop(4, app.screen.query_one("#hosts").region.right)])
    return dict(zip(titles, cells, strict=True))


async def test_the_row_under_the_cursor_keeps_the_colour_of_its_state(make_app: MakeApp) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        here, other = row_of(app, "csb0"), row_of(app, "gpc0")
        await press(pilot, "down")
        left = row_of(app, "csb0")
    assert here["state"].text == other["state"].text == "▲stale"
    assert here["state"].ink == other["state"].ink == left["state"].ink
    assert here["state"].paper != left["state"].paper
    assert here["state"].ink != here["latest"].ink


async def test_the_value_that_makes_a_host_stale_has_the_colour_of_the_state(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    fleet[1].says["probe"] = make_facts(running=OLD_PATH.replace("2.1.0", "2.0.0"))
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        rows = {name: row_of(app, name) for name in ("csb0", "csb1", "gpc0")}
    marked = {
        name: [
            column
            for column in ("running", "installed", "latest")
            if row[column].ink == row["state"].ink
        ]
        for name, row in rows.items()
    }
    assert marked == {
        "csb0": ["running"],  # the new one is installed
        "csb1": ["running", "installed"],
        "gpc0": ["installed"],  # and it runs
    }


# Which theme it is.


def tell(app: NixFleetApp, *, dark: bool) -> None:
    """The terminal answers."""
    app.post_message(TerminalBackground(dark=dark))


@pytest.mark.parametrize(
    ("choice", "before", "told_light", "told_dark"),
    [
        ("auto", "dark", "light", "dark"),
        ("dark", "dark", "dark", "dark"),
        ("light", "light", "light", "light"),
        ("nord", "nord", "nord", "nord"),
    ],
)
async def test_the_terminals_answer_decides_if_nobody_else_has(
    make_app: MakeApp, choice: str, before: str, told_light: str, told_dark: str
) -> None:
    async with (app := make_app(theme=choice)).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        found = [app.theme]
        for dark in (False, True):
            tell(app, dark=dark)
            await settle(pilot)
            found.append(app.theme)
    assert found == [before, told_light, told_dark]


async def test_a_late_answer_changes_nothing_that_was_chosen_meanwhile(make_app: MakeApp) -> None:
    async with (app := make_app()).run_test(size=(80, 24)) as pilot:
        await find(pilot, "colon", *"nord")
        await press(pilot, "enter")
        assert app.theme == "nord"
        tell(app, dark=False)
        await settle(pilot)
        assert app.theme == "nord"
        await find(pilot, "colon", *"theme auto")
        await press(pilot, "enter")
        assert app.theme == "light", "the answer was kept"


async def test_a_late_answer_changes_what_is_shown(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    """Not a row, a text, or a line of the log with its hits stays in the old colours."""
    old = {Color.parse(colour).rgb for colour in DARK.variables.values()}
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await press(pilot, "enter", "enter")
        await play_rebuild(fleet[0])
        await settle(pilot)
        await press(pilot, "slash", *"building", "enter")
        if finding := [worker for worker in app.workers if worker.group == "find"]:
            await app.workers.wait_for_complete(finding)
        await settle(pilot)
        before = set(drawn(app.screen._compositor.render_strips()))
        tell(app, dark=False)
        await settle(pilot)
        after = set(drawn(app.screen._compositor.render_strips()))
        await press(pilot, "escape", "escape")
        after |= set(drawn(app.screen._compositor.render_strips()))
    assert Color.parse(DARK.variables["hit"]).rgb in {one.paper for one in before}
    assert {one for one in after if {one.ink, one.paper} & old} == set()


@pytest.mark.parametrize(
    ("said", "theme"),
    [
        ("0;15", "light"),
        ("0;7", "light"),
        ("0;default;15", "light"),
        ("15;0", "dark"),
        ("7;8", "dark"),
        ("15;default", "dark"),
        ("", "dark"),
        ("x" * 1000, "dark"),
    ],
)
async def test_without_an_answer_the_environment_decides(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, said: str, theme: str
) -> None:
    monkeypatch.setenv("COLORFGBG", said)
    assert make_app().theme == theme


async def test_the_palette_shows_the_themes_and_which_is_in_use(make_app: MakeApp) -> None:
    async with (app := make_app()).run_test(size=(120, 50)) as pilot:
        await find(pilot, "colon", *"choose a theme")
        await find(pilot, "enter")
        found = [option.hit.text for option in app.screen.query_one(CommandList).options]
        assert found == ["auto (in use)", *NAMES[1:]]
        await find(pilot, *"gruv")
        await press(pilot, "enter")
        assert app.theme == "gruvbox"


@pytest.mark.parametrize("name", NAMES)
async def test_the_app_can_be_drawn_in_every_theme(make_app: MakeApp, name: str) -> None:
    async with (app := make_app(theme=name)).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        row = row_of(app, "csb0") if not app.current_theme.ansi else None
    assert row is None or row["state"].ink != row["state"].paper
