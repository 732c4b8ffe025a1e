"""The operator chooses the columns of the fleet's table, and their order."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fakes import CURRENT, JOB, NOW, FakeLatest
from hypothesis import given
from hypothesis import strategies as st
from screen_text import screen_text, settle
from test_path import press
from without_hosts import SEARCHED

from nixfleet_core.cli.screen import Opened
from nixfleet_core.ids import job_time
from tui.app import FirstRun, NixFleetApp
from tui.fleet_columns import COLUMNS, NAMES, chosen_columns
from tui.settings import AppSettings
from tui.text import ago
from tui.widgets.columns import fit_columns

if TYPE_CHECKING:
    from fakes import FakeSession
    from without_hosts import Looks

APP_PAGE = Path(__file__).parents[2] / "docs/app.md"
TITLES = {column.key: column.title for column in COLUMNS}


def make_app(fleet: list[FakeSession], *columns: str) -> NixFleetApp:
    settings = AppSettings(columns=columns)
    return NixFleetApp(fleet, FakeLatest(), settings=settings, clock=lambda: NOW)


def titles_in(text: str) -> list[str]:
    """The titles of the columns, from the left."""
    header = next(line for line in text.splitlines() if " Host " in line and " State " in line)
    shown = [title for title in TITLES.values() if f" {title} " in header]
    return sorted(shown, key=header.index)


def test_without_a_choice_all_columns_are_there() -> None:
    assert chosen_columns(()) == COLUMNS


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["state", "running", "host"], ["state", "running", "host"]),
        (["running", "job"], ["host", "running", "job", "state"]),
        (["state"], ["host", "state"]),
        (["host"], ["host", "state"]),
        (["where", "host"], ["where", "host", "state"]),
    ],
)
def test_columns_keep_their_order_and_host_and_state_are_always_there(
    names: list[str], shown: list[str]
) -> None:
    assert [column.key for column in chosen_columns(names)] == shown


@given(names=st.permutations(NAMES), count=st.integers(0, 10), room=st.integers(21, 300))
def test_whatever_is_chosen_host_and_state_fit_and_the_least_worthy_go_first(
    names: list[str], count: int, room: int
) -> None:
    columns = chosen_columns(names[:count])
    wanted = dict.fromkeys(NAMES, 20)
    shown = fit_columns(columns, wanted, room)
    assert {"host", "state"} <= set(shown)
    assert list(shown) == [column.key for column in columns if column.key in shown]
    assert sum(shown.values()) + 2 * (len(shown) - 1) <= room
    worth = {column.key: column.worth for column in columns}
    gone = [worth[name] for name in worth if name not in shown]
    assert all(less < worth[name] for less in gone for name in shown)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_a_named_column_needs_no_large_terminal(
    fleet: list[FakeSession], size: tuple[int, int]
) -> None:
    fleet[1].says["probe"] = replace(CURRENT, job_last=JOB)
    async with (app := make_app(fleet, "state", "job", "host")).run_test(size=size) as pilot:
        await settle(pilot)
        text = screen_text(app)
        assert titles_in(text) == ["State", "Last job", "Host"]
        (row,) = [line for line in text.splitlines() if "csb1" in line]
        assert ago(NOW - job_time(JOB)) in row
        assert row.index("✔ current") < row.index("ago") < row.index("csb1")


async def test_in_a_small_terminal_a_named_column_gives_way_by_its_worth(
    fleet: list[FakeSession],
) -> None:
    app = make_app(fleet, "job", "commit", "running", "installed", "latest", "where")
    async with app.run_test(size=(200, 60)) as pilot:
        await settle(pilot)
        shown = [titles_in(screen_text(app))]
        for width in (70, 60):
            await pilot.resize_terminal(width, 24)
            await settle(pilot)
            shown.append(titles_in(screen_text(app)))
    assert shown == [
        ["Host", "Last job", "Commit", "Running", "Installed", "Latest", "Where", "State"],
        ["Host", "Commit", "Running", "Installed", "Latest", "Where", "State"],
        ["Host", "Running", "Installed", "Latest", "State"],
    ]


async def test_sorting_steps_through_the_chosen_columns_alone(fleet: list[FakeSession]) -> None:
    async with (app := make_app(fleet, "job", "running")).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        for title in ("Host", "Last job", "Running", "State"):
            assert f" {title} ↑" in await press(pilot, "s")
        assert "↑" not in (await press(pilot, "s")).splitlines()[2]
        await pilot.click("#host-table", offset=(5, 0))
        await settle(pilot)
        assert " Host ↑" in screen_text(app)


async def test_hosts_that_are_found_later_have_the_same_columns(
    fleet: list[FakeSession], looks: Looks
) -> None:
    looks.finds = [Opened(fleet)]
    app = NixFleetApp(
        *((), FakeLatest()),
        settings=AppSettings(columns=("state", "host")),
        first_run=FirstRun(SEARCHED, looks),
        clock=lambda: NOW,
    )
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert titles_in(await press(pilot, "R")) == ["State", "Host"]


def test_commands_read_the_names_of_columns_without_the_app() -> None:
    words = (
        "import sys; from tui.main import TerminalScreen; "
        "print(*TerminalScreen().columns(), 'textual' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", words], check=True, capture_output=True, text=True)
    assert done.stdout.split() == [*NAMES, "False"]


def test_the_page_about_the_app_names_the_columns_and_which_go_first() -> None:
    (text,) = re.findall(r"\*\*The setting `columns`.*?\n\n", APP_PAGE.read_text(), re.DOTALL)
    named, _, going = text.partition("Where there is no room")
    assert re.findall(r"`(\w+)`", named)[1:] == list(NAMES)
    by_worth = sorted(COLUMNS, key=lambda column: column.worth)
    assert re.findall(r"`(\w+)`", going)[:-1] == [column.key for column in by_worth[:-2]]
