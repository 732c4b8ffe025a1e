"""A large fleet: what it costs while jobs run, and what a key costs."""

from __future__ import annotations

import asyncio
import time
from statistics import median
from typing import TYPE_CHECKING, Final, TypeVar

from fakes import JOB, NOW, FakeSession, make_plan
from keyboard import press_in
from textual.widgets import DataTable

from nixfleet_core.job.events import JobStart, StepStart, Tick
from nixfleet_core.plan.model import Options

from . import apps
from .figures import Row, Sample
from .terminal import asked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from textual.app import App

T = TypeVar("T")

_UPDATING: Final = 10
_TIMES: Final = 10
_KEYS: Final = {
    "a letter of the filter": ("slash", "h", "backspace"),
    "sort": ("s", "s", "s"),
    "mark all": ("ctrl+a", "ctrl+a"),
    "cursor down": ("down",),
}


def rows(rounds: int, seconds: int = 10, hosts: int = 1000) -> Iterator[Row]:
    peer = Sample([asked("many_hosts:table_load", 300, seconds) for _ in range(rounds)])
    for count in (300, hosts):
        own = Sample([asked("many_hosts:load", count, seconds) for _ in range(rounds)])
        yield Row(
            *(f"processor, {count:,} hosts, {_UPDATING} of them updating", own, "%", 1.3, peer),
            "a bare DataTable of 300 rows, painted twice a second",
        )
    found = [asked("many_hosts:keys", hosts) for _ in range(rounds)]
    tables = Sample([asked("many_hosts:table_key", hosts) for _ in range(rounds)])
    panels = Sample([asked("many_hosts:panel_key", hosts) for _ in range(rounds)])
    for what in _KEYS:
        own = Sample([one[what] for one in found])
        name = f"{hosts:,} hosts: {what}"
        if what == "cursor down":
            yield Row(name, own, "ms", 2.0, tables, "DataTable's own", decides=False)
            with_panel = "DataTable's own, with a Static beside it that says as much of the row"
            yield Row(name, own, "ms", 1.0, panels, with_panel)
        else:
            yield Row(name, own, "ms", 25.0)


# In a process and a terminal of their own


def load(hosts: str, seconds: str) -> float:
    """Percent of one processor while some hosts are updated and the fleet is looked at."""

    async def main() -> float:
        async with apps.opened_fleet(int(hosts)) as app:
            sessions = []
            for entry in list(app.fleet.entries.values())[: 2 * _UPDATING : 2]:
                assert isinstance(entry.session, FakeSession)
                sessions.append(entry.session)
                plan = make_plan(entry.name, Options(force=True))
                app.follow(entry, JOB, plan=plan)
            for session in sessions:
                await session.say(JobStart(at=NOW))
                await session.say(StepStart(step="rebuild", at=NOW, log=0))
            await asyncio.sleep(2.0)
            return await _percent(float(seconds), sessions)

    return apps.run(main)


def table_load(hosts: str, seconds: str) -> float:
    """Percent of one processor for a table that only paints itself."""

    async def main() -> float:
        async with apps.opened(apps.TableApp(int(hosts), beats=2.0)):
            return await _percent(float(seconds), [])

    return apps.run(main)


async def _percent(seconds: float, sessions: list[FakeSession]) -> float:
    begin = time.process_time()
    for second in range(round(seconds)):
        for session in sessions:
            await session.say(Tick(at=NOW + second, log=second))
        await asyncio.sleep(1.0)
    return 100 * (time.process_time() - begin) / seconds


def keys(hosts: str) -> dict[str, float]:
    """Milliseconds of the loop's thread that each key costs, all that follows from it included."""

    async def main() -> dict[str, float]:
        async with apps.opened_fleet(int(hosts)) as app:
            found: dict[str, float] = {}
            for what, pressed in _KEYS.items():
                costs = []
                for turn in range(_TIMES):
                    key = pressed[turn % len(pressed)]
                    if key != "slash":
                        costs.append(await _cost(app, key))
                    else:
                        await _cost(app, key)
                found[what] = median(costs)
                await _cost(app, "escape")
                await _cost(app, "escape")
            return found

    return apps.run(main)


def table_key(hosts: str) -> float:
    """The same for Textual's own table and its cursor."""
    return _table_key(apps.TableApp(int(hosts)))


def panel_key(hosts: str) -> float:
    """The same for that table with a panel beside it, in Textual's own way."""
    return _table_key(apps.PanelApp(int(hosts)))


def _table_key(app: apps.TableApp) -> float:
    async def main() -> float:
        async with apps.opened(app):
            app.query_one(DataTable).focus()
            return median([await _cost(app, "down") for _ in range(_TIMES)])

    return apps.run(main)


async def _cost(app: App[T], key: str) -> float:
    return 1000 * await apps.processor_time(lambda: press_in(app, key))
