"""The process that outlives the app: it starts the units, and cleans everything up.

Its stdin comes from the app. A line there names hosts; the warden starts their units and answers
with a line. The end of the file means that the app is gone, even by SIGKILL. Then the warden kills
every process of the fleet, deletes the folder, and ends.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from typing import TYPE_CHECKING, Final

from nixfleet_core.sandbox import processes
from nixfleet_core.sandbox.keeper import leave_to_keeper
from nixfleet_core.sandbox.machine import MARK, Machine
from nixfleet_core.sandbox.store import AGENT_UNIT, PROXY_UNIT
from nixfleet_core.sandbox.units import Unit

if TYPE_CHECKING:
    from pathlib import Path

_KILL_SECONDS: Final = 5.0


def run_warden(fleet: Path) -> int:
    """Do what the app says until it is gone, then delete everything."""
    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(signum, lambda *_: sys.exit())
    try:
        for line in sys.stdin:
            told = [_start_units(Machine(fleet / "hosts" / name)) for name in line.split()]
            sys.stdout.write(" ".join(map(_answer, told)) + "\n")
            sys.stdout.flush()
    finally:
        _end_everything(fleet)
    return 0


def _start_units(machine: Machine) -> list[int]:
    """Start what the host has; return the pipes that will say whether each runs."""
    units = [Unit(machine, name) for name in (AGENT_UNIT, PROXY_UNIT)]
    there = [unit for unit in units if unit.file is not None and unit.take()]
    return [leave_to_keeper(unit, [], is_awaited=False) for unit in there]


def _answer(pipes: list[int]) -> str:
    """`success`, or what the first unit says that does not run."""
    said = [os.read(pipe, 64).decode() for pipe in pipes]
    return next((word for word in said if word != "success"), "success")


def _end_everything(fleet: Path) -> None:
    """Kill all processes that have the fleet's mark; delete the folder."""
    deadline = time.monotonic() + _KILL_SECONDS
    while time.monotonic() < deadline and (doomed := processes.marked(f"{MARK}={fleet}")):
        processes.send(doomed, signal.SIGKILL)
        time.sleep(0.01)
    os.chdir("/")
    shutil.rmtree(fleet, ignore_errors=True)
