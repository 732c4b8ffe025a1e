"""The rows of a plan are the exact commands, and open to all that is known of a step."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest
from fakes import make_plan
from msgspec.structs import replace as changed
from screen_text import settle
from test_path import press

from nixfleet_core.plan.model import Options
from nixfleet_core.plan.words import step_user
from tui.screens.batch import ManyPlansDialog
from tui.screens.plan import UpdateDialog
from tui.screens.remedy import RemedyNotice
from tui.widgets.fold_list import FoldRow

if TYPE_CHECKING:
    from fakes import FakeSession

    from conftest import MakeApp

LONG = (
    "nixos-rebuild",
    "switch",
    "--flake",
    f"/home/ops/{'deep/' * 12}nixcfg#csb0",
    "--show-trace",
)


async def test_a_row_opens_to_its_command_directory_user_and_limit(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    plan = make_plan("csb0", Options(force=True))
    steps = tuple(
        changed(step, argv=LONG, limit=4 * 3600, tries=3) if step.id == "rebuild" else step
        for step in plan.steps
    )
    fleet[0].says["plan"] = changed(plan, steps=steps)
    async with make_app().run_test(size=(100, 40)) as pilot:
        text = await press(pilot, "u")
        assert "--show-trace" not in text, "a closed row is one line"
        text = await press(pilot, *["down"] * 4, "space")
        shown = "".join(part.strip(" │┃") for part in text.splitlines())
        assert shlex.join(LONG).replace(" ", "") in shown.replace(" ", "")
        for fact in ("in /home/ops/Code/nixcfg", "as root", "for at most 4h 00m", "up to 3 tries"):
            assert fact in text
        assert "--show-trace" not in await press(pilot, "space")
    assert fleet[0].launched == []


async def test_a_click_opens_a_row(make_app: MakeApp) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await press(pilot, "u")
        await pilot.click(app.screen.query(FoldRow)[2])
        await settle(pilot)
        rows = list(app.screen.query(FoldRow))
        assert [row.has_class("-open") for row in rows] == [at == 2 for at in range(len(rows))]


async def test_the_cursor_stops_at_the_ends_and_the_text_scrolls_on(make_app: MakeApp) -> None:
    async with (app := make_app()).run_test(size=(80, 16)) as pilot:
        await press(pilot, "u", *["down"] * 30)
        assert app.screen.query(FoldRow).last().has_class("-cursor")
        body = app.screen.query_one("#body")
        assert body.scroll_offset.y == body.max_scroll_y
        await press(pilot, *["k"] * 30)
        assert app.screen.query(FoldRow).first().has_class("-cursor")
        assert body.scroll_offset.y == 0


async def test_several_hosts_share_level_and_options(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        text = await press(pilot, "ctrl+a", "u")
        assert isinstance(app.screen, ManyPlansDialog)
        assert "level 1: asks caches again" in text
        assert "csb1  current already; 7 steps" in text
        text = await press(pilot, "L", "3", "enter", "b", "p")
        assert "Force update 3 hosts, level 3?" in text
        assert "[✔] roll back by itself" in text
        assert "[✔] commit flake.lock" in text
        assert "[✔] push that commit" in text
        await press(pilot, "enter")
    made = [session.plans[0].options for session in fleet[:3]]
    asked = {(plan.level, plan.rollback_on_failure, plan.commit_lock, plan.push) for plan in made}
    assert asked == {(3, True, True, True)}
    assert fleet[3].launched == []


async def test_flake_lock_stays_as_it_is_if_that_is_chosen(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        text = await press(pilot, "u")
        assert "[ ] leave flake.lock at its commit" in text
        assert "Update nixfleet" in text
        text = await press(pilot, "f")
        assert "Force update csb0, level 1, as locked?" in text
        assert "[✔] leave flake.lock at its commit" in text
        assert "Update nixfleet" not in text
        # it is committed, or it stays: the last choice counts
        for key, committed in {"c": "commit flake.lock", "p": "push that commit"}.items():
            text = await press(pilot, key)
            assert "[ ] leave flake.lock" in text
            assert f"[✔] {committed}" in text
            text = await press(pilot, "f")
            assert "[✔] leave flake.lock" in text
            assert f"[ ] {committed}" in text
        assert "[ ] leave flake.lock" in await press(pilot, "f")
        await press(pilot, "f", "enter")
    assert [plan.options for plan in fleet[0].plans] == [Options(force=True, as_locked=True)]


async def test_several_hosts_can_be_updated_as_they_are_locked(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    """It is the operator's choice: an update of all that is stale moves flake.lock."""
    async with make_app().run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert "[ ] leave flake.lock at its commit" in await press(pilot, "U")
        text = await press(pilot, "f")
        assert "Force update 2 hosts, level 1, as locked?" in text
        assert "6 steps" in text
        await press(pilot, "enter")
    made = {plan.options.as_locked for session in fleet for plan in session.plans}
    assert made == {True}


async def test_a_host_whose_options_do_not_fit_is_left_out(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        await press(pilot, "ctrl+a", "u")
        from nixfleet_core.plan.model import Refusal

        fleet[1].says["plan"] = Refusal("lock", "it has no branch to push to", "push by hand")
        text = await press(pilot, "p")
        assert "Force update 2 hosts, level 1?" in text
        assert "changes 2 hosts" in text
        assert "csb1  left out: it has no branch to push to" in text
        await press(pilot, "enter")
    assert [bool(session.launched) for session in fleet] == [True, False, True, False]


async def test_a_row_of_several_opens_to_the_commands(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 50)) as pilot:
        text = await press(pilot, "ctrl+a", "u", "space")
        assert "Rebuild: nixos-rebuild switch --flake '.#csb0'" in text


async def test_the_bar_says_what_enter_and_u_are_for(make_app: MakeApp) -> None:
    """enter is for the host under the cursor, u for the marked ones."""
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        text = await press(pilot)
        assert "⏎ plan " in text
        assert " u update  " in text
        text = await press(pilot, "space", "space")
        assert "⏎ plan " in text
        assert " u update 2 marked " in text
        text = await press(pilot, "down")
        assert "⏎ why " in text
        assert " u update 2 marked " in text
        await press(pilot, "enter")
        assert isinstance(app.screen, RemedyNotice)
        await press(pilot, "escape", "up", "enter")
        assert isinstance(app.screen, UpdateDialog)
        await press(pilot, "enter", "escape")
        assert "⏎ job " in await press(pilot)


@pytest.mark.parametrize(("platform", "user"), [("nixos", "root"), ("home-manager", "ops")])
def test_all_of_a_homes_job_runs_as_its_user(platform: str, user: str) -> None:
    plan = changed(make_plan("csb0", Options()), platform=platform)
    rebuild = plan.step("stop")
    assert rebuild is not None
    assert step_user(plan, rebuild) == user
