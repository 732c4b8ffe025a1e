"""What the list of hosts costs: as much as the hosts that change, however many there are."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import pytest
from fakes import (
    CURRENT,
    JOB,
    NOT_RESTARTED,
    NOW,
    STALE,
    FakeLatest,
    FakeSession,
    make_host,
    make_plan,
)
from screen_text import at_rest, screen_text, settle
from test_path import press
from textual import screen
from textual._compositor import Compositor

import tui.fleet
import tui.screens.fleet
from nixfleet_core.job.events import JobStart, StepEnd, StepStart, Tick
from nixfleet_core.plan.model import Options
from tui.app import NixFleetApp
from tui.compositor import PartCompositor
from tui.fleet import Fleet, Seen
from tui.screens.fleet import FleetScreen, HostRows
from tui.settings import AppSettings
from tui.widgets.line_text import LineText
from tui.widgets.row_table import RowTable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import ParamSpec

    from textual.geometry import Region

    from tui.fleet import HostEntry

    P = ParamSpec("P")

T = TypeVar("T")

pytestmark = pytest.mark.draws_frames

_HOSTS = 60
_MOVING = 3


class Bench:
    """An app over many hosts that paints, turns and ages only when the test says so."""

    def __init__(self, folder: Path) -> None:
        self.now = float(NOW)
        self.sessions = []
        for number in range(_HOSTS):
            place = folder / str(number)
            place.mkdir()
            host = make_host(f"host-{number:03}")
            self.sessions.append(FakeSession(host, place, probe=NOT_RESTARTED))
        self.app = NixFleetApp(
            self.sessions,
            FakeLatest(),
            settings=AppSettings(refresh=None),
            clock=lambda: self.now,
        )

    @property
    def entries(self) -> list[HostEntry]:
        return list(self.app.fleet.entries.values())

    @property
    def page(self) -> FleetScreen:
        assert isinstance(self.app.screen, FleetScreen)
        return self.app.screen

    async def follow(self, *numbers: int) -> None:
        """Let jobs run on these hosts."""
        for number in numbers:
            entry = self.entries[number]
            plan = make_plan(entry.name, Options(force=True))
            self.app.follow(entry, JOB, plan=plan)
            await self.sessions[number].say(JobStart(at=NOW), StepStart(step="stop", at=NOW, log=0))
        await at_rest()

    async def go_on(self, number: int) -> None:
        """Let the job on that host come to its next step."""
        await self.sessions[number].say(
            StepEnd(step="stop", at=NOW + 1, status="ok", log=0),
            StepStart(step="pull", at=NOW + 1, log=0),
        )
        await at_rest()

    async def turn(self) -> None:
        """Beat until all that turns has turned once."""
        turn = self.app.turn
        while self.app.turn == turn:
            await self.beat()

    async def beat(self) -> None:
        self.app.beat()
        await at_rest()

    def paint(self) -> set[Region]:
        """Paint what has changed; which regions are that?"""
        shown = self.app.screen
        shown._compositor.update_widgets(set(shown._dirty_widgets))
        found = set(shown._compositor._dirty_regions)
        shown._on_timer_update()
        return found


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(screen, "UPDATE_PERIOD", 3600.0)
    monkeypatch.setattr("tui.app.limit_paints", lambda _: None)
    monkeypatch.setattr(NixFleetApp, "set_interval", lambda *_, **__: None)
    return Bench(tmp_path)


@pytest.fixture
def count(monkeypatch: pytest.MonkeyPatch) -> Callable[[object, str], list[object]]:
    """Counts the calls of a function: its first arguments."""

    def watch(owner: object, name: str) -> list[object]:
        calls: list[object] = []
        real: Callable[P, T] = getattr(owner, name)

        def called(*given: P.args, **more: P.kwargs) -> T:
            calls.append(given[0] if given else None)
            return real(*given, **more)

        monkeypatch.setattr(owner, name, called)
        return calls

    return watch


async def test_a_turn_costs_the_hosts_that_move(
    bench: Bench, count: Callable[[object, str], list[object]]
) -> None:
    async with bench.app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await bench.follow(*range(0, 2 * _MOVING, 2))
        await settle(pilot)
        bench.paint()
        rows, keys = count(tui.screens.fleet, "host_row"), count(HostRows, "_row")
        judged, latest = count(tui.fleet, "assess"), count(Fleet, "_find_latest")
        details = count(tui.screens.fleet, "host_details")
        shown = count(RowTable, "show")
        await bench.turn()
        assert len(rows) == len(keys) == _MOVING
        assert judged == latest == details == shown == []
        table = bench.page.query_one(RowTable).region
        assert {region.y for region in bench.paint()} == {table.y + 1 + at for at in (0, 2, 4)}


async def test_news_that_change_no_row_paint_nothing(
    bench: Bench, count: Callable[[object, str], list[object]]
) -> None:
    async with bench.app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await bench.follow(1, 3)
        await settle(pilot)
        await bench.turn()
        bench.paint()
        rows, keys = count(tui.screens.fleet, "host_row"), count(HostRows, "_row")
        await bench.sessions[1].say(Tick(at=NOW + 1, log=1))
        await at_rest()
        await bench.beat()
        assert len(keys) == 1
        assert rows == []
        assert bench.paint() == set()
        turn = bench.app.turn
        await bench.beat()  # the next one is between two turns again
        await bench.go_on(1)
        rows.clear()
        await bench.beat()
        assert bench.app.turn == turn + 1
        assert len(rows) == 1, "news are shown with the next beat, not only with the next turn"
        assert bench.paint()


async def test_without_news_only_turns_and_ages_are_told(bench: Bench) -> None:
    async with bench.app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await bench.follow(1)
        await settle(pilot)
        await bench.turn()
        told: list[str] = []
        bench.app.ticked.subscribe(bench.page, lambda _: told.append("turn"), immediate=True)
        bench.app.aged.subscribe(bench.page, lambda _: told.append("age"), immediate=True)
        for _ in range(8):  # two seconds
            told.append("beat")
            bench.app.beat()
    second = ["beat", "beat", "turn", "beat", "beat", "turn"]
    both = [*second, *second]
    ages = [at for at, what in enumerate(told) if what == "age"]
    assert [what for what in told if what != "age"] == both
    assert len(ages) == 2
    assert {told[at - 1] for at in ages} == {"turn"}, "ages grow together with what turns"


async def test_nothing_turns_where_nothing_moves(
    bench: Bench, count: Callable[[object, str], list[object]]
) -> None:
    async with bench.app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        bench.paint()
        keys, details = count(HostRows, "_row"), count(tui.screens.fleet, "host_details")
        beats = 4
        for _ in range(beats):
            await bench.beat()
        assert keys == []
        assert len(details) == 1, "ages grow each second"
        assert bench.paint() == set()


async def test_a_host_that_is_seen_anew_costs_its_row(
    bench: Bench, count: Callable[[object, str], list[object]]
) -> None:
    async with bench.app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        rows, shown = count(tui.screens.fleet, "host_row"), count(RowTable, "show")
        entry = bench.entries[7]
        facts = replace(CURRENT, proof=None)
        entry.learn(entry.ask(), Seen(NOW, facts))
        bench.app.tick()
        await bench.beat()
        assert len(rows) == 1
        assert shown == []
        bench.paint()
        assert f"{_HOSTS - 1} stale" in screen_text(bench.app)


async def test_the_cursor_paints_once_and_wraps_the_details_once(
    bench: Bench, count: Callable[[object, str], list[object]]
) -> None:
    async with bench.app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        bench.paint()
        details, keys = count(tui.screens.fleet, "host_details"), count(HostRows, "_row")
        paints = count(PartCompositor, "render_partial_update")
        layouts = count(Compositor, "reflow")
        bench.page.query_one(RowTable).action_move(1)
        assert "host-001" in str(bench.page.query_one("#details").border_title)
        assert len(details) == 1
        assert keys == layouts == []
        await at_rest()
        bench.paint()
        await at_rest()
        assert bench.paint() == set(), "nothing is left for another paint"
        assert len(paints) == 1
        assert screen_text(bench.app).splitlines()[1].count("host-001") == 1


async def test_ages_of_rows_take_turns(
    bench: Bench, count: Callable[[object, str], list[object]]
) -> None:
    async with bench.app.run_test(size=(220, 40)) as pilot:
        await settle(pilot)
        bench.page.update_ages()
        rows, keys = count(tui.screens.fleet, "host_row"), count(HostRows, "_row")
        for second in range(1, 11):
            bench.now += 1
            bench.page.update_ages()
            assert len(rows) == len(keys) == second * _HOSTS // 10
        bench.now += 3600  # nobody looked for long
        bench.page.update_ages()
        assert len(rows) == 2 * _HOSTS
        assert bench.page.query_one(RowTable)._rows[7].text("started") == "3 hours ago"


# Nothing that is shown is old.


async def test_other_colours_draw_all_rows_and_details_anew(bench: Bench) -> None:
    def colours() -> list[str]:
        table, details = bench.page.query_one(RowTable), bench.page.query_one(LineText)
        lines = (*map(table.render_line, (0, 1, 2)), details.render_line(1))
        styles = [[one.style for one in line if one.style and one.text.strip()] for line in lines]
        return [str([style.color for style in found]) for found in styles]

    found = {}
    async with bench.app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        for theme in ("light", "dark", "light"):
            bench.app.choose_theme(theme)
            await settle(pilot)
            assert found.setdefault(theme, colours()) == colours()
    assert all(one != other for one, other in zip(found["light"], found["dark"], strict=True))


async def test_a_look_is_found_out_once(
    bench: Bench, count: Callable[[object, str], list[object]]
) -> None:
    async with bench.app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        table = bench.page.query_one(RowTable)
        bench.paint()
        table.action_move(1)
        bench.paint()
        looks = count(table, "get_component_rich_style")
        table.action_move(1)
        await at_rest()
        assert bench.paint()
        assert looks == []


async def test_a_change_of_state_moves_a_host_in_and_out_of_the_filter(bench: Bench) -> None:
    async with bench.app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        bench.page.filter_by("state:updating")
        assert bench.page.query_one(RowTable).keys == []
        await bench.follow(4)
        await bench.beat()
        assert bench.page.query_one(RowTable).keys == ["host-004"]
        await bench.sessions[4].run_job()
        await settle(pilot)
        assert bench.page.query_one(RowTable).keys == []


async def test_a_new_version_moves_a_host_in_the_order(bench: Bench) -> None:
    async with bench.app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "s", "s", "s")
        table, entry = bench.page.query_one(RowTable), bench.entries[4]
        assert table.keys[-1] == f"host-{_HOSTS - 1:03}"
        entry.learn(entry.ask(), Seen(NOW, CURRENT))
        bench.app.tick()
        await bench.beat()
        assert table.keys[-1] == "host-004"


async def test_a_version_that_one_host_tells_is_shown_for_all(bench: Bench) -> None:
    for session in bench.sessions:
        session.says["probe"] = STALE
    async with bench.app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        table, entry = bench.page.query_one(RowTable), bench.entries[4]
        before = {row.text("latest") for row in table._rows}
        entry.learn(entry.ask(), Seen(NOW, CURRENT))
        bench.app.tick()
        await bench.beat()
        after = {row.text("latest") for row in table._rows}
        assert len(before) == len(after) == 1
        assert before != after


async def test_the_title_counts_what_is_asked_and_what_is_updated(bench: Bench) -> None:
    async with bench.app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        title = bench.page.query_one("#title")
        assert f"{_HOSTS} stale" in str(title.render())
        with bench.entries[3].busy("asking", bench.app.tick):
            await bench.beat()
            assert "asking 1" in str(title.render())
        await bench.beat()
        assert "asking" not in str(title.render())
        await bench.follow(3)
        await bench.beat()
        assert f"{_HOSTS - 1} stale · 1 updating" in str(title.render())
        await bench.sessions[3].run_job()
        await settle(pilot)
        assert "updating" not in str(title.render())
        assert not bench.app.fleet.moving


async def test_the_details_show_the_step_that_the_job_is_at(bench: Bench) -> None:
    async with bench.app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await bench.follow(0)
        await bench.beat()
        bench.paint()
        assert "Stop agent" in screen_text(bench.app)
        await bench.go_on(0)
        await bench.beat()
        bench.paint()
        assert "Stop agent" not in screen_text(bench.app)
        assert "Pull nixcfg" in screen_text(bench.app)


async def test_a_covered_list_shows_later_what_has_changed_meanwhile(bench: Bench) -> None:
    async with bench.app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "d")
        entry = bench.entries[1]
        entry.learn(entry.ask(), Seen(NOW, CURRENT))
        bench.app.tick()
        await bench.beat()
        await press(pilot, "escape")
        bench.paint()
        assert "current" in screen_text(bench.app).splitlines()[4]
