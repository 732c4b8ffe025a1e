"""Two hundred breaks at random moments of long jobs lose and double no byte of the log."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Final

from nixfleet_core.config import load_config
from nixfleet_core.ids import new_job_id
from nixfleet_core.inventory import default_inventory_path, load_inventory
from nixfleet_core.job.copies import Copies
from nixfleet_core.plan.model import Options, Plan
from nixfleet_core.session.open import open_sessions
from nixfleet_core.session.protocol import Launched

from .scene import client_processes, command

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from nixfleet_core.session.shell_session import ShellSession

    from ..client import Client
    from ..fleet import Fleet
    from ..host import LabHost

BREAKS: Final = 67
"""On each of the three hosts."""

SEED: Final = 20261123


class Breaker:
    """Follows jobs of one host and breaks the connection again and again."""

    def __init__(self, fleet: Fleet, host: LabHost, session: ShellSession, client: Client) -> None:
        self._repos, self._host, self._session, self._client = fleet.repos, host, session, client
        self._random = random.Random(f"{SEED} {host.name}")
        self._heard = asyncio.Event()
        self._breaks = 0

    async def run(self) -> None:
        """One long job after the other, until there were enough breaks."""
        while self._breaks < BREAKS:
            # another pause between the lines gives another build
            self._repos.commit_nixcfg(lines=400, slow=60 + self._random.random())
            facts = await self._session.probe()
            plan = self._session.plan(facts, Options(force=True, stable=1))
            assert isinstance(plan, Plan)
            job = new_job_id()
            assert await self._session.launch(plan, job) == Launched(job)
            await self._break(job)
            copy = self._session.files(job).log.read_bytes()
            assert copy == self._log_on_host(job)
            assert b"Done. The new configuration is" in copy

    async def _break(self, job: str) -> None:
        """Break connections until the job has been followed to its end."""
        following = asyncio.create_task(self._follow(job))
        while True:
            self._heard.clear()
            heard = asyncio.create_task(self._heard.wait())
            await asyncio.wait({heard, following}, return_when=asyncio.FIRST_COMPLETED)
            heard.cancel()
            if following.done():
                return await following
            await asyncio.sleep(self._random.uniform(0, 0.4))
            match self._random.randrange(3):
                case 0:
                    self._breaks += bool(await asyncio.to_thread(self._host.drop_ssh_connections))
                case 1:
                    self._breaks += self._kill_ssh()
                case _:
                    following = await self._give_up(following, job)
            assert self._log_on_host(job).startswith(self._session.files(job).log.read_bytes())

    async def _follow(self, job: str) -> None:
        async with aclosing(self._session.follow(job)) as events:
            async for _ in events:
                self._heard.set()

    def _kill_ssh(self) -> bool:
        """SIGKILL for the ssh that carries the log."""
        killed = False
        for pid in client_processes(self._client):
            if f"\0{self._host.ip}\0".encode() in command(pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    killed = True
        return killed

    async def _give_up(self, following: asyncio.Task[None], job: str) -> asyncio.Task[None]:
        """The follower ends at any moment; another one continues the copy."""
        self._breaks += following.cancel()
        await asyncio.wait({following})
        return asyncio.create_task(self._follow(job))

    def _log_on_host(self, job: str) -> bytes:
        return (self._host.root / f"var/lib/nixfleet/jobs/{job}/log").read_bytes()


async def test_two_hundred_breaks_lose_and_double_no_byte(
    fresh: Fleet, client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for key, value in client.env.items():
        monkeypatch.setenv(key, value)
    hosts = load_inventory(default_inventory_path()).hosts
    sessions = {
        session.host.name: session
        for session in open_sessions(hosts, Copies(tmp_path), load_config(os.environ).config)
    }
    breakers = [Breaker(fresh, host, sessions[name], client) for name, host in fresh.hosts.items()]
    async with asyncio.TaskGroup() as group:
        for breaker in breakers:
            group.create_task(breaker.run())
