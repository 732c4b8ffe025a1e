"""Restart debt: which units still run programs of an older system, and how each is paid.

A unit is in debt if one of its processes runs or maps a store path that is outside the closure of
the active system, or of the home for a user's unit. What is outside it for another reason is only
counted (`Apart`). Names, versions and unit files decide nothing: they explain. Pure.
"""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import msgspec

from nixfleet_core.facts.old_units import (
    PARTS,
    BootPart,
    OldProcess,
    OldUnit,
    OldUnits,
    package_of,
)
from nixfleet_core.facts.service import AGENT_LABEL, AGENT_UNIT
from nixfleet_core.log.amounts import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

Kind: TypeAlias = Literal["program", "script", "library"]
"""What of the old system a unit has: its program, the script in an interpreter, or only what it has
mapped."""

_OURS: Final = ("nixfleet-job.service", "nixfleet-finish.service")
_ACTIVATION: Final = "nixos-rebuild-switch-to-configuration"
_DAEMON: Final = "nix-daemon.service"
_BUSES: Final = frozenset({"dbus.service", "dbus-broker.service"})
"""Nothing that talks over the system's bus survives its restart, so NixOS never restarts it."""


class Owing(msgspec.Struct, frozen=True, kw_only=True):
    """One unit in debt."""

    unit: str
    """Its name; `systemd` is systemd itself."""
    uid: int | None = None
    """The user whose manager runs it; None for the system's."""
    since: int
    """When its oldest such process began, in seconds since the epoch."""
    kind: Kind
    old: str
    """What runs, or one of the libraries."""
    new: str = ""
    """What would run instead; "" if that is not known."""
    libraries: int = 0
    """How many store paths outside the closure it has mapped, if it has only mapped them."""
    is_deleted: bool = False
    """A file that it runs or maps is gone from the store."""
    reason: str = ""
    """Why a switch has left it alone, where that is known."""
    pay: str
    """The command that ends the debt."""


class Boot(msgspec.Struct, frozen=True):
    """A part of the system that only a boot changes."""

    part: BootPart
    old: str
    new: str


class Apart(msgspec.Struct, frozen=True):
    """Processes outside the closure that are no debt."""

    builders: int = 0
    """Builds below the Nix daemon."""
    containers: int = 0
    """In a container, or with a store of their own."""
    sessions: int = 0
    """In sessions and scopes."""
    foreign: int = 0
    """Started by a unit's program from a path that no older generation has."""
    tasks: int = 0
    """Of rebuilds and other one-time tasks, which end by themselves."""


class Debt(msgspec.Struct, frozen=True):
    """What of a host is older than its active system."""

    units: tuple[Owing, ...] = ()
    boot: tuple[Boot, ...] = ()
    apart: Apart = Apart()
    looked: int = 0
    """The processes of units that were looked at."""
    unseen: int = 0
    """Processes of units that only root may look at."""
    not_seen: tuple[str, ...] = ()
    """Why something could not be seen: a word of `NotSeen`, `job` (one runs there), or `platform`
    (neither NixOS nor Home Manager)."""

    @property
    def is_known(self) -> bool:
        """Something could be seen."""
        return not set(self.not_seen) - PARTS

    @property
    def is_whole(self) -> bool:
        """All could be seen."""
        return not self.not_seen and not self.unseen

    @property
    def is_some(self) -> bool:
        return bool(self.units or self.boot)


def restart_debt(seen: OldUnits) -> Debt:
    """Judge what a look saw."""
    counts = {"builders": 0, "containers": 0, "foreign": 0, "tasks": 0}
    owing: list[Owing] = []
    for unit in seen.units:
        owed: list[OldProcess] = []
        for process in unit.processes:
            why = _why_apart(seen, unit, process)
            if why is None:
                owed.append(process)
            elif why:
                counts[why] += 1
        if owed:
            owing.append(_owing(seen, unit, owed))
    return Debt(
        units=tuple(owing),
        boot=tuple(Boot(part.part, part.old, part.new) for part in seen.boot),
        apart=Apart(sessions=seen.loose, **counts),
        looked=seen.looked,
        unseen=seen.unseen,
        not_seen=tuple(sorted(seen.failed)),
    )


_WhyApart: TypeAlias = Literal["builders", "containers", "foreign", "tasks", ""]


def _why_apart(seen: OldUnits, unit: OldUnit, process: OldProcess) -> _WhyApart | None:
    """Why a process is no debt; "" if it is of this system after all; None if it is debt."""
    name = unit.unit.name
    if name == _DAEMON and process.exe != unit.main:
        return "builders"  # most builds have a root of their own, too
    if process.is_apart:
        return "containers"
    if name in _OURS or name.startswith(_ACTIVATION) or "task" in unit.flags:
        return "tasks"
    ran = _ran(seen, process)
    if ran is None:
        return None if _aged_map(seen, process) else "foreign" if process.maps else ""
    package = package_of(ran) or ""
    if package in seen.older:
        return None
    is_its_own = process.exe == unit.main or package == package_of(unit.main)
    if is_its_own and package != package_of(unit.program) and _is_aged(seen, process, package):
        return None
    return "foreign"


def _is_aged(seen: OldUnits, process: OldProcess, package: str) -> bool:
    """Whether something shows that an older system had this path. Where old generations are
    deleted, that is a path of the same name in the active system, or that the file is gone."""
    return package in seen.older or package in seen.newer or process.is_deleted


def _aged_map(seen: OldUnits, process: OldProcess) -> str | None:
    """The first path that it maps, and that an older system had."""
    return next((path for path in process.maps if _is_aged(seen, process, path)), None)


def _ran(seen: OldUnits, process: OldProcess) -> str | None:
    """What it runs, if that is not of the active system: its script, or else its program."""
    for path in (process.script, process.exe):
        if path is not None and package_of(path) in seen.old:
            return path
    return None


def _owing(seen: OldUnits, unit: OldUnit, processes: Sequence[OldProcess]) -> Owing:
    """The debt of a unit, told by its main process, or else by the one that runs something old."""
    first = min(processes, key=lambda one: (_ran(seen, one) is None, one.exe != unit.main, one.pid))
    ran = _ran(seen, first)
    kind: Kind = "library" if ran is None else "script" if ran == first.script else "program"
    old = ran or _aged_map(seen, first) or ""
    package = package_of(old) or ""
    if package_of(unit.program) in seen.old:
        unit = replace(unit, flags=unit.flags | {_NAMES_OLD})
    return Owing(
        unit=unit.unit.name,
        uid=unit.unit.uid,
        since=min(process.since for process in processes),
        kind=kind,
        old=old,
        new=seen.newer.get(package) or (_restarted(unit, package) if ran else ""),
        libraries=first.mapped if ran is None else 0,
        is_deleted=any(process.is_deleted for process in processes),
        reason=_reason(unit),
        pay=_payment(unit),
    )


def _restarted(unit: OldUnit, package: str) -> str:
    """What a start of the unit runs, if that is something else."""
    new = package_of(unit.program)
    return new if new is not None and new != package else ""


def _reason(unit: OldUnit) -> str:
    flags = unit.flags
    if "launchd" in flags and "not-found" in flags:
        return "the active home no longer has this agent"
    if "launchd" in flags and "needs-reload" in flags:
        return "launchd has an older plist of it loaded, and would start that again"
    if "not-found" in flags:
        return "the active system no longer has this unit"
    if "transient" in flags:
        return "it was started by hand, and no switch restarts such a unit"
    if _NAMES_OLD in flags:
        return "its own file names the old program, so a restart starts that again"
    if "reload-only" in flags:
        return "a switch only reloads it (reloadIfChanged)"
    if "no-restart" in flags:
        return "a switch leaves it alone on purpose (restartIfChanged = false)"
    return ""


REBOOT: Final = "sudo reboot"


def _payment(unit: OldUnit) -> str:
    name, uid = shlex.quote(unit.unit.name), unit.unit.uid  # it may have a backslash
    if "launchd" in unit.flags:
        return _payment_on_a_mac(unit)
    if uid is not None:
        return f"systemctl --user {_verb(unit)} {name}"
    if name == "systemd":
        return "sudo systemctl daemon-reexec"
    if name.startswith("user@"):
        return "systemctl --user daemon-reexec"
    if name in _BUSES or "refuses-stop" in unit.flags:
        return REBOOT
    return f"sudo systemctl {_verb(unit)} {name}"


_NAMES_OLD: Final = "names-old"
"""The flag of a unit whose start runs a path that is not of the active system."""


def _verb(unit: OldUnit) -> str:
    """What ends the old program: a restart, unless that starts it again."""
    return "stop" if unit.flags & {"not-found", "transient", _NAMES_OLD} else "restart"


def _payment_on_a_mac(unit: OldUnit) -> str:
    """A kickstart starts what is loaded. A label stays taken for seconds after its bootout, and
    launchd may leave the start of what was bootstrapped to a kickstart (docs/macos.md)."""
    domain = f"{'user' if 'user' in unit.flags else 'gui'}/{unit.unit.uid}"
    job = shlex.quote(f"{domain}/{unit.unit.name}")
    if "not-found" in unit.flags:
        return f"launchctl bootout {job}"
    if "needs-reload" in unit.flags:
        plist = f"~/Library/LaunchAgents/{shlex.quote(f'{unit.unit.name}.plist')}"
        bootstrap = f"launchctl bootstrap {domain} {plist}"
        return f"launchctl bootout {job}; sleep 5; {bootstrap}; launchctl kickstart {job}"
    return f"launchctl kickstart -k {job}"


def others(debt: Debt) -> tuple[Owing, ...]:
    """The units but for the agent's own, of which all else speaks."""
    return tuple(one for one in debt.units if one.unit not in (AGENT_UNIT, AGENT_LABEL))


def more_units(debt: Debt) -> str:
    """`3 more units run old programs`, beside the agent's own; "" if none does."""
    number = len(others(debt))
    runs = "runs" if number == 1 else "run"
    return f"{counted(number, 'more unit')} {runs} old programs" if number else ""


def debt_notes(debt: Debt) -> tuple[str, ...]:
    """What a verdict remarks on it."""
    said = more_units(debt)
    if not said:
        return ()
    names = [_short(one.unit) for one in others(debt)]
    named = ", ".join(names[:_NAMED])
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return (f"{said[0].upper()}{said[1:]}: {named}{more}. {_HOW}",)


_NAMED: Final = 3
_LONGEST: Final = 40
"""Characters of a unit's name in a remark, of up to 256."""
_HOW: Final = "`nixfleet debt` says how each is paid"


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"


def is_debt_note(note: str) -> bool:
    """Whether a verdict's note is the remark on restart debt."""
    return note.endswith(_HOW)


def waits_for_reboot(debt: Debt) -> str:
    """`kernel, initrd wait for a reboot`; "" if nothing does."""
    waits = "waits" if len(debt.boot) == 1 else "wait"
    return f"{', '.join(part.part for part in debt.boot)} {waits} for a reboot" if debt.boot else ""


def debt_sentence(debt: Debt) -> str:
    """What a look has found, in one sentence."""
    if not debt.is_known:
        why = next(word for word in debt.not_seen if word not in PARTS)
        return f"what is old could not be seen: {_NOT_SEEN[why]}"
    found = []
    if debt.units:
        runs = "runs" if len(debt.units) == 1 else "run"
        found.append(f"{counted(len(debt.units), 'unit')} {runs} old programs")
    if debt.boot:
        found.append(waits_for_reboot(debt))
    if not found:
        is_whole = debt.is_whole
        found.append("nothing old runs" if is_whole else "nothing old was seen")
    if debt.unseen:
        processes = "process" if debt.unseen == 1 else "processes"
        found.append(f"only root may look at {debt.unseen} more {processes}")
    found.extend(_NOT_SEEN[word] for word in debt.not_seen)
    return "; ".join(found)


_NOT_SEEN: Final[dict[str, str]] = {
    "closure": "Nix did not say what the active system needs",
    "units": "systemd, or launchd, did not answer",
    "processes": "the processes could not be listed",
    "homes": "users' units could not be judged: Nix did not say what their homes need",
    "older": "Nix did not say what older generations had",
    "names": "lsof has no name for some programs, and their files may be gone",
    "cut": "there is more than the host could tell",
    "job": "a job runs there; ask again when it is over",
    "platform": "the host is neither NixOS nor a home of Home Manager",
}


def old_and_new(one: Owing | Boot) -> str:
    """`openssl-3.0.13 → openssl-3.0.14`: the names of the store paths, without their hashes."""
    old, new = _name(one.old), _name(one.new)
    if isinstance(one, Owing) and one.kind == "library":
        old = f"maps {old}" + (f" and {one.libraries - 1} more" if one.libraries > 1 else "")
    return f"{old} → {new}" if new else old


def _name(path: str) -> str:
    """What a store path is called: `openssl-3.0.13`."""
    return (package_of(path) or "").partition("-")[2]


def apart_words(apart: Apart) -> str:
    """What runs beside the system without being its debt; "" if nothing does."""
    counts = {
        "of builds": apart.builders,
        "in containers": apart.containers,
        "in sessions and scopes": apart.sessions,
        "started by a unit, but of no generation": apart.foreign,
        "of tasks that end by themselves": apart.tasks,
    }
    said = ", ".join(f"{number} {what}" for what, number in counts.items() if number)
    return f"no debt, but not of this system either: {said}" if said else ""
