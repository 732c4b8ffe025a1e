"""The key that commits flake.lock: it is there only if there is something to commit, and asks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fakes import CURRENT, OLD, OLD_PATH, make_facts
from screen_text import screen_text, settle
from test_path import press

from nixfleet_core.plan.model import Refusal
from nixfleet_core.vocabulary import KEYS
from tui.screens.plan import CommitDialog
from tui.screens.remedy import RemedyNotice
from tui.screens.update import UpdateScreen

if TYPE_CHECKING:
    from fakes import FakeSession

    from conftest import MakeApp
    from nixfleet_core.facts.model import Facts

KEY = KEYS["commit"]


def uncommitted() -> Facts:
    """A current host whose flake.lock differs from HEAD's."""
    before = make_facts(running=OLD_PATH, rev=OLD).checkout
    assert before is not None
    assert CURRENT.checkout is not None
    return replace(CURRENT, checkout=replace(CURRENT.checkout, head_lock=before.lock))


async def test_the_key_asks_and_commits(make_app: MakeApp, fleet: list[FakeSession]) -> None:
    fleet[0].says["probe"] = uncommitted()
    async with (app := make_app()).run_test(size=(160, 40)) as pilot:
        await settle(pilot)
        text = await press(pilot, KEY)
        assert isinstance(app.screen, CommitDialog)
        assert "Commit flake.lock on csb0?" in text
        assert "/home/ops/Code/nixcfg/flake.lock is committed if" in text
        assert fleet[0].plans == []
        await press(pilot, "escape")
        assert fleet[0].plans == []
        await press(pilot, KEY, "enter")
        assert isinstance(app.screen, UpdateScreen)
        assert "commit flake.lock" in screen_text(app)
    assert [plan.goal for plan in fleet[0].plans] == ["commit"]


async def test_without_something_to_commit_there_is_no_key(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    fleet[0].says["probe"] = CURRENT
    async with (app := make_app()).run_test(size=(160, 40)) as pilot:
        await settle(pilot)
        assert f"{KEY} commit" not in await press(pilot, KEY)
        assert not isinstance(app.screen, CommitDialog)
        fleet[0].says["probe"] = uncommitted()
        assert f"{KEY} commit" in await press(pilot, "R")


async def test_the_cure_of_an_uncommitted_flake_lock_names_the_key(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    fleet[0].says["probe"] = uncommitted()
    async with (app := make_app()).run_test(size=(200, 40)) as pilot:
        await settle(pilot)
        text = screen_text(app)
        assert "lock-not-pushed" in text
        assert f"commit flake.lock and push it → {KEY} commit" in " ".join(text.split())

        pushed = uncommitted()
        assert pushed.checkout is not None
        ahead = replace(pushed.checkout, head_lock=None, ahead=1)
        fleet[0].says["probe"] = replace(pushed, checkout=ahead)
        text = await press(pilot, "R")
        assert "cure: push them on the host" in text
        assert f"{KEY} commit" not in text, "it would push nothing"


async def test_the_hosts_own_screen_has_the_key(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    fleet[0].says["probe"] = uncommitted()
    async with (app := make_app()).run_test(size=(160, 40)) as pilot:
        await settle(pilot)
        assert f"{KEY} commit" in await press(pilot, "d")
        await press(pilot, KEY)
        assert isinstance(app.screen, CommitDialog)


async def test_a_refusal_is_told(make_app: MakeApp, fleet: list[FakeSession]) -> None:
    fleet[0].says["probe"] = uncommitted()
    fleet[0].says["plan_commit"] = Refusal("commit", "HEAD is on no branch", "check one out")
    async with (app := make_app()).run_test(size=(160, 40)) as pilot:
        await settle(pilot)
        text = await press(pilot, KEY)
        assert isinstance(app.screen, RemedyNotice)
        assert "HEAD is on no branch" in text
