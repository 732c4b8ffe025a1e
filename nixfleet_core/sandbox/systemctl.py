"""`systemctl` as far as the fleet's scripts use it: what it does and what it prints.

Anything else is refused in systemctl's own words.
"""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from nixfleet_core.sandbox.manager import Main, ManagerError
from nixfleet_core.sandbox.units import UNIT_FOLDERS, unit_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nixfleet_core.sandbox.manager import LoadState, Manager, Unit

_NO_SUCH_UNIT: Final = 4
_NOT_ACTIVE: Final = 3

_VALUED: Final = {
    "-p": "property",
    "--property": "property",
    "-s": "signal",
    "--signal": "signal",
    "--kill-whom": "whom",
    "--kill-who": "whom",
    "--state": "state",
    "-t": "type",
    "--type": "type",
    "-n": "lines",
    "--lines": "lines",
}
_PLAIN: Final = {
    "-q": "quiet",
    "--quiet": "quiet",
    "-a": "all",
    "--all": "all",
    "--plain": "plain",
    "--no-legend": "no-legend",
    "--no-pager": "no-pager",
    "--no-ask-password": "no-ask-password",
    "--no-block": "no-block",
    "--value": "value",
    "--full": "full",
    "-l": "full",
    "--system": "system",
    "--no-reload": "no-reload",
}


class Answer(NamedTuple):
    """What a tool prints and how it exits."""

    code: int = 0
    out: str = ""
    err: str = ""


class _Call(NamedTuple):
    verb: str
    names: list[str]
    flags: set[str]
    values: dict[str, list[str]]


async def systemctl(manager: Manager, argv: list[str]) -> Answer:
    """Do what systemctl was asked to do."""
    try:
        call = _read(argv)
        return await _run(manager, call)
    except ManagerError as error:
        return Answer(error.code, err=f"{error}\n")


def _read(argv: list[str]) -> _Call:
    words: list[str] = []
    flags: set[str] = set()
    values: dict[str, list[str]] = {}
    rest = iter(argv)
    for arg in rest:
        option, equals, value = arg.partition("=")
        if arg == "--":
            words.extend(rest)
        elif arg in _PLAIN:
            flags.add(_PLAIN[arg])
        elif option in _VALUED and (equals or not arg.startswith("--")):
            values.setdefault(_VALUED[option], []).append(value if equals else next(rest, ""))
        elif option in _VALUED:
            values.setdefault(_VALUED[option], []).append(next(rest, ""))
        elif arg.startswith("-") and len(arg) > 1:
            kind = "unrecognized option" if arg.startswith("--") else "invalid option --"
            shown = arg if arg.startswith("--") else arg.lstrip("-")
            raise ManagerError(f"systemctl: {kind} '{shown}'")
        else:
            words.append(arg)
    verb, *names = words or ["list-units"]
    return _Call(verb, names, flags, values)


async def _run(manager: Manager, call: _Call) -> Answer:
    match call.verb:
        case "show":
            return _show(manager, call)
        case "is-active":
            return _is_state(manager, call, "active", _NOT_ACTIVE)
        case "is-failed":
            return _is_state(manager, call, "failed", 1)
        case "list-units":
            return _list_units(manager, call)
        case "cat":
            return _cat(manager, call)
        case "daemon-reload":
            manager.reload()
            return Answer()
        case "is-system-running":
            return Answer(0, "running\n")
        case "start" | "stop" | "restart" | "kill" | "reset-failed":
            return await _change(manager, call)
        case _:
            raise ManagerError(f"Unknown command verb '{call.verb}'.")


async def _change(manager: Manager, call: _Call) -> Answer:
    if not call.names and call.verb == "reset-failed":
        for unit in list(manager.units()):
            manager.reset_failed(unit.name)
        return Answer()
    if not call.names:
        raise ManagerError("Too few arguments.")
    code, errors = 0, ""
    for name in _expand(manager, call.names):
        try:
            await _change_one(manager, call, name)
        except ManagerError as error:
            code, errors = error.code, f"{errors}{error}\n"
    return Answer(code, err=errors)


async def _change_one(manager: Manager, call: _Call, name: str) -> None:
    match call.verb:
        case "start":
            await manager.start(name)
        case "stop":
            await manager.stop(name)
        case "restart":
            await manager.restart(name)
        case "kill":
            whom = call.values.get("whom", ["all"])[-1]
            await manager.kill(name, _signal(call), main_only=whom == "main")
        case _:
            manager.reset_failed(name)


def _signal(call: _Call) -> signal.Signals:
    text = call.values.get("signal", ["TERM"])[-1]
    try:
        if text.isdecimal():
            return signal.Signals(int(text))
        return signal.Signals["SIG" + text.upper().removeprefix("SIG")]
    except (KeyError, ValueError) as error:
        raise ManagerError(f"Failed to parse signal string {text}.") from error


def _is_pattern(name: str) -> bool:
    return any(letter in name for letter in "*?[")


def _expand(manager: Manager, names: list[str]) -> Iterator[str]:
    for name in names:
        if _is_pattern(name):
            yield from [unit.name for unit in manager.units(name)]
        else:
            yield unit_name(name)


def _is_state(manager: Manager, call: _Call, good: str, code: int) -> Answer:
    found = [manager.find(name) for name in _expand(manager, call.names)]
    states = [unit.active if unit else "inactive" for _, unit in found]
    if good in states:
        code = 0
    elif code == _NOT_ACTIVE and any(load == "not-found" for load, _ in found):
        code = _NO_SUCH_UNIT
    return Answer(code, "" if "quiet" in call.flags else "".join(f"{s}\n" for s in states))


def _list_units(manager: Manager, call: _Call) -> Answer:
    wanted = {s for value in call.values.get("state", []) for s in value.split(",")}
    units = [
        unit
        for unit in manager.units()
        if (not call.names or any(_matches(manager, unit, name) for name in call.names))
        and (wanted & {unit.active, unit.sub, "loaded"} if wanted else _is_shown(unit, call))
    ]
    rows = [(u.name, "loaded", u.active, u.sub, u.definition.description) for u in units]
    widths = [max(len(row[i]) for row in rows) for i in range(4)] if rows else []
    lines = [
        " ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]])
        for row in rows
    ]
    if "no-legend" not in call.flags:
        lines.append(f"\n{len(rows)} loaded units listed.")
    return Answer(0, "".join(f"{line}\n" for line in lines))


def _matches(manager: Manager, unit: Unit, name: str) -> bool:
    pattern = name if _is_pattern(name) else unit_name(name)
    return any(unit is found for found in manager.units(pattern))


def _is_shown(unit: Unit, call: _Call) -> bool:
    return "all" in call.flags or unit.active != "inactive"


def _cat(manager: Manager, call: _Call) -> Answer:
    out, err, code = [], "", 0
    for name in _expand(manager, call.names):
        files = [
            path
            for folder in UNIT_FOLDERS
            if (path := manager.machine.root / folder / name).exists()
        ]
        if files:
            out.append(f"# {manager.machine.shown(files[0])}\n{files[0].read_text()}")
        else:
            err, code = f"{err}No files found for {name}.\n", 1
    return Answer(code, "\n".join(out), err)


def _show(manager: Manager, call: _Call) -> Answer:
    wanted = {p for value in call.values.get("property", []) for p in value.split(",")}
    blocks = []
    for name in _expand(manager, call.names):
        load, unit = manager.find(name)
        properties = _properties(manager, name, load, unit)
        blocks.append(
            "".join(
                f"{value}\n" if "value" in call.flags else f"{key}={value}\n"
                for key, value in properties.items()
                if key in wanted or not wanted
            )
        )
    return Answer(0, "\n".join(blocks))


def _properties(manager: Manager, name: str, load: LoadState, unit: Unit | None) -> dict[str, str]:
    """In the order in which systemctl prints them, whatever was asked for first."""
    if unit is None:
        return {
            "Restart": "no",
            "MainPID": "0",
            "Result": "success",
            "NRestarts": "0",
            "ExecMainStartTimestamp": "",
            "ExecMainStartTimestampMonotonic": "0",
            "ExecMainPID": "0",
            "ExecMainCode": "0",
            "ExecMainStatus": "0",
            "Id": name,
            "Names": name,
            "Description": name,
            "LoadState": load,
            "ActiveState": "inactive",
            "SubState": "dead",
        }
    definition, main = unit.definition, unit.main
    status = main.status
    return {
        "Type": definition.kind,
        "Restart": definition.restart,
        "MainPID": str(main.pid),
        "Result": unit.result,
        "NRestarts": str(unit.restarts),
        "ExecMainStartTimestamp": _timestamp(main.started),
        "ExecMainStartTimestampMonotonic": _microseconds(main.started_monotonic),
        "ExecMainExitTimestamp": _timestamp(main.ended),
        "ExecMainExitTimestampMonotonic": _microseconds(main.ended_monotonic),
        "ExecMainPID": str(max(unit.session, 0)),
        "ExecMainCode": "0" if status is None else "1" if status >= 0 else "2",
        "ExecMainStatus": str(abs(status or 0)),
        "ExecStart": _exec_start(manager, unit),
        "Id": name,
        "Names": name,
        "Description": definition.description,
        "LoadState": load,
        "ActiveState": unit.active,
        "SubState": unit.sub,
        "FragmentPath": definition.fragment,
        "UnitFileState": "transient" if definition.transient else "enabled",
        "StateChangeTimestamp": _timestamp(unit.since),
        "Transient": "yes" if definition.transient else "no",
        "InvocationID": unit.invocation,
    }


def _exec_start(manager: Manager, unit: Unit) -> str:
    return " ; ".join(
        _exec_one(manager.machine.shown(" ".join(command.argv)), command.ignore, unit.main)
        for command in unit.definition.commands
    )


def _exec_one(argv: str, ignore: bool, main: Main) -> str:
    """One command; times and status only while it is the one that the last run used."""
    if " ".join(main.argv) != argv:
        main = Main()
    code, number, name = _how(main.status)
    fields = {
        "path": argv.split(" ", 1)[0],
        "argv[]": argv,
        "ignore_errors": "yes" if ignore else "no",
        "start_time": f"[{_timestamp(main.started) or 'n/a'}]",
        "stop_time": f"[{_timestamp(main.ended) or 'n/a'}]",
        "pid": main.pid,
        "code": code,
        "status": f"{number}/{name}",
    }
    return "{ " + " ; ".join(f"{key}={value}" for key, value in fields.items()) + " }"


def _how(status: int | None) -> tuple[str, int, str]:
    if status is None:
        return "(null)", 0, "0"
    if status >= 0:
        return "exited", status, "SUCCESS" if status == 0 else "n/a"
    return "killed", -status, signal.Signals(-status).name.removeprefix("SIG")


def _timestamp(seconds: float) -> str:
    if not seconds:
        return ""
    return time.strftime("%a %Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))


def _microseconds(seconds: float) -> str:
    return str(int(seconds * 1_000_000))
