"""Choices in the plan preview, and going back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from fakes import BEFORE_JOB, JOB, NOW, NOW_ACTIVE, make_plan, make_rollback
from screen_text import screen_text, settle
from test_path import press

from nixfleet_core.job.events import JobStart, StepStart, Tick
from nixfleet_core.judge.ways_back import WaysBack
from nixfleet_core.plan.levels import LEVEL_NOTES, LEVELS
from nixfleet_core.plan.model import Options, Refusal
from tui.screens.fleet import FleetScreen
from tui.screens.generation import GenerationDialog
from tui.screens.level import LevelDialog
from tui.screens.plan import RollbackDialog, UpdateDialog
from tui.screens.remedy import RemedyNotice
from tui.screens.update import UpdateScreen

if TYPE_CHECKING:
    from fakes import FakeSession

    from conftest import MakeApp
    from nixfleet_core.vocabulary import StepId

POSITIVE = "narinfo-cache-positive-ttl"


async def test_the_level_is_picked_and_the_commands_follow(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        assert POSITIVE not in await press(pilot, "enter")
        text = await press(pilot, "L")
        assert isinstance(app.screen, LevelDialog)
        lines = text.splitlines()
        top = next(line for line in lines if "╭─ Force level" in line)
        left = top.index("╭─ Force level") + 1
        right = top.index("╮", left)
        joined = " ".join(" ".join(line[left:right] for line in lines).split())
        assert not [note for note in LEVEL_NOTES.values() if note not in joined], text

        text = await press(pilot, "down", "enter")
        assert isinstance(app.screen, UpdateDialog)
        assert "Force update csb0, level 2?" in text
        assert POSITIVE in text
        assert "level 2: asks caches again about everything" in text

        # a digit chooses, and does not close
        assert "▸ 0" in await press(pilot, "L", "0")
        assert isinstance(app.screen, LevelDialog)
        assert "level 0?" in await press(pilot, "enter")
        assert "level 0?" in await press(pilot, "L", "down", "escape")
        await press(pilot, "L", "down", "down", "enter", "enter")
        assert isinstance(app.screen, UpdateScreen)
        assert "force update, level 2" in screen_text(app)
    assert [plan.options.level for plan in fleet[0].plans] == [2]


@pytest.mark.parametrize("size", [(120, 40), (80, 24), (60, 15)], ids=str)
async def test_all_levels_can_be_reached_and_read(make_app: MakeApp, size: tuple[int, int]) -> None:
    async with (app := make_app()).run_test(size=size) as pilot:
        await press(pilot, "enter", "L", "up", "up")
        for level in LEVELS:
            body, line = (app.screen.query_one(name) for name in ("#body", f"#level-{level}"))
            assert body.region.contains_region(line.region), level
            assert f"▸ {level}" in screen_text(app)
            await press(pilot, "down")
        assert "level 7?" in await press(pilot, "enter")
        assert "▸ 7" in await press(pilot, "L")
        assert "level 4?" in await press(pilot, "4", "enter")


async def test_an_update_can_be_told_to_roll_back_by_itself(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        text = await press(pilot, "enter")
        assert "[ ] roll back by itself" in text
        assert "switch-back" not in text
        text = await press(pilot, "b")
        assert "[✔] roll back by itself" in text
        assert "switch-back" in text
        assert "switch-back" not in await press(pilot, "b")
        await press(pilot, "b", "enter")
    assert [plan.options.rollback_on_failure for plan in fleet[0].plans] == [True]


async def test_a_choice_without_a_plan_changes_nothing(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    async with (app := make_app()).run_test(size=(120, 40), notifications=True) as pilot:
        await press(pilot, "enter")
        fleet[0].says["plan"] = Refusal("platform", "this level is not there", "")
        text = await press(pilot, "L", "2", "enter")
        assert isinstance(app.screen, UpdateDialog)
        assert "this level is not there" in text
        assert "level 1?" in text


async def test_choices_can_be_clicked(make_app: MakeApp) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await press(pilot, "enter")
        await pilot.click("#choose-level")
        await settle(pilot)
        assert isinstance(app.screen, LevelDialog)
        await pilot.click("#level-2")
        await settle(pilot)
        await pilot.click("#accept")
        await settle(pilot)
        await pilot.click("#choose-rollback")
        await settle(pilot)
        text = screen_text(app)
        assert "level 2?" in text
        assert "[✔] roll back" in text


async def test_rollback_asks_and_names_its_target(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    session = fleet[0]
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        text = await press(pilot, "b")
        assert isinstance(app.screen, GenerationDialog)
        for shown in (
            "412  n3w0…-25.11, agent 2.2.0; is active now",
            "▸ 411  0ld0…-25.05, agent 2.1.0; was active",
            f"default: active before job {JOB}",
            "410  bad0…-25.08, agent 2.2.0; never seen active",
            "9  bad0…-25.08, agent not known; nobody knows whether it was ever active",
        ):
            assert shown in text, text
        text = await press(pilot, "enter")
        assert isinstance(app.screen, RollbackDialog)
        for shown in (
            *("Roll back csb0?", "ops@cs0:2222", "generation 412, n3w0…-25.11", "switch-back"),
            *("generation 411, 0ld0…-25.05", f"active before job {JOB}"),
            "[✔] flake.lock goes back too",
        ):
            assert shown in text
        assert "not known to have run" not in text
        assert session.plans == []

        assert "[ ] flake.lock" in await press(pilot, "f")
        text = await press(pilot, "enter")
        assert isinstance(app.screen, UpdateScreen)
        assert "csb0 · roll back · " in text
        assert [plan.lock_from for plan in session.plans] == [None]
        await session.say(JobStart(at=NOW), StepStart(step="rollback", at=NOW, log=0))
        await settle(pilot)
        text = screen_text(app)
        assert "▶ Roll back" in text
        assert "going back to what was active" in text


async def test_rollback_restores_flake_lock_unless_told_to_keep_it(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        await press(pilot, "b", "enter", "f", "f", "enter")
    assert [plan.lock_from for plan in fleet[0].plans] == [JOB]


async def test_rollback_leaves_flake_lock_when_no_old_one_was_kept(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    fleet[0].says["plan_rollback"] = make_rollback("csb0", lock_from=None)
    async with make_app().run_test(size=(120, 40)) as pilot:
        text = await press(pilot, "b", "enter", "f")
        assert "flake.lock stays as it is" in text
        assert "as before job" not in text
        await press(pilot, "enter")
    assert [plan.lock_from for plan in fleet[0].plans] == [None]


async def test_rollback_asks_for_a_password_before_its_plan(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    fleet[0].password = "right"
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        assert "sudo on csb0" in await press(pilot, "b")
        await press(pilot, *"right", "enter")
        assert isinstance(app.screen, GenerationDialog)
        await press(pilot, "escape")
        assert isinstance(app.screen, FleetScreen)
    assert fleet[0].plans == []


async def test_app_explains_why_no_rollback_is_possible(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    fleet[0].says["plan_rollback"] = Refusal(
        "target", "no generation is left", "choose one by hand"
    )
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        text = await press(pilot, "b", "enter")
        assert isinstance(app.screen, RemedyNotice)
        assert "no generation is left" in text
        fleet[0].says["ways_back"] = WaysBack(None)  # then there is nothing to choose
        assert "no generation is left" in await press(pilot, "escape", "b")


async def test_another_generation_is_chosen_by_keys_or_by_a_click(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await press(pilot, "b", "down", "enter")
        assert fleet[0].calls[-1] == "plan_rollback False 410"
        await press(pilot, "escape", "b", "down", "down", "down", "enter")
        assert fleet[0].calls[-1] == "plan_rollback False 9"
        await press(pilot, "escape", "b")
        await pilot.click("#way-0")
        assert "▸ 412" in await press(pilot)
        await press(pilot, "enter")
        assert isinstance(app.screen, RollbackDialog)
        assert fleet[0].calls[-1] == "plan_rollback False 412"
        await press(pilot, "escape", "b", "escape")
        assert isinstance(app.screen, FleetScreen)


async def test_a_default_that_is_no_generation_is_taken_as_the_default(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    """As a system that only `nixos-rebuild test` has activated."""
    tried = msgspec.structs.replace(BEFORE_JOB, system="/nix/store/tried", number=411)
    fleet[0].says["ways_back"] = WaysBack(tried, (NOW_ACTIVE, BEFORE_JOB))
    plan = make_rollback("csb0")
    fleet[0].says["plan_rollback"] = msgspec.structs.replace(
        plan, target=tried.system, target_ran=False
    )
    async with make_app().run_test(size=(120, 40)) as pilot:
        text = await press(pilot, "b")
        assert "▸   *  /nix/store/tried, with generation 411 in the profile" in text, text
        text = await press(pilot, "enter")
        assert fleet[0].calls[-1] == "plan_rollback False"
        assert "/nix/store/tried, with generation 411, 0ld0…-25.05 in the profile" in text
        assert "its agent is not known to have run" in text


@pytest.mark.parametrize("size", [(80, 24), (60, 15)], ids=str)
async def test_all_generations_can_be_reached_and_read(
    make_app: MakeApp, fleet: list[FakeSession], size: tuple[int, int]
) -> None:
    many = tuple(msgspec.structs.replace(NOW_ACTIVE, number=n) for n in range(100, 0, -1))
    fleet[0].says["ways_back"] = WaysBack(None, many)
    async with (app := make_app()).run_test(size=size) as pilot:
        await press(pilot, "b")
        for key, number in (("pagedown", 90), ("down", 89), ("pageup", 99), ("up", 100)):
            text = await press(pilot, key)
            assert f"▸ {number:>3}" in text, text
        await press(pilot, *["pagedown"] * 10)
        body, line = (app.screen.query_one(name) for name in ("#body", "#way-99"))
        assert body.region.contains_region(line.region)


async def test_app_says_until_when_the_host_must_be_reached_anew(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    steps: tuple[StepId, ...] = ("rebuild", "confirm", "start", "verify")
    fleet[0].says["plan"] = make_plan("csb0", Options(force=True), steps=steps)
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await press(pilot, "enter", "enter")
        await fleet[0].say(
            JobStart(at=NOW), StepStart(step="confirm", at=NOW - 20, log=0), Tick(at=NOW, log=0)
        )
        await settle(pilot)
        text = screen_text(app)
    assert "must be reached in 40 s" in text
    assert "reaching the host again" in text
