"""One host from a look to a verdict: look, plan, launch, watch, judge. All doors use this module.

The doors differ only in what they ask the operator in between, and in how they show what happens.
"""

from __future__ import annotations

import time
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from nixfleet_core.errors import (
    HostError,
    LaunchFailed,
    NeedsPassword,
    NoSuchJob,
    NotAllowed,
    PasswordRefused,
    Unreachable,
)
from nixfleet_core.ids import new_job_id
from nixfleet_core.job.progress import JobState
from nixfleet_core.judge.diagnosis import Diagnosis, diagnose
from nixfleet_core.judge.exit_codes import EXIT_BUSY, EXIT_DETACHED
from nixfleet_core.judge.verdict import (
    Verdict,
    no_elevation,
    not_launched,
    refused,
    snapshot,
    unreachable,
)
from nixfleet_core.nix.git_url import commit_of
from nixfleet_core.plan.model import Plan, Refusal
from nixfleet_core.session.boundary import one_host
from nixfleet_core.session.protocol import Busy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from nixfleet_core.facts.model import Facts
    from nixfleet_core.host import Host
    from nixfleet_core.job.copies import JobFiles
    from nixfleet_core.job.events import JobEvent
    from nixfleet_core.job.history import JobLine
    from nixfleet_core.job.outcome import Kind
    from nixfleet_core.journal.copy import JournalCopy
    from nixfleet_core.journal.wanted import JournalEvent, Wanted
    from nixfleet_core.judge.coming import Coming
    from nixfleet_core.judge.debt import Debt
    from nixfleet_core.judge.ways_back import WaysBack
    from nixfleet_core.nix.git_url import Latest
    from nixfleet_core.plan.model import Options
    from nixfleet_core.session.coming import InputCommits
    from nixfleet_core.session.passwords import Passwords
    from nixfleet_core.session.protocol import AskLatest, HostSession, LatestSource

_T = TypeVar("_T")

_JUST_ASKED: Final = 30.0
"""Seconds for which an answer counts that the same plan has asked for."""


@dataclass(frozen=True, slots=True)
class Report:
    """The result for one host. `verdict` is None if another job runs, or if ours goes on alone."""

    host: str
    verdict: Verdict | None
    job: str | None = None
    state: JobState | None = None
    files: JobFiles | None = None
    busy: bool = False
    failed: bool = False
    """The verdict says only why we could do nothing with the host; it does not judge the host."""
    declined: bool = False
    """The operator gave no password where one was needed."""
    stopped: bool = False
    """The operator ended a command that starts and follows no job."""
    not_begun: str = ""
    """Why the host's turn did not come, of several hosts; empty if it did."""
    facts: Facts | None = None
    """The facts that a verification saw."""

    def code(self, wanted: Kind) -> int:
        """The exit code where a host is to end as `wanted`, such as rolled-back."""
        return 0 if self.verdict is not None and self.verdict.kind == wanted else self.exit_code

    def has_failed(self, wanted: Kind) -> bool:
        """Whether it is known that the host has not ended as `wanted`."""
        return self.busy or (self.verdict is not None and self.code(wanted) != 0)

    @property
    def exit_code(self) -> int:
        if self.not_begun:
            return 0  # the host that had failed has a code of its own
        if self.verdict is not None:
            return self.verdict.exit_code
        return EXIT_BUSY if self.busy else EXIT_DETACHED


@dataclass(frozen=True, slots=True)
class Prepared:
    """A host that has been looked at: the plan of its job, or why there is none."""

    facts: Facts
    plan: Plan | Refusal


class Watcher:
    """Is told what happens to a job. This base class does nothing with it."""

    def follows(self, host: Host, job: str, plan: Plan, files: JobFiles) -> None:
        """The job runs, or ran; its events follow."""

    def event(self, host: Host, event: JobEvent, state: JobState) -> None:
        """One event, and the job's state after it."""


@dataclass(frozen=True, slots=True)
class Conductor:
    """Leads hosts from a look to a verdict, for one operator."""

    latest: LatestSource
    passwords: Passwords
    watcher: Watcher = field(default_factory=Watcher)
    """Is told of the jobs that have no watcher of their own."""

    # The whole way. Every failure becomes a verdict.

    async def update(
        self,
        session: HostSession,
        options: Options,
        *,
        prepared: Prepared | Report | None = None,
        detach: bool = False,
    ) -> Report:
        """Update one host. Without `options.force` nothing runs if the proof already holds.
        `prepared` is what `prepare` gave, if that was asked before: its plan runs as it was made.
        """
        made = prepared or await self.prepare(session, options)
        if isinstance(made, Report):
            return made
        return await reported(session.host, lambda: self._run(session, made, detach=detach))

    async def prepare(self, session: HostSession, options: Options) -> Prepared | Report:
        """The first half of an update, which changes nothing. A report if the host cannot be asked,
        or if nothing is to be done."""

        async def prepare() -> Prepared | Report:
            facts, plan = await self.plan_update(session, await session.probe(), options)
            if isinstance(plan, Plan) and not options.force:
                report = await self.verify(session, as_locked=options.as_locked)
                current = report.verdict is not None and report.verdict.kind == "current"
                if current and not await _brings(session, facts, options):
                    return report
            return Prepared(facts, plan)

        return await reported(session.host, prepare)

    async def roll_back(
        self, session: HostSession, options: Options, *, keep_lock: bool, to: int | None = None
    ) -> Report:
        """Bring back the generation of that number, by default what was active before the last job
        that moved something."""

        async def roll_back() -> Report:
            seen = await session.probe()
            facts, plan = await self.plan_rollback(
                session, seen, options, keep_lock=keep_lock, to=to
            )
            return await self._run(session, Prepared(facts, plan), detach=False)

        return await reported(session.host, roll_back)

    async def commit(self, session: HostSession, options: Options) -> Report:
        """Prove anew, and then commit the flake.lock that an update has left; with `options.push`
        push the commit, too."""

        async def commit() -> Report:
            facts, plan = await self.plan_commit(session, await session.probe(), options)
            return await self._run(session, Prepared(facts, plan), detach=False)

        return await reported(session.host, commit)

    async def restart(
        self,
        session: HostSession,
        options: Options,
        *,
        prepared: Prepared | Report | None = None,
    ) -> Report:
        """Restart the agent, and prove it. `prepared` is what `prepare_restart` gave, if that was
        asked before."""
        made = prepared or await self.prepare_restart(session, options)
        if isinstance(made, Report):
            return made
        return await reported(session.host, lambda: self._run(session, made, detach=False))

    async def prepare_restart(self, session: HostSession, options: Options) -> Prepared | Report:
        """The first half of a restart, which changes nothing."""

        async def prepare() -> Prepared:
            return Prepared(*await self.plan_restart(session, await session.probe(), options))

        return await reported(session.host, prepare)

    async def verify(self, session: HostSession, *, as_locked: bool = False) -> Report:
        """Prove what runs now; changes nothing. `as_locked`: the commit that flake.lock names is
        the one that counts, not the latest."""

        async def verify() -> Report:
            ask = self.asker(session.host)
            facts, verdict = await self.passwords.run(
                session, lambda: session.verify(ask, as_locked=as_locked)
            )
            return Report(session.host.name, verdict, facts=facts)

        return await reported(session.host, verify)

    async def debt(self, session: HostSession) -> Debt:
        """What is older than the active system; changes nothing. Where we cannot become root, it
        says how much we could not see. Raises HostErrors."""
        try:
            return await self.passwords.run(session, session.debt)
        except (NeedsPassword, NotAllowed):
            return await session.debt(as_root=False)

    async def watch(
        self,
        session: HostSession,
        job: str,
        *,
        plan: Plan | None = None,
        watcher: Watcher | None = None,
    ) -> Report:
        """Follow a job that runs or ran to its end, and judge it. Every failure becomes a verdict.

        `plan` is given for a job that was launched here: we know that it ran, even if the host has
        forgotten it. Raises NoSuchJob for any other job that the host does not know.
        """
        host, files = session.host, session.files(job)
        told = watcher or self.watcher
        state: JobState | None = None

        async def follow(plan: Plan) -> None:
            nonlocal state
            state = JobState.of(plan)
            async with aclosing(session.follow(job)) as events:
                async for event in events:
                    state = state.after(event)
                    told.event(host, event, state)

        try:
            launched = plan is not None
            if plan is None:
                plan = await self.passwords.run(session, lambda: session.fetch_plan(job))
            with one_host(host.name):
                told.follows(host, job, plan, files)
            try:
                await self.passwords.run(session, partial(follow, plan))
            except NoSuchJob:
                # the host has rebooted, and its root begins anew with each boot: it has no job left
                if not launched:
                    raise
                state = None
            ask = self.asker(host)
            verdict = await self.passwords.run(session, lambda: session.verdict(job, ask))
        except NoSuchJob:
            raise
        except HostError as error:
            return replace(failed_report(host, error), job=job, state=state, files=files)
        return Report(host.name, verdict, job, state, files)

    async def explain(self, session: HostSession) -> Diagnosis | Verdict:
        """Why the host does not have the agent that it should; or a verdict if it does not answer.

        If we cannot become root, the explanation uses only what can be seen without root.
        """
        host = session.host
        try:
            with one_host(host.name):
                ask = self.asker(host)
                facts = await session.probe()
                latest = await ask(facts)
                try:
                    return await self.passwords.run(session, lambda: session.explain(facts, latest))
                except (NeedsPassword, NotAllowed):
                    # clones of repositories cost the start
                    from nixfleet_core.session.latest_version import named_expectation

                    here = self.latest.here
                    return diagnose(facts, await named_expectation(host, facts, latest, here=here))
        except HostError as error:
            return failed_verdict(host, error)

    async def jobs(self, session: HostSession) -> tuple[JobLine, ...] | Verdict:
        """The host's jobs, newest first; or a verdict that says why they cannot be read."""
        try:
            return await self.passwords.run(session, session.jobs)
        except HostError as error:
            return failed_verdict(session.host, error)

    async def journal(
        self,
        session: HostSession,
        copy: JournalCopy,
        wanted: Wanted,
        tell: Callable[[JournalEvent], None],
    ) -> None:
        """Follow the agent's own log into the copy; `tell` gets what happens. Raises HostError;
        PasswordRefused is the operator's choice."""

        async def follow() -> None:
            async with aclosing(session.journal(copy, wanted)) as events:
                async for event in events:
                    tell(event)

        await self.passwords.run(session, follow)

    # One step of it. Raises HostError; PasswordRefused is the operator's choice.

    async def plan_update(
        self, session: HostSession, seen: Facts, options: Options
    ) -> tuple[Facts, Plan | Refusal]:
        """The plan of an update, and the facts of the closer look that it needed."""
        facts = await self.passwords.run(session, lambda: session.examine(seen))
        latest = await self.asker(session.host)(facts) if options.commit_lock else None
        return facts, session.plan(facts, options, commit_of(latest))

    async def coming(
        self, session: HostSession, facts: Facts, options: Options, commits: InputCommits
    ) -> Coming:
        """What of the input an update with these options brings along. `commits` is asked for all
        hosts whose plans are made together."""
        # a plan with a commit has just asked, too
        latest = await asker(self.latest, session.host, age=_JUST_ASKED)(facts)
        return await commits.between(session.host, facts, options, latest, here=self.latest.here)

    async def plan_commit(
        self, session: HostSession, seen: Facts, options: Options
    ) -> tuple[Facts, Plan | Refusal]:
        """The plan of a commit, and the facts of the closer look that it needed."""
        facts = await self.passwords.run(session, lambda: session.examine(seen))
        return facts, session.plan_commit(facts, options)

    async def plan_restart(
        self, session: HostSession, seen: Facts, options: Options
    ) -> tuple[Facts, Plan | Refusal]:
        """The plan of a restart, and the facts of the closer look that it needed."""
        facts = await self.passwords.run(session, lambda: session.examine(seen))
        return facts, session.plan_restart(facts, options)

    async def ways_back(self, session: HostSession, seen: Facts) -> WaysBack:
        """What the host can go back to."""
        return await self.passwords.run(session, lambda: session.ways_back(seen))

    async def plan_rollback(
        self,
        session: HostSession,
        seen: Facts,
        options: Options,
        *,
        keep_lock: bool,
        to: int | None = None,
    ) -> tuple[Facts, Plan | Refusal]:
        """The plan of a rollback, and the facts of the closer look that it needed."""
        facts = await self.passwords.run(session, lambda: session.examine(seen))
        plan = await self.passwords.run(
            session, lambda: session.plan_rollback(facts, options, keep_lock=keep_lock, to=to)
        )
        return facts, plan

    async def launch(self, session: HostSession, plan: Plan, job: str) -> Report | None:
        """Launch the job. Returns a report if another job runs already."""
        answer = await self.passwords.run(session, lambda: session.launch(plan, job))
        if isinstance(answer, Busy):
            return Report(session.host.name, None, answer.job, busy=True)
        return None

    async def cancel(self, session: HostSession, job: str) -> None:
        """Ask a job to stop."""
        await self.passwords.run(session, lambda: session.cancel(job))

    def asker(self, host: Host) -> AskLatest:
        """A function that asks for the host's latest commit; older answers do not count."""
        return asker(self.latest, host)

    async def _run(self, session: HostSession, prepared: Prepared, *, detach: bool) -> Report:
        host, plan, job = session.host, prepared.plan, new_job_id()
        if isinstance(plan, Refusal):
            return refused_report(host, prepared.facts, plan)
        busy = await self.launch(session, plan, job)
        if busy is not None:
            return busy
        if detach:
            return Report(host.name, None, job, files=session.files(job))
        return await self.watch(session, job, plan=plan)


async def _brings(session: HostSession, facts: Facts, options: Options) -> bool:
    """Whether a pull may bring another flake.lock, and nothing would move that one on."""
    return options.as_locked and options.pull and bool(await session.incoming(facts))


def asker(source: LatestSource, host: Host, *, age: float = 0.0) -> AskLatest:
    """A function that asks which commit the host's flake input should be at.

    Make it before you look at the host: an earlier answer may be older than the host's own commit.
    If you know that it is not, an answer of the last `age` seconds counts, too.
    """
    since = time.monotonic() - age

    async def ask(facts: Facts) -> Latest:
        found = facts.find_input(host.input)
        if found is None:
            return None
        return await source.latest(found.source.read_by(facts.nix), host, since=since)

    return ask


async def reported(host: Host, act: Callable[[], Awaitable[_T]]) -> _T | Report:
    """The result of `act`; an error becomes the host's verdict. Raises NoSuchJob."""
    try:
        with one_host(host.name):
            return await act()
    except NoSuchJob:
        raise
    except HostError as error:
        return failed_report(host, error)


def failed_report(host: Host, error: HostError) -> Report:
    """The report on a host with which we could do nothing."""
    declined = isinstance(error, PasswordRefused)
    return Report(host.name, failed_verdict(host, error), failed=True, declined=declined)


def refused_report(host: Host, facts: Facts, refusal: Refusal) -> Report:
    """The report on a host whose update the plan already refuses."""
    before = snapshot(facts, host.input)
    return Report(host.name, refused(refusal.check, refusal.why, refusal.advice, before))


def failed_verdict(host: Host, error: HostError) -> Verdict:
    """The verdict on a host with which we could do nothing."""
    match error:
        case Unreachable():
            return unreachable(str(error), error.advice, error.cause, error.remedies)
        case LaunchFailed():
            return not_launched(str(error))
        case _:
            user = host.address.user if host.address else None
            setting = error.setting if isinstance(error, NotAllowed) else ""
            return no_elevation(str(error), user or "USER", setting)
