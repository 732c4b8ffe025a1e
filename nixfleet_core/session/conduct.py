"""One host from the question to the verdict: look, decide, launch, follow, judge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from nixfleet_core.errors import (
    HostError,
    LaunchFailed,
    NeedsPassword,
    NoSuchJob,
    NotAllowed,
    Unreachable,
)
from nixfleet_core.ids import new_job_id
from nixfleet_core.job.progress import JobState
from nixfleet_core.judge.causes import expectation
from nixfleet_core.judge.diagnosis import Diagnosis, diagnose
from nixfleet_core.judge.verdict import (
    EXIT_BUSY,
    EXIT_DETACHED,
    Verdict,
    no_elevation,
    not_launched,
    refused,
    snapshot,
    unreachable,
)
from nixfleet_core.nix.git_url import commit_of
from nixfleet_core.plan.model import Refusal
from nixfleet_core.session.boundary import one_host
from nixfleet_core.session.protocol import Busy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from nixfleet_core.facts.model import Facts
    from nixfleet_core.host import Host
    from nixfleet_core.job.copies import JobFiles
    from nixfleet_core.job.events import JobEvent
    from nixfleet_core.job.history import JobLine
    from nixfleet_core.nix.git_url import Latest
    from nixfleet_core.plan.model import Options, Plan
    from nixfleet_core.session.protocol import HostSession, LatestSource

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Report:
    """What became of one host. `verdict` is None when another job runs, or ours goes on alone."""

    host: str
    verdict: Verdict | None
    job: str | None = None
    state: JobState | None = None
    files: JobFiles | None = None
    busy: bool = False

    @property
    def exit_code(self) -> int:
        if self.verdict is not None:
            return self.verdict.exit_code
        return EXIT_BUSY if self.busy else EXIT_DETACHED


class Watcher:
    """Is told what happens; the commands print it. This one keeps silent."""

    def launched(self, host: Host, job: str, plan: Plan, files: JobFiles) -> None:
        """The job runs, or ran; its events follow."""

    def event(self, host: Host, event: JobEvent, state: JobState) -> None:
        """One event, and the state that it led to."""


@dataclass(frozen=True, slots=True)
class Updater:
    """Updates hosts. `ask` gets sudo's password; None means that nobody can be asked."""

    latest: LatestSource
    watcher: Watcher
    ask: Callable[[NeedsPassword], Awaitable[str | None]]

    async def update(
        self, session: HostSession, options: Options, *, detach: bool = False
    ) -> Report:
        """Update one host; every failure becomes a verdict.

        Without `options.force` nothing runs if the proof already holds.
        """
        host = session.host

        async def update() -> Report:
            seen = await session.probe()
            facts = await self._with_password(session, lambda: session.examine(seen))
            latest = await latest_for(self.latest, host, facts) if options.commit_lock else None
            plan = session.plan(facts, options, commit_of(latest))
            if isinstance(plan, Refusal):
                before = snapshot(facts, host.input)
                return Report(host.name, refused(plan.check, plan.why, plan.advice, before))
            if not options.force:
                report = await self.verify(session)
                if report.verdict is not None and report.verdict.kind == "current":
                    return report
            return await self._run(session, plan, new_job_id(), detach=detach)

        return await _reported(host, update)

    async def verify(self, session: HostSession) -> Report:
        """Prove what runs now; changes nothing."""
        host = session.host

        async def verify() -> Report:
            facts = await session.probe()
            latest = await latest_for(self.latest, host, facts)
            _, verdict = await self._with_password(session, lambda: session.verify(latest))
            return Report(host.name, verdict)

        return await _reported(host, verify)

    async def roll_back(self, session: HostSession, options: Options, *, keep_lock: bool) -> Report:
        """Bring back what was active before the last update; every failure becomes a verdict."""
        host = session.host

        async def roll_back() -> Report:
            seen = await session.probe()
            facts = await self._with_password(session, lambda: session.examine(seen))
            plan = await self._with_password(
                session, lambda: session.plan_rollback(facts, options, keep_lock=keep_lock)
            )
            if isinstance(plan, Refusal):
                before = snapshot(facts, host.input)
                return Report(host.name, refused(plan.check, plan.why, plan.advice, before))
            return await self._run(session, plan, new_job_id(), detach=False)

        return await _reported(host, roll_back)

    async def attach(self, session: HostSession, job: str) -> Report:
        """Follow a job that runs, or ran, to its end and judge it. Raises NoSuchJob."""

        async def attach() -> Report:
            plan = await self._with_password(session, lambda: session.fetch_plan(job))
            return await self._follow(session, plan, job)

        return await _reported(session.host, attach)

    async def explain(self, session: HostSession) -> Diagnosis | Verdict:
        """Why the host does not have the agent that it should; or that it cannot be reached.

        Where we cannot become root, what can be seen without is explained.
        """
        host = session.host
        try:
            with one_host(host.name):
                facts = await session.probe()
                latest = await latest_for(self.latest, host, facts)
                try:
                    return await self._with_password(
                        session, lambda: session.explain(facts, latest)
                    )
                except (NeedsPassword, NotAllowed):
                    return diagnose(facts, expectation(host, facts, latest))
        except HostError as error:
            return _verdict_on(host, error)

    async def jobs(self, session: HostSession) -> tuple[JobLine, ...] | Verdict:
        """The host's jobs, newest first, or why they cannot be read."""
        try:
            with one_host(session.host.name):
                return await self._with_password(session, session.jobs)
        except HostError as error:
            return _verdict_on(session.host, error)

    async def cancel(self, session: HostSession, job: str) -> None:
        """Ask a job to stop. Raises as the session does."""
        with one_host(session.host.name):
            await self._with_password(session, lambda: session.cancel(job))

    async def _run(self, session: HostSession, plan: Plan, job: str, *, detach: bool) -> Report:
        answer = await self._with_password(session, lambda: session.launch(plan, job))
        if isinstance(answer, Busy):
            return Report(session.host.name, None, answer.job, busy=True)
        if detach:
            return Report(session.host.name, None, job, files=session.files(job))
        try:
            return await self._follow(session, plan, job)
        except Unreachable as error:
            files = session.files(job)
            return Report(session.host.name, _verdict_on(session.host, error), job, files=files)
        except NoSuchJob:
            # the host has forgotten it: its root begins anew with each boot, and it was booted
            files = session.files(job)
            return Report(session.host.name, await session.verdict(job, None), job, files=files)

    async def _follow(self, session: HostSession, plan: Plan, job: str) -> Report:
        host, files = session.host, session.files(job)
        self.watcher.launched(host, job, plan, files)

        async def follow() -> JobState:
            state = JobState.of(plan)
            async for event in session.follow(job):
                state = state.after(event)
                self.watcher.event(host, event, state)
            return state

        state = await self._with_password(session, follow)
        verdict = await session.verdict(job, plan.options.input_rev)
        return Report(host.name, verdict, job, state, files)

    async def _with_password(self, session: HostSession, act: Callable[[], Awaitable[_T]]) -> _T:
        while True:
            try:
                return await act()
            except NeedsPassword as error:
                password = await self.ask(error)
                if password is None:
                    raise
                session.give_password(password)


async def latest_for(latest: LatestSource, host: Host, facts: Facts) -> Latest:
    """The commit that the host's flake input should be at, or why it is not known."""
    lock = facts.checkout.lock if facts.checkout else None
    found = lock.find(host.input) if lock else None
    return await latest.latest(found.source, host) if found else None


async def _reported(host: Host, act: Callable[[], Awaitable[Report]]) -> Report:
    """What `act` reports; what goes wrong is the host's verdict. Raises NoSuchJob."""
    try:
        with one_host(host.name):
            return await act()
    except NoSuchJob:
        raise
    except HostError as error:
        return failed_report(host, error)


def failed_report(host: Host, error: HostError) -> Report:
    """The report on a host that nothing could be done with."""
    return Report(host.name, _verdict_on(host, error))


def _verdict_on(host: Host, error: HostError) -> Verdict:
    match error:
        case Unreachable():
            return unreachable(str(error), error.advice, error.cause)
        case LaunchFailed():
            return not_launched(str(error))
        case _:
            user = host.address.user if host.address else None
            return no_elevation(str(error), user or "USER")
