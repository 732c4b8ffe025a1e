"""`nixfleet journal`: the agent's own log, printed as it comes."""

from __future__ import annotations

import asyncio
import io
import signal
import sys
from typing import TYPE_CHECKING

import click

from nixfleet_core.cli.faults import UsageFault
from nixfleet_core.cli.output import print_bare_log_line, print_bytes, say, say_away
from nixfleet_core.cli.run import ask_for_password
from nixfleet_core.errors import NeedsPassword, NoLog, NotAllowed, NoTimes, Unreachable
from nixfleet_core.job.events import Link
from nixfleet_core.journal.wanted import Grew, Opened
from nixfleet_core.judge.exit_codes import EXIT_CODES
from nixfleet_core.sandbox.here import latest_here
from nixfleet_core.session.conduct import Conductor
from nixfleet_core.session.passwords import Passwords

if TYPE_CHECKING:
    from nixfleet_core.journal.copy import JournalCopy
    from nixfleet_core.journal.wanted import JournalEvent, Wanted
    from nixfleet_core.session.protocol import HostSession


def print_journal(session: HostSession, wanted: Wanted, *, raw: bool) -> int:
    """Print the log; return the exit code. ctrl-c ends a log that is followed, and is no error."""
    if raw and sys.stdout.isatty():
        say(
            "--raw: this terminal obeys control characters in the log; a pipe or a file does not",
            err=True,
        )
    return asyncio.run(_print(session, wanted, raw=raw))


async def _print(session: HostSession, wanted: Wanted, *, raw: bool) -> int:
    name = session.host.name
    conductor = Conductor(latest_here(), Passwords(ask_for_password))
    copy: JournalCopy | None = None
    try:
        copy = session.journal_copy()
        printer = _Printer(name, copy, raw=raw)
        reading = asyncio.ensure_future(conductor.journal(session, copy, wanted, printer.tell))
        if wanted.follow:
            loop = asyncio.get_running_loop()
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                loop.add_signal_handler(number, reading.cancel)
        await asyncio.wait((reading,))
        if not reading.cancelled():
            reading.result()
    except NoTimes as error:
        raise UsageFault(f"{name}: {error}") from error
    except NoLog as error:
        raise click.ClickException(f"{name}: {error}") from error
    except (NeedsPassword, NotAllowed) as error:
        raise click.ClickException(
            f"{error}; only root and the group systemd-journal may read the agent's journal there"
        ) from error
    except Unreachable as error:
        say_away(name, str(error), error.advice)
        return EXIT_CODES["unreachable"]
    finally:
        if copy is not None:
            copy.close()
    return 0


class _Printer:
    """Prints what has come of a log, and on stderr what becomes of the link."""

    def __init__(self, host: str, copy: JournalCopy, *, raw: bool) -> None:
        self._host, self._copy, self._raw = host, copy, raw
        self._printed: dict[str, int] = {}
        self._is_up = True

    def tell(self, event: JournalEvent) -> None:
        match event:
            case Grew():
                self._print_news()
            case Opened() | Link(up=True):
                self._say_link(up=True, said="it answers again")
            case Link(why=why):
                self._say_link(up=False, said=f"{why}; waiting for the host")

    def _print_news(self) -> None:
        for path in self._copy.raw_files if self._raw else (self._copy.text,):
            at = self._printed.get(path.name, 0)
            data = self._copy.read(path, at)
            self._printed[path.name] = at + len(data)
            if self._raw:
                print_bytes(io.BytesIO(data))
            else:
                for line in data.decode("utf-8", "replace").splitlines():
                    print_bare_log_line(line)
        sys.stdout.flush()

    def _say_link(self, *, up: bool, said: str) -> None:
        if up != self._is_up:
            self._is_up = up
            say(f"{self._host}: {said}", err=True)
