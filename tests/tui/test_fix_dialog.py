"""`i` asks for a fix, lets one of several commits be chosen, and says which hosts run it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from a_history import History, lock_of
from fakes import CURRENT, NEW_PATH, NOW, OFFLINE, OLD_PATH
from screen_text import screen_text, settle
from test_path import press
from textual.widgets import Input

from nixfleet_core.facts.model import Running
from nixfleet_core.facts.origins import Origin
from nixfleet_core.judge.fix import Change
from nixfleet_core.session.has import Unclear
from tui.screens.base import Notice
from tui.screens.fix import FixDialog, FoundDialog
from tui.screens.help import help_text

if TYPE_CHECKING:
    from fakes import FakeSession
    from textual.pilot import Pilot
    from textual.screen import Screen

    from conftest import MakeApp
    from nixfleet_core.facts.model import Facts


def built_from(commit: str, history: History, path: str = OLD_PATH) -> Facts:
    """A host that runs that path, which is proven to be built from the commit."""
    assert CURRENT.running is not None
    assert CURRENT.checkout is not None
    binary = replace(CURRENT.running.binary, path=path)
    program = path.removesuffix("/bin/nixfleet-agent")
    return replace(
        CURRENT,
        running=Running(binary, "exe", 42),
        proofs=(),
        origins=(Origin(commit=commit, programs=(program,), at=1, machine="x86_64"),),
        checkout=replace(CURRENT.checkout, lock=lock_of(commit, type="git", url=history.url)),
    )


async def ask(pilot: Pilot[None], word: str) -> str:
    """Answer the dialog."""
    dialog = pilot.app.screen
    assert isinstance(dialog, FixDialog)
    dialog.dismiss(word)
    return await answered(pilot, dialog)


async def answered(pilot: Pilot[None], dialog: Screen[Any]) -> str:
    """Wait for what comes after that dialog."""
    await settle(pilot)
    for flow in [worker for worker in pilot.app.workers if worker.group == "flow"]:
        while flow.is_running and (pilot.app.screen is dialog or not _asks(pilot)):
            await settle(pilot)
    await settle(pilot)
    return screen_text(pilot.app)


def _asks(pilot: Pilot[None]) -> bool:
    return isinstance(pilot.app.screen, FixDialog | FoundDialog | Notice)


async def test_each_host_has_its_answer_and_what_that_rests_on(
    make_app: MakeApp, fleet: list[FakeSession], history: History
) -> None:
    old = history.commit("Begin")
    fix = history.commit("Fix the [@click=app.quit]reconnect[/]")
    fleet[0].says["probe"] = built_from(old, history)
    fleet[1].says["probe"] = built_from(fix, history, NEW_PATH)
    fleet[2].says["probe"] = OFFLINE
    async with (app := make_app(fleet[:3])).run_test(size=(140, 50)) as pilot:
        await settle(pilot)
        assert "Is my fix in?" in await press(pilot, "i")
        text = await ask(pilot, "reconnect")
        assert f"{fix[:12]} Fix the [@click=app.quit]reconnect[/]" in text
        assert f"built from {old[:7]}, 1 commit before the fix" in text
        assert "✖ no" in text
        assert "✔ yes" in text
        assert "unreachable" in text
        await press(pilot, "escape")
        assert not app.screen.is_modal


async def test_one_of_several_commits_is_chosen_with_the_cursor(
    make_app: MakeApp, fleet: list[FakeSession], history: History
) -> None:
    one, other = history.commit("Fix a"), history.commit("Fix [@click=app.quit]b[/]\x9b2J")
    fleet[0].says["probe"] = built_from(one, history)
    async with (app := make_app(fleet[:1])).run_test(size=(140, 50)) as pilot:
        await settle(pilot)
        await press(pilot, "i")
        text = await ask(pilot, "fix")
        assert "'fix' names 2 commits" in text
        rows = [line for line in text.splitlines() if other[:12] in line or one[:12] in line]
        assert ["Fix [@click=app.quit]b[/]" in line for line in rows] == [True, False]
        assert ["▸" in line for line in rows] == [True, False]
        assert "2026-11-18" in rows[0], "its date"

        # enter takes the one under the cursor, and the answer is about it
        dialog = app.screen
        await press(pilot, "down", "enter")
        text = await answered(pilot, dialog)
        assert isinstance(app.screen, Notice)
        assert f"{one[:12]} Fix a" in text
        assert "the commit itself" in text


async def test_who_chooses_none_of_the_commits_is_asked_again(
    make_app: MakeApp, fleet: list[FakeSession], history: History
) -> None:
    one = history.commit("Fix a")
    history.commit("Fix b")
    fleet[0].says["probe"] = built_from(one, history)
    async with (app := make_app(fleet[:1])).run_test(size=(140, 50)) as pilot:
        await settle(pilot)
        await press(pilot, "i")
        await ask(pilot, "fix")
        text = await press(pilot, "escape")
        assert "'fix' names 2 commits" in text
        assert app.screen.query_one(Input).value == "fix"
        text = await ask(pilot, "nothing")
        assert "no commit is named 'nothing'" in text
        assert "the commit itself" in await ask(pilot, one[:12])
        await press(pilot, "escape")
        await press(pilot, "i", "escape")
        assert not app.screen.is_modal


async def test_a_click_marks_a_commit_and_a_second_one_chooses_it(
    make_app: MakeApp, fleet: list[FakeSession], history: History
) -> None:
    one = history.commit("Fix a")
    history.commit("Fix b")
    fleet[0].says["probe"] = built_from(one, history)
    async with (app := make_app(fleet[:1])).run_test(size=(140, 50)) as pilot:
        await settle(pilot)
        await press(pilot, "i")
        await ask(pilot, "fix")
        dialog = app.screen
        await pilot.click("#found", offset=(10, 2), times=2)
        assert "the commit itself" in await answered(pilot, dialog)


@pytest.mark.parametrize("size", [(140, 50), (80, 24), (60, 15)], ids=str)
async def test_all_commits_can_be_reached_and_the_keys_are_in_the_help(
    make_app: MakeApp, size: tuple[int, int]
) -> None:
    found = tuple(Change(f"{at:040x}", f"Fix {at}", made=NOW) for at in range(50))
    async with (app := make_app()).run_test(size=size) as pilot:
        await settle(pilot)
        app.push_screen(FoundDialog(Unclear("'fix' names 50 commits or more", found)))
        await settle(pilot)
        assert "choose" in screen_text(app)
        seen = []
        for one in found:
            lines = [line for line in screen_text(app).splitlines() if "▸" in line]
            seen += [line for line in lines if one.title in line]
            text = await press(pilot, "down")
        assert len(seen) == len(found)
        assert "Which of them?" in text
        assert "choose" in text, "the buttons stay"
        assert "Fix 0" in await press(pilot, "g")
        help_said = help_text(app.screen, app).plain
        for key, does in (("⏎", "Accept"), ("esc", "Leave"), ("↓ j", "Down"), ("G", "Last row")):
            assert any(key in line and does in line for line in help_said.splitlines()), key


async def test_only_the_marked_hosts_are_asked_about(
    make_app: MakeApp, fleet: list[FakeSession], history: History
) -> None:
    fix = history.commit("Fix")
    for session in fleet[:2]:
        session.says["probe"] = built_from(fix, history)
    async with make_app(fleet[:2]).run_test(size=(140, 50)) as pilot:
        await settle(pilot)
        await press(pilot, "space", "i")
        assert (await ask(pilot, fix)).count("the commit itself") == 1
