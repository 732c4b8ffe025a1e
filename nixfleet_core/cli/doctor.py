"""`nixfleet doctor`: all that an update of each host rests on. Anybody may see its output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec

from nixfleet_core.cli.output import print_lines, say
from nixfleet_core.cli.run import for_each
from nixfleet_core.errors import Unreachable
from nixfleet_core.judge.checkup import Point, check_up, given_names
from nixfleet_core.judge.exit_codes import EXIT_CODES, worst_exit
from nixfleet_core.log.addresses import hide_addresses
from nixfleet_core.session.boundary import one_host
from nixfleet_core.vocabulary import NoAnswer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nixfleet_core.session.conduct import Conductor
    from nixfleet_core.session.protocol import HostSession

EXIT_WRONG: Final = 3
"""Something is wrong with a host."""


class DoctorLine(msgspec.Struct, frozen=True):
    """One host in the JSON answer; `cause` is "" if it answered."""

    host: str
    cause: NoAnswer | Literal[""]
    sentence: str
    points: tuple[Point, ...]
    help: str = ""


def examine_hosts(sessions: Sequence[HostSession], *, as_json: bool) -> int:
    """Look at all hosts at once and print the points of each. Return the exit code."""
    lines = for_each(sessions, _examine)
    print_lines(lines, _print, as_json=as_json)
    return worst_exit([_exit_code(line) for line in lines])


async def _examine(_: Conductor, session: HostSession) -> DoctorLine:
    host = session.host
    try:
        with one_host(host.name):
            points = check_up(host, await session.inspect())
    except Unreachable as error:
        given = given_names(host)
        sentence, advice = (hide_addresses(text, given) for text in (str(error), error.advice))
        return DoctorLine(host.name, error.cause, sentence, (), advice)
    wrong = sum(point.state == "wrong" for point in points)
    sentence = f"{wrong} of {len(points)} points are wrong" if wrong else "nothing is wrong"
    return DoctorLine(host.name, "", sentence, points)


def _exit_code(line: DoctorLine) -> int:
    if line.cause:
        return EXIT_CODES["unreachable"]
    return EXIT_WRONG if any(point.state == "wrong" for point in line.points) else 0


def _print(line: DoctorLine) -> None:
    say(f"{line.host}: {f'{line.cause}: ' if line.cause else ''}{line.sentence}", bold=True)
    if line.help:
        say(f"  → {line.help}")
    width = max((len(point.name) for point in line.points), default=0)
    for point in line.points:
        is_wrong = point.state == "wrong"
        say(f"  {point.state:<7}  {point.name:<{width}}  {point.seen}", bold=is_wrong)
        if point.help:
            say(f"  {'':<7}  {'':<{width}}  → {point.help}")
