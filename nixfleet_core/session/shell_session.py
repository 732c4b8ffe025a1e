"""The session with a host over a shell: scripts go out, facts and events come back."""

from __future__ import annotations

import asyncio
import os
import re
import time
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal, TypeVar, cast, get_args

import msgspec

from nixfleet_core.config import DEFAULT_LIMITS, Limits
from nixfleet_core.errors import (
    BadAnswer,
    LaunchFailed,
    NeedsPassword,
    NoSuchJob,
    NotAllowed,
    Unreachable,
)
from nixfleet_core.facts.generations import read_generations
from nixfleet_core.facts.health import parse_health
from nixfleet_core.facts.old_units import read_old_units
from nixfleet_core.facts.origins import origins_of
from nixfleet_core.facts.package_changes import parse_changes
from nixfleet_core.facts.parse import (
    PROBE_LIMIT,
    ProbeError,
    nix_answers,
    parse_probe,
    read_facts,
    read_records,
)
from nixfleet_core.facts.proofs import newest_first
from nixfleet_core.ids import is_commit, is_job_id
from nixfleet_core.job.compile import compile_plan
from nixfleet_core.job.durations import RECENT, PastJob, Usual, usual_durations
from nixfleet_core.job.events import (
    AGENT_CHECK,
    ATTRIBUTE_CHECK,
    IDLE_CHECK,
    INPUT_CHECK,
    Check,
    Slept,
    StepEnd,
    StepStart,
)
from nixfleet_core.job.history import job_line, read_history, unreadable_line
from nixfleet_core.job.outcome import Outcome
from nixfleet_core.journal.copy import new_copy
from nixfleet_core.judge.causes import expect_locked
from nixfleet_core.judge.debt import Debt, restart_debt
from nixfleet_core.judge.diagnosis import diagnose
from nixfleet_core.judge.left_behind import left_behind
from nixfleet_core.judge.verdict import judge
from nixfleet_core.judge.ways_back import (
    checkout_of,
    expect_before,
    expect_target,
    no_way_back,
    ways_back,
)
from nixfleet_core.limits import SAID_LIMIT
from nixfleet_core.log.characters import log_line, without_colours
from nixfleet_core.log.evaluation import evaluation_error, nearest_names
from nixfleet_core.log.failure_table import LAN_NAME
from nixfleet_core.log.failures import find_failure, strip_colours
from nixfleet_core.log.plain_file import reading
from nixfleet_core.log.redact import redact
from nixfleet_core.plan.model import Refusal
from nixfleet_core.plan.platforms import platform_of
from nixfleet_core.plan.rules import (
    choose_attribute,
    make_commit_plan,
    make_plan,
    make_restart_plan,
    make_rollback_plan,
    needs_closer_look,
)
from nixfleet_core.scripts.compose import question
from nixfleet_core.session.boundary import guard_session
from nixfleet_core.session.follow import Follower, read_events
from nixfleet_core.session.journal import JournalFollower
from nixfleet_core.session.no_answer import no_answer
from nixfleet_core.session.protocol import AskLatest, Busy, Commit, Launched
from nixfleet_core.transport.dialogue import ROOTS_OWN
from nixfleet_core.vocabulary import StepId

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine

    from nixfleet_core.facts.generations import Generations
    from nixfleet_core.facts.health import Health
    from nixfleet_core.facts.model import Facts
    from nixfleet_core.host import Host
    from nixfleet_core.job.copies import Copies, JobCopy, JobFiles, Result
    from nixfleet_core.job.events import JobEvent
    from nixfleet_core.job.history import History, JobLine
    from nixfleet_core.journal.copy import JournalCopy
    from nixfleet_core.journal.wanted import JournalEvent, Wanted
    from nixfleet_core.judge.causes import Expectation
    from nixfleet_core.judge.diagnosis import Diagnosis
    from nixfleet_core.judge.verdict import Verdict
    from nixfleet_core.judge.ways_back import WaysBack
    from nixfleet_core.nix.git_url import Latest
    from nixfleet_core.plan.model import Options, Plan
    from nixfleet_core.transport.answer import Answer
    from nixfleet_core.transport.shell import Shell

BESIDES_EVALUATION: Final = 120
"""Seconds for the rest of a script that evaluates the flake."""

LAUNCH_SECONDS: Final = 90.0
LAUNCH_TRIES: Final = 4
CONFIRM_SECONDS: Final = 15.0
SHORT_SECONDS: Final = 90.0

_Look = TypeVar("_Look")

Depth = Literal["", "1", "why"]
"""How closely the probe looks: without root; with the proof; with what explains a failed proof."""
_UNITS: Final = re.compile(r"warning: the following units failed: (.*)")
_IN_THE_WAY: Final = re.compile(
    r"Existing file '(.{1,1000}?)' (?:would be clobbered|is in the way of '[^']*'$)"
)

_FAILURE_TAIL: Final = 64 * 1024
"""So many last bytes of a failed step's output are searched for its reason."""

_AGENT_SAYS: Final = 4096
"""So many bytes of what the agent's own check printed are read; the host keeps no more."""

_ATTRIBUTES_LIMIT: Final = 64 * 1024
_INCOMING_LIMIT: Final = 100
"""Bytes of names, and a number of commits: as many as the scripts print."""


async def _nothing() -> None:
    return


@guard_session
@dataclass(slots=True)
class ShellSession:
    """One host behind a shell; see HostSession for what the methods promise."""

    host: Host
    shell: Shell
    copies: Copies
    let_go: Callable[[], Coroutine[None, None, None]] = field(default=_nothing)
    """Ends the shared connection, which may be dead."""
    own_shell: Shell | None = None
    """A shell over a new connection: it proves that the host can be reached again."""
    connect_argv: tuple[str, ...] = ()
    """The command that opens the connection at the terminal; empty if there is none to open."""
    shell_argv: Callable[[str], tuple[str, ...]] | None = None
    """The command that opens the operator's own shell at the terminal, in a folder."""
    limits: Limits = DEFAULT_LIMITS
    _nix: dict[str, str] = field(default_factory=dict)
    """What nix answered last, as the probe's records."""

    def terminal_argv(self, facts: Facts | None = None) -> tuple[str, ...]:
        if self.shell_argv is None:
            return ()
        known = facts.checkout if facts is not None else None
        return self.shell_argv(known.path if known is not None else self.host.checkout)

    def give_password(self, password: str) -> None:
        self.shell.password.give(password)

    async def probe(self, *, again: bool = False) -> Facts:
        known = self._nix if again else {}
        script = self.probe_script(nix_stamp=known.get("nix.stamp", ""))
        answer = await self._run_script(script, self.limits.look, elevate=False)
        records = _read(answer, read_records)
        if known and records.get("nix.stamp") == known["nix.stamp"]:
            records = {**records, **known}
        self._nix = nix_answers(records)
        return self._with_proofs(read_facts(records))

    async def examine(self, facts: Facts) -> Facts:
        if facts.checkout is None or not needs_closer_look(self.host, facts):
            return facts
        if facts.platform == "home-manager":
            return await self._with_attributes(facts, facts.checkout.path)
        return await self._probe(facts.checkout.path, elevate=True)

    async def debt(self, *, as_root: bool = True) -> Debt:
        facts = await self.probe(again=True)
        if facts.platform not in ("nixos", "home-manager"):
            return Debt(not_seen=("platform",))
        elevate = as_root and facts.platform == "nixos"
        answer = await self._run("debt", {}, SHORT_SECONDS, elevate=elevate)
        records = _read(answer, read_records)
        if "debt" not in records:
            return Debt(not_seen=("job",))
        return restart_debt(read_old_units(records["debt"]))

    async def inspect(self) -> Health:
        values = self._probe_values(self.host.checkout) | ROOTS_OWN.values
        values["NF_LAN_NAME"] = LAN_NAME
        asked = time.time()
        answer = await self._run("doctor", values, self._evaluation_seconds)
        return _read(answer, lambda said: parse_health(said, asked, time.time()))

    async def _with_attributes(self, facts: Facts, checkout: str, *, idle: bool = False) -> Facts:
        """The facts, with the flake's names if one of them must be chosen."""
        if self.host.attribute is not None:
            return facts
        values = {"NF_CHECKOUT": checkout, "NF_IDLE": _flag(idle)}
        answer = await self._run("attributes", values, self._evaluation_seconds)
        if answer.rc:
            return facts
        names = answer.stdout[:_ATTRIBUTES_LIMIT].decode("utf-8", "replace").split("\n")
        return replace(facts, attributes=tuple(name for name in names if name))

    async def incoming(self, facts: Facts) -> tuple[Commit, ...]:
        checkout = facts.checkout
        if checkout is None or checkout.state != "ok" or checkout.upstream is None:
            return ()
        values = {"NF_CHECKOUT": checkout.path}
        # if only root could see the facts, we ask on as root, who steps down to the owner
        answer = await self._run("incoming", values, SHORT_SECONDS, elevate=facts.uid == 0)
        lines = answer.stdout.decode("utf-8", "replace").split("\n")[:_INCOMING_LIMIT]
        pairs = (line.partition(" ") for line in lines)
        return tuple(Commit(rev, title[:SAID_LIMIT]) for rev, _, title in pairs if is_commit(rev))

    def plan(self, facts: Facts, options: Options, latest: str | None = None) -> Plan | Refusal:
        return make_plan(self.host, facts, self._limited(options), latest)

    def plan_commit(self, facts: Facts, options: Options) -> Plan | Refusal:
        return make_commit_plan(self.host, facts, self._limited(options))

    def plan_restart(self, facts: Facts, options: Options) -> Plan | Refusal:
        return make_restart_plan(self.host, facts, self._limited(options))

    async def ways_back(self, facts: Facts) -> WaysBack:
        return (await self._generations(facts))[0]

    async def plan_rollback(
        self, facts: Facts, options: Options, *, keep_lock: bool, to: int | None = None
    ) -> Plan | Refusal:
        platform = platform_of(facts)
        if isinstance(platform, Refusal):
            return platform
        ways, found = await self._generations(facts)
        way = ways.chosen if to is None else ways.to(to)
        if way is None:
            return no_way_back(ways, to)
        lock_from = None if keep_lock else way.lock_from
        theirs = checkout_of(found, lock_from)
        warnings: tuple[str, ...] = ()
        if theirs and facts.checkout and theirs != facts.checkout.path:
            # a flake.lock belongs to the checkout from which it was taken
            lock_from = None
            warnings = (f"the last update was built from {theirs}, so flake.lock stays as it is",)
        limited = self._limited(options)
        return make_rollback_plan(self.host, facts, way, lock_from, limited, warnings)

    async def _generations(self, facts: Facts) -> tuple[WaysBack, Generations]:
        answer = await self._run_reading("generations", {})
        found = read_generations(answer.stdout)
        return ways_back(found, facts.proofs), found

    def _limited(self, options: Options) -> Options:
        """The options with the limits of config.toml, where the operator has named no others."""
        return msgspec.structs.replace(
            options,
            evaluation=self.limits.evaluation,
            limits={"rebuild": self.limits.rebuild, **options.limits},
        )

    async def jobs(self) -> tuple[JobLine, ...]:
        try:
            past = await self._history()
        except Unreachable as error:
            known = self.copies.jobs(self.host.name)
            if not known:
                raise error.without_jobs() from error
            return tuple(_kept_line(job, self._copy(job)) for job in reversed(known))
        return tuple(
            job_line(one.job, asked=one.asked, result=one.result, running=one.job == past.running)
            for one in past.jobs
        )

    async def _history(self) -> History:
        return read_history((await self._run_reading("past_jobs", {})).stdout)

    async def launch(self, plan: Plan, job: str) -> Launched | Busy:
        """As in HostSession; if the link breaks in between, we try again with the same id."""
        values = {
            "NF_ID": job,
            "NF_PLATFORM_GIVEN": plan.platform,
            "NF_PLAN": msgspec.json.encode(plan).decode(),
            "NF_RUN_SH": compile_plan(plan, job, self.shell.root),
            "NF_NICE": str(plan.options.nice),
            "NF_IO_WEIGHT": str(plan.options.io_weight),
        }
        for attempt in range(1, LAUNCH_TRIES + 1):
            try:
                answer = await self._run("launch", values, LAUNCH_SECONDS, elevate=plan.needs_root)
            except Unreachable:
                if attempt == LAUNCH_TRIES:
                    raise
                await self.let_go()
                await asyncio.sleep(2.0 * attempt)
                continue
            return _read_launch(answer)
        raise AssertionError("the loop returns or raises")

    async def follow(self, job: str) -> AsyncGenerator[JobEvent, None]:
        follower = Follower(self.shell, self._copy(job), job, self.let_go)
        confirming: asyncio.Task[None] | None = None
        try:
            async with aclosing(follower.events()) as events:
                async for event in events:
                    match event:
                        case StepStart(step="confirm"):
                            confirming = asyncio.create_task(self._confirm(job))
                        case StepEnd(step="confirm") if confirming is not None:
                            confirming.cancel()
                    yield event
        finally:
            if confirming is not None:
                confirming.cancel()

    async def _confirm(self, job: str) -> None:
        """Reach the host anew and tell it; repeat until the step that waits for this is over."""
        script = self._script("confirm", {"NF_ID": job})
        shell = self.own_shell or self.shell
        shell.password = self.shell.password
        while True:
            answer = await shell.run(script, limit=CONFIRM_SECONDS)
            if b"@nf denied" in answer.stdout:
                with suppress(NeedsPassword, NotAllowed):
                    answer = await shell.run(script, limit=CONFIRM_SECONDS, elevate=True)
            if b"@nf ok" in answer.stdout:
                return
            await asyncio.sleep(1.0)

    def files(self, job: str) -> JobFiles:
        return self._copy(job).files

    def journal_copy(self) -> JournalCopy:
        return new_copy(self.copies, self.host.name)

    async def journal(
        self, copy: JournalCopy, wanted: Wanted
    ) -> AsyncGenerator[JournalEvent, None]:
        def script(values: dict[str, str]) -> str:
            return self._script("journal", values)

        follower = JournalFollower(self.shell, copy, wanted, script, self.let_go)
        async with aclosing(follower.events()) as events:
            async for event in events:
                yield event

    def usual(self, plan: Plan) -> Usual:
        recent = self.copies.jobs(self.host.name)[-RECENT:]
        jobs = [_past_job(self._copy(job)) for job in recent]
        return usual_durations(jobs, _step_ids(plan))

    async def fetch_plan(self, job: str) -> Plan:
        copy = self._copy(job)
        if copy.read("plan.json") is None:
            answer = await self._run_as_reader("plan", job)
            _, found, data = answer.stdout.partition(b"@nf plan\n")
            if not found:
                copy.discard_empty()
                raise NoSuchJob(f"the host has no job {job}")
            copy.write("plan.json", data)
        asked = copy.asked()
        if asked is None:
            raise NoSuchJob(f"the plan of job {job} cannot be read")
        return asked.plan

    async def verdict(self, job: str, latest: AskLatest) -> Verdict:
        copy = self._copy(job)
        before, after = _facts(copy.read("before")), _facts(copy.read("after"))
        outcome = await asyncio.to_thread(_outcome, copy)
        asked = copy.asked()
        goal = outcome.goal
        known: Latest = (copy.read("latest") or b"").decode("ascii", "replace").strip()
        known = known or (asked.plan.options.input_rev if asked else None)
        if goal == "commit" and after is not None:
            # it commits the flake.lock that is proven, and moves no input
            known = after.lock_rev(self.host.input)
        elif not known and after is not None and goal in ("update", "restart"):
            known = await latest(after)
        expect = await self._expectation(after, known or None)
        if outcome.git_refused and expect.latest is None:
            # neither the host's git nor the client may ask: as for an input that git does not know
            expect = msgspec.structs.replace(expect, latest_known=False)
        if asked is not None and asked.plan.options.as_locked:
            expect = expect_locked(expect, after)
        if asked is not None and goal == "rollback":
            expect = expect_target(expect, asked.plan)
        elif outcome.rolled_back and before is not None:
            expect = expect_before(expect, before)
        changes = parse_changes(copy.read("changes") or b"")
        verdict = judge(before, after, expect, outcome, changes)
        left = left_behind(before, after, outcome, self.host, expect)
        return msgspec.structs.replace(verdict, left=left)

    def facts_after(self, job: str) -> Facts | None:
        return _facts(self._copy(job).read("after"))

    async def cancel(self, job: str) -> None:
        answer = await self._run_as_reader("cancel", job)
        if b"@nf ok" not in answer.stdout and b"@nf over" not in answer.stdout:
            raise NotAllowed(_said(answer) or f"job {job} cannot be cancelled")

    async def verify(self, latest: AskLatest, *, as_locked: bool = False) -> tuple[Facts, Verdict]:
        deep = await self._look_deep(await self.probe(), "1", debt=True)
        expect = await self._expectation(deep, await latest(deep))
        if as_locked:
            expect = expect_locked(expect, deep)
        return deep, judge(deep, deep, expect, None)

    async def explain(self, facts: Facts, latest: Latest) -> Diagnosis:
        deep = await self._look_deep(facts, "why")
        return diagnose(deep, await self._expectation(deep, latest))

    async def _expectation(self, facts: Facts | None, latest: Latest) -> Expectation:
        # clones of repositories cost the start
        from nixfleet_core.session.latest_version import named_expectation

        return await named_expectation(self.host, facts, latest)

    async def _look_deep(self, facts: Facts, deep: Depth, *, debt: bool = False) -> Facts:
        platform = platform_of(facts)
        if isinstance(platform, Refusal):
            return facts  # root would see no more
        is_home = platform == "home-manager"
        checkout = facts.checkout.path if facts.checkout else self.host.checkout
        if is_home:
            facts = await self._with_attributes(facts, checkout)
        attribute = choose_attribute(self.host, facts) or ""
        return await self._probe(
            checkout, deep=deep, elevate=not is_home, attribute=attribute, debt=debt
        )

    async def prove_idly(self, facts: Facts) -> Facts:
        checkout = facts.checkout
        if checkout is None:
            return facts
        if facts.platform == "home-manager":
            facts = await self._with_attributes(facts, checkout.path, idle=True)
            if self.host.attribute is None and facts.attributes is None:
                return facts  # the host is busy, or its flake fails
        attribute = choose_attribute(self.host, facts) or ""
        return await self._probe(checkout.path, deep="1", attribute=attribute, idle=True)

    async def newest_job(self) -> str | None:
        known = next(reversed(self.copies.jobs(self.host.name)), None)
        try:
            facts = await self.probe()
        except Unreachable as error:
            if known is None:
                raise error.without_jobs() from error
            return known
        return facts.job_running or facts.job_last or known

    async def close(self) -> None:
        return

    @property
    def _evaluation_seconds(self) -> int:
        """For a script that evaluates the flake, too."""
        return self.limits.evaluation + BESIDES_EVALUATION

    def _copy(self, job: str) -> JobCopy:
        return self.copies.job(self.host.name, job)

    def probe_script(
        self,
        checkout: str | None = None,
        *,
        deep: Depth = "",
        attribute: str = "",
        nix_stamp: str = "",
    ) -> str:
        """The script that looks at the host. It does not ask nix if its stamp is `nix_stamp`."""
        values = self._probe_values(checkout or self.host.checkout, deep, attribute)
        return self._script("probe", values | {"NF_NIX_STAMP": nix_stamp})

    def _probe_values(self, checkout: str, deep: Depth = "", attribute: str = "") -> dict[str, str]:
        return {
            "NF_CHECKOUT": checkout,
            "NF_INPUT": self.host.input,
            "NF_ATTRIBUTE": attribute,
            "NF_CHOSEN": "" if self.host.attribute else "1",
            "NF_DEEP": deep,
            "NF_NIX_STAMP": "",
        }

    async def _probe(
        self,
        checkout: str,
        *,
        deep: Depth = "",
        elevate: bool = False,
        attribute: str = "",
        idle: bool = False,
        debt: bool = False,
    ) -> Facts:
        values = self._probe_values(checkout, deep, attribute)
        values["NF_IDLE"] = _flag(idle)
        script = self._script("probe_whole" if debt else "probe", values)
        limit = self._evaluation_seconds if deep else self.limits.look
        facts = _read(await self._run_script(script, limit, elevate=elevate), parse_probe)
        if facts.proof is not None and (facts.proof.is_of_a_state or not idle):
            commit = facts.lock_rev(self.host.input) or ""
            proof = msgspec.structs.replace(facts.proof, commit=commit)
            self.copies.keep_proof(self.host.name, proof)
        return self._with_proofs(facts)

    def _with_proofs(self, facts: Facts) -> Facts:
        """The facts with all proofs: those that the host keeps, and those that we keep; and with
        what we remember of them for longer."""
        name, kept = self.host.name, self.copies.proofs(self.host.name)
        facts = replace(
            facts,
            proofs=newest_first((*facts.proofs, *kept)),
            origins=self.copies.origins(name),
        )
        origins = origins_of(facts, self.host.input)
        if origins != facts.origins:
            self.copies.learn_origins(name, origins)
        return replace(facts, origins=origins)

    async def _run_as_reader(self, name: str, job: str) -> Answer:
        """Run a script on a job's directory: as ourselves, or as root if that is refused."""
        return await self._run_reading(name, {"NF_ID": job})

    async def _run_reading(self, name: str, values: dict[str, str]) -> Answer:
        """The same for all jobs."""
        answer = await self._run(name, values, SHORT_SECONDS)
        if b"@nf denied" in answer.stdout:
            return await self._run(name, values, SHORT_SECONDS, elevate=True)
        return answer

    async def _run(
        self, name: str, values: dict[str, str], limit: float, *, elevate: bool = False
    ) -> Answer:
        return await self._run_script(self._script(name, values), limit, elevate=elevate)

    async def _run_script(self, script: str, limit: float, *, elevate: bool) -> Answer:
        answer = await self.shell.run(script, limit=limit, elevate=elevate)
        if answer.end != "whole":
            error = no_answer(answer, limit, self.host.name)
            if answer.end == "mute":
                await self.let_go()  # sshd remembers the login shell as long as a connection lasts
            if answer.end == "away" and not error.at_terminal:
                error.advice = await self.shell.door.hindrance() or error.advice
            raise error
        return answer

    def _script(self, name: str, values: dict[str, str]) -> str:
        """One of the scripts, with the platform if it is known."""
        values = {
            "NF_PLATFORM_GIVEN": self.host.platform or "",
            "NF_EVALUATION": str(self.limits.evaluation),
            **values,
        }
        return question(name, self.shell.root, values)


def _flag(is_set: bool) -> str:
    """As the scripts have it."""
    return "1" if is_set else ""


def _read(answer: Answer, parse: Callable[[bytes], _Look]) -> _Look:
    """What a look found. Raises BadAnswer."""
    try:
        return parse(answer.stdout)
    except ProbeError as error:
        why = f"{error}: {answer.stderr.strip()[-200:]}".rstrip(": ")
        raise BadAnswer(why, "look at the host by hand, then refresh") from error


def _read_launch(answer: Answer) -> Launched | Busy:
    for line in reversed(answer.stdout.decode("utf-8", "replace").splitlines()):
        match line.split():
            case ["@nf", "launched", job] if is_job_id(job):
                return Launched(job)
            case ["@nf", "busy", job] if is_job_id(job):
                return Busy(job)
            case ["@nf", "failed"]:
                break
    raise LaunchFailed(_said(answer) or "the host did not say whether it launched the job")


def _said(answer: Answer) -> str:
    """The end of its stderr."""
    return answer.stderr.strip()[-4 * SAID_LIMIT :]


def _kept_line(job: str, copy: JobCopy) -> JobLine:
    """The history's line of a job, from its copy; or what is wrong with that."""
    try:
        return job_line(job, asked=copy.asked(), result=copy.result(), running=False)
    except OSError as error:
        return unreadable_line(job, f"{error.filename}: {error.strerror}")


def _past_job(copy: JobCopy) -> PastJob:
    """What is known of a past job; nothing of what cannot be read."""
    try:
        asked, events = copy.asked(), read_events(copy.files.events)
    except OSError:
        return PastJob((), ())
    return PastJob(_step_ids(asked.plan) if asked is not None else (), events, copy.built())


def _step_ids(plan: Plan) -> tuple[StepId, ...]:
    return tuple(step.id for step in plan.steps)


def _facts(data: bytes | None) -> Facts | None:
    if data is None or len(data) > PROBE_LIMIT:
        return None
    try:
        return parse_probe(data)
    except ProbeError:
        return None


def _outcome(copy: JobCopy) -> Outcome:
    """How a job ended, from its result, its events and the output of its failed step."""
    result = copy.result()
    if result is None or result.outcome not in ("done", "failed", "cancelled"):
        kind = "interrupted"
    else:
        kind = result.outcome
    events = read_events(copy.files.events)
    failed = [e for e in events if isinstance(e, StepEnd) and e.status == "failed"]
    # the reason that ended the job early counts more than a failure before it
    bad = next((e for e in failed if e.reason == "interrupted"), failed[0] if failed else None)
    ended = {e.step: e.status for e in events if isinstance(e, StepEnd)}
    checks = [e for e in events if isinstance(e, Check)]
    check = next((e for e in checks if not e.ok and e.check != AGENT_CHECK), None)
    asked = next((e for e in reversed(checks) if e.check == AGENT_CHECK), None)
    request = copy.asked()
    outcome = Outcome(
        kind=kind,  # type: ignore[arg-type]
        goal=request.plan.goal if request is not None else "update",
        failed_step=bad.step if bad else _failed_step(result) or _under_way(events),
        rc=bad.rc if bad else result.rc if result else 0,
        reason=(bad.reason if bad else "") or (result.reason if result else ""),
        detail=check.reason if check else "",
        check_words=_check_words(copy, check) if check and check.said else "",
        # a push that failed has taken the commit back
        committed=ended.get("commit") == "ok"
        and (ended.get("push") not in ("failed", "cancelled") or _was_not_tried(bad)),
        pushed=ended.get("push") == "ok",
        rolled_back=ended.get("rollback") == "ok",
        back_failed=ended.get("rollback") == "failed"
        and bad is not None
        and bad.step != "rollback",
        git_refused=any(e.ok and e.check == INPUT_CHECK and e.reason == "refused" for e in checks),
        went_over=any(e.ok and e.check == IDLE_CHECK and e.reason for e in checks),
        slept=sum(e.seconds for e in events if isinstance(e, Slept)),
        agent_says=None if asked is None else asked.reason or "ok",
        agent_words="" if asked is None else _agent_words(copy, asked),
    )
    if bad is None:
        return outcome
    lines = _last_words(copy, events, bad).splitlines()
    return replace(
        outcome,
        failure=find_failure(lines),
        units=_failed_units(lines),
        in_the_way=_in_the_way(lines),
    )


def _was_not_tried(push: StepEnd | None) -> bool:
    return push is not None and push.reason in ("others", "upstream")


def _failed_step(result: Result | None) -> StepId | None:
    """The failed step, from the result: on a full disk the events may lack it."""
    found = result.failed if result else ""
    return cast("StepId", found) if found in get_args(StepId) else None


def _under_way(events: list[JobEvent]) -> StepId | None:
    """The step that had begun when the events broke off, for example by a reboot."""
    last = next((e for e in reversed(events) if isinstance(e, StepStart | StepEnd)), None)
    return last.step if isinstance(last, StepStart) else None


def _failed_units(lines: list[str]) -> tuple[str, ...]:
    """Units that switch-to-configuration names in its warning."""
    found = (_UNITS.search(strip_colours(line)) for line in lines)
    names = (match[1] for match in found if match)
    return tuple(name for text in names for name in re.split(r"[,\s]+", text) if name)


def _in_the_way(lines: list[str]) -> tuple[str, ...]:
    """Files that Home Manager would overwrite."""
    found = (_IN_THE_WAY.search(strip_colours(line)) for line in lines)
    return tuple(match[1] for match in found if match)


def _last_words(copy: JobCopy, events: list[JobEvent], bad: StepEnd) -> str:
    """The end of what the failed step printed."""
    starts = [e.log for e in events if isinstance(e, StepStart) and e.step == bad.step]
    return _part_of_log(copy, max(0, bad.log - _FAILURE_TAIL, *starts[-1:]), bad.log)


def _agent_words(copy: JobCopy, asked: Check) -> str:
    """The beginning of what the agent's own check printed, as it may be shown."""
    return _one_line(_shown(copy, asked.said, min(asked.log, asked.said + _AGENT_SAYS)))


def _check_words(copy: JobCopy, failed: Check) -> str:
    """What a failed check of the preflight found: the flake's names, or Nix's own error."""
    said = _shown(copy, max(failed.said, failed.log - _FAILURE_TAIL), failed.log)
    if (failed.check, failed.reason) == (ATTRIBUTE_CHECK, "missing"):
        asked = copy.asked()
        return _one_line(nearest_names(said.splitlines(), asked.plan.attribute if asked else ""))
    error = evaluation_error(said.splitlines())
    if failed.reason == "dirty":
        # behind the preflight's last sentence stand the files, one a line
        files = said.rpartition("\npreflight: ")[2].splitlines()[1:]
        error = "; ".join(filter(None, (error, f"changed: {', '.join(files)}")))
    return _one_line(error)


def _shown(copy: JobCopy, begin: int, end: int) -> str:
    """A part of the log as it may be shown. Credentials go before anything is cut: the rest of one
    could not be recognised."""
    printed = _part_of_log(copy, begin, end)
    return redact("\n".join(without_colours(log_line(line)) for line in printed.splitlines()))


def _one_line(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= SAID_LIMIT else f"{words[:SAID_LIMIT]} …"


def _part_of_log(copy: JobCopy, begin: int, end: int) -> str:
    """These bytes of the log, or as many of them as are here."""
    with reading(copy.files.log) as log:
        end = min(end, log.seek(0, os.SEEK_END))
        if begin >= end:
            return ""
        log.seek(begin)
        return log.read(end - begin).decode("utf-8", "replace")
