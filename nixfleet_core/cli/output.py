"""How the commands print: every line is made safe, and fits the terminal.

This is the only module that prints. All output goes through `say`, `print_log_line`,
`print_bare_log_line`, `print_json` or `print_bytes`.
"""

from __future__ import annotations

import os
import shutil
import sys
from typing import IO, TYPE_CHECKING, BinaryIO, Final, TypeVar

import click

from nixfleet_core.cli.rows import split_rows
from nixfleet_core.cli.streams import output_faults
from nixfleet_core.log.display import safe, safe_json, safe_log_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import msgspec

_Line = TypeVar("_Line", bound="msgspec.Struct")

LOG_MARK: Final = "│ "
"""Stands before each row of a log between our own lines. None of our lines begins with it."""
LOG_MARK_ASCII: Final = "| "
"""The mark where the terminal's encoding lacks the other."""
_GO_ON: Final = " " * 8
"""Stands before each further row of our own line. No row of a log begins with it."""


def say(
    text: str,
    *,
    err: bool = False,
    bold: bool = False,
    stream: IO[str] | None = None,
    go_on: str = _GO_ON,
    exact: bool = False,
) -> None:
    """Print one line of ours, which may quote text from outside.

    At a terminal it is cut into rows that fit, unless `exact`; further rows begin with `go_on`.
    """
    stream = stream or (sys.stderr if err else sys.stdout)
    line, width = safe(text), None if exact else _width(stream)
    rows = [line] if width is None else split_rows(line, width - len(go_on), width)
    for number, row in enumerate(rows):
        shown = f"{go_on}{row}" if number else row
        _print(click.style(shown, bold=True) if bold and stream.isatty() else shown, stream)


def say_aside(line: str) -> None:
    """Print what must not get into a command's output."""
    say(line, err=True)


def say_waiting(text: str) -> None:
    """Say at a terminal, on stderr, what is waited for; the next text, or "", takes its place."""
    if not sys.stderr.isatty():
        return
    room = (_width(sys.stderr) or 80) - 1
    with output_faults(sys.stderr):
        click.echo(f"\r\x1b[K{safe(text)[:room]}", file=sys.stderr, nl=False)


def say_away(host: str, why: str, advice: str) -> None:
    """Say on stderr why a host could not be asked, and what helps."""
    say(f"{host}: {why}", err=True)
    if advice:
        say(f"  → {advice}", err=True)


def ask_number(question: str, *, least: int, default: int | None) -> int:
    """Ask at the terminal for a number, until it is one. Raises click.Abort if nobody answers."""
    kind = click.IntRange(least)
    return int(click.prompt(safe(question), default=default, type=kind, err=True))


def print_log_line(line: str, stream: IO[str], before: str = "") -> None:
    """Print a line of a log between our own; each of its rows begins with `before` and a mark."""
    mark = LOG_MARK if _can_print(LOG_MARK, stream) else LOG_MARK_ASCII
    width = _width(stream)
    shown = safe_log_line(line, colour=stream.isatty())
    # the mark's bar takes two cells in some terminals
    rows = [shown] if width is None else split_rows(shown, width - len(before) - len(mark) - 1)
    for row in rows:
        _print(f"{before}{mark}{row}", stream)


def print_bare_log_line(line: str) -> None:
    """Print a line of a log that is printed alone."""
    _print(safe_log_line(line, colour=sys.stdout.isatty()), sys.stdout)


def print_json(value: msgspec.Struct) -> None:
    """Print one object on one line, without credentials or anything that a terminal obeys."""
    _print(safe_json(value), sys.stdout)
    sys.stdout.flush()


def print_lines(lines: Iterable[_Line], show: Callable[[_Line], None], *, as_json: bool) -> None:
    """Print what each host answered: as one object a line, or as `show` does."""
    for line in lines:
        (print_json if as_json else show)(line)


def print_bytes(source: BinaryIO) -> None:
    """Print bytes as they are; only for `--raw`."""
    with output_faults(sys.stdout):
        shutil.copyfileobj(source, sys.stdout.buffer)
        sys.stdout.flush()


def _print(text: str, stream: IO[str]) -> None:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    with output_faults(stream):
        click.echo(text.encode(encoding, "replace").decode(encoding), file=stream)


def _can_print(text: str, stream: IO[str]) -> bool:
    try:
        text.encode(getattr(stream, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _width(stream: IO[str]) -> int | None:
    """Cells of a row; None if the stream is no terminal, or a terminal that does not say."""
    if not stream.isatty():
        return None
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except (OSError, ValueError):
        return None
