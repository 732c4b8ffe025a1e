"""`systemd-run` as far as the fleet's scripts use it: transient services under a fixed name."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from nixfleet_core.sandbox.manager import ManagerError
from nixfleet_core.sandbox.systemctl import Answer
from nixfleet_core.sandbox.units import Command, Definition, UnitError, define, unit_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nixfleet_core.sandbox.manager import Manager, Streams, Unit

_KILLED: Final = 255
"""What systemd-run answers for a unit that a signal ended."""

_FLAGS: Final = frozenset(
    {
        *("--collect", "-G", "--quiet", "-q", "--no-ask-password", "--pipe", "-P", "--wait"),
        *("--no-block", "--same-dir", "-d", "--system"),
    }
)
_VALUED: Final = {
    "-u": "--unit",
    "-p": "--property",
    "-E": "--setenv",
    "--unit": "--unit",
    "--property": "--property",
    "--setenv": "--setenv",
    "--description": "--description",
    "--service-type": "--service-type",
    "--working-directory": "--working-directory",
    "--nice": "--nice",
    "--slice": "--slice",
    "--uid": "--uid",
    "--gid": "--gid",
}


@dataclass(slots=True)
class _Request:
    flags: set[str] = field(default_factory=set)
    values: dict[str, list[str]] = field(default_factory=dict)
    command: list[str] = field(default_factory=list)

    def last(self, option: str) -> str | None:
        return self.values[option][-1] if option in self.values else None

    def has(self, *flags: str) -> bool:
        return not self.flags.isdisjoint(flags)


async def systemd_run(
    manager: Manager,
    argv: list[str],
    *,
    directory: str,
    environment: Mapping[str, str],
    streams: Streams,
) -> Answer:
    """Start a transient service; with --wait or --pipe, answer as it ended."""
    try:
        request = _read(argv)
        definition = _definition(manager, request, directory, environment)
        pipe = request.has("--pipe", "-P")
        unit = manager.run_transient(definition, streams if pipe else None)
        if pipe or request.has("--wait"):
            await manager.wait(unit)
            return Answer(_exit_code(unit))
        if not request.has("--no-block"):
            await manager.settle(unit)
    except ManagerError as error:
        return Answer(error.code, err=f"{error}\n")
    except UnitError as error:
        return Answer(1, err=f"Failed to start transient service unit: {error}\n")
    quiet = request.has("--quiet", "-q")
    return Answer(0, err="" if quiet else f"Running as unit: {definition.name}\n")


def _read(argv: list[str]) -> _Request:
    request = _Request()
    rest = iter(argv)
    for arg in rest:
        option, equals, value = arg.partition("=")
        short = arg[:2]
        if arg == "--":
            request.command = list(rest)
        elif arg in _FLAGS:
            request.flags.add(arg)
        elif option in _VALUED and arg.startswith("--"):
            given = value if equals else next(rest, "")
            request.values.setdefault(_VALUED[option], []).append(given)
        elif short in _VALUED and not arg.startswith("--"):
            given = arg[2:] or next(rest, "")
            request.values.setdefault(_VALUED[short], []).append(given)
        elif arg.startswith("-"):
            kind = "unrecognized option" if arg.startswith("--") else "invalid option --"
            shown = arg if arg.startswith("--") else arg[1:2]
            raise ManagerError(f"systemd-run: {kind} '{shown}'")
        else:
            request.command = [arg, *rest]
    if not request.command:
        raise ManagerError("Command line to execute required.")
    return request


def _definition(
    manager: Manager, request: _Request, directory: str, environment: Mapping[str, str]
) -> Definition:
    name = unit_name(request.last("--unit") or f"run-{uuid.uuid4().hex[:12]}")
    program = manager.find_program(request.command[0])
    if program is None:
        raise ManagerError(
            f"Failed to find executable {request.command[0]}: No such file or directory"
        )
    settings = [("Description", request.last("--description") or " ".join(request.command))]
    settings.append(("Type", request.last("--service-type") or "simple"))
    settings.extend(_assignment(text) for text in request.values.get("--property", []))
    where = request.last("--working-directory")
    if request.has("--same-dir", "-d"):
        where = directory
    if where is not None:
        settings.append(("WorkingDirectory", where))
    command = Command((program, *request.command[1:]))
    definition = define(
        name,
        (command,),
        settings,
        fragment=f"/run/systemd/transient/{name}",
        transient=True,
        collect=request.has("--collect", "-G"),
    )
    variables = dict(_variable(text, environment) for text in request.values.get("--setenv", []))
    return _with_environment(definition, variables)


def _with_environment(definition: Definition, variables: Mapping[str, str]) -> Definition:
    return replace(definition, environment={**definition.environment, **variables})


def _assignment(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise ManagerError(f"Not an assignment: {text}")
    return key, value


def _variable(text: str, environment: Mapping[str, str]) -> tuple[str, str]:
    """`NAME=VALUE`, or `NAME` alone for the caller's own value."""
    name, equals, value = text.partition("=")
    return name, value if equals else environment.get(name, "")


def _exit_code(unit: Unit) -> int:
    """What a waiting systemd-run makes of the unit's result."""
    match unit.result:
        case "success":
            return 0
        case "exit-code":
            return unit.main.status or 1
        case "signal":
            return _KILLED
        case _:
            return 1
