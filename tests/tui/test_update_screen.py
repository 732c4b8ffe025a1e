"""After the update: what becomes of flake.lock, and which packages changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from fakes import JOB, NEW, NEW_PATH, NEW_SYSTEM, NOW, OLD_PATH, OLD_SYSTEM, UPDATED
from owing import OWING
from screen_text import screen_text, settle
from test_path import press

from nixfleet_core.facts.model import Snapshot
from nixfleet_core.facts.package_changes import Change
from nixfleet_core.job.events import JobStart, StepPlace, StepStart
from nixfleet_core.judge.debt import Debt, debt_notes
from nixfleet_core.judge.left_behind import Left
from nixfleet_core.plan.model import Refusal
from tui.screens.base import Notice
from tui.screens.path import PathDialog
from tui.screens.plan import UpdateDialog
from tui.screens.update import UpdateScreen
from tui.widgets.steps import StepsPanel

if TYPE_CHECKING:
    from pathlib import Path

    from fakes import FakeSession
    from textual.pilot import Pilot

    from conftest import MakeApp

NOTE = (
    "flake.lock is changed, but not committed: the next pull or reset there can undo this update. "
    "--commit-lock (in the plan: c) keeps it, or: git -C /home/ops/Code/nixcfg commit -m "
    "'flake.lock: nixfleet 1a2b3c4 -> 9f2c1ab' -- flake.lock"
)
CHANGES = (
    Change(name="nixfleet-agent", before="2.1.0", after="2.2.0", size=41984),
    Change(name="glibc", before="2.40-61", after="2.40-66"),
    Change(name="htop", before="3.3.0", after=None, size=-9728),
    Change(name="ripgrep", before=None, after="14.1"),
)
WITH_CHANGES = msgspec.structs.replace(UPDATED, notes=(NOTE,), changes=CHANGES)


def options(session: FakeSession) -> list[tuple[bool, bool]]:
    return [(plan.options.commit_lock, plan.options.push) for plan in session.plans]


async def test_flake_lock_is_committed_and_pushed_only_when_chosen(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        text = await press(pilot, "enter")
        assert "[ ] commit flake.lock" in text
        assert "[ ] push that commit" in text
        assert "git commit" not in text

        text = await press(pilot, "c")
        assert "[✔] commit flake.lock" in text
        assert "flake.lock: nixfleet 1a2b3c4 -> 9f2c1ab" in text
        assert "[ ] push that commit" in text
        text = await press(pilot, "c", "p")
        assert "[✔] commit flake.lock" in text
        assert "[✔] push that commit" in text
        assert "git push origin" in text
        text = await press(pilot, "c")
        assert "[ ] push that commit" in text
        assert "git push" not in text
        await press(pilot, "p", "p", "enter")
    assert options(fleet[0]) == [(True, False)]


async def test_choices_can_be_clicked_and_the_message_names_the_latest(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "enter")
        await pilot.click("#choose-push")
        await settle(pilot)
        assert "[✔] commit flake.lock" in screen_text(pilot.app)
        await press(pilot, "enter")
    assert options(fleet[0]) == [(True, True)]
    assert fleet[0].latest == NEW


async def test_app_says_why_flake_lock_may_not_be_committed(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    async with (app := make_app()).run_test(size=(120, 40), notifications=True) as pilot:
        await press(pilot, "enter")
        fleet[0].says["plan"] = Refusal("commit", "the commit would include nixpkgs", "")
        text = await press(pilot, "c")
        assert isinstance(app.screen, UpdateDialog)
        assert "the commit would include nixpkgs" in text
        assert "[ ] commit flake.lock" in text


async def update(pilot: Pilot[None], session: FakeSession) -> str:
    await press(pilot, "enter", "enter")
    await session.run_job()
    await settle(pilot)
    return screen_text(pilot.app)


def flat(text: str) -> str:
    return " ".join(text.replace("│", " ").split())


async def test_the_verdict_tells_of_flake_lock_and_of_changed_packages(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    fleet[0].says["verdict"] = WITH_CHANGES
    async with (app := make_app()).run_test(size=(120, 29)) as pilot:
        text = await update(pilot, fleet[0])
        assert isinstance(app.screen, UpdateScreen)
        assert "note" in text
        assert "flake.lock is changed, but not committed" in text
        assert "4 packages · p lists them" in text
        assert "nixfleet-agent 2.1.0 → 2.2.0, +41.0 KiB" in text
        assert "ripgrep" not in text

        text = await press(pilot, "p")
        assert isinstance(app.screen, Notice)
        assert "What changed on csb0" in text
        for line in (
            "glibc 2.40-61 → 2.40-66",
            "htop 3.3.0 is gone, -9.5 KiB",
            "ripgrep 14.1 is new",
        ):
            assert line in text
        await press(pilot, "escape")
        assert isinstance(app.screen, UpdateScreen)


async def test_a_small_screen_tells_the_same_in_fewer_words(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    fleet[0].says["verdict"] = WITH_CHANGES
    async with make_app().run_test(size=(80, 24)) as pilot:
        text = await update(pilot, fleet[0])
        assert "4 packages · p lists them" in text
        assert "can undo this update" in flat(text)
        assert "--commit-lock" not in text
        assert "ripgrep 14.1 is new" in await press(pilot, "p")


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_the_remark_on_restart_debt_leaves_room_for_all_else(
    make_app: MakeApp, fleet: list[FakeSession], size: tuple[int, int]
) -> None:
    units = tuple(
        msgspec.structs.replace(OWING[0], unit=f"{number}{'x' * 240}.service")
        for number in range(9)
    )
    notes = (NOTE, *debt_notes(Debt(units=units)))
    fleet[0].says["verdict"] = msgspec.structs.replace(WITH_CHANGES, notes=notes)
    async with make_app().run_test(size=size) as pilot:
        text = flat(await update(pilot, fleet[0]))
        for shown in (
            *("can undo this update", "9 more units run old programs: 0xxx", "and 6 more"),
            *("goes back to the fleet", "Verify", "4 packages", "Log · "),
        ):
            assert shown in text, shown
        assert text.index("can undo this update") < text.index("9 more units")


async def test_a_long_list_is_read_to_its_end(make_app: MakeApp, fleet: list[FakeSession]) -> None:
    many = tuple(Change(name=f"package-{n}", before="1", after="2") for n in range(200))
    fleet[0].says["verdict"] = msgspec.structs.replace(UPDATED, changes=many)
    async with make_app().run_test(size=(80, 24)) as pilot:
        await update(pilot, fleet[0])
        assert "package-199" not in await press(pilot, "p")
        assert "package-199 1 → 2" in await press(pilot, *["pagedown"] * 20)


RESTARTED = msgspec.structs.replace(
    UPDATED,
    before=Snapshot(
        version="2.1.0", commit=NEW, store_path=OLD_PATH, system=NEW_SYSTEM, generation=87
    ),
    after=Snapshot(
        version="2.2.0", commit=NEW, store_path=NEW_PATH, system=NEW_SYSTEM, generation=87
    ),
    changes=(Change(name="nixfleet-agent", before="2.1.0", after="2.2.0"),),
)
"""The agent's process was older than the system, which has not changed."""


@pytest.mark.parametrize(
    ("size", "rows"),
    [
        (
            (120, 40),
            ("version 2.1.0 → 2.2.0", "commit 9f2c1ab unchanged", "generation 87 unchanged"),
        ),
        ((80, 24), ("version 2.1.0 → 2.2.0", "commit 9f2c1ab, unchanged")),
    ],
)
async def test_what_did_not_change_is_not_shown_as_a_change(
    make_app: MakeApp, fleet: list[FakeSession], size: tuple[int, int], rows: tuple[str, ...]
) -> None:
    fleet[0].says["verdict"] = RESTARTED
    async with make_app().run_test(size=size) as pilot:
        text = await update(pilot, fleet[0])
        assert "only the running agent" in text
        assert "1 package" not in text
        for row in rows:
            assert row in flat(text)


async def test_a_switch_within_one_generation_is_shown_by_its_paths(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    other = msgspec.structs.replace(RESTARTED.before, system=OLD_SYSTEM)
    fleet[0].says["verdict"] = msgspec.structs.replace(RESTARTED, before=other)
    async with make_app().run_test(size=(120, 40)) as pilot:
        text = await update(pilot, fleet[0])
        assert "0ld0…-25.05 → n3w0…-25.11" in flat(text)
        assert "generation 87" not in text
        assert "1 package" in text


async def test_what_was_left_behind_stands_with_the_key_that_helps(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    left = Left("generation 8 is [bold]new", "nixfleet rollback csb0 goes back", "b")
    fleet[0].says["verdict"] = msgspec.structs.replace(UPDATED, kind="cancelled", left=(left,))
    async with make_app().run_test(size=(120, 50)) as pilot:
        text = await update(pilot, fleet[0])
        assert "left       generation 8 is [bold]new" in text
        assert "           b nixfleet rollback csb0 goes back" in text


async def test_no_list_is_offered_without_changed_packages(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        text = await update(pilot, fleet[0])
        assert "packages" not in text
        await press(pilot, "p")
        assert isinstance(app.screen, UpdateScreen)


async def test_package_names_of_a_host_are_shown_as_text(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    evil = "[@click=app.quit]x[/]"
    change = Change(name="a", before=evil, after=f"2\x1b[2J{evil}")
    fleet[0].says["verdict"] = msgspec.structs.replace(
        UPDATED, notes=(evil,), changes=(change,) * 4
    )
    async with make_app().run_test(size=(120, 40)) as pilot:
        text = await update(pilot, fleet[0])
        assert f"a {evil} → 2" in text
        assert f"note       {evil}" in text
        text = await press(pilot, "p")
        assert f"a {evil} → 2" in text
        assert "\x1b" not in text


async def test_the_log_is_saved_where_the_operator_says(
    make_app: MakeApp, fleet: list[FakeSession], tmp_path: Path
) -> None:
    target = tmp_path / "saved.log"
    async with make_app().run_test(size=(120, 40)) as pilot:
        await press(pilot, "enter", "enter")
        await fleet[0].log("building the agent\n")
        text = await press(pilot, "ctrl+s")
        assert f"~/nixfleet-csb0-{JOB}.log" in text
        dialog = pilot.app.screen
        assert isinstance(dialog, PathDialog)
        dialog.dismiss(str(target))
        await settle(pilot)
        for saving in [worker for worker in pilot.app.workers if worker.group == "save"]:
            await saving.wait()
    assert target.read_text() == "building the agent\n"


async def test_a_click_on_a_step_shows_where_it_began(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    session = fleet[0]
    async with (app := make_app()).run_test(size=(120, 40), notifications=True) as pilot:
        await press(pilot, "enter", "enter")
        await session.say(JobStart(at=NOW))
        for number, step in enumerate(("preflight", "stop", "pull")):
            at = session.files(JOB).text.stat().st_size if number else 0
            await session.say(StepStart(step=step, at=NOW, log=at), StepPlace(step, at))
            await session.log("".join(f"{step} line {n}\n" for n in range(100)))
        await settle(pilot)
        await pilot.click("#steps", offset=(6, 2))
        await settle(pilot)
        assert "▸stop line 0" in screen_text(app)
        assert "▸pull line 0" in await press(pilot, "right_square_bracket")
        await pilot.click("#steps", offset=(6, 5))
        await settle(pilot)
        assert "the log has nothing of that step" in screen_text(app)


async def test_a_click_on_the_running_step_shows_its_beginning_on_a_small_screen(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    session = fleet[0]
    async with (app := make_app()).run_test(size=(80, 18)) as pilot:
        await press(pilot, "enter", "enter")
        await session.say(JobStart(at=NOW), StepStart(step="stop", at=NOW, log=0))
        await session.say(StepPlace("stop", 0))
        await session.log("".join(f"stop line {n}\n" for n in range(100)))
        await settle(pilot)
        panel = app.screen.query_one(StepsPanel)
        await pilot.click(panel, offset=(panel.gutter.left + 2, panel.gutter.top + 1))
        await settle(pilot)
        assert "▸stop line 0" in screen_text(app)


async def test_escape_ends_the_filter_before_it_leaves(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await press(pilot, "enter", "enter")
        await fleet[0].log("one\ntwo\n")
        assert "esc back" in screen_text(app)
        await press(pilot, "ampersand", *"two", "enter")
        for finding in [worker for worker in app.workers if worker.group == "find"]:
            await finding.wait()
        await settle(pilot)
        assert "filter: two · 1 of 2 lines" in screen_text(app)
        assert "esc all lines" in screen_text(app)
        await press(pilot, "escape")
        assert isinstance(app.screen, UpdateScreen)
        assert "esc back" in screen_text(app)
        await press(pilot, "escape")
        assert not isinstance(app.screen, UpdateScreen)
