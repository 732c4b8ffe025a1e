"""How long the first answer takes: `--version`, and the app's first paint."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

from . import apps
from .figures import Row, Sample
from .terminal import child, environment

if TYPE_CHECKING:
    from collections.abc import Iterator

_VERSION: Final = "from tui.main import main; main()"
_NEVER: Final = 60.0
"""Seconds after which an app leaves by itself; it is ended long before."""


def rows(rounds: int) -> Iterator[Row]:
    own, peer = [], []
    for _ in range(3 * rounds):
        own.append(_time_of(_VERSION, "--version"))
        peer.append(_time_of("import click"))
    yield Row(
        *("`nixfleet --version`", Sample(own), "s", 2.0, Sample(peer), "`python -c 'import click'`")
    )
    for hosts in (100, 300):
        own, peer = [], []
        for _ in range(rounds):
            own.append(_first_paint("show_fleet", hosts))
            peer.append(_first_paint("show_table", hosts))
        yield Row(
            *(f"first paint, {hosts} hosts", Sample(own), "s", 1.6, Sample(peer)),
            "a minimal Textual app with that table",
        )


def show_fleet(hosts: str) -> None:
    """The program of a terminal: the app."""

    async def main() -> None:
        async with apps.opened_fleet(int(hosts)):
            await asyncio.sleep(_NEVER)

    apps.run(main)


def show_table(hosts: str) -> None:
    """The program of a terminal: only the table."""
    apps.TableApp(int(hosts)).run()


def _first_paint(program: str, hosts: int) -> float:
    with child(f"starting:{program}", hosts) as terminal:
        return terminal.wait_for(b"host-0000")


def _time_of(code: str, *arguments: str) -> float:
    begin = time.perf_counter()
    argv = [sys.executable, "-c", code, *arguments]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, env=environment())
    return time.perf_counter() - begin
