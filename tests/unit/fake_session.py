"""A session that answers as a test says, for what is above the engine."""

# ruff: noqa: ARG002 - a fake has the signatures of what it stands for

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from nixfleet_core.facts.model import Binary, Checkout, Facts, Running
from nixfleet_core.host import Host
from nixfleet_core.job.copies import JobFiles
from nixfleet_core.job.events import JobEnd, JobStart, StepEnd, StepStart
from nixfleet_core.job.history import JobLine
from nixfleet_core.judge.diagnosis import Diagnosis
from nixfleet_core.judge.verdict import Verdict
from nixfleet_core.nix.lock import parse_lock
from nixfleet_core.plan.model import Options, Plan, Refusal, Step
from nixfleet_core.session.protocol import Busy, Commit, Launched

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from nixfleet_core.job.events import JobEvent
    from nixfleet_core.nix.git_url import Latest
    from nixfleet_core.session.protocol import AskLatest

JOB = "20261123-004101-ab12"
REV = "1" * 40
HOST = Host(name="csb0")
LOCK = {
    "nodes": {
        "root": {"inputs": {"nixfleet": "n"}},
        "n": {"locked": {"rev": REV}, "original": {"type": "git", "url": "https://h/r"}},
    },
    "root": "root",
    "version": 7,
}
FACTS = Facts(
    hostname="csb0",
    os="NixOS",
    platform="nixos",
    running=Running(Binary("/nix/a", "2.1.0"), "exe", 1),
    checkout=Checkout("/c", "ok", lock=parse_lock(json.dumps(LOCK))),
)
PLAN = Plan(
    host="csb0",
    attribute="csb0",
    checkout="/c",
    owner="ops",
    input="nixfleet",
    options=Options(input_rev=REV),
    steps=(Step(id="pull", title="Pull", argv=(), run_as="owner", limit=1),),
    tools=(),
)
UPDATED = Verdict(kind="updated", sentence="new")
STALE = Verdict(kind="stale", cause="not-restarted", sentence="old", advice="restart")
NOT_RESTARTED = Diagnosis(
    cause="not-restarted",
    sentence="not restarted: 2.2.0 is installed, 2.1.0 still runs",
    evidence=(("running path", "/nix/a"), ("expected path", None)),
    advice="restart it",
    command=("update", "--force"),
)
EVENTS: list[JobEvent] = [
    JobStart(at=1),
    StepStart(step="pull", at=2, log=0),
    StepEnd(step="pull", at=5, status="ok", log=9),
    JobEnd(at=6, outcome="done"),
]


@dataclass
class Session:
    """Answers a call by what stands under its name; an exception is raised, a list is used up."""

    says: dict[str, Any] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    passwords: list[str] = field(default_factory=list)
    host: Host = HOST
    options: Options | None = None
    folder: Path = Path("nowhere")
    connect_argv: tuple[str, ...] = ()
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)

    def _answer(self, call: str, default: Any) -> Any:
        self.calls.append(call)
        answer = self.says.get(call, default)
        if isinstance(answer, list):
            answer = answer.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def give_password(self, password: str) -> None:
        self.passwords.append(password)

    async def probe(self) -> Facts:
        return cast("Facts", self._answer("probe", FACTS))

    async def examine(self, facts: Facts) -> Facts:
        return cast("Facts", self._answer("examine", facts))

    async def incoming(self, facts: Facts) -> tuple[Commit, ...]:
        return cast("tuple[Commit, ...]", self._answer("incoming", ()))

    async def jobs(self) -> tuple[JobLine, ...]:
        return cast("tuple[JobLine, ...]", self._answer("jobs", ()))

    async def newest_job(self) -> str | None:
        return cast("str | None", self._answer("newest_job", JOB))

    async def plan_rollback(
        self, facts: Facts, options: Options, *, keep_lock: bool
    ) -> Plan | Refusal:
        return cast("Plan", self._answer(f"plan_rollback {keep_lock}", PLAN))

    def plan(self, facts: Facts, options: Options, latest: str | None = None) -> Plan | Refusal:
        self.options = options
        return cast("Plan", self._answer("plan", PLAN))

    async def launch(self, plan: Plan, job: str) -> Launched | Busy:
        return cast("Launched", self._answer("launch", Launched(job)))

    async def follow(self, job: str) -> AsyncGenerator[JobEvent, None]:
        answer = self._answer("follow", None)
        if answer is not None:
            async for event in answer(self):
                yield event
            return
        for event in EVENTS:
            yield event

    def files(self, job: str) -> JobFiles:
        folder = self.folder
        return JobFiles(log=folder / "log", text=folder / "log.txt", events=folder / "events")

    async def fetch_plan(self, job: str) -> Plan:
        return cast("Plan", self._answer("fetch_plan", PLAN))

    async def verdict(self, job: str, latest: AskLatest) -> Verdict:
        return cast("Verdict", self._answer("verdict", UPDATED))

    async def cancel(self, job: str) -> None:
        self.cancelled.set()
        self._answer("cancel", None)

    async def verify(self, latest: AskLatest) -> tuple[Facts, Verdict]:
        facts = await self.probe()
        return facts, self._answer(f"verify {await latest(facts)}", STALE)

    async def explain(self, facts: Facts, latest: Latest) -> Diagnosis:
        return cast("Diagnosis", self._answer(f"explain {latest}", NOT_RESTARTED))
