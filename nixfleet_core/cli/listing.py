"""`nixfleet hosts` and `nixfleet jobs`: what hosts run, and which jobs they have had."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec
from humanize import naturaldelta

from nixfleet_core.cli.output import print_json, say, say_away, say_waiting
from nixfleet_core.cli.run import for_each
from nixfleet_core.errors import Unreachable
from nixfleet_core.judge.exit_codes import worst_exit
from nixfleet_core.judge.host_filter import Filter, Listed
from nixfleet_core.judge.running_commit import RunningCommit
from nixfleet_core.judge.table_state import Assessment, assess, latest_version
from nixfleet_core.judge.verdict import Verdict
from nixfleet_core.log.display import safe
from nixfleet_core.nix.git_url import commit_of
from nixfleet_core.sandbox.here import latest_here
from nixfleet_core.session.boundary import drawn, not_seen, one_host
from nixfleet_core.session.conduct import Conductor, asker
from nixfleet_core.session.latest_version import Versions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nixfleet_core.facts.model import Binary, Facts
    from nixfleet_core.host import Host
    from nixfleet_core.session.protocol import HostSession, LatestSource
    from nixfleet_core.vocabulary import State

    S = TypeVar("S", bound=HostSession)


PATIENCE = 1.0
"""Seconds after which an operator at a terminal is told who is waited for."""

_TITLES: Final = ("HOST", "WHERE", "RUNNING", "INSTALLED", "LATEST", "STATE", "BUILT FROM", "WHY")


@dataclass(frozen=True, slots=True)
class SeenHost:
    """What a look at one host found; `facts` is None if it did not answer."""

    host: Host
    facts: Facts | None
    latest: str | None
    assessment: Assessment
    version: str | None = None
    """What version the latest commit is said to be."""

    @property
    def needs_proof(self) -> bool:
        """Neither proven nor refuted; or nobody knows, as it did not answer."""
        return self.facts is None or self.assessment.state == "unproven"


class AgentLine(msgspec.Struct, frozen=True):
    version: str | None
    store_path: str | None


class SeenHostLine(msgspec.Struct, frozen=True):
    """One host in the JSON answer."""

    host: str
    where: str
    state: str
    why: str
    proven_age: int | None
    """Of an unproven host: seconds since its last proof; null if there is none."""
    os: str | None
    nix: str | None
    running: AgentLine
    installed: AgentLine
    running_commit: RunningCommit | None
    """What the running agent was built from, if that is proven."""
    commit: str | None
    latest: str | None
    latest_version: str | None
    """What version that commit is said to be, by its repository: a label, no proof."""
    job: str | None
    held: bool
    """The inventory holds it: nothing that is done to several hosts includes it."""
    remembered: bool
    """The flake could not be asked now: it named this host the last time that it could."""


def list_hosts(
    sessions: Sequence[HostSession], states: tuple[State, ...] = (), *, as_json: bool
) -> None:
    """Probe all hosts at once and print a line for each that is in one of the states, or for each,
    in the inventory's order."""
    seen = asyncio.run(look(sessions))
    rows = _in_states(seen, states)
    if as_json:
        for row in rows:
            print_json(drawn(row.host.name, partial(_line, row), partial(_no_line, row)))
    elif rows:
        _print_table(rows, [row.assessment for row in seen])


def chosen_by_look(
    sessions: Sequence[S], states: tuple[State, ...], *, unproven: bool = False
) -> tuple[S, ...]:
    """Look at the hosts, and choose those in one of the states; with `unproven` those of them that
    need a proof. Without either it chooses all hosts, and looks at none."""
    if not states and not unproven:
        return tuple(sessions)
    rows = _in_states(asyncio.run(look(sessions)), states)
    chosen = {row.host.name for row in rows if row.needs_proof or not unproven}
    if rows and not chosen:
        say("no host is unproven", err=True)
    return tuple(session for session in sessions if session.host.name in chosen)


def _in_states(rows: Sequence[SeenHost], states: tuple[State, ...]) -> list[SeenHost]:
    """The hosts in one of the states, or all. Says on stderr which others gave no answer, as they
    may be in that state, and if there is none."""
    wanted = Filter.choosing(states=states)
    chosen = [row for row in rows if wanted.shows(Listed(row.host, row.assessment.state))]
    away = [row for row in rows if row.facts is None and row not in chosen]
    if away:
        names = ", ".join(f"{row.host.name} ({row.assessment.state})" for row in away)
        say(f"left out, as there is no answer: {names}", err=True)
    if rows and not chosen:
        say(f"no host has the state {' or '.join(states)}", err=True)
    return chosen


async def look(sessions: Sequence[HostSession]) -> list[SeenHost]:
    """Probe all hosts at once."""
    latest = latest_here()
    versions = Versions(here=latest.here)
    looks = {
        one.host.name: asyncio.create_task(_look_at(one, latest, versions)) for one in sessions
    }
    began, waiting = time.monotonic(), set(looks.values())
    try:
        while waiting:
            _, waiting = await asyncio.wait(waiting, timeout=PATIENCE)
            if waiting:
                names = ", ".join(name for name, look in looks.items() if look in waiting)
                say_waiting(f"{time.monotonic() - began:.0f} s, waiting for {names}")
    finally:
        say_waiting("")
    return [look.result() for look in looks.values()]


async def _look_at(session: HostSession, source: LatestSource, versions: Versions) -> SeenHost:
    host = session.host
    try:
        with one_host(host.name):
            ask = asker(source, host)
            facts = await session.probe()
            latest = await ask(facts)
            version = await versions.of(host, facts, latest)
            found = assess(facts, latest, host, version)
            return SeenHost(host, facts, commit_of(latest), found, version)
    except Unreachable as error:
        seen = not_seen(error)
        why = "; ".join(part for part in (seen.why, error.advice) if part)
        return SeenHost(host, None, None, replace(seen, why=why))


def _print_table(rows: list[SeenHost], seen: list[Assessment]) -> None:
    """`seen`: what is known of all hosts, also of those without a row."""
    cells: list[tuple[str, ...]] = [_TITLES]
    cells += [
        drawn(row.host.name, partial(_cells, row, seen), partial(_no_cells, row)) for row in rows
    ]
    last = len(_TITLES) - 1
    widths = [max(len(line[column]) for line in cells) for column in range(last)]
    for number, line in enumerate(cells):
        text = "  ".join([cell.ljust(width) for cell, width in zip(line, widths, strict=False)])
        text = f"{text}  {line[last]}".rstrip()
        say(text, bold=number == 0)


def _cells(row: SeenHost, seen: list[Assessment]) -> tuple[str, ...]:
    facts = row.facts
    latest = row.latest and (
        latest_version(row.latest, seen) or row.version or safe(row.latest)[:7]
    )
    cells = (
        row.host.name,
        row.host.listed_where,
        _version(facts.running.binary if facts and facts.running else None),
        _version(facts.installed if facts else None),
        latest or "–",
        row.assessment.state,
        _built_from(row.assessment.running_commit),
        _why(row.assessment),
    )
    return tuple(safe(cell) for cell in cells)


def _built_from(found: RunningCommit | None) -> str:
    """The commit, and its age."""
    if found is None:
        return "–"
    age = f", {naturaldelta(found.age)} old" if found.age is not None else ""
    return f"{found.commit[:7]}{age}"


def _why(found: Assessment) -> str:
    if found.proven_age is None:
        return found.why
    return f"{found.why}; proven {naturaldelta(found.proven_age)} ago"


def _no_cells(row: SeenHost, why: str) -> tuple[str, ...]:
    """The cells of a host that cannot be shown."""
    return row.host.name, row.host.listed_where, "–", "–", "–", "error", "–", safe(why)


def _no_line(row: SeenHost, why: str) -> SeenHostLine:
    return _line(SeenHost(row.host, None, None, Assessment("error", why)))


def _version(binary: Binary | None) -> str:
    if binary is None:
        return "–"
    return binary.version or safe(binary.identity).removeprefix("/nix/store/")[:8]


def _line(row: SeenHost) -> SeenHostLine:
    facts = row.facts
    return SeenHostLine(
        host=row.host.name,
        where=row.host.where,
        held=row.host.hold,
        remembered=row.host.remembered,
        state=row.assessment.state,
        why=row.assessment.why,
        proven_age=row.assessment.proven_age,
        os=facts.os if facts else None,
        nix=str(facts.nix) if facts and facts.nix else None,
        running=_agent(facts.running.binary if facts and facts.running else None),
        installed=_agent(facts.installed if facts else None),
        running_commit=row.assessment.running_commit,
        commit=facts.lock_rev(row.host.input) if facts else None,
        latest=row.latest,
        latest_version=row.version,
        job=facts.job_running if facts else None,
    )


def _agent(binary: Binary | None) -> AgentLine:
    return AgentLine(
        version=binary.version if binary else None,
        store_path=binary.store_path if binary else None,
    )


class JobRow(msgspec.Struct, frozen=True):
    """One job in the JSON answer."""

    host: str
    job: str
    at: int
    asked_by: str
    goal: str
    outcome: str
    failed_step: str
    seconds: int | None
    unreadable: str


def list_jobs(sessions: Sequence[HostSession], *, as_json: bool) -> int:
    """Print the jobs of all hosts, newest first within each; the exit code."""
    codes: list[int] = []
    rows: list[JobRow] = []
    found = for_each(sessions, Conductor.jobs)
    for session, jobs in zip(sessions, found, strict=True):
        name = session.host.name
        if isinstance(jobs, Verdict):
            say_away(name, jobs.sentence, jobs.advice)
            codes.append(jobs.exit_code)
        elif not jobs:
            say(f"{name} has had no job", err=True)
        else:
            rows += [
                JobRow(
                    *(name, j.job, j.at, j.asked_by, j.goal, j.outcome, j.failed_step, j.seconds),
                    unreadable=j.unreadable,
                )
                for j in jobs
            ]
    for row in rows:
        if as_json:
            print_json(row)
        else:
            step = f" ({row.failed_step})" if row.failed_step else ""
            took = f"{row.seconds} s" if row.seconds is not None else "–"
            line = f"{row.host:<12}  {row.job}  {row.goal:<8}  {took:>6}  {row.outcome}{step}"
            say(f"{line}  {row.unreadable or row.asked_by}".rstrip())
    return worst_exit(codes)
