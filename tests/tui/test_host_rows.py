"""The rows of hosts are made again only if what they show has changed, but then always."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from fakes import CURRENT, NOT_RESTARTED, NOW, FakeLatest, FakeSession, make_host
from screen_text import at_rest
from textual.app import App

from tui.fleet import Fleet
from tui.glyphs import UNICODE
from tui.screens.fleet import HostRows
from tui.widgets.columns import Column
from tui.widgets.row_table import Cell, Row, RowTable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from textual.app import ComposeResult
    from textual.geometry import Region

    from tui.fleet import HostEntry


@pytest.fixture
async def entry() -> HostEntry:
    """A host that has been looked at."""
    session = FakeSession(make_host("csb0"), probe=NOT_RESTARTED)
    fleet = Fleet.of([session], FakeLatest(), lambda: NOW)
    entry = fleet.entries["csb0"]
    await fleet.look(entry, lambda: None)
    return entry


def row(
    made: HostRows,
    entry: HostEntry,
    *,
    latest: str = "2.2.0",
    turn: int = 0,
    now: float | None = None,
    marked: bool = False,
) -> Row:
    (found,) = made.rows([entry], {"csb0": latest}, {"csb0"} if marked else set(), turn, now)
    return found


def test_a_row_stays_as_it_is_while_nothing_changes(entry: HostEntry) -> None:
    made = HostRows([entry], UNICODE)
    assert row(made, entry, turn=1) is row(made, entry, turn=2)


def test_a_mark_changes_no_cell(entry: HostEntry) -> None:
    made = HostRows([entry], UNICODE)
    before, after = row(made, entry), row(made, entry, marked=True)
    assert (before.marked, after.marked) == (False, True)
    assert before.cells is after.cells


def test_a_row_shows_a_latest_that_another_host_has_told(entry: HostEntry) -> None:
    made = HostRows([entry], UNICODE)
    assert row(made, entry, latest="2.2.0").text("latest") == "2.2.0"
    assert row(made, entry, latest="2.3.0").text("latest") == "2.3.0"


def test_ages_grow(entry: HostEntry) -> None:
    made = HostRows([entry], UNICODE)
    before = row(made, entry, now=NOW).text("started")
    assert row(made, entry, now=NOW + 3600).text("started") != before


def test_spare_columns_come_and_go(entry: HostEntry) -> None:
    made = HostRows([entry], UNICODE)
    assert not row(made, entry).text("started")
    assert row(made, entry, now=NOW).text("started")
    assert not row(made, entry).text("started")


def test_what_is_done_with_a_host_turns(entry: HostEntry) -> None:
    made = HostRows([entry], UNICODE)
    with entry.busy("asking", lambda: None):
        turns = {row(made, entry, turn=turn).text("state") for turn in range(4)}
    assert len(turns) == 4
    assert row(made, entry).text("state") == "▲ stale"


async def test_a_new_look_makes_a_new_row(entry: HostEntry) -> None:
    made = HostRows([entry], UNICODE)
    assert row(made, entry).text("running") == "2.1.0"
    entry.learn(entry.ask(), replace(entry._seen, facts=CURRENT))
    assert row(made, entry).text("running") == "2.2.0"


class TableApp(App[None]):
    """Fifty rows, of which ten are seen."""

    CSS = "RowTable { height: 11; }"

    def compose(self) -> ComposeResult:
        yield RowTable((Column("host", "Host", worth=1),), UNICODE, id="table")


@pytest.mark.parametrize("show", [RowTable.show, RowTable.change])
async def test_a_row_in_view_is_drawn_again_and_no_other(
    monkeypatch: pytest.MonkeyPatch, show: Callable[[RowTable, Sequence[Row]], None]
) -> None:
    drawn: list[Region] = []

    def rows(text: str, *changed: int) -> list[Row]:
        return [Row(str(at), {"host": Cell(text if at in changed else "host")}) for at in range(50)]

    async with (app := TableApp()).run_test(size=(40, 20)):
        table = app.query_one(RowTable)
        table.show(rows("host"))
        await at_rest()
        app.screen._on_timer_update()
        await at_rest()
        table.scroll_to(y=21, animate=False, immediate=True)
        assert table.scroll_offset.y == 21
        monkeypatch.setattr(table, "refresh", lambda *regions: drawn.extend(regions))
        show(table, rows("more", 3, 20, 21, 30, 31, 49))
        assert [region.y for region in drawn] == [1, 10]
        assert {region.height for region in drawn} == {1}
