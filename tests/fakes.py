"""A fleet without hosts: facts, and sessions that answer as a test tells them."""

# ruff: noqa: ARG002 - a fake has the signatures of what it stands for

from __future__ import annotations

import asyncio
import json
import tempfile
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec

from nixfleet_core.errors import NeedsPassword, Unreachable
from nixfleet_core.facts.health import Health
from nixfleet_core.facts.model import Binary, Checkout, Facts, Running, Snapshot, System, Unit
from nixfleet_core.facts.proofs import Proven
from nixfleet_core.host import Host, parse_address
from nixfleet_core.job.copies import Copies, JobFiles
from nixfleet_core.job.durations import Usual
from nixfleet_core.job.events import JobEnd, JobEvent, JobStart, LogGrew, StepEnd, StepStart
from nixfleet_core.job.history import JobLine
from nixfleet_core.journal.copy import JournalCopy
from nixfleet_core.journal.export import Entry
from nixfleet_core.journal.wanted import Grew, JournalEvent, Opened, Wanted
from nixfleet_core.judge.debt import Debt
from nixfleet_core.judge.diagnosis import Diagnosis
from nixfleet_core.judge.verdict import Verdict
from nixfleet_core.judge.ways_back import WayBack, WaysBack
from nixfleet_core.nix.git_url import Latest
from nixfleet_core.nix.lock import Source, parse_lock
from nixfleet_core.nix.version import NixVersion
from nixfleet_core.plan.model import Options, Plan, Refusal, Step
from nixfleet_core.session.protocol import AskLatest, Busy, Commit, HostSession, Launched
from nixfleet_core.vocabulary import TITLES, StepId

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from nixfleet_core.session.protocol import LatestSource

NOW = 1_795_400_000
OLD, NEW = "1a2b3c4" + "0" * 33, "9f2c1ab" + "0" * 33
JOB = "20261123-004101-ab12"
OLD_PATH = f"/nix/store/{'9x4k' * 8}-nixfleet-agent-2.1.0"
OLD_SYSTEM = f"/nix/store/{'0ld0' * 8}-nixos-system-csb0-25.05"
BAD_SYSTEM = f"/nix/store/{'bad0' * 8}-nixos-system-csb0-25.08"
NEW_SYSTEM = f"/nix/store/{'n3w0' * 8}-nixos-system-csb0-25.11"
NEW_PATH = f"/nix/store/{'k3vd' * 8}-nixfleet-agent-2.2.0"
STEP_IDS: tuple[StepId, ...] = (
    "preflight",
    "stop",
    "pull",
    "update",
    "rebuild",
    "start",
    "verify",
)
"""The steps of every update."""

_ARGV: dict[StepId, tuple[str, ...]] = {
    "preflight": ("git", "ls-remote", "origin"),
    "stop": ("systemctl", "stop", "nixfleet-agent.service"),
    "pull": ("git", "merge", "--ff-only", "FETCH_HEAD"),
    "update": ("nix", "flake", "update", "nixfleet"),
    "rebuild": (
        *("nixos-rebuild", "switch", "--flake", ".#csb0"),
        *("--option", "narinfo-cache-negative-ttl", "0"),
    ),
    "confirm": ("wait-for-operator", "60"),
    "start": ("systemctl", "start", "nixfleet-agent.service"),
    "restart": ("systemctl", "restart", "nixfleet-agent.service"),
    "rollback": ("switch-back",),
    "commit": ("git", "commit", "--message", "flake.lock: nixfleet 1a2b3c4 -> 9f2c1ab"),
    "push": ("git", "push", "origin", "HEAD:refs/heads/main"),
    "verify": ("nixfleet-verify",),
}


def make_host(name: str, address: str | None = None) -> Host:
    return Host(name=name, address=parse_address(address) if address else None)


HOST = make_host("csb0")


def make_facts(
    *,
    running: str = OLD_PATH,
    installed: str = OLD_PATH,
    rev: str = OLD,
    active: str = "active",
    version: str | None = None,
    os: str = "NixOS 25.11",
    flake_input: str = "nixfleet",
) -> Facts:
    """A healthy host, at 2.1.0 unless told otherwise."""
    lock = {
        "version": 7,
        "root": "root",
        "nodes": {
            "root": {"inputs": {flake_input: "nixfleet"}},
            "nixfleet": {
                "locked": {"rev": rev, "lastModified": NOW - 3 * 3600, "type": "git"},
                "original": {"type": "git", "url": "https://git.example/nixfleet"},
            },
        },
    }
    return Facts(
        hostname="csb0",
        os=os,
        platform="nixos",
        machine="x86_64",
        now=NOW,
        boot="boot",
        nix=NixVersion("nix", (2, 31), "2.31.2"),
        unit=Unit(load="loaded", active=active, pid=42 if active == "active" else 0, began="1"),
        running=Running(
            Binary(running, version or running[-5:]), "claimed", pid=42, started=NOW - 7200
        ),
        installed=Binary(installed, version or installed[-5:]),
        system=System(current=NEW_SYSTEM, profile=NEW_SYSTEM, generation=412),
        checkout=Checkout(
            path="/home/ops/Code/nixcfg",
            state="ok",
            branch="main",
            lock=parse_lock(json.dumps(lock)),
            source=f"{'5' * 40}-{rev}",
        ),
        proofs=(make_proof(running, installed, rev, flake_input),),
    )


def make_proof(running: str, installed: str, rev: str, flake_input: str) -> Proven:
    """The proof that a look with root has left: the new commit builds 2.2.0, the old one 2.1.0."""
    return Proven(
        at=NOW - 180,
        system=NEW_SYSTEM,
        installed=installed,
        boot="boot",
        pid=42,
        began="1",
        running=running,
        builds=NEW_PATH if rev == NEW else OLD_PATH,
        source=f"{'5' * 40}-{rev}",
        checkout="/home/ops/Code/nixcfg",
        attribute="csb0",
        input=flake_input,
        commit=rev,
    )


NOT_RESTARTED = make_facts(installed=NEW_PATH, rev=NEW)
CURRENT = make_facts(running=NEW_PATH, installed=NEW_PATH, rev=NEW)
STALE = make_facts()
OFFLINE = Unreachable("No route to host", "is the host up, and the VPN?")

UPDATED = Verdict(
    kind="updated",
    sentence="the agent went from 2.1.0 to 2.2.0, and runs what is installed",
    before=Snapshot(version="2.1.0", commit=OLD, store_path=OLD_PATH, generation=412),
    after=Snapshot(
        version="2.2.0", commit=NEW, store_path=NEW_PATH, sha256="c0ff1e" * 10, generation=413
    ),
)
PROVEN = Verdict(kind="updated", sentence="new")
NOT_PROVEN = Verdict(kind="stale", cause="not-restarted", sentence="old", advice="restart")
WHY = Diagnosis(
    cause="not-restarted",
    sentence="not restarted: 2.2.0 is installed, but 2.1.0 still runs",
    evidence=(("running path", OLD_PATH), ("expected path", None)),
    advice="restart it",
    command=("update", "--force"),
)


def make_step(step: StepId, level: int = 1) -> Step:
    more = (
        ("--option", "narinfo-cache-positive-ttl", "0") if (step, level) == ("rebuild", 2) else ()
    )
    return Step(
        id=step,
        title=TITLES[step].format(input="nixfleet"),
        argv=(*_ARGV[step], *more),
        run_as="owner" if step in ("pull", "update") else "root",
        limit=60,
        tries=5 if step in ("pull", "update") else 1,
        weight=10 if step == "rebuild" else 1,
    )


def make_plan(
    host: str,
    options: Options,
    *,
    steps: tuple[StepId, ...] = STEP_IDS,
    warnings: tuple[str, ...] = (),
) -> Plan:
    asked: dict[StepId, bool] = {
        "rollback": options.rollback_on_failure,
        "commit": options.commit_lock,
        "push": options.push,
    }
    last = tuple(step for step, wanted in asked.items() if wanted)
    if options.as_locked:
        steps = tuple(step for step in steps if step != "update")
    return Plan(
        host=host,
        attribute=host,
        checkout="/home/ops/Code/nixcfg",
        owner="ops",
        input="nixfleet",
        options=options,
        steps=tuple(make_step(step, options.level) for step in (*steps, *last)),
        tools=("git", "nix"),
        warnings=warnings,
    )


def make_rollback(host: str, lock_from: str | None = JOB) -> Plan:
    return msgspec.structs.replace(
        make_plan(host, Options(), steps=("preflight", "stop", "rollback", "start", "verify")),
        goal="rollback",
        target=OLD_SYSTEM,
        target_profile=OLD_SYSTEM,
        target_number=411,
        target_ran=True,
        target_words=f"generation 411: active before job {lock_from or JOB}",
        lock_from=lock_from,
    )


def make_commit(host: str) -> Plan:
    return msgspec.structs.replace(
        make_plan(host, Options(commit_lock=True), steps=("preflight", "verify", "commit")),
        goal="commit",
        lock_seen="1 2",
    )


def make_restart(host: str, *warnings: str) -> Plan:
    steps: tuple[StepId, ...] = ("preflight", "restart", "verify")
    made = make_plan(host, Options(pull=False), steps=steps, warnings=warnings)
    return msgspec.structs.replace(made, goal="restart")


BEFORE_JOB = WayBack(
    system=OLD_SYSTEM,
    profile=OLD_SYSTEM,
    number=411,
    agent=f"{OLD_PATH}/bin/nixfleet-agent",
    known="was-active",
    ran=True,
    lock_from=JOB,
    why=f"active before job {JOB}",
)
NOW_ACTIVE = WayBack(
    system=NEW_SYSTEM,
    profile=NEW_SYSTEM,
    number=412,
    agent=f"{NEW_PATH}/bin/nixfleet-agent",
    known="active",
)
NEVER_RAN = WayBack(
    system=BAD_SYSTEM,
    profile=BAD_SYSTEM,
    number=410,
    agent=f"{NEW_PATH}/bin/nixfleet-agent",
    known="failed",
)
UNKNOWN = WayBack(system=BAD_SYSTEM, profile=BAD_SYSTEM, number=9)
WAYS = WaysBack(BEFORE_JOB, (NOW_ACTIVE, BEFORE_JOB, NEVER_RAN, UNKNOWN))


def ways_of(text: str) -> WaysBack:
    """A host that says the same thing everywhere."""
    way = WayBack(system=text, profile=text, agent=text, lock_from=text, why=text)
    return WaysBack(way, (way, msgspec.structs.replace(way, profile=OLD_SYSTEM, number=7)))


PLAN = make_plan("csb0", Options(input_rev=OLD), steps=("pull",))
EVENTS: tuple[JobEvent, ...] = (
    JobStart(at=1),
    StepStart(step="pull", at=2, log=0),
    StepEnd(step="pull", at=5, status="ok", log=9),
    JobEnd(at=6, outcome="done"),
)
"""The events of that plan when all goes well."""

T = TypeVar("T")


class FakeSession:
    """One host. It answers each call by what `says` has under its name, else as a stale host would.

    If that is an exception, it is raised; if a list, each call takes its next item. For `follow`
    it is a tuple of events, or a function of this session that makes them; else `say` feeds it.
    """

    def __init__(self, host: Host, folder: Path = Path("nowhere"), **says: Any) -> None:
        self.host = host
        self.folder = folder
        """The folder of its copies of jobs."""
        self.says = says
        self.password: str | None = None
        """The password that sudo wants; None: it wants none."""
        self.warnings: tuple[str, ...] = ()
        self.connect_argv: tuple[str, ...] = ()
        self.calls: list[str] = []
        """The calls, with the latest commit if that matters."""
        self.given: list[str] = []
        self.options: Options | None = None
        """The options of the last plan."""
        self.latest: str | None = None
        """The latest commit that the last plan was given."""
        self.launched: list[str] = []
        self.plans: list[Plan] = []
        """The plans of the launched jobs."""
        self.cancelled: list[str] = []
        self.cancelling = asyncio.Event()
        """Set once somebody asks a job to stop."""
        self.events: list[JobEvent | None] = []
        self.told: list[JournalEvent | str | Exception] = []
        """What its agent's log has told."""
        self.journal_copies: list[JournalCopy] = []
        """The copies of its agent's log."""
        self._news = asyncio.Condition()

    @property
    def copies(self) -> Copies:
        return Copies(self.folder)

    def _answer(self, call: str, default: T, *told: object, root: bool = False) -> T:
        assert self.says.keys() <= vars(HostSession).keys(), "a call of another name"
        self.calls.append(" ".join((call, *map(str, told))))
        if root and self.password is not None and self.password not in self.given:
            raise NeedsPassword(self.host.name, wrong=bool(self.given))
        answer = self.says.get(call, default)
        if isinstance(answer, list):
            answer = answer.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return cast("T", answer)

    def terminal_argv(self, facts: Facts | None = None) -> tuple[str, ...]:
        known = facts.checkout if facts is not None else None
        return self._answer("terminal_argv", (), *((known.path,) if known is not None else ()))

    def give_password(self, password: str) -> None:
        self.given.append(password)

    async def probe(self, *, again: bool = False) -> Facts:
        return self._answer("probe", STALE, *(("again",) if again else ()))

    async def examine(self, facts: Facts) -> Facts:
        return self._answer("examine", facts)

    async def inspect(self) -> Health:
        return self._answer("inspect", Health(await self.probe()))

    async def debt(self, *, as_root: bool = True) -> Debt:
        told = () if as_root else ("without root",)
        return self._answer("debt", Debt(looked=12), *told, root=as_root)

    async def incoming(self, facts: Facts) -> tuple[Commit, ...]:
        return self._answer("incoming", ())

    def plan(self, facts: Facts, options: Options, latest: str | None = None) -> Plan | Refusal:
        self.options, self.latest = options, latest
        return self._answer("plan", make_plan(self.host.name, options, warnings=self.warnings))

    def plan_commit(self, facts: Facts, options: Options) -> Plan | Refusal:
        return self._answer("plan_commit", make_commit(self.host.name))

    def plan_restart(self, facts: Facts, options: Options) -> Plan | Refusal:
        return self._answer("plan_restart", make_restart(self.host.name))

    async def ways_back(self, facts: Facts) -> WaysBack:
        return self._answer("ways_back", WAYS, root=True)

    async def plan_rollback(
        self, facts: Facts, options: Options, *, keep_lock: bool, to: int | None = None
    ) -> Plan | Refusal:
        plan = make_rollback(self.host.name)
        told = (keep_lock,) if to is None else (keep_lock, to)
        return self._answer("plan_rollback", plan, *told, root=True)

    async def jobs(self) -> tuple[JobLine, ...]:
        return self._answer("jobs", (), root=True)

    async def newest_job(self) -> str | None:
        return self._answer("newest_job", JOB)

    def usual(self, plan: Plan) -> Usual:
        return self._answer("usual", Usual())

    async def launch(self, plan: Plan, job: str) -> Launched | Busy:
        answer: Launched | Busy = self._answer("launch", Launched(job), root=True)
        if isinstance(answer, Launched):
            self.launched.append(job)
            self.plans.append(plan)
        return answer

    async def follow(self, job: str) -> AsyncGenerator[JobEvent, None]:
        told: Any = self._answer("follow", FakeSession._fed)
        if isinstance(told, tuple):
            for event in told:
                yield event
            return
        async for event in told(self):
            yield event

    async def _fed(self) -> AsyncGenerator[JobEvent, None]:
        at = 0
        while True:
            async with self._news:
                await self._news.wait_for(lambda: len(self.events) > at)  # noqa: B023
                event = self.events[at]
            at += 1
            if event is None:
                return
            yield event

    def journal_copy(self) -> JournalCopy:
        self.journal_copies.append(
            JournalCopy(Path(tempfile.mkdtemp(dir=self.folder if self.folder.is_dir() else None)))
        )
        return self.journal_copies[-1]

    async def journal(
        self, copy: JournalCopy, wanted: Wanted
    ) -> AsyncGenerator[JournalEvent, None]:
        """It tells what stands under the name, and then what `tell` gives, if it is followed: a
        text is a message of the agent."""
        said = list(self._answer("journal", ("Started",), wanted, root=True))
        yield Opened("systemd")
        for number in count():
            async with self._news:
                await self._news.wait_for(
                    lambda: number < len(said) + len(self.told) or not wanted.follow  # noqa: B023
                )
                if number >= len(said) + len(self.told):
                    return
                one = (*said, *self.told)[number]
            if isinstance(one, Exception):
                raise one
            if isinstance(one, str):
                entry = Entry(one.encode(), "c", NOW * 10**6, one.encode(), 6, "agent", "7")
                copy.append("journal", entry.raw, copy.reached.entries.feed(entry))
                yield Grew()
            else:
                yield one

    async def tell(self, *events: JournalEvent | str | Exception) -> None:
        """Let the agent say something, or something happen to its log."""
        async with self._news:
            self.told.extend(events)
            self._news.notify_all()

    def files(self, job: str) -> JobFiles:
        folder = self.folder
        return JobFiles(log=folder / "log", text=folder / "log.txt", events=folder / "events")

    async def fetch_plan(self, job: str) -> Plan:
        return self._answer("fetch_plan", make_plan(self.host.name, Options(force=True)))

    async def verdict(self, job: str, latest: AskLatest) -> Verdict:
        return self._answer("verdict", UPDATED, await latest(STALE))

    def facts_after(self, job: str) -> Facts | None:
        return cast("Facts | None", self.says.get("facts_after"))

    async def cancel(self, job: str) -> None:
        self.cancelling.set()
        self._answer("cancel", None, root=True)
        self.cancelled.append(job)

    async def verify(self, latest: AskLatest, *, as_locked: bool = False) -> tuple[Facts, Verdict]:
        facts = await self.probe()
        told = (await latest(facts), *(("as-locked",) if as_locked else ()))
        return facts, self._answer("verify", NOT_PROVEN, *told, root=True)

    async def prove_idly(self, facts: Facts) -> Facts:
        return self._answer("prove_idly", facts)

    async def explain(self, facts: Facts, latest: Latest) -> Diagnosis:
        return self._answer("explain", WHY, latest)

    async def close(self) -> None:
        self.calls.append("close")

    async def say(self, *events: JobEvent | None) -> None:
        """Let these events happen; None ends the job's stream."""
        async with self._news:
            self.events.extend(events)
            self._news.notify_all()

    async def log(self, text: str) -> None:
        """Append to log.txt, and say so."""
        path = self.files(JOB).text
        with path.open("a") as file:
            file.write(text)
        size = path.stat().st_size
        await self.say(LogGrew(size=size, text_size=size))

    async def run_job(self) -> None:
        """The whole chain, without a hitch, in one second a step."""
        await self.say(JobStart(at=NOW), LogGrew(size=0, text_size=0))
        for number, step in enumerate(STEP_IDS):
            await self.say(StepStart(step=step, at=NOW + number, log=0))
            await self.log(f"{TITLES[step].format(input='nixfleet')}: done\n")
            await self.say(StepEnd(step=step, at=NOW + number + 1, status="ok", log=0))
        await self.say(JobEnd(at=NOW + len(STEP_IDS), outcome="done"), None)


def finished(host: Host, **says: Any) -> FakeSession:
    """A host whose one job has one step, and has ended already."""
    plans = dict.fromkeys(("plan", "plan_rollback", "fetch_plan"), PLAN)
    return FakeSession(host, **{**plans, "follow": EVENTS, "verdict": PROVEN, **says})


class FakeLatest:
    """Every input's repository is at NEW, unless told otherwise."""

    here = True

    def __init__(self, rev: Latest = NEW) -> None:
        self.rev = rev
        self.asked: list[Source] = []

    async def latest(self, source: Source, host: Host, *, since: float = 0.0) -> Latest:
        self.asked.append(source)
        return self.rev


if TYPE_CHECKING:
    # this finds a fake that has fallen behind
    _session: type[HostSession] = FakeSession
    _latest: type[LatestSource] = FakeLatest


def make_fleet(folder: Path) -> list[FakeSession]:
    """Four hosts: not restarted, current, stale, offline."""
    fleet = [
        FakeSession(make_host("csb0", "ops@cs0:2222"), probe=NOT_RESTARTED),
        FakeSession(make_host("csb1", "ops@cs1:2222"), probe=CURRENT),
        FakeSession(make_host("gpc0")),
        FakeSession(make_host("imac0", "markus@imac0"), probe=OFFLINE, jobs=OFFLINE),
    ]
    for session in fleet:
        session.folder = folder / session.host.name
        session.folder.mkdir()
    return fleet
