"""The key that opens a shell on a host: it gets the terminal, in the checkout; the app returns."""

from __future__ import annotations

import asyncio
import os
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from app_terminal import BACK, app_at_terminal, on_linux
from fakes import STALE
from screen_text import press_key, screen_text, settle
from test_path import press

from nixfleet_core.errors import NoShell
from nixfleet_core.transport.at_terminal import local_shell_argv
from tui.screens.update import UpdateScreen

if TYPE_CHECKING:
    from fakes import FakeSession

    from conftest import MakeApp

SETUP = """
fleet[0].says["terminal_argv"] = local_shell_argv({checkout!r})
fleet[1].says["terminal_argv"] = ("sh", "-c", "echo lost; exit 255")
"""


@on_linux
def test_a_shell_has_the_terminal_and_the_app_gets_it_back(tmp_path: Path) -> None:
    checkout = tmp_path / "it's my $(config)"
    checkout.mkdir()
    setup = SETUP.format(checkout=str(checkout))
    own = {"SHELL": "/bin/bash", "HOME": str(tmp_path)}
    with app_at_terminal(tmp_path, setup, **own) as terminal:
        terminal.read_until(b"not restarted")
        terminal.write(b"x")
        terminal.read_until(b"A shell on ops@cs0:2222. Its end goes back to NixFleet.\r\n")
        terminal.write(b"echo 'in' $PWD ${-//[!i]/}\n")
        terminal.read_until(f"in {checkout} i\r\n".encode())
        terminal.write(b"sh -c 'echo sle\"\"eps; exec sleep 600'\n")
        terminal.read_until(b"sleeps\r\n")
        terminal.write(b"\x03")  # ctrl-c ends what runs there, not the app
        terminal.read_until(b"^C")
        terminal.write(b"echo 'after' it; exit 7\n")
        terminal.read_until(b"after it")
        terminal.read_until(BACK)  # at once: 7 is the shell's own
        terminal.read_until(b"csb0")

        terminal.write(b"jx")
        terminal.read_until(b"lost\r\n")
        terminal.read_until(b"sh ended with 255. Enter goes back to NixFleet. ")
        terminal.write(b"\n")
        terminal.read_until(BACK)
        terminal.read_until(b"csb1")
        terminal.quit()


@pytest.fixture
def lent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What got the terminal; nothing of it is run."""
    given: list[tuple[str, ...]] = []

    async def run(_: object, title: str, argv: tuple[str, ...], least_failure: int) -> int:
        given.append((title, *argv, str(least_failure)))
        return 0

    monkeypatch.setattr("tui.terminal.run_at_terminal", run)
    return given


@pytest.mark.parametrize("path", ["/srv/nixcfg", "/srv/it's; id\n", "/-P"])
async def test_it_begins_in_the_checkout_that_the_host_has(
    make_app: MakeApp, fleet: list[FakeSession], lent: list[tuple[str, ...]], path: str
) -> None:
    session = fleet[0]
    assert STALE.checkout is not None
    session.says["probe"] = replace(STALE, checkout=replace(STALE.checkout, path=path))
    session.says["terminal_argv"] = ("ssh", "cs0")
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        session.calls.clear()
        await press(pilot, "x")
        await app.workers.wait_for_complete()
        assert session.calls[-1] == "probe", "somebody may have changed the host"
    assert lent == [
        ("A shell on ops@cs0:2222. Its end goes back to NixFleet.", "ssh", "cs0", "255")
    ]
    assert f"terminal_argv {path}" in session.calls
    assert "terminal_argv" not in session.calls


async def test_this_machine_has_a_shell_without_ssh(
    make_app: MakeApp, fleet: list[FakeSession], lent: list[tuple[str, ...]]
) -> None:
    assert fleet[2].host.address is None
    fleet[2].says["terminal_argv"] = argv = local_shell_argv("~/Code/nixcfg")
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "down", "down", "x")
        await app.workers.wait_for_complete()
    assert lent == [("A shell on local. Its end goes back to NixFleet.", *argv, "255")]


async def test_a_job_is_followed_while_somebody_is_in_a_shell(
    make_app: MakeApp, fleet: list[FakeSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    session = fleet[0]
    os.mkfifo(session.folder / "fifo")
    session.says["terminal_argv"] = ("cat", str(session.folder / "fifo"))
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        monkeypatch.setattr(app, "suspend", nullcontext)
        await press(pilot, "enter", "enter")
        assert isinstance(app.screen, UpdateScreen)
        press_key(pilot, "x")
        # this opens only when the shell runs
        gate = await asyncio.to_thread(os.open, session.folder / "fifo", os.O_WRONLY)
        assert app.terminal_lent
        await session.run_job()
        watcher = app.fleet.entries["csb0"].watcher
        assert watcher is not None
        await watcher.ended.wait()
        os.close(gate)
        await app.workers.wait_for_complete()
        await settle(pilot)
        assert not app.terminal_lent
        assert "✔ updated" in screen_text(app)


async def test_a_host_without_a_shell_says_so(
    make_app: MakeApp, fleet: list[FakeSession], lent: list[tuple[str, ...]]
) -> None:
    mute = NoShell("its login shell runs nothing")
    fleet[3].says |= {"terminal_argv": ("ssh", "imac0"), "probe": mute}
    async with make_app().run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        assert "of the demo has no shell to open" in await press(pilot, "x")
        assert "its login shell runs nothing" in await press(pilot, "end", "x")
    assert lent == []
