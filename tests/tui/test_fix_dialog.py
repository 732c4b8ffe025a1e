"""`i` asks for a fix, and says which hosts run it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from a_history import History, lock_of
from fakes import CURRENT, NEW_PATH, OFFLINE, OLD_PATH
from screen_text import screen_text, settle
from test_path import press

from nixfleet_core.facts.model import Running
from nixfleet_core.facts.origins import Origin
from tui.screens.base import Notice
from tui.screens.fix import FixDialog

if TYPE_CHECKING:
    from fakes import FakeSession
    from textual.pilot import Pilot

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
    await settle(pilot)
    for flow in [worker for worker in pilot.app.workers if worker.group == "flow"]:
        while flow.is_running and pilot.app.screen is not dialog and not _asks(pilot):
            await settle(pilot)
    await settle(pilot)
    return screen_text(pilot.app)


def _asks(pilot: Pilot[None]) -> bool:
    return isinstance(pilot.app.screen, FixDialog | Notice)


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


async def test_several_commits_are_offered_and_the_dialog_asks_again(
    make_app: MakeApp, fleet: list[FakeSession], history: History
) -> None:
    one, other = history.commit("Fix a"), history.commit("Fix b")
    fleet[0].says["probe"] = built_from(one, history)
    async with make_app(fleet[:1]).run_test(size=(140, 50)) as pilot:
        await settle(pilot)
        await press(pilot, "i")
        text = await ask(pilot, "fix")
        assert f"{one[:12]}  Fix a" in text
        assert f"{other[:12]}  Fix b" in text
        assert "the commit itself" in await ask(pilot, one[:12])


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
