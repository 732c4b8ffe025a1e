"""`nix-store` for the agent: ask about its derivation, build it, compare it."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Final

from nixfleet_core.sandbox import store
from nixfleet_core.sandbox.store import Agent
from nixfleet_core.sandbox.tools.nix import UsageError, read_call
from nixfleet_core.sandbox.tools.nix_log import BUILD, Session, stop

if TYPE_CHECKING:
    from nixfleet_core.sandbox.machine import Machine

_BUILD_SECONDS: Final = 3.0
_KNOWN: Final = {
    "--query": 0,
    "-q": 0,
    "--requisites": 0,
    "--references": 0,
    "--outputs": 0,
    "--check-validity": 0,
    "--realise": 0,
    "-r": 0,
    "--check": 0,
    "--repair-path": 0,
    "--option": 2,
    "--log-format": 1,
}


def nix_store(machine: Machine, argv: list[str]) -> int:
    """Run nix-store and return its exit code."""
    try:
        call = read_call(argv, _KNOWN)
        if call.has("--query") or call.has("-q"):
            names = call.words if call.has("--requisites") else []
            names = (
                [path.removesuffix(".drv") for path in call.words]
                if call.has("--outputs")
                else names
            )
            sys.stdout.write("".join(f"{name}\n" for name in names))
        elif call.has("--check-validity"):
            return _check_validity(machine, call.words)
        elif call.has("--realise") or call.has("-r"):
            as_json = call.last("--log-format") == ["internal-json"]
            for path in call.words:
                _realise(machine, path, compare=call.has("--check"), as_json=as_json)
        elif not call.has("--repair-path"):
            raise UsageError("no operation specified")
    except UsageError as error:
        sys.stderr.write(f"error: {error}\nTry 'nix-store --help' for more information.\n")
        return 1
    return 0


def _check_validity(machine: Machine, paths: list[str]) -> int:
    for path in paths:
        if not machine.real(path).exists():
            sys.stderr.write(f"error: path '{machine.shown(path)}' is not valid\n")
            return 1
    return 0


def _realise(machine: Machine, path: str, *, compare: bool, as_json: bool) -> None:
    drv = machine.real(path)
    try:
        agent = Agent(*json.loads(drv.read_text()))
    except OSError:
        raise UsageError(f"path '{machine.shown(drv)}' is not valid") from None
    if compare or not store.has(machine, agent.name):
        name = machine.shown(drv)
        activity, line = Session().start(
            BUILD, f"building '{name}'", level=3, fields=(name, "", 1, 1)
        )
        sys.stderr.write(line if as_json else f"building '{name}'...\n")
        machine.pause(_BUILD_SECONDS)
        sys.stderr.write(stop(activity) if as_json else "")
    store.add_agent(machine, agent)
    sys.stdout.write(f"/nix/store/{agent.name}\n")
