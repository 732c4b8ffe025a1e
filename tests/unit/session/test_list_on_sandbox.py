"""The list over the sandbox fleet: real looks, verifications and jobs, and what a row then says."""

# ruff: noqa: ARG002 - a watcher has the signatures of what it overrides

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from nixfleet_core.job.events import StepStart
from nixfleet_core.judge.table_state import assess
from nixfleet_core.plan.model import Options
from nixfleet_core.sandbox.fleet import sandbox_fleet
from nixfleet_core.sandbox.sessions import sandbox_sessions
from nixfleet_core.session.conduct import Conductor, Watcher, asker
from nixfleet_core.session.latest import GitLatest
from nixfleet_core.session.passwords import Passwords

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from nixfleet_core.errors import NeedsPassword
    from nixfleet_core.host import Host
    from nixfleet_core.job.copies import JobFiles
    from nixfleet_core.job.events import JobEvent
    from nixfleet_core.job.progress import JobState
    from nixfleet_core.plan.model import Plan
    from nixfleet_core.sandbox.hosts import SandboxHost
    from nixfleet_core.session.shell_session import ShellSession

pytestmark = pytest.mark.asyncio(loop_scope="function")

FORCED = Options(force=True, stable=1)


async def nobody(_: NeedsPassword) -> str | None:
    return None


@dataclass
class Row:
    """One host of a fleet, and what the list says of it."""

    session: ShellSession
    host: SandboxHost
    latest: GitLatest = field(default_factory=lambda: GitLatest(here=True))

    async def says(self) -> tuple[str, str]:
        """State and cause after a look without root, once no job runs there."""
        while (facts := await self.session.probe()).job_running is not None:
            pass
        latest = await asker(self.latest, self.session.host)(facts)
        found = assess(facts, latest, self.session.host)
        assert found.finding is not None
        return found.state, found.finding.cause

    @property
    def checkout(self) -> Path:
        return self.host.root / "home/ops/Code/nixcfg"

    def conductor(self, watcher: Watcher | None = None) -> Conductor:
        return Conductor(self.latest, Passwords(nobody), watcher or Watcher())


@pytest_asyncio.fixture(params=["csb0"])
async def row(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Row]:
    async with sandbox_fleet(speed=500.0, base=tmp_path) as fleet:
        sessions = {session.host.name: session for session in sandbox_sessions(fleet)}
        yield Row(sessions[request.param], fleet.find(request.param))


@pytest.mark.parametrize("row", ["csb1"], indirect=True)
async def test_a_row_is_green_only_for_the_state_that_was_proven(row: Row) -> None:
    assert await row.says() == ("unproven", "proof-missing")
    await row.conductor().verify(row.session)
    assert await row.says() == ("current", "lock-not-pushed")
    file = row.checkout / "flake.nix"
    text = file.read_text()
    file.write_text(f"{text}# a second change beside flake.lock\n")
    assert await row.says() == ("unproven", "proof-missing")
    file.write_text(text)
    assert await row.says() == ("current", "lock-not-pushed")
    lock = row.checkout / "flake.lock"
    lock.write_text(f"{lock.read_text()}\n")
    assert await row.says() == ("unproven", "proof-missing")


async def test_a_job_leaves_a_proof_on_the_host_that_everybody_there_may_read(row: Row) -> None:
    report = await row.conductor().update(row.session, FORCED)
    assert report.job is not None
    for kept in row.session.copies.root.rglob("proofs.json"):
        kept.unlink()
    assert await row.says() == ("current", "lock-not-pushed")
    folder = row.host.root / "var/lib/nixfleet/proofs"
    assert [path.name for path in folder.iterdir()] == [report.job]
    assert (folder.stat().st_mode & 0o777, (folder / report.job).stat().st_mode & 0o777) == (
        *(0o755, 0o644),
    )
    assert "://" not in (folder / report.job).read_text()
    folder.chmod(0o777)
    assert (await row.says())[0] == "unproven", "others could have written there"


@dataclass
class Canceller(Watcher):
    """Asks for a cancellation as soon as the rebuild begins."""

    session: ShellSession
    asked: list[asyncio.Task[None]] = field(default_factory=list)
    job: str = ""

    def follows(self, host: Host, job: str, plan: Plan, files: JobFiles) -> None:
        self.job = job

    def event(self, host: Host, event: JobEvent, state: JobState) -> None:
        if isinstance(event, StepStart) and event.step == "rebuild":
            self.asked.append(asyncio.create_task(self.session.cancel(self.job)))


async def test_an_update_cancelled_in_its_rebuild_is_never_green(row: Row) -> None:
    """flake.lock has moved to the latest, and what runs is what is installed: the old agent."""
    shim = (row.host.root / "shims").resolve() / "nixos-rebuild"
    shim.write_text("#!/bin/sh\nexec sleep 600\n")
    canceller = Canceller(row.session)
    report = await row.conductor(canceller).update(row.session, FORCED)
    await asyncio.gather(*canceller.asked)
    assert report.verdict is not None
    assert report.verdict.kind == "cancelled", report.verdict
    assert await row.says() == ("stale", "switch-incomplete")
    for kept in (*row.session.copies.root.rglob("proofs.json"), *_proofs(row)):
        kept.unlink()
    assert await row.says() == ("unproven", "proof-missing")


def _proofs(row: Row) -> list[Path]:
    return list((row.host.root / "var/lib/nixfleet/proofs").iterdir())


async def test_a_host_keeps_its_newest_proofs(row: Row) -> None:
    folder = row.host.root / "var/lib/nixfleet/proofs"
    folder.mkdir(parents=True, mode=0o755)
    old = [f"20200101-00000{number}-abcd" for number in range(6)]
    for name in old:
        (folder / name).write_text("proof\nat 1\n")
    report = await row.conductor().update(row.session, FORCED)
    assert {path.name for path in folder.iterdir()} == {*old[2:], report.job}
