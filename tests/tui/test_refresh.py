"""The app looks at its hosts by itself, cheaply and without getting into anybody's way."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from fakes import (
    CURRENT,
    JOB,
    NEW,
    NOT_RESTARTED,
    NOW,
    OFFLINE,
    STALE,
    FakeLatest,
    FakeSession,
    make_facts,
    make_host,
)
from screen_text import at_rest, screen_text, settle
from test_path import press

from nixfleet_core.errors import BadAnswer
from tui.app import NixFleetApp
from tui.details import host_details
from tui.fleet import LATEST_AGE, HostEntry, Seen
from tui.refresh import LONGEST_PAUSE, SECOND, Refresh
from tui.screens.fleet import FleetScreen
from tui.settings import AppSettings
from tui.widgets.row_table import RowTable

if TYPE_CHECKING:
    from pathlib import Path

    from textual.message_pump import MessagePump
    from textual.pilot import Pilot

    from nixfleet_core.errors import Unreachable
    from nixfleet_core.facts.model import Facts
    from nixfleet_core.host import Host
    from nixfleet_core.nix.git_url import Latest
    from nixfleet_core.nix.lock import Source

BY_OTHERS = "20261123-004102-cd34"
"""A job that somebody else has started."""


def seen_entry(name: str = "csb0", at: float = NOW, facts: Facts | None = STALE) -> HostEntry:
    entry = HostEntry(FakeSession(make_host(name)))
    entry.learn(entry.ask(), Seen(at, facts))
    return entry


# When a host is due.


@pytest.mark.parametrize(
    ("interval", "age", "due"),
    [
        (60.0, 0, False),
        (60.0, 59, False),
        (60.0, 60, True),
        (5.0, 5, True),
        (None, 10**6, False),
        (60.0, -3600, True),  # the clock was set back
    ],
)
def test_host_is_due_after_the_interval(interval: float | None, age: float, due: bool) -> None:
    entry = seen_entry()
    assert Refresh(interval).due([entry], NOW + age) == [entry] * due


@pytest.mark.parametrize(
    ("interval", "pauses"),
    [
        (60.0, [60, 120, 240, 480, LONGEST_PAUSE, LONGEST_PAUSE]),
        (500.0, [500, LONGEST_PAUSE]),
        (3600.0, [3600, 3600, 3600]),
    ],
)
def test_dead_host_is_asked_half_as_often_after_each_try(
    interval: float, pauses: list[float]
) -> None:
    entry, refresh, now = seen_entry(), Refresh(interval), float(NOW)
    for pause in pauses:
        entry.learn(entry.ask(), Seen(now, None))
        assert refresh.due([entry], now + pause - 1) == []
        assert refresh.due([entry], now + pause) == [entry]
        now += pause
    entry.misses = 10**6
    assert refresh.due([entry], now + max(interval, LONGEST_PAUSE)) == [entry]
    entry.learn(entry.ask(), Seen(now, STALE))
    assert refresh.due([entry], now + interval) == [entry], "an answer ends the pauses"


@pytest.mark.parametrize(("count", "a_second"), [(1, 1), (5, 1), (30, 1), (300, 10)])
def test_hosts_that_were_seen_together_take_their_turns(count: int, a_second: int) -> None:
    entries = [seen_entry(f"h{number}") for number in range(count)]
    refresh, asked, now = Refresh(60.0), [], NOW + 60.0
    while found := refresh.due(entries, now):
        assert len(found) <= a_second
        for entry in found:
            entry.learn(entry.ask(), Seen(now, STALE))
        asked += found
        now += 1
    assert asked == entries
    assert now <= NOW + 90, "half of the interval is enough for all"


def test_host_that_waits_longest_comes_first() -> None:
    young, old = seen_entry("young", NOW), seen_entry("old", NOW - 9)
    assert Refresh(60.0).due([young, old], NOW + 90) == [old]


async def test_host_with_which_something_is_being_done_is_left_alone() -> None:
    entry = seen_entry()
    with entry.busy("verifying", lambda: None):
        assert not entry.is_idle
    with entry.held(), entry.held():
        assert not entry.is_idle
    assert entry.is_idle
    assert Refresh(60.0).due([entry], NOW + 60) == [entry]


# In the app.


class Recorder(FakeLatest):
    """Keeps the moments before which an answer must not have been asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.since: list[float] = []

    async def latest(self, source: Source, host: Host, *, since: float = 0.0) -> Latest:
        self.since.append(since)
        return await super().latest(source, host, since=since)


class Bench:
    """An app over some hosts, whose clock and timers the test moves."""

    def __init__(self, *hosts: FakeSession, refresh: float | None = 60.0) -> None:
        self.now, self.latest = float(NOW), Recorder()
        self.app = NixFleetApp(
            hosts,
            self.latest,
            settings=AppSettings(refresh=refresh),
            clock=lambda: self.now,
            new_job_id=lambda: JOB,
        )

    async def after(self, pilot: Pilot[None], seconds: float) -> str:
        """Let time pass, and the timers call; return the screen."""
        self.now += seconds
        second(self.app)
        await settle(pilot)
        return screen_text(self.app)


def second(node: MessagePump) -> None:
    """Let the timers call that do so each second."""
    (timer,) = (timer for timer in node._timers if timer._interval == SECOND)
    assert timer._callback is not None
    timer._callback()


async def grow_older(app: NixFleetApp) -> None:
    app.aged.publish(None)
    await at_rest()


def host(probe: object = STALE, **says: object) -> FakeSession:
    return FakeSession(make_host("csb0"), probe=probe, **says)


def row(screen: str) -> str:
    return screen.splitlines()[3].split("│")[1]


@pytest.mark.parametrize("refresh", [60.0, None])
async def test_rows_change_by_themselves(refresh: float | None) -> None:
    session = host([STALE, replace(STALE, job_running=BY_OTHERS), CURRENT])
    bench = Bench(session, refresh=refresh)
    async with bench.app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert "stale" in row(await bench.after(pilot, 59))
        assert session.calls == ["probe"]
        screen = await bench.after(pilot, 1)
        if refresh is None:
            assert session.calls == ["probe"]
            return
        assert session.calls == ["probe", "probe again"]
        assert "updating" in row(screen)
        assert f"job {BY_OTHERS} is running" in " ".join(screen.replace("│", "").split())
        assert "current" in row(await bench.after(pilot, 60))


async def test_look_that_nobody_asked_for_does_not_hide_the_state() -> None:
    session = host()
    bench = Bench(session)
    async with bench.app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        entry, states = bench.app.fleet.entries["csb0"], []

        async def probe(*, again: bool = False) -> Facts:
            states.append((again, entry.doing))
            return STALE

        session.probe = probe  # type: ignore[method-assign]
        await bench.after(pilot, 60)
        await press(pilot, "R")
        assert states == [(True, ""), (False, "asking")]


async def test_look_that_nobody_asked_for_opens_no_dialog() -> None:
    session = host([STALE, *[BadAnswer("odd")] * 2])
    session.password = "secret"
    bench = Bench(session)
    async with bench.app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await bench.after(pilot, 60)
        await bench.after(pilot, 60)
        assert isinstance(bench.app.screen, FleetScreen)
        assert not bench.app._notifications


@pytest.mark.parametrize("said", [CURRENT, OFFLINE])
async def test_dead_host_rests_until_it_answers_or_the_operator_asks(
    said: Facts | Unreachable,
) -> None:
    session = host(OFFLINE)
    bench = Bench(session)
    async with bench.app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        for pause in (60, 120, 240):
            asked = len(session.calls)
            await bench.after(pilot, pause - 1)
            assert len(session.calls) == asked
            await bench.after(pilot, 1)
            assert len(session.calls) == asked + 1
        session.says["probe"] = said
        await press(pilot, "R")
        asked = len(session.calls)
        await bench.after(pilot, 60)
        assert len(session.calls) == asked + 1


async def test_no_look_while_a_plan_is_on_the_screen_or_its_job_is_followed(
    tmp_path: Path,
) -> None:
    session = host()
    session.folder = tmp_path
    bench = Bench(session)
    async with bench.app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert "Force update" in await press(pilot, "enter")
        await bench.after(pilot, 600)
        await press(pilot, "enter")
        assert session.launched == [JOB]
        await bench.after(pilot, 600)
        assert "probe again" not in session.calls
        await session.run_job()
        await settle(pilot)
        await bench.after(pilot, 60)
        assert session.calls.count("probe again") == 1


async def test_no_look_while_another_program_has_the_terminal() -> None:
    session = host()
    bench = Bench(session)
    async with bench.app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        bench.app.terminal_lent = True
        await bench.after(pilot, 600)
        assert session.calls == ["probe"]
        bench.app.terminal_lent = False


async def test_latest_commit_is_asked_for_again_only_if_it_may_have_changed() -> None:
    session = host([STALE, STALE, make_facts(rev=NEW), make_facts(rev=NEW)])
    bench = Bench(session)
    async with bench.app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        for _ in range(3):
            await bench.after(pilot, 60)
        first, same, changed, same_again = bench.latest.since
    assert same < first - LATEST_AGE / 2
    assert changed > first
    assert same_again < first - LATEST_AGE / 2


# Ages.


async def test_ages_move_by_themselves_and_paint_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(host(NOT_RESTARTED))
    async with bench.app.run_test(size=(160, 40)) as pilot:
        await settle(pilot)
        page = bench.app.screen

        def shown(*_: object) -> None:
            raise AssertionError("the rows were made anew")

        monkeypatch.setattr(RowTable, "show", shown)
        said = []
        for seconds in (0, 12, 48):
            bench.now += seconds
            await grow_older(bench.app)
            said.append(str(page.query_one("#details").border_subtitle))
        bench.now += 3600
        await grow_older(bench.app)
        title = str(page.query_one("#title").render())
    assert said == ["seen now", "seen 12 seconds ago", "seen a minute ago"]
    assert "4 hours ago" in title


async def test_agent_grows_older_between_two_looks(tmp_path: Path) -> None:
    bench = Bench(host(NOT_RESTARTED))
    async with bench.app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        (entry,) = bench.app.fleet.entries.values()
        told = [host_details(entry, bench.app.glyphs, NOW + at).plain for at in (0, 3600)]
    assert ["started    2 hours ago" in text for text in told] == [True, False]
    assert "started    3 hours ago" in told[1]


async def test_dead_hosts_last_try_has_an_age() -> None:
    bench = Bench(host(OFFLINE))
    async with bench.app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        bench.now += 300
        await grow_older(bench.app)
        await settle(pilot)
        assert " asked 5 minutes ago " in screen_text(bench.app)
