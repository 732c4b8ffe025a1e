"""The app over a fake fleet, and what a minimal Textual app would be in its place."""

from __future__ import annotations

import asyncio
import gc
import tempfile
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from fakes import (
    CURRENT,
    JOB,
    NOT_RESTARTED,
    NOW,
    OFFLINE,
    STALE,
    FakeLatest,
    FakeSession,
    make_host,
)
from keyboard import press_in
from rich.text import Text
from textual._context import active_app
from textual.app import App
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import DataTable, RichLog, Static

import tui.screens.base
from nixfleet_core.job.events import JobStart, LogGrew, StepStart
from tui.app import NixFleetApp
from tui.settings import AppSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from textual.app import ComposeResult

T = TypeVar("T")

COLUMNS: Final = ("Host", "Where", "Running", "Installed", "Latest", "State")
PANEL_LINES: Final = 16
PAUSE: Final = 0.3
"""Seconds in which all that a key causes has happened."""


class TableApp(App[object]):
    """Only a table, as Textual has it. `beats`: it is painted again so often in a second."""

    def __init__(self, hosts: int, beats: float = 0.0) -> None:
        super().__init__()
        self._hosts, self._beats = hosts, beats

    def compose(self) -> ComposeResult:
        yield DataTable(cursor_type="row")

    def on_mount(self) -> None:
        table = self.query_one(DataTable)
        table.add_columns(*COLUMNS)
        for number in range(self._hosts):
            name = f"host-{number:04}"
            table.add_row(name, f"ops@{name}", "2.1.0", "2.2.0", "2.2.0", "▲ stale")
        if self._beats:
            self.set_interval(1 / self._beats, table.refresh)


class PanelApp(TableApp):
    """The table, and beside it a panel with as many words on the row under the cursor as ours."""

    CSS = "DataTable { width: 1fr; } VerticalScroll { width: 44; border: round white; }"

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield from super().compose()
            with VerticalScroll(can_focus=False):
                yield Static(markup=False)

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        row = event.cursor_row
        self.query_one(VerticalScroll).border_title = f"host-{row:04}"
        lines = (f"{f'label {at}':<12}what is known of host {row}" for at in range(PANEL_LINES))
        self.query_one(Static).update("\n".join(lines))


class LinesApp(App[object]):
    """Only a log, as Textual has it."""

    def compose(self) -> ComposeResult:
        yield RichLog()

    def show(self, lines: str) -> None:
        log = self.query_one(RichLog)
        for line in lines.splitlines():
            log.write(Text.from_ansi(line))


def fleet_app(hosts: int, folder: Path) -> NixFleetApp:
    """The app over so many hosts: of each four one is current, one offline."""
    sessions = []
    for number in range(hosts):
        seen = (NOT_RESTARTED, CURRENT, STALE, OFFLINE)[number % 4]
        place = folder / str(number)
        place.mkdir()
        host = make_host(f"host-{number:04}", f"ops@host-{number:04}")
        sessions.append(FakeSession(host, place, probe=seen))
    return NixFleetApp(sessions, FakeLatest(), settings=AppSettings(refresh=None))


@asynccontextmanager
async def opened(app: App[T]) -> AsyncIterator[None]:
    """The app in its terminal, at rest; it ends with the context."""
    tui.screens.base.ENTER_PAUSE = 0.0
    running = asyncio.create_task(app.run_async())
    while not app.is_running or not app.screen.is_mounted:  # noqa: ASYNC110 - no event says it
        await asyncio.sleep(0.01)
    await asyncio.sleep(1.0)
    gc.freeze()
    token = active_app.set(app)  # as within its own tasks
    try:
        yield
        if running.done():
            raise RuntimeError(f"the app has ended by itself, with {app.return_code}")
    finally:
        active_app.reset(token)
        app.exit()
        await running


@asynccontextmanager
async def opened_fleet(hosts: int) -> AsyncIterator[NixFleetApp]:
    with tempfile.TemporaryDirectory() as folder:
        app = fleet_app(hosts, Path(folder))
        async with opened(app):
            yield app


@asynccontextmanager
async def opened_update() -> AsyncIterator[tuple[NixFleetApp, FakeSession]]:
    """The screen of an update that has just begun, with an empty log."""
    async with opened_fleet(4) as app:
        press_in(app, "enter")
        await asyncio.sleep(PAUSE)
        press_in(app, "enter")
        await asyncio.sleep(PAUSE)
        session = next(iter(app.fleet.entries.values())).session
        assert isinstance(session, FakeSession)
        session.files(JOB).text.touch()
        await session.say(JobStart(at=NOW), StepStart(step="rebuild", at=NOW, log=0))
        await session.say(LogGrew(size=0, text_size=0))
        await asyncio.sleep(PAUSE)
        yield app, session


async def processor_time(act: Callable[[], object], seconds: float = PAUSE) -> float:
    """Seconds of the loop's thread for what follows from `act`."""
    begin = time.thread_time()
    act()
    await asyncio.sleep(seconds)
    return time.thread_time() - begin


async def longest_turn(act: Callable[[], object], until: Callable[[], bool]) -> float:
    """The longest turn of the loop from `act` on until that is so: seconds of its thread."""
    loop, turns, last = asyncio.get_running_loop(), [0.0], 0.0
    is_over = False

    def turn() -> None:
        nonlocal last
        now = time.thread_time()
        turns.append(now - last)
        if not is_over:
            last = time.thread_time()
            loop.call_soon(turn)

    act()
    last = time.thread_time()
    loop.call_soon(turn)
    while not until():  # noqa: ASYNC110 - each turn counts
        await asyncio.sleep(0.005)
    is_over = True
    await asyncio.sleep(0.05)
    return max(turns)


async def lateness(seconds: float) -> list[float]:
    """How late a task is that wants its turn each 10 ms, in seconds, over that time."""
    found: list[float] = []
    end = time.perf_counter() + seconds
    while (begin := time.perf_counter()) < end:
        await asyncio.sleep(0.01)
        found.append(time.perf_counter() - begin - 0.01)
    return found


def run(main: Callable[[], Awaitable[T]]) -> T:
    async def whole() -> T:
        return await main()

    return asyncio.run(whole())
