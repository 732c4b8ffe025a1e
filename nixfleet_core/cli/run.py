"""One command over several hosts: signals, passwords, exit codes."""

from __future__ import annotations

import asyncio
import getpass
import signal
import sys
from functools import partial
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

import click

from nixfleet_core.cli.faults import UsageFault
from nixfleet_core.cli.finish import Finishing
from nixfleet_core.cli.host_line import host_line
from nixfleet_core.cli.output import print_json, say, say_away
from nixfleet_core.cli.printer import Printer
from nixfleet_core.errors import HostError, NeedsPassword, NotAllowed, Unreachable
from nixfleet_core.judge.exit_codes import EXIT_CODES, worst_exit
from nixfleet_core.log.display import safe
from nixfleet_core.sandbox.here import latest_here
from nixfleet_core.session.boundary import one_host
from nixfleet_core.session.conduct import Conductor, Report, failed_report
from nixfleet_core.session.passwords import Passwords
from nixfleet_core.session.queue import NotBegun, Queue
from nixfleet_core.transport.core_dumps import forbid_core_dumps

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from nixfleet_core.host import Host
    from nixfleet_core.job.copies import JobFiles
    from nixfleet_core.job.outcome import Kind
    from nixfleet_core.plan.model import Plan
    from nixfleet_core.session.protocol import HostSession

T = TypeVar("T")


class Act(Protocol):
    """What is done to each host."""

    def __call__(self, conductor: Conductor, session: HostSession) -> Awaitable[Report]: ...


class _Jobs(Printer):
    """A Printer that also remembers the followed jobs, for ctrl-c."""

    def __init__(self, *, as_json: bool, several: bool) -> None:
        super().__init__(sys.stderr if as_json else sys.stdout, several=several)
        self.followed: dict[str, str] = {}

    def follows(self, host: Host, job: str, plan: Plan, files: JobFiles) -> None:
        self.followed[host.name] = job
        super().follows(host, job, plan, files)


def for_each(
    sessions: Sequence[HostSession], act: Callable[[Conductor, HostSession], Awaitable[T]]
) -> list[T]:
    """The results of `act` for the hosts, in their order; several hosts are asked at once."""

    async def ask() -> list[T]:
        conductor = Conductor(latest_here(), Passwords(ask_for_password))
        return await asyncio.gather(*(act(conductor, session) for session in sessions))

    return asyncio.run(ask())


CtrlC = Literal["cancel", "detach", "stop"]
"""What ctrl-c does. cancel: it cancels the jobs and waits for their agents, and a second one
detaches. detach: it leaves the job alone. stop: it ends a command that starts and follows no job.
SIGTERM and SIGHUP never cancel."""


def run_hosts(
    sessions: Sequence[HostSession],
    act: Act,
    *,
    as_json: bool,
    ctrl_c: CtrlC,
    wanted: Kind = "updated",
    several: bool = False,
    on_finish: Sequence[str] = (),
    queue: Queue | None = None,
) -> int:
    """Do `act` on the hosts in turn and print the results; with `several` each line names its host.
    Return the exit code; it is 0 for a host that ends as `wanted`. `on_finish`: the operator's
    command, which runs at each verdict on a job."""
    run = _Run(sessions, act, as_json=as_json, ctrl_c=ctrl_c, several=several, on_finish=on_finish)
    return asyncio.run(run.all(queue or Queue(), wanted))


class _Run:
    def __init__(
        self,
        sessions: Sequence[HostSession],
        act: Act,
        *,
        as_json: bool,
        ctrl_c: CtrlC,
        on_finish: Sequence[str],
        several: bool,
    ) -> None:
        self._sessions, self._act, self._json = sessions, act, as_json
        self._cancels, self._stops = ctrl_c == "cancel", ctrl_c == "stop"
        self._printer = _Jobs(as_json=as_json, several=several)
        self._conductor = Conductor(latest_here(), Passwords(ask_for_password), self._printer)
        self._finishing = Finishing(on_finish, partial(say, err=True))
        self._detached = asyncio.Event()
        self._interrupted = False
        self._side_tasks: set[asyncio.Task[None]] = set()

    async def all(self, queue: Queue, wanted: Kind) -> int:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._interrupt)
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._detach)

        def ends_all(report: Report) -> bool:
            """Whether no other host may begin."""
            return self._interrupted or (queue.stop and report.has_failed(wanted))

        found = await Queue(queue.at_once, stop=True).run(self._sessions, self._one, ends_all)
        for session, answer in zip(self._sessions, found, strict=True):
            if isinstance(answer, NotBegun):
                why = "the command was ended before its turn"
                if not self._interrupted:
                    why = f"{answer.failed.host.name} had failed before"
                self._print(Report(session.host.name, None, not_begun=why))
        await self._finishing.rest()
        return worst_exit([one.code(wanted) for one in found if isinstance(one, Report)])

    async def _one(self, session: HostSession) -> Report:
        host = session.host
        work = asyncio.ensure_future(self._act(self._conductor, session))
        stop = asyncio.ensure_future(self._detached.wait())
        await asyncio.wait((work, stop), return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if work.done():
            report = _result(host, work)
        else:
            work.cancel()
            await asyncio.wait((work,))
            job = self._printer.followed.get(session.host.name)
            files = session.files(job) if job else None
            report = Report(host.name, None, job, files=files, stopped=self._stops)
        try:
            with one_host(host.name):
                self._print(report)
        except HostError as error:
            report = failed_report(host, error)
            self._print(report)
        self._finishing.tell(report)
        return report

    def _print(self, report: Report) -> None:
        self._printer.report(report)
        if self._json:
            print_json(host_line(report))

    def _interrupt(self) -> None:
        """The first ctrl-c cancels, if there is something to cancel; the next one detaches. No host
        begins after it."""
        if not self._cancels or not self._printer.followed:
            self._detach()
            return
        self._interrupted = True
        self._cancels = False
        by_name = {session.host.name: session for session in self._sessions}
        for name, job in self._printer.followed.items():
            self._printer.say(name, "cancelling; the agent is started again (ctrl-c: detach)")
            task = asyncio.ensure_future(self._cancel(by_name[name], job))
            self._side_tasks.add(task)
            task.add_done_callback(self._side_tasks.discard)

    def _detach(self) -> None:
        self._interrupted = True
        self._detached.set()

    async def _cancel(self, session: HostSession, job: str) -> None:
        try:
            await self._conductor.cancel(session, job)
        except HostError as error:
            self._printer.say(session.host.name, f"could not cancel: {error}")


def _result(host: Host, work: asyncio.Future[Report]) -> Report:
    """The report on a host. Raises ClickException if the host lacks what was asked for."""
    if isinstance(work.exception(), click.ClickException):
        return work.result()
    try:
        with one_host(host.name):
            return work.result()
    except HostError as error:
        return failed_report(host, error)


async def ask_for_password(need: NeedsPassword) -> str | None:
    """Ask at the terminal; None if there is no terminal."""
    if not sys.stdin.isatty():
        return None
    said = f" ({need.said})" if need.said else ""
    wrong = f"wrong password{said}; " if need.wrong else ""
    prompt = f"{wrong}sudo password on {need.host}: "
    forbid_core_dumps()
    try:
        return await asyncio.to_thread(getpass.getpass, safe(prompt)) or None
    except (EOFError, OSError):  # ctrl-d, or the terminal is gone
        return None


def ask_first(question: str, hosts: str, refused: str) -> None:
    """Ask the operator. Raises UsageFault if the answer is not yes, as it is without a terminal:
    `hosts` are then `refused`, such as `not rolled back`."""
    if not (at_terminal() and click.confirm(safe(question))):
        raise UsageFault(f"{hosts}: {refused}; confirm at a terminal, or add --yes")


def at_terminal() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty()


def cancel_job(session: HostSession) -> int:
    """Cancel the host's running job. Return the exit code."""
    return for_each((session,), _cancel_job)[0]


async def _cancel_job(conductor: Conductor, session: HostSession) -> int:
    name = session.host.name
    try:
        with one_host(name):
            job = (await session.probe()).job_running
        if job is None:
            raise click.ClickException(f"no job is running on {name}")
        await conductor.cancel(session, job)
    except (NeedsPassword, NotAllowed) as error:
        raise click.ClickException(str(error)) from error
    except Unreachable as error:
        say_away(name, str(error), error.advice)
        return EXIT_CODES["unreachable"]
    say(f"{name}: job {job} stops, and starts the agent again before it ends")
    return 0
