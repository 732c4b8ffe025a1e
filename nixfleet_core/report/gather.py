"""Brings together what a report says of one host: a job's copy here, completed by the host."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, get_args

from nixfleet_core.errors import HostError, NoSuchJob, Unreachable
from nixfleet_core.facts.parse import ProbeError, parse_probe
from nixfleet_core.ids import is_job_id
from nixfleet_core.job.copies import JobCopy
from nixfleet_core.job.events import (
    CopyHalt,
    Heartbeat,
    HostEvent,
    JobEnd,
    JobStart,
    Link,
    LogGrew,
    StepPlace,
    Tick,
)
from nixfleet_core.job.history import job_line
from nixfleet_core.job.work import BuildTimes
from nixfleet_core.judge.causes import expectation
from nixfleet_core.judge.diagnosis import diagnose
from nixfleet_core.judge.running_commit import running_commit
from nixfleet_core.judge.verdict import snapshot
from nixfleet_core.report.excerpts import read_excerpts
from nixfleet_core.report.model import Compared, Incident, InputChange
from nixfleet_core.report.time_line import step_title, time_line
from nixfleet_core.session.boundary import one_host

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nixfleet_core.facts.model import Facts
    from nixfleet_core.host import Host
    from nixfleet_core.job.work import BuildTime
    from nixfleet_core.judge.verdict import Verdict
    from nixfleet_core.nix.git_url import Latest
    from nixfleet_core.plan.model import Plan
    from nixfleet_core.report.model import InputPlace, Progress
    from nixfleet_core.session.coming import InputCommits
    from nixfleet_core.session.passwords import Passwords
    from nixfleet_core.session.protocol import HostSession


@dataclass(slots=True)
class _Heard:
    """What the job's events have told so far."""

    events: list[HostEvent] = field(default_factory=list)
    places: list[StepPlace] = field(default_factory=list)
    built: tuple[BuildTime, ...] = ()
    progress: Progress = "not known"
    remark: str = ""


async def gather(
    passwords: Passwords,
    session: HostSession,
    job: str | None = None,
    *,
    commits: InputCommits,
    here: bool = False,
) -> Incident:
    """What is known of the job, by default of the running or the last one. It does not wait for the
    job's end, and changes nothing. `commits` is asked for all hosts of one report, and fetches
    nothing; `here`: the hosts are folders of this machine.

    If the host does not answer, the copy on this machine has to do. Raises Unreachable if there is
    none, NoSuchJob if the host does not have the job or has had none, and other HostErrors.
    """
    host, remarks = session.host, []
    if job is None:
        with one_host(host.name):
            job, away = await _newest(session)
        remarks += [away] if away else []
    plan = await passwords.run(session, lambda: session.fetch_plan(job))
    heard = await passwords.run(session, lambda: _hear(session, job))
    if heard.remark and not remarks:
        remarks.append(heard.remark)
    if heard.progress == "running":
        remarks.append("The job is running: this is what is known of it so far.")
    verdict = None
    if heard.progress == "over":
        try:
            verdict = await passwords.run(session, lambda: session.verdict(job, _not_asked))
        except HostError as error:
            remarks.append(f"There is no verdict: {error}")
    with one_host(host.name):
        copy = JobCopy(session.files(job).log.parent)
        looks = await asyncio.to_thread(_looks, copy)
        brought = await _brought(commits, host, plan.input, looks, here=here)
        known = _Known(session, job, plan, heard, verdict, copy, looks, brought)
        return await asyncio.to_thread(known.incident, tuple(remarks))


async def _newest(session: HostSession) -> tuple[str, str]:
    """The running or the last job; and a remark if the host does not answer."""
    away, job = "", None
    try:
        facts = await session.probe()
    except Unreachable as error:
        away = f"The host does not answer ({error}): this is what this machine has of its last job."
    else:
        named = (facts.job_running, facts.job_last)
        job = next((name for name in named if name and is_job_id(name)), None)
    job = job or await session.newest_job()
    if job is None:
        raise NoSuchJob(f"{session.host.name} has had no job")
    return job, away


async def _not_asked(_: Facts) -> Latest:
    """A report tells what was known then: no repository is asked what is the latest now."""
    return None


async def _hear(session: HostSession, job: str) -> _Heard:
    """The events so far; the copy has as much of the log as the host then."""
    heard, size = _Heard(), 0
    async with aclosing(session.follow(job)) as events:
        async for event in events:
            match event:
                case LogGrew():
                    size = event.size
                case StepPlace():
                    heard.places.append(event)
                case BuildTimes(builds=builds):
                    heard.built = builds
                case CopyHalt(why=why):
                    heard.remark = f"The copy on this machine is not whole: {why}"
                    return heard
                case Link(up=False, why=why):
                    said = f" ({why})" if why else ""
                    heard.remark = (
                        f"The host does not answer{said}: "
                        "this is what this machine has of the job, which may go on."
                    )
                    return heard
                case Heartbeat() if size >= event.log:
                    heard.progress = "running"
                    return heard
                case Tick():
                    pass
                case _ if isinstance(event, get_args(HostEvent)):
                    heard.events.append(event)
    heard.progress = "over"
    return heard


@dataclass(frozen=True, slots=True)
class _Known:
    session: HostSession
    job: str
    plan: Plan
    heard: _Heard
    verdict: Verdict | None
    copy: JobCopy
    looks: _Looks
    brought: InputChange | None

    def incident(self, remarks: tuple[str, ...]) -> Incident:
        """Raises OSError."""
        files, plan, events = self.session.files(self.job), self.plan, self.heard.events
        copy, (before, after) = self.copy, self.looks
        running = self.heard.progress != "over"
        line = job_line(self.job, asked=copy.asked(), result=copy.result(), running=running)
        seen = after or before
        latest = (copy.read("latest") or b"").decode("ascii", "replace").strip()
        latest = latest or plan.options.input_rev or ""
        expect = expectation(self.session.host, seen, latest or None)
        moments, left_out = time_line(plan, events)
        places = [(one.text_offset, step_title(plan, one.step)) for one in self.heard.places]
        return Incident(
            host=self.session.host.name,
            job=self.job,
            goal=_goal(plan),
            asked_by=line.asked_by,
            progress=self.heard.progress,
            began=next((one.at for one in events if isinstance(one, JobStart)), line.at),
            ended=next((one.at for one in reversed(events) if isinstance(one, JobEnd)), None),
            verdict=self.verdict,
            remarks=remarks,
            compared=tuple(_compared(plan.input, before, after)),
            commits=tuple(_commits(plan.input, before, after)),
            brought=self.brought,
            evidence=diagnose(seen, expect).evidence if seen is not None else (),
            evidence_from="after the job" if after is not None else _BEFORE,
            moments=moments,
            left_out=left_out,
            slowest=self.heard.built,
            log=read_excerpts(files.text, places),
        )


_BEFORE: Final = "before the job; no look after it is here"


_Looks = tuple["Facts | None", "Facts | None"]
"""The job's own looks at its host, before and after."""


def _looks(copy: JobCopy) -> _Looks:
    return _facts(copy.read("before")), _facts(copy.read("after"))


def _facts(data: bytes | None) -> Facts | None:
    """A job's own look at its host; None if it is not here, or cannot be read."""
    try:
        return parse_probe(data) if data is not None else None
    except ProbeError:
        return None


def _goal(plan: Plan) -> str:
    options = plan.options
    said = {
        f"level {options.level}": plan.goal == "update",
        "forced": options.force,
        "as locked": options.as_locked,
        "without a pull": plan.goal == "update" and not options.pull,
        f"to commit {options.input_rev}": bool(options.input_rev),
        plan.target_words: plan.goal == "rollback",
    }
    return ", ".join((plan.goal, *(words for words, is_said in said.items() if is_said and words)))


def _compared(flake_input: str, before: Facts | None, after: Facts | None) -> Iterator[Compared]:
    """The agent and the system before and after; nothing of what was not seen at all."""
    old, new = snapshot(before, flake_input), snapshot(after, flake_input)
    rows = (
        Compared("version", old.version, new.version),
        Compared("agent", old.store_path, new.store_path),
        Compared("sha256", old.sha256, new.sha256),
        Compared("system", old.system, new.system),
        Compared("generation", _number(old.generation), _number(new.generation)),
        Compared("process", _process(before), _process(after)),
    )
    return (row for row in rows if row.before or row.after)


def _number(number: int | None) -> str | None:
    return None if number is None else str(number)


def _process(facts: Facts | None) -> str | None:
    if facts is None or facts.running is None:
        return None
    return f"pid {facts.running.pid}"


def _commits(flake_input: str, before: Facts | None, after: Facts | None) -> Iterator[Compared]:
    """What flake.lock names, what the running agent was built from, and nixcfg's HEAD."""
    old, new = snapshot(before, flake_input).commit, snapshot(after, flake_input).commit
    rows = (
        Compared(f"{flake_input} in flake.lock", old, new),
        Compared("the running agent", _built(before, flake_input), _built(after, flake_input)),
        Compared("nixcfg", _head(before), _head(after)),
    )
    return (row for row in rows if row.before or row.after)


async def _brought(
    commits: InputCommits, host: Host, flake_input: str, looks: _Looks, *, here: bool
) -> InputChange | None:
    """The commits between what ran before and after; if that is not proven or is the same, between
    those in flake.lock."""
    before, after = looks
    if before is None or after is None:
        return None
    host = replace(host, input=flake_input)
    places: tuple[tuple[InputPlace, str | None, str | None], ...] = (
        ("in the running agent", _built(before, flake_input), _built(after, flake_input)),
        ("in flake.lock", before.lock_rev(flake_input), after.lock_rev(flake_input)),
    )
    for place, old, new in places:
        if old and new and old != new:
            found = await commits.kept(host, after, old, new, here=here)
            known = found.count or found.lost
            return InputChange(flake_input, place, found) if known else None
    return None


def _built(facts: Facts | None, flake_input: str) -> str | None:
    found = running_commit(facts, flake_input) if facts is not None else None
    return found.commit if found is not None else None


def _head(facts: Facts | None) -> str | None:
    return facts.checkout.head if facts is not None and facts.checkout is not None else None
