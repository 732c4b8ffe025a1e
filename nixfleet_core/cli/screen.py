"""The screen that the commands may be given: they know that there is an app, and not which."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

import click

from nixfleet_core.judge.verdict import EXIT_USAGE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nixfleet_core.session.protocol import HostSession


class Screen(Protocol):
    """What opens the app. Both return the exit code once the operator has left it."""

    def open(self, sessions: Sequence[HostSession], *, ascii_only: bool, mouse: bool) -> int:
        """Open the app on these hosts."""
        ...

    def open_demo(self, speed: float) -> int:
        """Open it on a sandbox fleet, which is gone afterwards."""
        ...


class NoTerminal(click.ClickException):
    """The app was started where there is no terminal."""

    exit_code = EXIT_USAGE


def require_terminal() -> None:
    """Raises NoTerminal unless input, output and errors all are one: the app draws on the last."""
    if not all(os.isatty(fd) for fd in (0, 1, 2)):
        raise NoTerminal("the app needs a terminal; the commands do not, see nixfleet --help")
