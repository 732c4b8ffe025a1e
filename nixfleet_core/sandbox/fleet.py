"""The sandbox fleet: it lives as long as the app, and then disappears without a trace."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nixfleet_core.sandbox.hosts import (
    SandboxHost,
    fleet_environment,
    install_units,
    make_hosts,
)
from nixfleet_core.sandbox.layout import python, write_tools
from nixfleet_core.sandbox.repositories import GitError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_END_SECONDS: Final = 15.0


class SandboxError(Exception):
    """The fleet could not be set up. The message says why."""


@dataclass(frozen=True, slots=True)
class SandboxFleet:
    """All hosts, and the folder that holds them and all that they write."""

    folder: Path
    hosts: tuple[SandboxHost, ...]
    warden_pid: int

    def find(self, name: str) -> SandboxHost:
        """A host by name. Raises KeyError."""
        return {host.host.name: host for host in self.hosts}[name]


@asynccontextmanager
async def sandbox_fleet(
    *, speed: float = 1.0, base: Path | None = None
) -> AsyncIterator[SandboxFleet]:
    """Set up the fleet, and take it down with everything in it at the end.

    `speed`: how many times faster than life the hosts are. `base`: where the temporary folder is
    made. Raises SandboxError. If this process dies, the fleet ends by itself.
    """
    folder = _make_folder(base)
    path = os.environ.get("PATH", os.defpath)
    warden = None
    try:
        write_tools(folder, speed, path)  # not in a thread, which a cancellation would leave behind
        warden = await _start_warden(folder, path)
        yield await _set_up(folder, path, warden)
    finally:
        if warden is not None:
            await _end_warden(warden)
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _make_folder(base: Path | None) -> Path:
    """A new folder under its real name, so that canonical paths still begin with it.

    Unit files name paths in it unquoted, so an odd TMPDIR is ignored.
    """
    usual = tempfile.gettempdir()
    parent = base or Path(usual if re.fullmatch(r"[\w/.+-]+", usual) else "/tmp")
    return Path(tempfile.mkdtemp(prefix="nixfleet-demo-", dir=parent)).resolve()


async def _start_warden(folder: Path, path: str) -> asyncio.subprocess.Process:
    """Start the warden; its stdin is the line that tells it that we live.

    It must not write to our terminal: its complaints go to a file.
    """
    with (folder / "warden.log").open("wb") as log:
        return await asyncio.create_subprocess_exec(
            *python(folder),
            str(folder),
            "warden",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=fleet_environment(folder, path),
            start_new_session=True,
        )


async def _end_warden(warden: asyncio.subprocess.Process) -> None:
    """Let go of the line, and wait until the warden has cleaned up."""
    if warden.stdin is not None:
        warden.stdin.close()
    try:
        await asyncio.wait_for(warden.wait(), _END_SECONDS)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            warden.kill()


async def _set_up(folder: Path, path: str, warden: asyncio.subprocess.Process) -> SandboxFleet:
    making = asyncio.create_task(asyncio.to_thread(make_hosts, folder, path))
    try:
        hosts = await asyncio.shield(making)
        await _start_units(warden, [host for host in hosts if host.reachable])
    except asyncio.CancelledError:
        # A thread cannot be stopped, so wait for it: its last files must be deleted, too.
        await asyncio.wait([making])
        raise
    except GitError as error:
        raise SandboxError(f"the demo could not be set up: git: {error}") from error
    except OSError as error:
        raise SandboxError(f"the demo could not be set up: {error}") from error
    return SandboxFleet(folder=folder, hosts=hosts, warden_pid=warden.pid)


async def _start_units(warden: asyncio.subprocess.Process, hosts: list[SandboxHost]) -> None:
    """Start what must run, then install the current units. Raises SandboxError."""
    assert warden.stdin is not None
    assert warden.stdout is not None
    warden.stdin.write(f"{' '.join(host.host.name for host in hosts)}\n".encode())
    if (await warden.stdout.readline()).split() != [b"success"] * len(hosts):
        raise SandboxError("the demo could not be set up: its units did not start")
    for host in hosts:
        install_units(host)
