"""`systemd` on a sandbox host: it changes units for `systemctl` and `systemd-run`."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING

from nixfleet_core.sandbox import processes
from nixfleet_core.sandbox.keeper import PAUSE, leave_to_keeper
from nixfleet_core.sandbox.units import State, Unit

if TYPE_CHECKING:
    from nixfleet_core.sandbox.machine import Machine


def systemd(machine: Machine, verb: str, name: str, *rest: str) -> int:
    """Do what systemctl or systemd-run asks for a unit; return their exit code."""
    unit = Unit(machine, name)
    match verb:
        case "start":
            return start(unit)
        case "stop":
            _stop(unit)
        case "restart":
            _stop(unit)
            return start(unit)
        case "kill":
            members = processes.marked(unit.mark, unit.read().pid or -1)
            processes.send(members, signal.Signals[f"SIG{rest[0]}"])
        case "reset-failed":
            if unit.take():
                unit.write(State())
        case _:
            return _run(unit, rest[0], rest[1:], is_awaited=verb == "wait")
    return 0


def start(unit: Unit) -> int:
    """Start a unit; a oneshot has ended when this returns."""
    while not unit.take():
        if unit.read().sub in ("running", "auto-restart"):
            return 0
        time.sleep(PAUSE)
    return _report(unit.name, _begin(unit, [], is_awaited=False))


def _stop(unit: Unit) -> None:
    """End a unit with all its processes; forget an earlier failure."""
    if unit.take():
        unit.write(State())
    else:
        while not unit.take():
            unit.tell_keeper(signal.SIGTERM)
            time.sleep(PAUSE)
    unit.let_go()


def _run(unit: Unit, settings: str, argv: tuple[str, ...], *, is_awaited: bool) -> int:
    """Start a unit that has no file; refuse while the name is taken."""
    if not unit.take() or unit.file is not None:
        sys.stderr.write(
            f"Failed to start transient service unit: Unit {unit.name} was already loaded or has "
            "a fragment file.\n"
        )
        return 1
    unit.transient.write_text(f"{settings}\n")
    result = _begin(unit, list(argv), is_awaited=is_awaited)
    return int(result or 1) if is_awaited else _report(unit.name, result)


def _report(name: str, result: str) -> int:
    """The exit code of a start; print the message of systemctl and systemd-run for a failure."""
    if result == "success":
        return 0
    sys.stderr.write(
        f"Job for {name} failed because the control process exited with error code.\n"
        f'See "systemctl status {name}" and "journalctl -xeu {name}" for details.\n'
    )
    return 1


def _begin(unit: Unit, argv: list[str], *, is_awaited: bool) -> str:
    """Leave a unit whose lock is ours to a keeper; wait for the keeper's answer and return it."""
    return os.read(leave_to_keeper(unit, argv, is_awaited=is_awaited), 64).decode()
