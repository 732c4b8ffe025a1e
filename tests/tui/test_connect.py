"""Opening a connection at the terminal."""

from __future__ import annotations

import asyncio
import os
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from app_terminal import BACK, app_at_terminal, on_linux
from fakes import STALE
from screen_text import press_key, screen_text, settle
from test_path import press

from nixfleet_core.errors import Unreachable

if TYPE_CHECKING:
    from fakes import FakeSession

    from conftest import MakeApp

SSH = "printf 'code: ' >/dev/tty; read -r code </dev/tty; echo got $code; [ $code = right ]"


@on_linux
def test_ssh_has_the_terminal_and_the_app_gets_it_back(tmp_path: Path) -> None:
    setup = f"fleet[0].connect_argv = ('sh', '-c', {SSH!r})"
    with app_at_terminal(tmp_path, setup) as terminal:
        terminal.read_until(b"not restarted")
        terminal.write(b"C")
        terminal.read_until(b"Connecting to ops@cs0:2222 ...\r\ncode: ")
        terminal.write(b"right\n")
        terminal.read_until(b"got right")
        terminal.read_until(BACK)
        terminal.read_until(b"csb0")

        terminal.write(b"C")
        terminal.read_until(b"code: ")
        terminal.write(b"wrong\n")
        terminal.read_until(b"sh ended with 1. Enter goes back to NixFleet. ")
        terminal.write(b"\n")
        terminal.read_until(BACK)

        terminal.write(b"C")
        terminal.read_until(b"code: ")
        terminal.write(b"\x03")  # ctrl-c gives up the connection, not the app
        terminal.read_until(BACK)
        terminal.read_until(b"csb0")
        terminal.quit()


async def test_app_looks_at_the_host_when_the_connection_is_open(
    make_app: MakeApp, fleet: list[FakeSession], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, came = fleet[3], tmp_path / "came"
    session.connect_argv = ("touch", str(came))
    session.says["probe"] = Unreachable("no key", "nixfleet connect imac0", at_terminal=True)
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        text = await press(pilot, "end", "enter")
        assert "nixfleet connect imac0 → C connect · R look again" in text
        monkeypatch.setattr(app, "suspend", nullcontext)
        session.says["probe"] = STALE
        await press(pilot, "C")  # in the notice
        await app.workers.wait_for_complete()
        await settle(pilot)
        assert "0 offline" not in screen_text(app)
        assert "3 stale" in screen_text(app)
    assert came.exists()
    assert session.calls.count("probe") == 2


async def test_app_offers_no_connection_that_a_person_at_the_terminal_cannot_make(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    fleet[3].connect_argv = ("true",)
    async with make_app().run_test(size=(120, 40)) as pilot:
        text = await press(pilot, "end", "enter")
        assert "is the host up, and the VPN?" in text
        assert "C connect ·" not in text


async def test_app_writes_nothing_while_another_program_has_the_terminal(
    make_app: MakeApp, fleet: list[FakeSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    session = fleet[0]
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        rung: list[int] = []
        monkeypatch.setattr(app, "bell", lambda: rung.append(1))
        monkeypatch.setattr(app, "suspend", nullcontext)
        await press(pilot, "enter", "enter", "escape")
        session.connect_argv = ("cat", str(session.folder / "fifo"))
        os.mkfifo(session.folder / "fifo")
        press_key(pilot, "C")
        # this opens only when the other program runs
        gate = await asyncio.to_thread(os.open, session.folder / "fifo", os.O_WRONLY)
        await session.run_job()
        watcher = app.fleet.entries["csb0"].watcher
        assert watcher is not None
        await watcher.ended.wait()
        await settle(pilot)
        os.close(gate)
        await app.workers.wait_for_complete()
        await settle(pilot)
        assert "✔ updated" in screen_text(app)
    assert rung == []


async def test_a_host_without_a_connection_says_so(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    async with make_app().run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        assert "nothing to connect" in await press(pilot, "C")
        assert "C connect ·" not in await press(pilot, "end", "enter")
    assert [session.calls.count("probe") for session in fleet] == [1, 1, 1, 1]
