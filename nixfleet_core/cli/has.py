"""`nixfleet has`: which hosts run a fix, and how that is known."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import click
import msgspec

from nixfleet_core.cli.faults import UsageFault
from nixfleet_core.cli.output import print_json, say, say_waiting
from nixfleet_core.cli.run import for_each
from nixfleet_core.errors import HostError
from nixfleet_core.judge.exit_codes import EXIT_CODES, worst_exit
from nixfleet_core.sandbox.here import fleet_here
from nixfleet_core.session.boundary import one_host
from nixfleet_core.session.has import SeenHost, Unclear, which_have

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nixfleet_core.judge.fix import Change
    from nixfleet_core.judge.has import Answer, HasIt
    from nixfleet_core.session.conduct import Conductor
    from nixfleet_core.session.protocol import HostSession
    from nixfleet_core.session.shell_session import ShellSession

_CODES: Final[dict[Answer, int]] = {
    "yes": 0,
    "no": EXIT_CODES["stale"],
    "not proven": EXIT_CODES["stale"],
    "unreachable": EXIT_CODES["unreachable"],
}


class HasLine(msgspec.Struct, frozen=True):
    """One host in the JSON answer."""

    host: str
    answer: str
    fix: str
    title: str
    running_commit: str | None
    why: str
    evidence: tuple[str, ...]
    advice: str


def ask_hosts(sessions: Sequence[ShellSession], word: str, *, as_json: bool) -> int:
    """Look at all hosts at once and print the answer for each. Return the exit code."""
    seen = for_each(sessions, _look)
    known = sessions[0].copies.all_origins() if sessions else {}
    say_waiting("asking the input's repository, which can take minutes the first time")
    try:
        found = asyncio.run(which_have(seen, word, known, here=fleet_here() is not None))
    except OSError as error:
        raise click.ClickException(f"there is no place for the repository: {error}") from error
    finally:
        say_waiting("")
    if isinstance(found, Unclear):
        for change in found.found:
            say(f"{change.rev[:12]}  {change.title}", err=True)
        raise UsageFault(f"{found.why}; name one" if found.found else found.why)
    for note in found.notes:
        say(note, err=True)
    if not as_json:
        say(f"fix {_words(found.fix)}", bold=True)
    for name, one in found.hosts.items():
        if as_json:
            print_json(_line(name, found.fix, one))
        else:
            _print(name, one)
    return worst_exit([_CODES[one.answer] for one in found.hosts.values()])


async def _look(_: Conductor, session: HostSession) -> SeenHost:
    host = session.host
    try:
        with one_host(host.name):
            return SeenHost(host, await session.probe())
    except HostError as error:
        return SeenHost(host, None, str(error), getattr(error, "advice", ""))


def _words(fix: Change) -> str:
    return f"{fix.rev[:12]} {fix.title}".strip()


def _line(host: str, fix: Change, one: HasIt) -> HasLine:
    return HasLine(
        *(host, one.answer, fix.rev, fix.title, one.commit, one.why),
        evidence=one.evidence,
        advice=one.advice,
    )


def _print(host: str, one: HasIt) -> None:
    say(f"{host}: {one.answer}: {one.why}")
    for words in one.evidence:
        say(f"  {words}")
    if one.advice:
        say(f"  → {one.advice}")
