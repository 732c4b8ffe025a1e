"""What a unit is told to do: unit files and systemd-run's properties, read as systemd reads them.

Only what the fleet's units use: ExecStart with systemd's quoting, Type, Restart, Environment,
OnSuccess, OnFailure, the standard streams, and time limits. See systemd.service(5) and
systemd.syntax(7).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

UNIT_FOLDERS: Final = ("etc/systemd/system", "run/systemd/system")

_WORD: Final = re.compile(
    r"""\s*((?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\\.|[^\s"'\\])+)""", re.DOTALL
)
_PIECE: Final = re.compile(
    r"""(?P<quoted>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|(?P<plain>(?:\\.|[^"'\\])+)""", re.DOTALL
)
_ESCAPE: Final = re.compile(r"\\(x[0-9A-Fa-f]{2}|[0-7]{3}|.)", re.DOTALL)
_VARIABLE: Final = re.compile(r"\$(?:(\$)|\{([A-Za-z_][A-Za-z0-9_]*)\})")
_LONE_VARIABLE: Final = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")
_SPECIFIER: Final = re.compile(r"%(.)")
_NAMED: Final = {"s": " ", "n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f"}
_SPAN: Final = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?)\s*(?P<unit>ms|s|sec|min|m|h)?")
_SECONDS: Final = {"ms": 0.001, "m": 60.0, "min": 60.0, "h": 3600.0}


class UnitError(ValueError):
    """A unit that systemd would not load. The message says why."""


@dataclass(frozen=True, slots=True)
class Command:
    """One ExecStart line; `ignore` is the prefix `-`."""

    argv: tuple[str, ...]
    ignore: bool = False


@dataclass(frozen=True, slots=True)
class Definition:
    """A unit as loaded. Times in seconds; an absent limit is None."""

    name: str
    commands: tuple[Command, ...]
    description: str = ""
    kind: str = "simple"
    restart: str = "no"
    restart_after: float = 0.1
    stop_limit: float = 90.0
    run_limit: float | None = None
    start_interval: float = 10.0
    start_burst: int = 5
    """More starts than this within the interval are refused; an interval of 0 allows any."""
    on_success: tuple[str, ...] = ()
    on_failure: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: str | None = None
    stdout: str = "journal"
    stderr: str = "inherit"
    fragment: str = ""
    transient: bool = False
    collect: bool = False


def split_words(line: str) -> list[str]:
    """Split one Exec or Environment line into words, quotes and escapes undone.

    Raises UnitError when a quote is left open.
    """
    words, at = [], 0
    while line[at:].strip():
        match = _WORD.match(line, at)
        if match is None:
            raise UnitError(f"Invalid syntax, ignoring: {line}")
        words.append("".join(_unquoted(piece) for piece in _PIECE.finditer(match[1])))
        at = match.end()
    return words


def _unquoted(piece: re.Match[str]) -> str:
    text = piece["quoted"][1:-1] if piece["quoted"] else piece["plain"]
    return _ESCAPE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    code = match[1]
    if code[0] == "x" and len(code) == 3:
        return chr(int(code[1:], 16))
    if len(code) == 3:
        return chr(int(code, 8))
    return _NAMED.get(code, code)


def expand(words: Iterable[str], environment: Mapping[str, str]) -> tuple[str, ...]:
    """Replace `$$`, `${NAME}` and a word that is `$NAME`, as systemd does before it executes."""
    result: list[str] = []
    for word in words:
        lone = _LONE_VARIABLE.fullmatch(word)
        if lone:
            result.extend(environment.get(lone[1], "").split())
            continue
        result.append(
            _VARIABLE.sub(lambda m: "$" if m[1] else environment.get(m[2] or "", ""), word)
        )
    return tuple(result)


def read_command(line: str, unit: str) -> Command:
    """Read one ExecStart line. Raises UnitError."""
    words = [_SPECIFIER.sub(lambda m: _specifier(m, unit), word) for word in split_words(line)]
    if not words:
        raise UnitError("Service has no ExecStart=, ExecStop=, or SuccessAction=. Refusing.")
    program = words[0].lstrip("-@:+!|")
    prefix = words[0][: len(words[0]) - len(program)]
    if not program.startswith("/"):
        raise UnitError(f"Neither a valid executable name nor an absolute path: {program}")
    return Command(argv=(program, *words[1:]), ignore="-" in prefix)


def _specifier(match: re.Match[str], unit: str) -> str:
    known = {"%": "%", "n": unit, "N": unit.removesuffix(".service")}
    if match[1] not in known:
        raise UnitError(f"Failed to resolve unit specifiers in {match[0]}: Invalid argument")
    return known[match[1]]


def read_seconds(text: str) -> float | None:
    """A time span of systemd; None for `infinity`. Raises UnitError."""
    if text.strip() == "infinity":
        return None
    spans = list(_SPAN.finditer(text))
    if not spans or _SPAN.sub("", text).strip():
        raise UnitError(f"Failed to parse timeout value: {text}")
    return sum(float(s["number"]) * _SECONDS.get(s["unit"] or "s", 1.0) for s in spans)


def read_unit(name: str, text: str, fragment: str) -> Definition:
    """Read a unit file. Raises UnitError."""
    settings: list[tuple[str, str]] = []
    for line in text.replace("\\\n", " ").splitlines():
        key, equals, value = line.strip().partition("=")
        if equals and key[0] not in "#;":
            settings.append((key.strip(), value.strip()))
    lines = [value for key, value in settings if key == "ExecStart" and value]
    return define(
        name,
        tuple(read_command(line, name) for line in lines),
        settings,
        fragment=fragment,
    )


def define(
    name: str,
    commands: tuple[Command, ...],
    settings: Iterable[tuple[str, str]],
    *,
    fragment: str,
    transient: bool = False,
    collect: bool = False,
) -> Definition:
    """Make a definition of `KEY=VALUE` settings; the last one counts, lists add up.

    Raises UnitError.
    """
    settings = list(settings)
    last = dict(settings)

    def names(key: str) -> tuple[str, ...]:
        return tuple(word for k, value in settings if k == key for word in value.split())

    environment: dict[str, str] = {}
    for key, value in settings:
        if key == "Environment":
            pairs = (word.partition("=") for word in split_words(value))
            environment.update({name: text for name, equals, text in pairs if equals})
    if not commands:
        raise UnitError("Service has no ExecStart=, ExecStop=, or SuccessAction=. Refusing.")
    return Definition(
        name=name,
        commands=commands,
        description=last.get("Description", name),
        kind=last.get("Type", "simple"),
        restart=last.get("Restart", "no"),
        restart_after=read_seconds(last.get("RestartSec", "100ms")) or 0.0,
        stop_limit=read_seconds(last.get("TimeoutStopSec", "90s")) or 90.0,
        run_limit=read_seconds(last.get("RuntimeMaxSec", "infinity")),
        start_interval=read_seconds(last.get("StartLimitIntervalSec", "10s")) or 0.0,
        start_burst=int(last.get("StartLimitBurst", "5")),
        on_success=names("OnSuccess"),
        on_failure=names("OnFailure"),
        environment=environment,
        directory=last.get("WorkingDirectory"),
        stdout=last.get("StandardOutput", "journal"),
        stderr=last.get("StandardError", "inherit"),
        fragment=fragment,
        transient=transient,
        collect=collect,
    )


def unit_name(text: str) -> str:
    """A unit's full name: `.service` is understood when there is no suffix."""
    known = (".service", ".target", ".socket", ".timer", ".slice", ".mount", ".path", ".scope")
    return text if text.endswith(known) else f"{text}.service"
