"""The hosts as the app knows them at this moment."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from nixfleet_core.errors import HostError, Unreachable
from nixfleet_core.host import HELD
from nixfleet_core.judge.host_filter import Listed
from nixfleet_core.judge.table_state import Assessment, assess, latest_version
from nixfleet_core.judge.verdict import snapshot
from nixfleet_core.nix.git_url import commit_of
from nixfleet_core.session.boundary import drawn, not_seen, one_host
from nixfleet_core.session.conduct import asker
from tui.text import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from nixfleet_core.facts.model import Facts, Snapshot
    from nixfleet_core.host import Host
    from nixfleet_core.judge.verdict import Verdict
    from nixfleet_core.nix.git_url import Latest
    from nixfleet_core.session.conduct import Report
    from nixfleet_core.session.latest_version import Versions
    from nixfleet_core.session.protocol import HostSession, LatestSource
    from nixfleet_core.vocabulary import Remedy, State
    from tui.jobs import JobWatcher
    from tui.known_debt import SeenDebt

STATE_ORDER: Final = (
    *("current", "unproven", "stale", "down", "starting", "offline", "no-shell", "error"),
    *("unknown", "updating"),
)

FRESH: Final = 10.0
"""Seconds for which a look at a host is fresh enough for a plan."""


LATEST_AGE: Final = 300.0
"""Seconds for which the latest commit is not asked for again without need."""

_WAITS: Final = "waits for its turn"
_ASKING: Final = "asking"


@dataclass(frozen=True, slots=True)
class Seen:
    """What we know of a host since one look at it."""

    at: float = 0.0
    """When the answer was there, or its absence was certain."""
    facts: Facts | None = None
    problem: Assessment | None = None
    """Why there are no facts, or why they cannot be read."""
    advice: str = ""
    remedies: tuple[Remedy, ...] = ()
    """What of the advice can be done at once."""


@dataclass(frozen=True, slots=True)
class Look:
    """A look that is going on, and its place in the order of questions."""

    asked: int
    task: asyncio.Task[None]


def _nobody(_: HostEntry) -> None:
    """An entry without a fleet tells nobody."""


@dataclass(slots=True, eq=False)
class HostEntry:
    """One host: what is known of it, and what the app is doing with it.

    What is known changes in `learn`, `learn_latest`, `learn_debt` and `learn_end` alone. They put
    answers in the order in which they were asked for: an answer that arrives late overwrites
    nothing newer.
    """

    session: HostSession
    look: Look | None = None
    """The newest look that is going on."""
    misses: int = 0
    """So many looks in a row saw nothing; `R` begins to count anew."""
    changes: int = 0
    """So many times has what is known of the host changed, or what is being done with it. What a
    watcher sees is not counted."""
    tell: Callable[[HostEntry], None] = _nobody
    """Told of each change, and of all that a watcher sees."""
    _report: Report | None = None
    _watcher: JobWatcher | None = None
    _holds: int = 0
    _doings: list[str] = field(default_factory=list)
    _questions: int = 0
    """So many questions were asked so far."""
    _seen: Seen = field(default_factory=Seen)
    _seen_asked: int = 0
    """Answers to earlier questions than this one no longer count."""
    _answer: Latest = None
    _version: str | None = None
    _answer_asked: int = 0
    _verdict: Verdict | None = None
    _debt: SeenDebt | None = None
    _ended: set[str] = field(default_factory=set)
    """The jobs whose end is known."""
    _judged: Assessment | None = None
    """The finding on what is known now; None until somebody asks for it."""

    # The door for answers

    def ask(self) -> int:
        """The place of a question that is asked now; each later question has a larger one."""
        self._questions += 1
        return self._questions

    def counts(self, asked: int) -> bool:
        """Whether nothing newer is known than an answer to that question."""
        return asked >= self._seen_asked

    def learn(self, asked: int, seen: Seen, verdict: Verdict | None = None) -> None:
        """Take in what a look saw, and the verdict on it, unless something newer is known."""
        if not self.counts(asked):
            return
        self._seen_asked, self._seen = asked, self._without_ended(seen)
        self.misses = self.misses + 1 if seen.facts is None else 0
        self._verdict = verdict or self._verdict
        self._has_changed()

    def learn_latest(self, asked: int, answer: Latest, version: str | None = None) -> None:
        """Take in the latest commit and what version it is said to be, or why we did not ask,
        unless something newer is known."""
        if asked >= self._answer_asked:
            self._answer_asked, self._answer, self._version = asked, answer, version
            self._has_changed()

    def learn_debt(self, asked: int, seen: SeenDebt | None) -> None:
        """Take in the restart debt, if that look could see it, unless something newer is known."""
        if seen is not None and seen.debt.is_known and self.counts(asked):
            self._debt = seen
            self._has_changed()

    def overtake(self) -> None:
        """The host has just changed: only answers to later questions count."""
        self._seen_asked = self._answer_asked = self.ask()

    def learn_end(self, job: str, verdict: Verdict | None, debt: SeenDebt | None = None) -> None:
        """A job has ended: no question of before can have the answer of afterwards, and what was
        proven before need not be so any more. `debt`: what its last look found."""
        self._ended.add(job)
        self.overtake()
        seen = self._without_ended(self._seen)
        facts = seen.facts and replace(seen.facts, expected=None, proof=None, proofs=())
        self._seen = replace(seen, facts=facts)
        self._verdict = verdict or self._verdict
        self._debt = debt if debt is not None and debt.debt.is_known else None
        self._has_changed()

    def _has_changed(self) -> None:
        self._judged = None
        self._count_change()

    def _count_change(self) -> None:
        self.changes += 1
        self.tell(self)

    def _without_ended(self, seen: Seen) -> Seen:
        """A job's unit lives on for a moment after the job's result, which is the end of it."""
        facts = seen.facts
        if facts is None or facts.job_running not in self._ended:
            return seen
        return replace(seen, facts=replace(facts, job_running=None))

    @property
    def facts(self) -> Facts | None:
        """The facts of the last look; None if it saw none."""
        return self._seen.facts

    @property
    def problem(self) -> Assessment | None:
        """Why there are no facts, or why they cannot be read."""
        return self._seen.problem

    @property
    def advice(self) -> str:
        """What helps against the problem."""
        return self._seen.advice

    @property
    def remedies(self) -> tuple[Remedy, ...]:
        """What can be done at once about the problem: there may be no connection to open."""
        if self.problem is None:
            return ()
        wanted: tuple[Remedy, ...] = (*self._seen.remedies, "refresh")
        return tuple(one for one in wanted if one != "connect" or self.session.connect_argv)

    @property
    def seen_at(self) -> float:
        """When the last look ended; 0 before the first one."""
        return self._seen.at

    @property
    def answer(self) -> Latest:
        """The latest commit, or why we did not ask."""
        return self._answer

    @property
    def verdict(self) -> Verdict | None:
        """The last verdict on the host."""
        return self._verdict

    @property
    def debt(self) -> SeenDebt | None:
        """The restart debt that was found last; None if another system is active by now, or if the
        host has booted since."""
        known = self._debt
        if known is None or self.facts is None or known.holds(self.facts):
            return known
        return None

    # The rest

    @property
    def report(self) -> Report | None:
        """The report on the last attempt to change the host."""
        return self._report

    @report.setter
    def report(self, report: Report | None) -> None:
        self._report = report
        self._count_change()

    @property
    def watcher(self) -> JobWatcher | None:
        """Who follows the host's job, or has followed its last one."""
        return self._watcher

    @watcher.setter
    def watcher(self, watcher: JobWatcher | None) -> None:
        self._watcher = watcher
        self._count_change()

    @property
    def is_followed(self) -> bool:
        """Whether a job of the host is being followed."""
        return self._watcher is not None and self._watcher.is_active

    @property
    def moves(self) -> bool:
        """Whether something is being done with the host, so that its row moves."""
        return self.is_followed or bool(self._doings)

    @property
    def doing(self) -> str:
        """A word while something is under way: asking, planning, starting, verifying."""
        return self._doings[-1] if self._doings else ""

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
    def waits(self) -> bool:
        """Whether it waits for its turn in a batch."""
        return _WAITS in self._doings

    @contextmanager
    def waiting(self, changed: Callable[[], None]) -> Iterator[None]:
        """It waits for its turn while this lasts."""
        with self.busy(_WAITS, changed):
            yield

    @property
    def left_out(self) -> str:
        """Why a batch leaves the host out, whatever the options; empty if it does not."""
        return HELD if self.host.hold else self.not_free

    @property
    def is_at_work(self) -> bool:
        """Whether the app plans or starts something there, or proves what runs."""
        return self.doing not in ("", _ASKING)

    @property
    def not_free(self) -> str:
        """Why no job can be planned for the host now; empty if one can, as far as is known."""
        if self.waits:
            return f"it {_WAITS}"
        if self.watcher is not None and self.is_followed:
            return f"the job {self.watcher.job} is running"
        if self.is_at_work:
            return f"still {self.doing}"
        if self.facts is None:
            return self.assessment.why if self.assessment else "it has not answered"
        if self.facts.job_running is not None:
            return f"the job {self.facts.job_running} is running"
        return ""

    @property
    def hindrance(self) -> str:
        """Why the last attempt started no job."""
        report = self.report
        if report is not None and report.not_begun:
            return report.not_begun
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
    def said_version(self) -> str | None:
        """What version the latest commit is said to be, by its repository: a label, no proof."""
        return self._version

    @property
    def assessment(self) -> Assessment | None:
        """None until the host has answered or failed to."""
        if self.problem is not None:
            return self.problem
        if self.facts is None:
            return None
        if self._judged is None:
            facts, answer = self.facts, self.answer
            self._judged = drawn(
                self.name,
                lambda: assess(facts, answer, self.host, self.said_version),
                lambda why: Assessment("error", why),
            )
        return self._judged

    @property
    def state(self) -> State:
        """The state that its row shows."""
        if self.is_followed:
            return "updating"
        found = self.assessment
        return found.state if found is not None else "unknown"

    @property
    def may_commit(self) -> bool:
        """Whether flake.lock is not committed, and may build what runs: the job that commits it
        proves that."""
        facts = self.facts
        return facts is not None and facts.job_running is None and not self.nothing_to_commit

    @property
    def nothing_to_commit(self) -> str:
        """Why no job needs to commit flake.lock; empty if one may."""
        checkout = self.facts.checkout if self.facts is not None else None
        if checkout is None:
            return "no checkout is known"
        if checkout.head_lock is None:
            return "flake.lock does not differ from the one of HEAD"
        if self.state not in ("current", "unproven"):
            return f"the host is {self.state}: its flake.lock is not proven to build what runs"
        return ""

    @property
    def listed(self) -> Listed:
        """The host as a filter sees it."""
        running = self.facts.running if self.facts is not None else None
        return Listed(self.host, self.state, running.binary.version if running else None)

    @property
    def sound_facts(self) -> Facts | None:
        """The facts, unless they cannot be used."""
        found = self.assessment
        return self.facts if found is not None and found.state != "error" else None

    @property
    def is_idle(self) -> bool:
        """Whether nobody looks at the host, changes it, follows its job, or talks about it."""
        return not (self.moves or self.look or self.is_held)

    @property
    def is_held(self) -> bool:
        """Whether a conversation with the operator is about this host."""
        return self._holds > 0

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold a conversation about the host: meanwhile nobody looks at it by himself, so what a
        dialog shows stays what its plan was made from."""
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1

    @contextmanager
    def busy(self, doing: str, changed: Callable[[], None]) -> Iterator[None]:
        """Show what is being done with the host while it lasts; `changed` is called on news."""
        self._doings.append(doing)
        self._count_change()
        changed()
        try:
            yield
        finally:
            self._doings.remove(doing)
            self._count_change()
            changed()

    def host_time(self, now: float) -> float:
        """What the host's clock says at that moment of ours, as far as it told us."""
        told = self.facts.now if self.facts is not None else None
        return told + now - self.seen_at if told else now

    def snapshot(self) -> Snapshot:
        """The last look, in the form that a verdict compares."""
        return snapshot(self.facts, self.host.input)


@dataclass(frozen=True, slots=True)
class Overview:
    """What the hosts have in common, or are together."""

    latest: Mapping[str, str]
    """The latest for each host: its version if the fleet knows it, else the one that it is said to
    be, else the short commit.

    For a host that has not said where its input comes from, we assume the commit that all others
    with an input of that name follow, if that is one commit.
    """
    counts: Sequence[tuple[State, int]]
    """How many hosts are in each state, states in a fixed order, empty ones left out."""
    asking: int
    """So many hosts are being asked."""
    common: str | None
    """The latest commit, if all hosts whose latest is known follow the same one."""


@dataclass(slots=True)
class Fleet:
    """All hosts, in the order of the inventory. It knows which of them have changed, so nobody has
    to look at all of them to find out."""

    latest_source: LatestSource
    clock: Callable[[], float]
    entries: dict[str, HostEntry] = field(default_factory=dict)
    moving: set[HostEntry] = field(default_factory=set)
    """The hosts with which something is being done."""
    _news: set[HostEntry] = field(default_factory=set)
    _known: dict[HostEntry, tuple[int, bool]] = field(default_factory=dict)
    """Of each host: how much had changed, and whether its job was followed, when it was heard."""
    _overview: Overview | None = None
    """None until somebody asks for it."""
    _latest: Mapping[str, str] = field(default_factory=dict)
    _versions: Versions | None = None
    _times: dict[str, int | None] = field(default_factory=dict)
    """When a commit was made, as far as it was asked for."""

    def __post_init__(self) -> None:
        for entry in self.entries.values():
            entry.tell = self._hear
            self._hear(entry)

    @classmethod
    def of(
        cls, sessions: Sequence[HostSession], latest: LatestSource, clock: Callable[[], float]
    ) -> Fleet:
        entries = {session.host.name: HostEntry(session) for session in sessions}
        return cls(latest, clock, entries)

    async def look(
        self, entry: HostEntry, changed: Callable[[], None], *, again: bool = False
    ) -> None:
        """Probe one host, then ask for its latest commit; `changed` is called on news.

        `again`: nobody has asked for this look, so nothing shows that it goes on, and it costs
        little: nix and the repository are asked only if something has changed.
        """
        asked, before = entry.ask(), entry.facts
        ask = asker(self.latest_source, entry.host)
        ask_cheaply = asker(self.latest_source, entry.host, age=LATEST_AGE)
        looked = await self._probe(entry, changed, again=again)
        try:
            with one_host(entry.name):
                if (facts := entry.facts) is not None:
                    # a lock file that has changed may name a commit newer than the last answer
                    known = again and before is not None and _lock(entry, before) == _lock(entry)
                    answer = await (ask_cheaply if known else ask)(facts)
                    version = await self._version(entry.host, facts, answer)
                    entry.learn_latest(asked, answer, version)
        except Unreachable as error:
            entry.learn(looked, self._unseen(error, entry.facts))
        changed()

    async def _version(self, host: Host, facts: Facts, latest: Latest) -> str | None:
        """What version the latest commit is said to be, if a clone is there that tells it."""
        if self._versions is None:
            # clones of repositories cost the start
            from nixfleet_core.session.latest_version import Versions

            self._versions = Versions(here=self.latest_source.here)
        return await self._versions.of(host, facts, latest)

    async def look_if_old(self, entry: HostEntry, changed: Callable[[], None]) -> None:
        """Probe the host, unless it answered or was offline just now."""
        if entry.look is not None or self.clock() - entry.seen_at > FRESH:
            await self._probe(entry, changed)

    async def prove_idly(self, entry: HostEntry) -> None:
        """Let an idle host evaluate its flake for a proof; a host that does not answer waits for
        the next look."""
        facts = entry.facts
        if facts is None:
            return
        asked = entry.ask()
        with suppress(HostError), one_host(entry.name):
            entry.learn(asked, Seen(self.clock(), await entry.session.prove_idly(facts)))

    async def _probe(
        self, entry: HostEntry, changed: Callable[[], None], *, again: bool = False
    ) -> int:
        """Ask the host, or wait for the look that is going on, if its answer will count. Return
        that look's place among the questions."""
        look = entry.look
        if look is None or not entry.counts(look.asked):
            asked = entry.ask()
            look = entry.look = Look(
                asked, asyncio.create_task(self._ask(entry, asked, again=again))
            )
        with nullcontext() if again else entry.busy(_ASKING, changed):
            await asyncio.shield(look.task)
        return look.asked

    async def _ask(self, entry: HostEntry, asked: int, *, again: bool) -> None:
        try:
            with one_host(entry.name):
                facts = await entry.session.probe(again=again)
            entry.learn(asked, Seen(self.clock(), facts))
        except Unreachable as error:
            entry.learn(asked, self._unseen(error))
        finally:
            if entry.look is not None and entry.look.asked == asked:
                entry.look = None

    def _unseen(self, error: Unreachable, facts: Facts | None = None) -> Seen:
        return Seen(self.clock(), facts, not_seen(error), error.advice, error.remedies)

    def news(self) -> set[HostEntry]:
        """The hosts that have changed since this was asked for the last time: what is known of
        them, what is being done with them, or what the watchers of their jobs see."""
        news, self._news = self._news, set()
        return news

    def _hear(self, entry: HostEntry) -> None:
        self._news.add(entry)
        if entry.moves:
            self.moving.add(entry)
        else:
            self.moving.discard(entry)
        known = (entry.changes, entry.is_followed)
        if self._known.get(entry) != known:
            self._known[entry] = known
            self._overview = None
            self._times.clear()

    @property
    def overview(self) -> Overview:
        """It is made anew only after a change of what is known, or of what is being done."""
        if self._overview is None:
            entries = self.entries.values()
            states = Counter(entry.state for entry in entries if entry.assessment)
            revs = {entry.latest for entry in entries if entry.latest}
            self._latest = self._find_latest()
            self._overview = Overview(
                latest=self._latest,
                counts=[(state, states[state]) for state in STATE_ORDER if state in states],
                asking=sum(entry.doing == _ASKING for entry in self.moving),
                common=next(iter(revs)) if len(revs) == 1 else None,
            )
        return self._overview

    def _find_latest(self) -> Mapping[str, str]:
        """The same object as before, if nothing has changed in it."""
        judged = [one for entry in self.entries.values() if (one := entry.assessment)]
        by_input: dict[str, set[str]] = {}
        for entry in self.entries.values():
            if entry.latest:
                by_input.setdefault(entry.host.input, set()).add(entry.latest)
        revs = set().union(*by_input.values())
        proven = {rev: latest_version(rev, judged) for rev in revs}
        said: dict[str, set[str]] = {rev: set() for rev in revs}
        for entry in self.entries.values():
            if entry.latest and entry.said_version:
                said[entry.latest].add(entry.said_version)
        found: dict[str, str] = {}
        for entry in self.entries.values():
            others = by_input.get(entry.host.input, set())
            rev = entry.latest or (next(iter(others)) if len(others) == 1 else None)
            if rev is not None:
                # no host's repository speaks for a host that has named its own
                versions = {entry.said_version} if entry.latest else said[rev]
                label = next(iter(versions)) if len(versions) == 1 else None
                found[entry.name] = proven[rev] or label or rev[:7]
        return self._latest if found == self._latest else found

    def latest_time(self, rev: str) -> int | None:
        """When the commit was made, if some host's lock names it."""
        if rev not in self._times:
            self._times[rev] = self._find_time(rev)
        return self._times[rev]

    def _find_time(self, rev: str) -> int | None:
        for entry in self.entries.values():
            facts = entry.sound_facts
            found = facts.find_input(entry.host.input) if facts else None
            if found is not None and found.rev == rev:
                return found.last_modified
        return None


def _lock(entry: HostEntry, facts: Facts | None = None) -> str | None:
    """The commit that flake.lock names for the host's input."""
    facts = facts or entry.facts
    return facts.lock_rev(entry.host.input) if facts else None
