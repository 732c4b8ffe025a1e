"""The hosts as the app knows them at this moment."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from nixfleet_core.errors import Unreachable
from nixfleet_core.judge.table_state import Assessment, assess, latest_version
from nixfleet_core.judge.verdict import snapshot
from nixfleet_core.nix.git_url import commit_of
from nixfleet_core.session.boundary import drawn, not_seen, one_host
from nixfleet_core.session.conduct import asker
from tui.text import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from nixfleet_core.facts.model import Facts, Snapshot
    from nixfleet_core.host import Host
    from nixfleet_core.judge.verdict import Verdict
    from nixfleet_core.nix.git_url import Latest
    from nixfleet_core.session.conduct import Report
    from nixfleet_core.session.protocol import HostSession, LatestSource
    from tui.jobs import JobWatcher

STATE_ORDER: Final = (
    *(
        "current",
        "unproven",
        "stale",
        "down",
        "starting",
        "offline",
        "no-shell",
        "error",
        "unknown",
    ),
    "updating",
)

FRESH: Final = 10.0
"""Seconds for which a look at a host is fresh enough for a plan."""


@dataclass(slots=True, eq=False)
class HostEntry:
    """One host: the last look at it, and what the app is doing with it."""

    session: HostSession
    facts: Facts | None = None
    seen_at: float = 0.0
    problem: Assessment | None = None
    """Why there are no facts, or why they cannot be read."""
    advice: str = ""
    at_terminal: bool = False
    """A person helps whom ssh can ask at the terminal."""
    answer: Latest = None
    """The latest commit, or why we did not ask."""
    doing: str = ""
    """A word while something is under way: asking, planning, starting, verifying."""
    probe: asyncio.Task[None] | None = None
    """The look that is going on."""
    report: Report | None = None
    """The report on the last attempt to change the host."""
    verdict: Verdict | None = None
    watcher: JobWatcher | None = None
    _judged: tuple[Facts, Latest, Assessment] | None = None
    """The facts and the latest commit that were judged last, and the finding."""

    @property
    def host(self) -> Host:
        return self.session.host

    @property
    def name(self) -> str:
        return self.session.host.name

    @property
    def label(self) -> str:
        """Its name as a screen shows it."""
        return plain(self.name)

    @property
    def hindrance(self) -> str:
        """Why the last attempt started no job."""
        report = self.report
        if report is None or report.verdict is None or report.job is not None:
            return ""
        return "no password was given" if report.declined else report.verdict.sentence

    @property
    def note(self) -> str:
        """The same as a line of its own."""
        return f"not started: {self.hindrance}" if self.hindrance else ""

    @property
    def latest(self) -> str | None:
        """The latest commit, if it is known."""
        return commit_of(self.answer)

    @property
    def assessment(self) -> Assessment | None:
        """None until the host has answered or failed to."""
        if self.problem is not None:
            return self.problem
        if self.facts is None:
            return None
        facts, answer, judged = self.facts, self.answer, self._judged
        if judged is None or judged[0] is not facts or judged[1] != answer:
            found = drawn(
                self.name,
                lambda: assess(facts, answer, self.host),
                lambda why: Assessment("error", why),
            )
            self._judged = judged = (facts, answer, found)
        return judged[2]

    @property
    def sound_facts(self) -> Facts | None:
        """The facts, unless they cannot be used."""
        found = self.assessment
        return self.facts if found is not None and found.state != "error" else None

    def lost(self, error: Unreachable) -> None:
        """Keep why the host cannot be seen, and what helps."""
        self.problem, self.advice = not_seen(error), error.advice
        self.at_terminal = error.at_terminal

    @contextmanager
    def busy(self, doing: str, changed: Callable[[], None]) -> Iterator[None]:
        """Show what is being done with the host while it lasts; `changed` is called on news."""
        self.doing = doing
        changed()
        try:
            yield
        finally:
            self.doing = ""
            changed()

    def snapshot(self) -> Snapshot:
        """The last look, in the form that a verdict compares."""
        return snapshot(self.facts, self.host.input)


@dataclass(slots=True)
class Fleet:
    """All hosts, in the order of the inventory."""

    latest_source: LatestSource
    clock: Callable[[], float]
    entries: dict[str, HostEntry] = field(default_factory=dict)

    @classmethod
    def of(
        cls, sessions: Sequence[HostSession], latest: LatestSource, clock: Callable[[], float]
    ) -> Fleet:
        entries = {session.host.name: HostEntry(session) for session in sessions}
        return cls(latest, clock, entries)

    async def look(self, entry: HostEntry, changed: Callable[[], None]) -> None:
        """Probe one host, then ask for its latest commit; `changed` is called on news."""
        ask = asker(self.latest_source, entry.host)
        await self._probe(entry, changed)
        try:
            with one_host(entry.name):
                if entry.facts is not None:
                    entry.answer = await ask(entry.facts)
        except Unreachable as error:
            entry.lost(error)
        changed()

    async def look_if_old(self, entry: HostEntry, changed: Callable[[], None]) -> None:
        """Probe the host, unless it answered or was offline just now."""
        if entry.probe is not None or self.clock() - entry.seen_at > FRESH:
            await self._probe(entry, changed)

    async def _probe(self, entry: HostEntry, changed: Callable[[], None]) -> None:
        """Ask the host, or wait for the look that is going on."""
        if entry.probe is None:
            entry.probe = asyncio.create_task(self._ask(entry, changed))
        await asyncio.shield(entry.probe)

    async def _ask(self, entry: HostEntry, changed: Callable[[], None]) -> None:
        with entry.busy("asking", changed):
            try:
                with one_host(entry.name):
                    entry.facts = await entry.session.probe()
                entry.problem, entry.advice, entry.at_terminal = None, "", False
            except Unreachable as error:
                entry.facts = None
                entry.lost(error)
            finally:
                entry.seen_at, entry.probe = self.clock(), None

    def latest_labels(self) -> dict[str, str]:
        """The latest for each host: its version if the fleet knows it, else the short commit.

        For a host that has not said where its input comes from, we assume the commit that all
        others with an input of that name follow, if that is one commit.
        """
        seen = [
            (facts, entry.host) for entry in self.entries.values() if (facts := entry.sound_facts)
        ]
        by_input: dict[str, set[str]] = {}
        for entry in self.entries.values():
            if entry.latest:
                by_input.setdefault(entry.host.input, set()).add(entry.latest)
        revs = set().union(*by_input.values())
        labels = {rev: latest_version(rev, seen) or rev[:7] for rev in revs}
        found: dict[str, str] = {}
        for entry in self.entries.values():
            others = by_input.get(entry.host.input, set())
            rev = entry.latest or (next(iter(others)) if len(others) == 1 else None)
            if rev is not None:
                found[entry.name] = labels[rev]
        return found

    def latest_time(self, rev: str) -> int | None:
        """When the commit was made, if some host's lock names it."""
        for entry in self.entries.values():
            facts = entry.sound_facts
            found = facts.find_input(entry.host.input) if facts else None
            if found is not None and found.rev == rev:
                return found.last_modified
        return None

    def counts(self) -> list[tuple[str, int]]:
        """How many hosts are in each state, states in a fixed order, empty ones left out."""
        states = [found.state for entry in self.entries.values() if (found := entry.assessment)]
        return [(state, states.count(state)) for state in STATE_ORDER if state in states]
