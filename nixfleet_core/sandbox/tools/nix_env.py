"""`nix-env` for the system profile: set it, go back, list its generations."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from nixfleet_core.sandbox import store
from nixfleet_core.sandbox.tools.nix import UsageError, read_call

if TYPE_CHECKING:
    from nixfleet_core.sandbox.machine import Machine

_KNOWN = {
    "-p": 1,
    "--profile": 1,
    "--set": 1,
    "--rollback": 0,
    "--list-generations": 0,
    "--switch-generation": 1,
    "-G": 1,
    "--option": 2,
}


def nix_env(machine: Machine, argv: list[str]) -> int:
    """Run nix-env and return its exit code."""
    try:
        return _run(machine, argv)
    except UsageError as error:
        sys.stderr.write(f"error: {error}\nTry 'nix-env --help' for more information.\n")
        return 1


def _run(machine: Machine, argv: list[str]) -> int:
    call = read_call(argv, _KNOWN)
    profile = call.last("-p") or call.last("--profile")
    if call.words or profile is None or machine.real(profile[0]) != machine.profile:
        raise UsageError("no operation specified")
    target = call.last("--set")
    number = call.last("--switch-generation") or call.last("-G")
    if target is not None:
        path = machine.real(target[0])
        if not path.exists():
            raise UsageError(f"path '{machine.shown(path)}' does not exist")
        store.set_profile(machine, path.resolve())
    elif call.has("--list-generations"):
        _list(machine)
    elif call.has("--rollback"):
        _switch(
            machine, max((n for n in store.generations(machine) if n < _now(machine)), default=0)
        )
    elif number is not None:
        _switch(machine, int(number[0]))
    else:
        raise UsageError("no operation specified")
    return 0


def _now(machine: Machine) -> int:
    return int(machine.profile.readlink().name.split("-")[1])


def _switch(machine: Machine, number: int) -> None:
    if number not in store.generations(machine):
        raise UsageError(f"profile version {number} does not exist")
    sys.stderr.write(f"switching profile from version {_now(machine)} to {number}\n")
    store.point(machine.profile, number)


def _list(machine: Machine) -> None:
    for number in store.generations(machine):
        made = store.generation_link(machine, number).lstat().st_mtime
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(made))
        current = "(current)" if number == _now(machine) else ""
        sys.stdout.write(f"{number:4}   {when}   {current}\n")
