"""`nix-store` for the agent: ask about its derivation, build it, compare it."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Final

from nixfleet_core.sandbox import store
from nixfleet_core.sandbox.store import Agent
from nixfleet_core.sandbox.tools.nix import UsageError, read_call
from nixfleet_core.sandbox.tools.nix_log import BUILD

if TYPE_CHECKING:
    from nixfleet_core.sandbox.machine import Machine
    from nixfleet_core.sandbox.tools.nix_log import Log

_BUILD_SECONDS: Final = 3.0
_ASKED: Final = ("--query", "--requisites", "--references", "--outputs", "--check-validity")
_DONE: Final = ("--realise", "--check", "--repair-path")
_OPTIONS: Final = {**dict.fromkeys((*_ASKED, *_DONE), 0), "--option": 2, "--log-format": 1}


def nix_store(machine: Machine, argv: list[str]) -> int:
    """Run nix-store and return its exit code."""
    try:
        call = read_call(argv, _OPTIONS)
        log, is_compared = call.log, bool(call.all("--check"))
        for path in call.words:
            match [option for option in call.options if option in (*_ASKED, *_DONE)]:
                case ["--query", "--requisites"]:
                    sys.stdout.write(f"{path}\n")
                case ["--query", "--outputs"]:
                    sys.stdout.write(f"{path.removesuffix('.drv')}\n")
                case ["--check-validity"]:
                    _expect(machine, path)
                case ["--realise", *_]:
                    _realise(machine, path, log, is_compared=is_compared)
    except UsageError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def _expect(machine: Machine, path: str) -> None:
    if not machine.real(path).exists():
        raise UsageError(f"path '{machine.shown(path)}' is not valid")


def _realise(machine: Machine, path: str, log: Log, *, is_compared: bool) -> None:
    _expect(machine, path)
    agent = Agent(*json.loads(machine.real(path).read_text()))
    if is_compared or not store.has(machine, agent.name):
        activity = log.start(BUILD, f"building '{path}'", path, "", 1, 1, level=3)
        sys.stderr.flush()
        machine.pause(_BUILD_SECONDS)
        log.stop(activity)
    store.add_agent(machine, agent)
    sys.stdout.write(f"/nix/store/{agent.name}\n")
