"""What ends a command before it contacts a host: a wrong command line or inventory, or no hosts."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

import click

from nixfleet_core.cli.output import say, say_aside
from nixfleet_core.judge.exit_codes import EXIT_USAGE
from nixfleet_core.session.no_hosts import no_hosts_words

if TYPE_CHECKING:
    from nixfleet_core.session.no_hosts import Searched


class UsageFault(click.ClickException):
    """A wrong command line or inventory."""

    exit_code = EXIT_USAGE


class NoHosts(UsageFault):
    """There are no hosts. It is shown with the places where they were looked for, and with what to
    write."""

    def __init__(self, message: str, searched: Searched) -> None:
        super().__init__(message)
        self.searched = searched

    def show(self, file: IO[Any] | None = None) -> None:
        super().show(file)
        words = no_hosts_words(self.searched)
        for line in (*words.before_example(), ""):
            say_aside(line)
        for line in words.example.splitlines():
            say(line, err=True, exact=True)  # it will be copied
        for line in ("", *words.after_example()):
            say_aside(line)
