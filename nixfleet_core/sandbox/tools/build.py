"""`nix build` of a system: it plays a recorded build, then puts the system into the store.

`rebuild.jsonl` is what Nix 2.26 said in the lab of git, tmux, jq, the agent and a system's files,
with a line for each thing that happened: a name, what it did, and more. In it VERSION is the
agent's, nixos-system-HOST is the system, HASH before a name makes a store path.
"""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nixfleet_core.sandbox import store
from nixfleet_core.sandbox.store import NIXOS_VERSION, store_name
from nixfleet_core.sandbox.tools import nix_log

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nixfleet_core.sandbox.machine import Machine
    from nixfleet_core.sandbox.store import System
    from nixfleet_core.sandbox.tools.nix_log import Log

RECORD: Final = Path(__file__).with_name("rebuild.jsonl")
_SECONDS: Final = 8.0
_SHORTEST_SLEEP: Final = 0.002
_CACHE: Final = "https://cache.nixos.org"
_PIECE: Final = 64 * 1024
"""Bytes of a download after which Nix says how far it is."""

_TOOL: Final = "nixos-rebuild-ng-26.05"

Event = tuple[str, str, str | int]
"""A package, what it did, and a detail: a phase, a line, a size."""

_TOOL_EVENTS: Final[list[Event]] = [
    (_TOOL, "start", ""),
    (_TOOL, "phase", "installPhase"),
    (_TOOL, "log", "Successfully installed nixos_rebuild-0.0.0-py3-none-any.whl"),
    (_TOOL, "stop", ""),
]


def build_system(machine: Machine, system: System, log: Log) -> None:
    """Build all that the store lacks."""
    if store.has(machine, system.name):
        build_nothing(log)
        return
    events = read_events(system, with_agent=not store.has(machine, system.agent.name))
    run = _Run(log, system, events)
    begun = time.monotonic()
    for number, event in enumerate(events):
        due = begun + number * _SECONDS / machine.speed / len(events)
        if (early := due - time.monotonic()) > _SHORTEST_SLEEP:
            sys.stderr.flush()
            time.sleep(early)
        run.tell(event)
    run.end()
    store.add_system(machine, system)


def build_tool(machine: Machine, system: System, log: Log) -> None:
    """Build nixos-rebuild as this system has it, if the store lacks it: one derivation."""
    name = store_name(_TOOL, NIXOS_VERSION)
    if store.has(machine, name):
        build_nothing(log)
        return
    run = _Run(log, system, _TOOL_EVENTS)
    for event in _TOOL_EVENTS:
        run.tell(event)
    run.end()
    store.add_tool(machine, name)


def build_nothing(log: Log) -> None:
    """Nix's log if the store has everything."""
    kinds = (nix_log.REALISE, nix_log.BUILDS, nix_log.COPY_PATHS)
    log.stop(*reversed([log.start(kind) for kind in kinds]))


def read_events(system: System, *, with_agent: bool) -> list[Event]:
    """The build in the file, for this system."""
    text = RECORD.read_text().replace("VERSION", system.agent.version)
    text = text.replace("nixos-system-HOST", system.name[33:])
    text = re.sub(r"HASH-([\w.+-]*\w)", lambda match: _store_name(match[1], system), text)
    events = [(*json.loads(line), "")[:3] for line in text.splitlines()]
    agent = system.agent.name[33:]
    return [
        event
        for told in events
        if with_agent or not told[0].startswith(agent)
        for event in (*_pieces(told), told)
    ]


def _pieces(event: Event) -> Iterator[Event]:
    """What Nix says of a download before its end."""
    name, what, more = event
    if what == "fetched":
        for size in range(0, int(more), _PIECE):
            yield name, "received", size


def _path(*names: str) -> str:
    return f"/nix/store/{store_name(*names)}"


def _store_name(label: str, system: System) -> str:
    own = {name[33:]: name for name in (system.name, system.agent.name)}
    return own.get(label) or store_name(label, system.name)


class _Run:
    """One Nix process that builds: its activities and its counts."""

    def __init__(self, log: Log, system: System, events: list[Event]) -> None:
        self._log = log
        self._activities: dict[str, int] = {}
        self._transfers: dict[str, int] = {}
        builds = [name for name, what, _ in events if what == "start"]
        fetches = {name: int(more) for name, what, more in events if what == "fetch"}
        self._paths = {
            **{name: _path(f"{name}.drv", _store_name(name, system)) for name in builds},
            **{name: _path(name) for name in fetches},
        }
        self._sizes = fetches
        self._size = sum(fetches.values())
        if len(builds) == 1:
            log.info("this derivation will be built:")
        else:
            log.info(f"these {len(builds)} derivations will be built:")
        for name in builds:
            log.info(f"  {self._paths[name]}")
        if fetches:
            size = f"{self._size / 1024 / 1024:.1f} MiB download"
            log.info(f"these {len(fetches)} paths will be fetched ({size}):")
        for name in fetches:
            log.info(f"  {self._paths[name]}")
        self._realise = log.start(nix_log.REALISE)
        # done, expected, running, failed
        self._builds = (log.start(nix_log.BUILDS), [0, len(builds), 0, 0])
        self._copies = (log.start(nix_log.COPY_PATHS), [0, len(fetches), 0, 0])
        self._count()

    def tell(self, event: Event) -> None:
        """Say in Nix's words that this happens."""
        name, what, more = event
        match what:
            case "start":
                text = f"building '{self._paths[name]}'"
                self._begin(name, self._builds, nix_log.BUILD, text, self._paths[name], "", 1, 1)
            case "fetch":
                path = self._paths[name]
                text = f"copying path '{path}' from '{_CACHE}'"
                self._begin(name, self._copies, nix_log.COPY_PATH, text, path, _CACHE, "local")
                url = f"{_CACHE}/nar/{path[11:43]}.nar.xz"
                self._transfers[name] = self._log.start(
                    *(nix_log.FILE_TRANSFER, f"downloading '{url}'", url),
                    level=4,
                    parent=self._activities[name],
                )
            case "phase":
                self._log.result(self._activities[name], nix_log.SET_PHASE, more)
            case "log":
                plain = f"{re.sub(r'-[0-9].*', '', name)}> {more}"
                self._log.result(self._activities[name], nix_log.LOG_LINE, more, plain=plain)
            case "received" | "fetched":
                sizes = (more, self._sizes[name], 0, 0)
                for activity in (self._transfers[name], self._activities[name]):
                    self._log.result(activity, nix_log.PROGRESS, *sizes)
                if what == "fetched":
                    self._log.stop(self._transfers.pop(name))
                    self._end(name, self._copies)
            case _:
                self._end(name, self._builds)

    def end(self) -> None:
        """The build is complete."""
        self._log.stop(self._copies[0], self._builds[0], self._realise)

    def _begin(
        self, name: str, counter: tuple[int, list[int]], kind: int, text: str, *fields: str | int
    ) -> None:
        self._activities[name] = self._log.start(kind, text, *fields, level=3)
        counter[1][2] += 1
        self._count()

    def _end(self, name: str, counter: tuple[int, list[int]]) -> None:
        counter[1][0] += 1
        counter[1][2] -= 1
        self._count()
        self._log.stop(self._activities.pop(name))

    def _count(self) -> None:
        for activity, numbers in (self._builds, self._copies):
            self._log.result(activity, nix_log.PROGRESS, *numbers)
        for kind in (nix_log.FILE_TRANSFER, nix_log.COPY_PATH):
            self._log.result(self._realise, nix_log.SET_EXPECTED, kind, self._size)
