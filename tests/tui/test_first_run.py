"""The app where there are no hosts yet."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from screen_text import press_key, screen_text, settle
from test_path import press
from without_hosts import SEARCHED

from nixfleet_core.cli.screen import Opened
from nixfleet_core.session.no_hosts import example_inventory, no_hosts_words
from tui.commands import BindingCommands
from tui.screens.first_run import FirstRunScreen
from tui.screens.fleet import FleetScreen
from tui.screens.help import HelpDialog

if TYPE_CHECKING:
    from fakes import FakeSession
    from without_hosts import Looks

    from conftest import MakeFirstRun


def squeezed(text: str) -> str:
    """The words alone: lines break where the terminal ends."""
    return " ".join(word for word in text.split() if set(word) - set("│╭╮╰─╯|+-▁▂▃▄▅▆▇█"))


@pytest.mark.parametrize("size", [(120, 40), (80, 24), (60, 15)])
async def test_an_app_without_hosts_says_where_it_looked_and_what_to_write(
    make_first_run: MakeFirstRun, size: tuple[int, int]
) -> None:
    async with (app := make_first_run()).run_test(size=size) as pilot:
        await settle(pilot)
        first = squeezed(screen_text(app))
        assert "no hosts yet" in first
        assert f"{SEARCHED.path} there is no such file" in first
        assert "the flake ~/Code/nixcfg there is no such folder" in first
        assert "this machine, gpc0 it has no NixFleet agent" in first
        assert "y copy R look again : commands ? help" in first
        whole = [line.strip("│ ▁▂▃▄▅▆▇█") for line in screen_text(app).splitlines()]
        for _ in range(3):
            shown = await press(pilot, "pagedown")
            whole += [line.strip("│ ▁▂▃▄▅▆▇█") for line in shown.splitlines()]
        for line in example_inventory("markus").splitlines():
            assert line in whole
        assert "README.md" in shown
        await press(pilot, "pageup", "up", "k", *["pageup"] * 3)
        assert squeezed(screen_text(app)) == first
        await press(pilot, "down", "j", "up")
        assert (squeezed(screen_text(app)) == first) == (size == (120, 40))


async def test_the_example_can_be_copied(make_first_run: MakeFirstRun) -> None:
    async with (app := make_first_run()).run_test(size=(80, 24)) as pilot:
        await press(pilot, "y")
        assert app.clipboard == no_hosts_words(SEARCHED).example


async def test_hosts_that_are_found_later_are_shown(
    make_first_run: MakeFirstRun, looks: Looks, fleet: list[FakeSession]
) -> None:
    looks.finds = [Opened(fleet, ("homes are unknown",))]
    async with (app := make_first_run()).run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        text = await press(pilot, "R")
        assert isinstance(app.screen, FleetScreen)
        assert "homes are unknown" in text
        assert "▲ stale" in text
        assert [session.calls.count("probe") for session in fleet] == [1, 1, 1, 1]
        await press(pilot, "enter")
        assert "Force update csb0" in screen_text(app)
    assert all(session.calls[-1] == "close" for session in fleet)


async def test_a_look_in_vain_says_when_it_was_and_what_it_saw(
    make_first_run: MakeFirstRun, looks: Looks
) -> None:
    looks.finds = [Opened((), searched=replace(SEARCHED, has_file=True))]
    async with (app := make_first_run()).run_test(size=(80, 24)) as pilot:
        text = squeezed(await press(pilot, "R"))
        assert isinstance(app.screen, FirstRunScreen)
        assert "no hosts yet, looked again at 02:13:20" in text
        assert f"{SEARCHED.path} it has no host in it" in text
        assert "gpc0" not in text


async def test_a_mistake_in_the_file_is_named_until_it_is_gone(
    make_first_run: MakeFirstRun, looks: Looks
) -> None:
    mistake = "~/.config/nixfleet/hosts.toml:2: hosts.csb0.ssh: must be text"
    looks.finds = [mistake, Opened((), searched=SEARCHED)]
    async with make_first_run().run_test(size=(60, 15)) as pilot:
        text = squeezed(await press(pilot, "pagedown", "R"))
        assert mistake in text
        assert "Looked for hosts in" not in text, "that was before the file was written"
        assert f"Write into {SEARCHED.path}" in text
        text = squeezed(await press(pilot, "R"))
        assert mistake not in text
        assert "Looked for hosts in" in text


async def test_one_look_at_a_time(make_first_run: MakeFirstRun, looks: Looks) -> None:
    looks.answers.clear()
    looks.finds = [Opened((), searched=SEARCHED)] * 2
    async with make_first_run().run_test(size=(80, 24)) as pilot:
        assert "looking for hosts" in await press(pilot, "R", "R")
        assert looks.asked == 1
        looks.answers.set()
        await settle(pilot)
        assert "looked again" in await press(pilot, "R")
        assert looks.asked == 2


async def test_hosts_that_are_found_wait_for_an_open_dialog(
    make_first_run: MakeFirstRun, looks: Looks, fleet: list[FakeSession]
) -> None:
    looks.answers.clear()
    looks.finds = [Opened(fleet)]
    async with (app := make_first_run()).run_test(size=(120, 40)) as pilot:
        await press(pilot, "R", "question_mark")
        looks.answers.set()
        await settle(pilot)
        assert isinstance(app.screen, HelpDialog)
        await press(pilot, "escape")
        assert isinstance(app.screen, FleetScreen)
        assert "csb0" in await press(pilot, "escape", "question_mark", "escape")


async def test_the_app_can_be_left_while_it_looks(
    make_first_run: MakeFirstRun, looks: Looks
) -> None:
    looks.answers.clear()
    async with (app := make_first_run()).run_test(size=(80, 24)) as pilot:
        await press(pilot, "R")
        press_key(pilot, "q")
        await settle(pilot)
        assert not app.is_running or app._exit


async def test_help_and_palette_hold_the_keys(make_first_run: MakeFirstRun) -> None:
    async with (app := make_first_run()).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        offered = {str(hit.text) async for hit in BindingCommands(app.screen).discover()}
        helped = await press(pilot, "question_mark")
    for text in ("Copy the example of hosts.toml", "Look for hosts again, such as in a hosts.toml"):
        assert text in helped
        assert any(command.startswith(text) for command in offered)
    assert "Quit; asks while jobs run" in helped
