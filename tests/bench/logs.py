"""A large log: how it is opened, how much memory it takes, and how fast it grows on the screen."""

from __future__ import annotations

import asyncio
import random
import subprocess
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from fakes import JOB
from keyboard import press_in

from nixfleet_core.log.text import TextDecoder
from tui.log_file import LogFile
from tui.widgets.log_view import LogView

from . import apps
from .figures import Row, Sample
from .terminal import asked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fakes import FakeSession
    from textual.app import App

T = TypeVar("T")

LINES: Final = 1_000_000
_PAGES: Final = 40
_BATCH: Final = 1000
_NAMES: Final = ("git", "nixfleet-agent", "jq", "tmux", "linux", "glibc")


def rows(rounds: int, lines: int = LINES) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "log.txt")
        with path.open("w") as file:
            file.writelines(islice(build_lines(), lines))
        size = f"{lines:,} lines ({path.stat().st_size >> 20} MiB)"
        own, peer = [], []
        for _ in range(rounds):
            own.append(_index(path))
            peer.append(_count(path))
        yield Row(f"{size}: whole index", Sample(own), "s", 5.0, Sample(peer), "`wc -l`")
        stalls = [asked("logs:stalls", path) for _ in range(rounds)]
        for what, number in (("it opens", 0), ("`w` re-wraps it", 1)):
            found = Sample([1000 * stall[number] for stall in stalls])
            yield Row(f"longest stall of the loop while {what}", found, "ms", 25.0)
        used = [asked("logs:memory", path) - asked("logs:memory", "") for _ in range(rounds)]
        yield Row(f"memory for it, after {_PAGES} pages of looking", Sample(used), "MiB", 20.0)
    for what, function, goal in (
        ("lines a second", "own_lines", 50.0),
        ("lines a second, decoded from Nix's own log", "decoded_lines", 25.0),
    ):
        own, peer = [], []
        for _ in range(rounds):
            own.append(asked(f"logs:{function}"))
            peer.append(asked("logs:rich_lines"))
        yield Row(
            *(f"{what}, painted each {_BATCH:,}", Sample(own), "/s", goal, Sample(peer)),
            "RichLog",
            better="more",
        )


def build_lines() -> Iterator[str]:
    """What builds print, without an end; the same each time."""
    chance = random.Random(1)
    while True:
        name, number, kind = chance.choice(_NAMES), chance.randrange(10**6), chance.random()
        if kind < 0.7:
            yield (
                f"{name}> cc -O2 -Wall -Wextra -DHAVE_CONFIG_H -I. -Iinclude -I../include "
                f"-c src/file{number}.c -o build/file{number}.o\n"
            )
        elif kind < 0.9:
            yield f"building '/nix/store/{'abcd' * 8}-package-{number}.drv'...\n"
        elif kind < 0.99:
            yield f"\x1b[1mcopying\x1b[0m path '/nix/store/{'abcd' * 8}-{name}-{number}'...\n"
        else:
            yield f"{name}> src/file{number}.c:12:3: \x1b[35;1mwarning:\x1b[0m unused variable\n"


def raw_lines() -> Iterator[bytes]:
    """The same as Nix writes it with `--log-format internal-json`."""
    for line in build_lines():
        text = line.rstrip("\n").replace("\x1b", "\\u001b").replace('"', '\\"')
        yield f'@nix {{"action":"msg","level":3,"msg":"{text}"}}\n'.encode()


def _index(path: Path) -> float:
    begin = time.perf_counter()
    file = LogFile(path)
    while file.grow():
        pass
    file.close()
    return time.perf_counter() - begin


def _count(path: Path) -> float:
    begin = time.perf_counter()
    subprocess.run(["wc", "-l", path], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


# In a process and a terminal of their own


def stalls(path: str) -> tuple[float, float]:
    """The longest turns of the loop while the update screen opens that log, and wraps it."""
    size = Path(path).stat().st_size

    async def main() -> tuple[float, float]:
        async with apps.opened_update() as (app, session):
            view = app.screen.query_one(LogView)

            _put(session, path)
            view.mark_dirty()
            opened = await apps.longest_turn(view.flush, lambda: view.file.size == size)
            await asyncio.sleep(3.0)  # by then all is counted
            wrapped = await apps.longest_turn(
                lambda: press_in(app, "w"), lambda: view.wrapped and view.file.size == size
            )
            return opened, wrapped

    return apps.run(main)


def _put(session: FakeSession, path: str) -> None:
    """Let that be the job's log. A name more costs nothing."""
    text = session.files(JOB).text
    text.unlink()
    text.hardlink_to(path)


def memory(path: str) -> float:
    """The process's memory in MiB, with that log looked through, or without one."""
    size = Path(path).stat().st_size if path else 0

    async def main() -> float:
        async with apps.opened_update() as (app, session):
            if path:
                view = app.screen.query_one(LogView)
                _put(session, path)
                view.mark_dirty()
                while view.file.size < size:
                    view.flush()
                    await asyncio.sleep(0.005)
                await asyncio.sleep(3.0)
                for page in range(_PAGES):
                    view.scroll_to(y=page * view.file.rows // _PAGES, animate=False)
                    await asyncio.sleep(0.05)
            return _resident()

    return apps.run(main)


def _resident() -> float:
    """MiB of this process in memory; Linux alone says so without more."""
    text = Path("/proc/self/status").read_text()
    kibibytes = next(line.split()[1] for line in text.splitlines() if line.startswith("VmRSS:"))
    return int(kibibytes) / 1024


async def _painted(app: App[T]) -> None:
    await asyncio.sleep(0)
    app.screen._on_timer_update()
    await asyncio.sleep(0)


def own_lines() -> float:
    return apps.run(lambda: _grow(_batches(map(str.encode, build_lines()), 200), None))


def decoded_lines() -> float:
    return apps.run(lambda: _grow(_batches(raw_lines(), 200), TextDecoder()))


def _batches(lines: Iterator[bytes], count: int) -> list[bytes]:
    """The first lines, a thousand in each."""
    return [b"".join(islice(lines, _BATCH)) for _ in range(count)]


async def _grow(batches: list[bytes], decoder: TextDecoder | None) -> float:
    """Lines a second that the update screen takes in and shows."""
    async with apps.opened_update() as (app, session):
        view = app.screen.query_one(LogView)
        with session.files(JOB).text.open("ab", buffering=0) as file:
            begin = time.perf_counter()
            for batch in batches:
                file.write(decoder.feed(batch) if decoder is not None else batch)
                view.mark_dirty()
                view.flush()
                await _painted(app)
            return len(batches) * _BATCH / (time.perf_counter() - begin)


def rich_lines() -> float:
    """Lines a second that Textual's own log takes in and shows."""
    batches = [batch.decode() for batch in _batches(map(str.encode, build_lines()), 10)]

    async def main() -> float:
        app = apps.LinesApp()
        async with apps.opened(app):
            begin = time.perf_counter()
            for batch in batches:
                app.show(batch)
                await _painted(app)
            return len(batches) * _BATCH / (time.perf_counter() - begin)

    return apps.run(main)
