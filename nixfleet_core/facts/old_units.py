"""What a look saw of units that run something outside the active system's closure.

Parsing only, of what scripts/lib/old_units.sh prints: that file says what the lines mean, and
old_agents.sh which of them a Mac has. All of it is a host's word: what cannot be read is left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Final, Literal, TypeAlias

from nixfleet_core.limits import LAST_SECOND

OLD_UNITS_LIMIT: Final = 1_000_000
"""Bytes of a look's answer; the script prints no more."""

_MOST_UNITS: Final = 2000
"""So many units of one host are read."""

_MOST_MAPS: Final = 10
"""So many paths of a process; the script prints no more."""

NotSeen: TypeAlias = Literal["closure", "units", "processes", "homes", "older", "names", "cut"]
"""What a look could not ask for, or tell (`cut`: the answer was too long)."""

PARTS: Final[frozenset[str]] = frozenset({"homes", "older", "names", "cut"})
"""Without these, the rest can be seen: users' units, old paths, what some processes run, the end of
the answer."""

BootPart: TypeAlias = Literal["kernel", "initrd", "kernel-modules"]
"""What only a boot changes."""

_KEY: Final = re.compile(r"(?:(?P<uid>[0-9]{1,10})/)?(?P<name>[0-9A-Za-z:_.@\\-]{1,255})")
"""As systemd names units."""

_PACKAGE: Final = re.compile(r"/nix/store/[0-9a-z]{32}-[0-9A-Za-z+._?=-]{1,211}")
_FILE: Final = re.compile(rf"(?P<package>{_PACKAGE.pattern})(?:/[^\n]{{0,4096}})?")


@dataclass(frozen=True, slots=True)
class UnitName:
    """A unit; of the system, unless it is that of a user's manager."""

    name: str
    uid: int | None = None


@dataclass(frozen=True, slots=True)
class OldProcess:
    """A process of a unit that runs or maps something outside the closure."""

    pid: int
    since: int
    """When it began, in seconds since the epoch."""
    exe: str | None = None
    script: str | None = None
    """The script that its command line names, if it runs an interpreter."""
    is_apart: bool = False
    """It is in a container, or sees another store."""
    is_deleted: bool = False
    """A file that it runs or maps is deleted."""
    mapped: int = 0
    """How many store paths outside the closure it runs or maps."""
    maps: tuple[str, ...] = ()
    """Some of them, without its program's."""


@dataclass(frozen=True, slots=True)
class OldUnit:
    """A unit with such processes, as systemd knows it."""

    unit: UnitName
    main: str | None = None
    """The program of its main process."""
    program: str | None = None
    """What a start of it runs."""
    flags: frozenset[str] = frozenset()
    """`loaded`, `not-found`, `task`, `transient`, `needs-reload`, `refuses-stop`, `no-restart`,
    `reload-only`; of an agent of a Mac `launchd`, its domain (`gui`, `user`), `not-found` and
    `needs-reload`. Unknown words mean nothing."""
    processes: tuple[OldProcess, ...] = ()


@dataclass(frozen=True, slots=True)
class Booted:
    """A part of the system that was booted, against what a boot takes now."""

    part: BootPart
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class OldUnits:
    """One look at what runs, against the closure of the active system or home."""

    looked: int = 0
    """The processes of units that were looked at."""
    unseen: int = 0
    """Those that only root may look at."""
    loose: int = 0
    """Processes of sessions and scopes that run something outside the closure."""
    failed: frozenset[NotSeen] = frozenset()
    units: tuple[OldUnit, ...] = ()
    old: frozenset[str] = frozenset()
    """The store paths in `units` that are not in the closure."""
    older: frozenset[str] = frozenset()
    """Those of them that an older generation's closure has."""
    newer: dict[str, str] = field(default_factory=dict)
    """The one path of the closure that has the name of an old one."""
    boot: tuple[Booted, ...] = ()


def package_of(path: str | None) -> str | None:
    """The store path that contains this file."""
    match = _FILE.fullmatch(path) if path else None
    return match["package"] if match else None


def read_old_units(text: str) -> OldUnits:
    """Read the lines of a look."""
    reader = _Reader()
    for line in text.split("\n"):
        reader.take(line.split("\t"))
    return reader.seen()


class _Reader:
    """Collects what the lines say."""

    def __init__(self) -> None:
        self._looked = self._unseen = self._loose = 0
        self._failed: set[NotSeen] = set()
        self._units: dict[str, OldUnit] = {}
        self._processes: dict[str, list[OldProcess]] = {}
        self._maps: dict[int, list[str]] = {}
        self._old: set[str] = set()
        self._older: set[str] = set()
        self._newer: dict[str, str] = {}
        self._boot: list[Booted] = []

    def take(self, words: list[str]) -> None:
        match words:
            case [
                "failed",
                "closure" | "units" | "processes" | "homes" | "older" | "names" | "cut" as what,
            ]:
                self._failed.add(what)
            case ["looked", looked, unseen]:
                self._looked, self._unseen = _number(looked), _number(unseen)
            case ["loose", loose]:
                self._loose = _number(loose)
            case ["unit", key, main, flags, program]:
                self._take_unit(key, main, flags, program)
            case ["process", pid, key, since, state, exe, script, mapped]:
                process = OldProcess(
                    pid=_number(pid),
                    since=_seconds(since),
                    exe=_file(exe),
                    script=_file(script),
                    is_apart=state == "apart",
                    is_deleted=state == "gone",
                    mapped=_number(mapped),
                )
                self._processes.setdefault(key, []).append(process)
            case ["maps", pid, path] if _is_package(path):
                paths = self._maps.setdefault(_number(pid), [])
                if len(paths) < _MOST_MAPS:
                    paths.append(path)
            case ["old", path] if _is_package(path):
                self._old.add(path)
            case ["older", path] if _is_package(path):
                self._older.add(path)
            case ["newer", path, new] if _is_package(path) and _is_package(new):
                self._newer[path] = new
            case ["boot", "kernel" | "initrd" | "kernel-modules" as part, old, new]:
                if _file(old) and _file(new):
                    self._boot.append(Booted(part, old, new))

    def _take_unit(self, key: str, main: str, flags: str, program: str) -> None:
        match = _KEY.fullmatch(key)
        if match is None or len(self._units) >= _MOST_UNITS:
            return
        unit = UnitName(match["name"], int(match["uid"]) if match["uid"] else None)
        words = frozenset(flags.split()) - {"-"}
        self._units[key] = OldUnit(unit, _file(main), _file(program), words)

    def _processes_of(self, key: str) -> tuple[OldProcess, ...]:
        found = sorted(self._processes.get(key, ()), key=lambda process: process.pid)
        return tuple(replace(one, maps=tuple(self._maps.get(one.pid, ()))) for one in found)

    def seen(self) -> OldUnits:
        return OldUnits(
            looked=self._looked,
            unseen=self._unseen,
            loose=self._loose,
            failed=frozenset(self._failed),
            units=tuple(
                replace(unit, processes=self._processes_of(key))
                for key, unit in sorted(self._units.items())
            ),
            old=frozenset(self._old),
            older=frozenset(self._older),
            newer=self._newer,
            boot=tuple(self._boot),
        )


def _number(text: str) -> int:
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else 0


def _seconds(text: str) -> int:
    return min(int(text), LAST_SECOND) if re.fullmatch(r"[0-9]{1,10}", text) else 0


def _is_package(text: str) -> bool:
    return _PACKAGE.fullmatch(text) is not None


def _file(text: str) -> str | None:
    return text if _FILE.fullmatch(text) else None
