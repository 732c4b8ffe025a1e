"""One host, and everything that we can ask of it or do to it. The doors use only this."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from nixfleet_core.facts.health import Health
    from nixfleet_core.facts.model import Facts
    from nixfleet_core.host import Host
    from nixfleet_core.job.copies import JobFiles
    from nixfleet_core.job.durations import Usual
    from nixfleet_core.job.events import JobEvent
    from nixfleet_core.job.history import JobLine
    from nixfleet_core.journal.copy import JournalCopy
    from nixfleet_core.journal.wanted import JournalEvent, Wanted
    from nixfleet_core.judge.debt import Debt
    from nixfleet_core.judge.diagnosis import Diagnosis
    from nixfleet_core.judge.verdict import Verdict
    from nixfleet_core.judge.ways_back import WaysBack
    from nixfleet_core.nix.git_url import Latest
    from nixfleet_core.nix.lock import Source
    from nixfleet_core.plan.model import Options, Plan, Refusal


class Launched(msgspec.Struct, frozen=True):
    """The job runs, or ran already: to launch the same id twice changes nothing."""

    job: str


class Busy(msgspec.Struct, frozen=True):
    """Another job is running on the host; attach to that one."""

    job: str


class Commit(msgspec.Struct, frozen=True):
    """A commit of nixcfg that the pull would bring."""

    rev: str
    title: str


AskLatest: TypeAlias = "Callable[[Facts], Awaitable[Latest]]"
"""Answers which commit is the latest for a host with these facts."""


class HostSession(Protocol):
    """The engine as the app and the commands see it. Every wait inside has a limit.

    All methods raise HostErrors only, whatever the host says. Those that ask the host raise
    Unreachable, and BadAnswer if its answer cannot be used. Those that need root raise
    NeedsPassword (call again after `give_password`) and NotAllowed. `follow` goes on while the host
    is unreachable.
    """

    @property
    def host(self) -> Host: ...

    @property
    def connect_argv(self) -> tuple[str, ...]:
        """The command that opens the connection at the terminal; empty if there is none to open."""
        ...

    def terminal_argv(self, facts: Facts | None = None) -> tuple[str, ...]:
        """The command that opens the operator's own shell on the host, at the terminal, in the
        checkout that the facts know, else in the inventory's; empty if there is none to open."""
        ...

    def give_password(self, password: str) -> None:
        """Keep sudo's password in memory, for this host, until the program ends."""
        ...

    async def probe(self, *, again: bool = False) -> Facts:
        """Look at the host without root: one round trip, never sudo. `again`: what nix said at an
        earlier look still counts if nix and its settings are the same; nix is then not run."""
        ...

    async def examine(self, facts: Facts) -> Facts:
        """The facts that a plan needs: these, or a look as root if we cannot read the checkout."""
        ...

    async def inspect(self) -> Health:
        """Look at all that an update rests on, without root: one round trip, never sudo. Takes up
        to some minutes, since it asks nixcfg's remote and evaluates the flake."""
        ...

    async def debt(self, *, as_root: bool = True) -> Debt:
        """Look for units that run programs of an older system. Without root, only those of this
        user can be seen. While a job runs there, it does not look."""
        ...

    async def incoming(self, facts: Facts) -> tuple[Commit, ...]:
        """The nixcfg commits that a pull would bring; changes nothing on the host."""
        ...

    def plan(self, facts: Facts, options: Options, latest: str | None = None) -> Plan | Refusal:
        """What an update would do, or why it is refused. Pure. `latest` is the commit that the
        update leads to, if it is known."""
        ...

    def plan_commit(self, facts: Facts, options: Options) -> Plan | Refusal:
        """How the flake.lock that an update has left is committed, or why it is not. Pure."""
        ...

    def plan_restart(self, facts: Facts, options: Options) -> Plan | Refusal:
        """How the agent is restarted, or why it is not. Pure."""
        ...

    async def ways_back(self, facts: Facts) -> WaysBack:
        """What the host can go back to, and what is known of each."""
        ...

    async def plan_rollback(
        self, facts: Facts, options: Options, *, keep_lock: bool, to: int | None = None
    ) -> Plan | Refusal:
        """How to go back to the generation of that number, by default to the one that `ways_back`
        names; or why not."""
        ...

    async def jobs(self) -> tuple[JobLine, ...]:
        """The host's jobs, newest first; if the host is away, the jobs that we know. Raises
        Unreachable if we know none."""
        ...

    async def launch(self, plan: Plan, job: str) -> Launched | Busy:
        """Start the job; call again with the same id if the link broke in between."""
        ...

    def follow(self, job: str) -> AsyncGenerator[JobEvent, None]:
        """All of the job's events from its start, then live, through any number of reconnects.

        Ends when the job has ended and every byte of the log is here. Goes on while the host is
        unreachable, and says so with Link events.
        """
        ...

    def files(self, job: str) -> JobFiles:
        """Where the client's copy of a job is."""
        ...

    def journal_copy(self) -> JournalCopy:
        """An empty copy for the agent's own log; close it. Raises ClientFailed."""
        ...

    def journal(self, copy: JournalCopy, wanted: Wanted) -> AsyncGenerator[JournalEvent, None]:
        """Follow the agent's own log into the copy, through any number of reconnects; go on where
        the copy ends. Raises NoLog, too."""
        ...

    def usual(self, plan: Plan) -> Usual:
        """How long such a job's parts usually take. It asks no host: it knows the jobs that were
        followed from here."""
        ...

    async def fetch_plan(self, job: str) -> Plan:
        """The plan of a job that somebody else may have started. Raises NoSuchJob."""
        ...

    async def verdict(self, job: str, latest: AskLatest) -> Verdict:
        """Judge a job that was followed to its end, from the facts that it left. `latest` is asked
        only if the job does not know the latest commit."""
        ...

    def facts_after(self, job: str) -> Facts | None:
        """What the look at the job's end saw; None if our copy of the job has none."""
        ...

    async def cancel(self, job: str) -> None:
        """Ask the job to stop; it starts the agent again before it ends."""
        ...

    async def verify(self, latest: AskLatest, *, as_locked: bool = False) -> tuple[Facts, Verdict]:
        """Prove what runs now; changes nothing. `as_locked`: the commit that flake.lock names is
        the one that counts, not the latest."""
        ...

    async def prove_idly(self, facts: Facts) -> Facts:
        """Look with proof without root, if the host is idle: nobody waits for it. These are the
        facts of the last look; without a proof, it returns what it saw."""
        ...

    async def explain(self, facts: Facts, latest: Latest) -> Diagnosis:
        """Why the host, with these fresh facts, does not have the agent that it should."""
        ...

    async def newest_job(self) -> str | None:
        """The running job, else the last one; if the host is away, of the jobs that we know. Raises
        Unreachable if we know none; None if the host has had none."""
        ...

    async def close(self) -> None:
        """Close the connection. Jobs on the host go on."""
        ...


class LatestSource(Protocol):
    """Answers which commit a flake input's repository names."""

    here: bool
    """Whether all hosts are folders on this machine, as in the demo."""

    async def latest(self, source: Source, host: Host, *, since: float = 0.0) -> Latest:
        """Ask for the source that `host` names in its flake.lock. Answers are remembered, but one
        that was asked for before `since` (time.monotonic()) does not count."""
        ...
