"""A log that flows: how the app keeps up, what it sends to the terminal, and one that is stuck."""

from __future__ import annotations

import asyncio
import time
from itertools import islice
from typing import TYPE_CHECKING, Final

from fakes import JOB
from keyboard import press_in

from nixfleet_core.job.events import LogGrew
from nixfleet_core.log.text import TextDecoder
from tui.widgets.log_view import LogView

from . import apps
from .child import say
from .figures import Row, Sample
from .logs import build_lines, raw_lines
from .terminal import asked, child

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from fakes import FakeSession

    from tui.app import NixFleetApp

FLOOD: Final = 50_000
"""Lines a second of a flood."""
SLOW: Final = 200
"""Lines a second of a usual build."""
_PART: Final = 0.05
"""Seconds between two parts of a log that arrive."""
_KEY_EVERY: Final = 0.5


def rows(rounds: int, seconds: int = 20, stuck: int = 10) -> Iterator[Row]:
    floods = [asked("flow:flood", seconds) for _ in range(rounds)]
    idle = [asked("flow:idle", min(seconds, 5)) for _ in range(rounds)]
    flood = f"{FLOOD:,} lines a second for {seconds} s, decoded"
    late = Sample([1000 * one["late"] for one in floods])
    if late.median <= 25:
        yield Row(f"{flood}: stall, p99", late, "ms", 25.0)
    else:
        peer = Sample([1000 * one for one in idle])
        yield Row(f"{flood}: stall, p99", late, "ms", 2.0, peer, "the idle app")
    keys = Sample([1000 * max(one["keys"]) for one in floods])
    yield Row(f"{flood}: a key until it is shown, at most", keys, "ms", 100.0)
    behind = Sample([one["behind"] for one in floods])
    yield Row(f"{flood}: the view is behind, at most", behind, "s", 0.5)
    sent: dict[str, list[float]] = {"own": [], "as it comes": [], "polled": []}
    for _ in range(rounds):
        for how, found in sent.items():
            found.append(_sent(how, min(seconds, 5)))
    for how, goal in (("as it comes", 0.1), ("polled", 0.6)):
        own, peer = Sample(sent["own"]), Sample(sent[how])
        what = f"bytes to the terminal at {SLOW} lines a second, whole update screen"
        yield Row(what, own, "KB/s", goal, peer, f"RichLog, {how}")
    back = [_after_stuck(stuck) for _ in range(rounds)]
    yield Row(f"a terminal that is not read for {stuck} s: back after", Sample(back), "s", 1.0)


def _sent(how: str, seconds: int) -> float:
    """KB a second that the terminal gets."""
    with child("flow:trickle", how, seconds) as terminal:
        said = terminal.lines()
        next(said)
        before = len(terminal.written)
        next(said)
        return (len(terminal.written) - before) / 1000 / seconds


def _after_stuck(seconds: int) -> float:
    """Seconds from when a terminal is read again until it shows the newest line."""
    with child("flow:numbered", seconds) as terminal:
        terminal.answer()
        terminal.stop()
        time.sleep(seconds)
        begin, seen = time.perf_counter(), len(terminal.written)
        terminal.resume()
        last = _numbered(round(seconds * SLOW) - 1).strip().encode()
        return terminal.wait_for(last, seen) - (begin - terminal.began)


# In a process and a terminal of their own


async def _parts(seconds: float, pause: float = _PART) -> AsyncIterator[int]:
    """The numbers of the parts that arrive in that time, each when it arrives."""
    begin = time.perf_counter()
    for part in range(round(seconds / pause)):
        yield part
        await asyncio.sleep(max(0.0, begin + (part + 1) * pause - time.perf_counter()))


async def _flow(session: FakeSession, lines: Iterator[str], seconds: float) -> None:
    """Let a log grow as a usual build's does."""
    with session.files(JOB).text.open("ab", buffering=0) as file:
        size = 0
        async for _ in _parts(seconds):
            size += file.write("".join(islice(lines, round(SLOW * _PART))).encode())
            await session.say(LogGrew(size=size, text_size=size))


async def _pour(
    session: FakeSession, parts: list[bytes], seconds: float, sizes: list[tuple[float, int]]
) -> None:
    """Let Nix's own log arrive, part by part, and be decoded; `sizes` notes when it had which."""
    with session.files(JOB).text.open("ab", buffering=0) as file:
        decoder, raw, size = TextDecoder(), 0, 0
        async for part in _parts(seconds):
            data = parts[part % len(parts)]
            for at in range(0, len(data), 1 << 16):  # as ssh's pipe gives it
                raw += len(data[at : at + (1 << 16)])
                size += file.write(decoder.feed(data[at : at + (1 << 16)]))
                await session.say(LogGrew(size=raw, text_size=size))
                await asyncio.sleep(0)
            sizes.append((time.perf_counter(), size))


def flood(seconds: str) -> dict[str, object]:
    """What a flood does to the app: how late its turns are, its keys, and its view."""
    source, count = raw_lines(), round(FLOOD * _PART)
    parts = [b"".join(islice(source, count)) for _ in range(20)]

    async def main() -> dict[str, object]:
        async with apps.opened_update() as (app, session):
            view, sizes = app.screen.query_one(LogView), list[tuple[float, int]]()
            keys, behind = list[float](), [0.0]
            pouring = asyncio.create_task(_pour(session, parts, float(seconds), sizes))
            late = asyncio.create_task(apps.lateness(float(seconds)))
            watching = asyncio.create_task(_watch(view, sizes, behind))
            while not late.done():
                keys.append(await _key(app, view))
                await asyncio.sleep(_KEY_EVERY)
            await pouring
            watching.cancel()
            return {"late": _p99(await late), "keys": keys, "behind": max(behind)}

    return apps.run(main)


async def _watch(view: LogView, sizes: list[tuple[float, int]], behind: list[float]) -> None:
    """Note for how long the view has not had what the file had."""
    seen = 0
    while True:
        now = time.perf_counter()
        while seen < len(sizes) and sizes[seen][1] <= view.file.size:
            seen += 1
        if seen < len(sizes):
            behind.append(now - sizes[seen][0])
        await asyncio.sleep(0.02)


async def _key(app: NixFleetApp, view: LogView) -> float:
    """Seconds until `t` (times on or off) has been written to the terminal."""
    written, driver = asyncio.Event(), app._driver
    assert driver is not None
    write, timed = driver.write, view.timed

    def note(data: str) -> None:
        write(data)
        if view.timed is not timed and len(data) > 1000:
            written.set()

    driver.write = note  # type: ignore[method-assign]
    begin = time.perf_counter()
    press_in(app, "t")
    await written.wait()
    driver.write = write  # type: ignore[method-assign]
    return time.perf_counter() - begin


def idle(seconds: str) -> float:
    """How late turns are while nothing happens."""

    async def main() -> float:
        async with apps.opened_update():
            return _p99(await apps.lateness(float(seconds)))

    return apps.run(main)


def _p99(found: list[float]) -> float:
    return sorted(found)[len(found) * 99 // 100]


def trickle(how: str, seconds: str) -> None:
    """A usual build, on our screen, or in a RichLog that is told each part or four times a second.
    Says when it begins."""
    lines = build_lines()

    async def own() -> None:
        async with apps.opened_update() as (_, session):
            say("begins")
            await _flow(session, lines, float(seconds))
            say("ended")

    async def rich() -> None:
        app, pause = apps.LinesApp(), _PART if how == "as it comes" else 0.25
        async with apps.opened(app):
            say("begins")
            async for _ in _parts(float(seconds), pause):
                app.show("".join(islice(lines, round(SLOW * pause))))
            say("ended")

    apps.run(own if how == "own" else rich)


def _numbered(number: int) -> str:
    return f"the line {number:09}\n"


def numbered(seconds: str) -> None:
    """A usual build with numbered lines; says when it begins."""
    count = round(float(seconds) * SLOW)
    lines = map(_numbered, range(count))

    async def main() -> None:
        async with apps.opened_update() as (_, session):
            say("begins")
            await _flow(session, lines, float(seconds))
            await asyncio.sleep(30.0)  # it is ended long before

    apps.run(main)
