"""`nixfleet debt`: which units run programs of an older system, and how each is paid."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal

import msgspec

from nixfleet_core.cli.output import print_lines, say
from nixfleet_core.cli.run import for_each
from nixfleet_core.errors import HostError, Unreachable
from nixfleet_core.judge.debt import (
    REBOOT,
    Apart,
    Boot,
    Debt,
    Owing,
    apart_words,
    debt_sentence,
    old_and_new,
)
from nixfleet_core.judge.exit_codes import EXIT_CODES, worst_exit
from nixfleet_core.session.boundary import one_host
from nixfleet_core.vocabulary import NoAnswer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nixfleet_core.session.conduct import Conductor
    from nixfleet_core.session.protocol import HostSession


class DebtLine(msgspec.Struct, frozen=True):
    """One host in the JSON answer; `cause` is "" if it answered."""

    host: str
    cause: NoAnswer | Literal[""]
    sentence: str
    units: tuple[Owing, ...] = ()
    boot: tuple[Boot, ...] = ()
    apart: Apart = Apart()
    unseen: int = 0
    not_seen: tuple[str, ...] = ()
    help: str = ""


def look_at_hosts(sessions: Sequence[HostSession], *, as_json: bool) -> int:
    """Look at all hosts at once and print what each owes. Return the exit code."""
    lines = for_each(sessions, _look)
    print_lines(lines, _print, as_json=as_json)
    return worst_exit([_exit_code(line) for line in lines])


async def _look(conductor: Conductor, session: HostSession) -> DebtLine:
    host = session.host.name
    try:
        with one_host(host):
            debt = await conductor.debt(session)
    except HostError as error:
        cause = error.cause if isinstance(error, Unreachable) else "client-failed"
        return DebtLine(host, cause, str(error), help=getattr(error, "advice", ""))
    return DebtLine(
        *(host, "", debt_sentence(debt), debt.units, debt.boot, debt.apart),
        unseen=debt.unseen,
        not_seen=debt.not_seen,
    )


def _exit_code(line: DebtLine) -> int:
    if line.cause:
        return EXIT_CODES["unreachable"]
    debt = Debt(line.units, line.boot, unseen=line.unseen, not_seen=line.not_seen)
    if debt.is_some:
        return EXIT_CODES["stale"]
    if not debt.is_known:
        return EXIT_CODES["failed"]
    return 0 if debt.is_whole else EXIT_CODES["partial"]


def _print(line: DebtLine) -> None:
    say(f"{line.host}: {f'{line.cause}: ' if line.cause else ''}{line.sentence}", bold=True)
    if line.help:
        say(f"  → {line.help}")
    for one in line.units:
        whose = "" if one.uid is None else f" (user {one.uid})"
        say(f"  {one.unit}{whose}  {old_and_new(one)}")
        say(f"    since {_when(one.since)}{f'; {one.reason}' if one.reason else ''}")
        say(f"    → {one.pay}")
    for part in line.boot:
        say(f"  {part.part}  {old_and_new(part)}")
    if line.boot:
        say(f"    → {REBOOT}")
    if words := apart_words(line.apart):
        say(f"  {words}")


def _when(at: int) -> str:
    """A time of the host, as this machine's clock shows it."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))
