"""The filter of the fleet table: its words, what it says, and what keys do with it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from fakes import CURRENT, NOW, OFFLINE, STALE
from screen_text import screen_text, settle
from test_path import press

from nixfleet_core.job.events import JobStart, StepStart
from nixfleet_core.vocabulary import STATES
from tui.commands import HostCommands
from tui.screens.batch import ManyPlansDialog
from tui.screens.fleet import FleetScreen
from tui.screens.host import HostScreen
from tui.widgets.row_table import RowTable

if TYPE_CHECKING:
    from fakes import FakeSession
    from textual.pilot import Pilot

    from conftest import MakeApp

SIZES = [(60, 15), (80, 24), (120, 40)]


def names(pilot: Pilot[None]) -> list[str]:
    return pilot.app.screen_stack[0].query_one(RowTable).keys


def tag(fleet: list[FakeSession]) -> None:
    """csb0 (stale), csb1 (current) and gpc0 (stale) are in the cloud, and gpc0 is at home."""
    for session, tags in zip(fleet, (("cloud",), ("cloud",), ("cloud", "home"), ()), strict=True):
        session.host = replace(session.host, tags=tags)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cs", ["csb0", "csb1"]),
        ("cs !csb0", ["csb1"]),
        ("tag:cloud !tag:home", ["csb0", "csb1"]),
        ("state:stale", ["csb0", "gpc0"]),
        ("state:stale !tag:home", ["csb0"]),
        ("state:offline", ["imac0"]),
        ("version:2.2", ["csb1"]),
        ("version:2.1 tag:home", ["gpc0"]),
        ("!version:2", ["imac0"]),
        ("csb0 csb1", []),
    ],
)
async def test_the_table_shows_the_hosts_that_all_words_allow(
    make_app: MakeApp, fleet: list[FakeSession], text: str, shown: list[str]
) -> None:
    tag(fleet)
    async with make_app().run_test(size=(120, 40)) as pilot:
        said = await press(pilot, "slash", *text, "enter")
        assert names(pilot) == shown
        assert f"{text} " in said
        assert f" {len(shown)} of 4 hosts" in said


@pytest.mark.parametrize("size", SIZES)
async def test_the_filter_is_seen_as_long_as_it_is_on(
    make_app: MakeApp, fleet: list[FakeSession], size: tuple[int, int]
) -> None:
    async with (app := make_app()).run_test(size=size) as pilot:
        await settle(pilot)
        assert "of 4 hosts" not in screen_text(app)
        for keys in (("slash", *"state:current"), ("enter",), ("R",), ("d", "escape"), ("s",)):
            text = await press(pilot, *keys)
            (line,) = [line for line in text.splitlines() if "of 4 hosts" in line]
            assert line.split() == ["filter", "state:current", "1", "of", "4", "hosts"]
            assert names(pilot) == ["csb1"]
        assert isinstance(app.focused, RowTable)
        text = await press(pilot, "escape")
        assert ("of 4 hosts" in text, "state:current" in text) == (False, False)
        assert names(pilot) == ["csb0", "csb1", "gpc0", "imac0"]


async def test_escape_while_typing_ends_the_filter(make_app: MakeApp) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await press(pilot, "slash", *"cs")
        assert "of 4 hosts" not in await press(pilot, "escape")
        assert len(names(pilot)) == 4
        assert isinstance(app.focused, RowTable)


async def test_the_filter_goes_by_what_is_known_now(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        await press(pilot, "slash", *"state:stale", "enter")
        assert names(pilot) == ["csb0", "gpc0"]
        fleet[0].says["probe"], fleet[1].says["probe"] = CURRENT, STALE
        await press(pilot, "R")
        assert names(pilot) == ["csb1", "gpc0"]
        fleet[1].says["probe"] = fleet[2].says["probe"] = OFFLINE
        text = await press(pilot, "R")
        assert "0 of 4 hosts" in text
        assert "The filter shows no host." in text


async def test_a_host_whose_job_is_followed_is_updating(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await press(pilot, "enter", "enter", "escape")
        await fleet[0].say(JobStart(at=NOW), StepStart(step="stop", at=NOW, log=0))
        text = await press(pilot, "slash", *"state:updating", "enter")
        assert names(pilot) == ["csb0"]
        assert "1 current · 1 stale · 1 offline · 1 updating" in text
        assert isinstance(app.screen, FleetScreen)


@pytest.mark.parametrize("size", SIZES)
async def test_a_state_that_nobody_knows_is_answered_with_the_states(
    make_app: MakeApp, size: tuple[int, int]
) -> None:
    async with make_app().run_test(size=size) as pilot:
        text = " ".join((await press(pilot, "slash", *"state:stal")).split())
        assert f"'stal' is no state; states: {', '.join(STATES)}" in text
        assert "0 of 4 hosts" in text
        assert "is no state" not in await press(pilot, "e")
        assert names(pilot) == ["csb0", "gpc0"]


async def test_a_tag_that_no_host_has_is_answered_with_the_tags(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    tag(fleet)
    async with make_app().run_test(size=(120, 40)) as pilot:
        text = await press(pilot, "slash", *"tag:[/]", "enter")
        assert "'[/]' is no tag; tags: cloud, home" in text


async def test_ctrl_a_marks_exactly_what_the_filter_shows(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    tag(fleet)
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        text = await press(pilot, "slash", *"tag:cloud !csb0", "enter", "ctrl+a")
        assert "· 2 marked " in text.splitlines()[0]
        text = await press(pilot, "u")
        assert isinstance(app.screen, ManyPlansDialog)
        assert [name for name in ("csb0", "csb1", "gpc0", "imac0") if name in text] == [
            "csb1",
            "gpc0",
        ]
        await press(pilot, "escape")
        assert "marked" not in await press(pilot, "ctrl+a"), "the same key takes the marks off"


async def test_the_filter_is_still_on_behind_another_screen(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    tag(fleet)
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await press(pilot, "slash", *"tag:home", "enter", "d")
        assert isinstance(app.screen, HostScreen)
        fleet[0].host = replace(fleet[0].host, tags=("home",))
        assert "2 of 4 hosts" in await press(pilot, "escape")
        assert names(pilot) == ["csb0", "gpc0"]


async def test_the_palette_shows_a_tag_and_no_host_that_only_has_the_word(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    fleet[2].host = replace(fleet[2].host, tags=("csb",))
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        hits = [hit async for hit in HostCommands(app.screen).search("csb")]
        max(hits).command()
        await settle(pilot)
        assert "filter tag:csb " in screen_text(app)
        assert names(pilot) == ["gpc0"]
