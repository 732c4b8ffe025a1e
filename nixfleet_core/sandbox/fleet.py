"""The sandbox fleet: five hosts in one temporary folder, there as long as the app is.

csb0 is stale and updates well; csb1 is current; gpc0 runs the old agent although the new one is
installed; hsb1 may not fetch its nixcfg; imac0 does not answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nixfleet_core.host import Host, SshAddress
from nixfleet_core.sandbox import flake, repositories, store
from nixfleet_core.sandbox.layout import python, write_base, write_tools
from nixfleet_core.sandbox.machine import MARK, Machine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from nixfleet_core.sandbox.flake import Lock, Source

_END_SECONDS: Final = 15.0
_DEPLOY_KEY_REMOTE: Final = "git@git.example.org:fleet/nixcfg.git"


class SandboxError(Exception):
    """The fleet could not be set up. The message says why."""


@dataclass(frozen=True, slots=True)
class SandboxHost:
    """One host: its scripts run with `root` as NF_ROOT and exactly this `environment`.

    An unreachable one has no folder.
    """

    host: Host
    root: Path
    environment: dict[str, str]
    reachable: bool = True


@dataclass(frozen=True, slots=True)
class SandboxFleet:
    """All hosts, and the folder that holds them and everything that they write."""

    folder: Path
    hosts: tuple[SandboxHost, ...]
    manager_pid: int

    def find(self, name: str) -> SandboxHost:
        """A host by name. Raises KeyError."""
        return next(host for host in self.hosts if host.host.name == name)


@dataclass(frozen=True, slots=True)
class _Role:
    """What is special about a host; commits are `old` (2.1.0) or `new` (2.2.0)."""

    address: SshAddress
    generation: int
    locked: str = "old"
    installed: str = "old"
    running: str = "old"
    pulled: bool = True
    remote: str | None = None
    reachable: bool = True
    tags: tuple[str, ...] = ()


_ROLES: Final = {
    "csb0": _Role(SshAddress("cs0.example.org", "ops", 2222), 412, pulled=False, tags=("cloud",)),
    "csb1": _Role(
        SshAddress("cs1.example.org", "ops", 2222), 398, "new", "new", "new", tags=("cloud",)
    ),
    "gpc0": _Role(SshAddress("gpc0.example.org", "ops"), 87, "new", "new", tags=("home",)),
    "hsb1": _Role(
        SshAddress("hsb1.example.org", "ops"),
        151,
        pulled=False,
        remote=_DEPLOY_KEY_REMOTE,
        tags=("home",),
    ),
    "imac0": _Role(SshAddress("imac0.example.org", "markus"), 0, reachable=False, tags=("home",)),
}


@asynccontextmanager
async def sandbox_fleet(
    *, speed: float = 1.0, base: Path | None = None
) -> AsyncIterator[SandboxFleet]:
    """Set up the fleet, and take it down with everything in it at the end.

    `speed`: how many times faster than life the hosts are. `base`: where the temporary folder is
    made. Raises SandboxError. Should this process die, the fleet ends by itself.
    """
    folder = await asyncio.to_thread(_make_folder, base)
    path = os.environ.get("PATH", os.defpath)
    manager = None
    try:
        await asyncio.to_thread(write_tools, folder, speed, path)
        manager = await _start_manager(folder)
        yield await _set_up(folder, path, manager)
    finally:
        if manager is not None:
            await _end_manager(manager)
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _make_folder(base: Path | None) -> Path:
    """A new folder under its real name, so that a path made canonical still begins with it.

    Unit files name paths in it unquoted, so an odd TMPDIR is passed over.
    """
    usual = tempfile.gettempdir()
    parent = base or Path(usual if re.fullmatch(r"[\w/.+-]+", usual) else "/tmp")
    return Path(tempfile.mkdtemp(prefix="nixfleet-demo-", dir=parent)).resolve()


async def _start_manager(folder: Path) -> asyncio.subprocess.Process:
    """Start the manager; its stdin is the line by which it knows that we live.

    It must not write to our terminal: what it has to complain about goes to a file.
    """
    with (folder / "manager.log").open("wb") as log:
        return await asyncio.create_subprocess_exec(
            *python(folder, "entry.py"),
            str(folder),
            "manager",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )


async def _end_manager(manager: asyncio.subprocess.Process) -> None:
    """Let go of the line, and wait until the manager has cleaned up."""
    if manager.stdin is not None:
        manager.stdin.close()
    try:
        await asyncio.wait_for(manager.wait(), _END_SECONDS)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            manager.kill()


async def _set_up(folder: Path, path: str, manager: asyncio.subprocess.Process) -> SandboxFleet:
    try:
        sources = await asyncio.to_thread(_make_nixfleet, folder, path)
        hosts = await _make_hosts(folder, path, sources)
        await _expect_ready(manager)
        await _start_agents(manager, folder, sources)
    except (ExceptionGroup, flake.FetchError, OSError, subprocess.CalledProcessError) as error:
        raise SandboxError(f"the demo could not be set up: {_reason(error)}") from error
    return SandboxFleet(folder=folder, hosts=hosts, manager_pid=manager.pid)


def _reason(error: Exception) -> str:
    match error:
        case ExceptionGroup():
            return _reason(error.exceptions[0])
        case subprocess.CalledProcessError():
            said: bytes = error.stderr
            return f"git: {said.decode('utf-8', 'replace').strip()}"
        case _:
            return str(error)


async def _expect_ready(manager: asyncio.subprocess.Process) -> None:
    assert manager.stdout is not None
    if await manager.stdout.readline() != b"ready\n":
        raise SandboxError("the demo's service manager did not start")


def _environment(folder: Path, path: str) -> dict[str, str]:
    """For the fleet's own git; carries the mark, so that it ends with the fleet."""
    return {
        "PATH": path,
        "HOME": str(folder),
        "LC_ALL": "C",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        MARK: str(folder),
    }


def _make_nixfleet(folder: Path, path: str) -> dict[str, Source]:
    """NixFleet's repository, and its two releases."""
    environment = _environment(folder, path)
    repository = folder / "git/nixfleet"
    repositories.init_bare(repository, environment)
    revs = repositories.add_commits(repository, repositories.NIXFLEET, environment)
    url = f"file://{repository}"
    return {
        "old": flake.read_source(url, revs[0], environment),
        "new": flake.read_source(url, revs[-1], environment),
    }


async def _make_hosts(
    folder: Path, path: str, sources: dict[str, Source]
) -> tuple[SandboxHost, ...]:
    """All hosts, side by side; csb0's checkout is from before nixcfg's newest commits."""
    reachable = [name for name, role in _ROLES.items() if role.reachable]
    lock = _lock_text(_lock(f"file://{folder}/git/nixfleet", sources["old"]))
    known, new = repositories.nixcfg_history(reachable, f"file://{folder}/git/nixfleet", lock)
    async with asyncio.TaskGroup() as tasks:
        for pulled, changes in ((False, known), (True, new)):
            await asyncio.to_thread(_make_template, folder, path, pulled, changes)
            for name in reachable:
                if _ROLES[name].pulled is pulled:
                    making = asyncio.to_thread(_make_host, folder, name, sources)
                    tasks.create_task(making)
    return tuple(_describe(folder, name, path) for name in _ROLES)


def _make_template(
    folder: Path, path: str, pulled: bool, changes: list[repositories.Change]
) -> None:
    """Add commits to nixcfg and clone it once; copies are cheaper than clones."""
    environment, nixcfg = _environment(folder, path), folder / "git/nixcfg"
    if not nixcfg.exists():
        repositories.init_bare(nixcfg, environment)
    repositories.add_commits(nixcfg, changes, environment)
    repositories.clone(f"file://{nixcfg}", _template(folder, pulled), environment)


def _template(folder: Path, pulled: bool) -> Path:
    return folder / "git" / ("nixcfg-pulled" if pulled else "nixcfg-behind")


def _describe(folder: Path, name: str, path: str) -> SandboxHost:
    role = _ROLES[name]
    machine = Machine(folder / "hosts" / name)
    return SandboxHost(
        host=Host(
            name=name,
            address=role.address,
            platform="nixos" if role.reachable else None,
            attribute=name if role.reachable else None,
            tags=role.tags,
        ),
        root=machine.root,
        environment=machine.environment(path),
        reachable=role.reachable,
    )


def _make_host(folder: Path, name: str, sources: dict[str, Source]) -> None:
    role, machine = _ROLES[name], Machine(folder / "hosts" / name)
    write_base(machine)
    _make_checkout(machine, role, sources)
    configuration = flake.configuration(machine.checkout, name)
    old, installed = sources["old"].agent, sources[role.installed].agent
    before = store.add_system(machine, store.System(name, old, "the generation before"))
    out = store.add_system(machine, store.System(name, installed, configuration))
    store.generation_link(machine, role.generation - 1).symlink_to(before)
    store.set_profile(machine, out)
    (machine.root / "run/current-system").symlink_to(out)
    store.add_agent(machine, sources[role.running].agent)
    _write_unit(machine, sources[role.running])


def _write_unit(machine: Machine, source: Source) -> None:
    unit = machine.root / "etc/systemd/system" / store.AGENT_UNIT
    unit.write_text(store.unit_text(source.agent))


def _make_checkout(machine: Machine, role: _Role, sources: dict[str, Source]) -> None:
    """nixcfg as the host has it. After an update the lock file differs from HEAD, as in life."""
    shutil.copytree(_template(machine.fleet, role.pulled), machine.checkout)
    if role.remote is not None:
        config = machine.checkout / ".git/config"
        origin = f"file://{machine.fleet}/git/nixcfg"
        config.write_text(config.read_text().replace(origin, role.remote))
    if role.locked == "new":
        nixfleet = f"file://{machine.fleet}/git/nixfleet"
        flake.write_lock(machine.checkout / "flake.lock", _lock(nixfleet, sources["new"]))


def _lock(nixfleet_url: str, source: Source) -> Lock:
    original: flake.Fields = {"type": "git", "url": nixfleet_url, "ref": repositories.BRANCH}
    return {
        "nodes": {
            "nixfleet": {
                "inputs": {"nixpkgs": ["nixpkgs"]},
                "locked": flake.locked_fields(original, source),
                "original": original,
            },
            "nixpkgs": {
                "locked": {
                    "lastModified": 1784356753,
                    "narHash": "sha256-12KrbMiWLcf8m7pCvAtZh1ZrgF85ZXDXvfR/fWTKy84=",
                    "owner": "nixos",
                    "repo": "nixpkgs",
                    "rev": store.NIXPKGS_REV,
                    "type": "github",
                },
                "original": {
                    "owner": "nixos",
                    "ref": "nixos-unstable",
                    "repo": "nixpkgs",
                    "type": "github",
                },
            },
            "root": {"inputs": {"nixfleet": "nixfleet", "nixpkgs": "nixpkgs"}},
        },
        "root": "root",
        "version": 7,
    }


def _lock_text(lock: Lock) -> str:
    return json.dumps(lock, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


async def _start_agents(
    manager: asyncio.subprocess.Process, folder: Path, sources: dict[str, Source]
) -> None:
    """Start what should run, then install what should be installed, as a switch does."""
    for name, role in _ROLES.items():
        if not role.reachable:
            continue
        await _ask(manager, name, "start", store.AGENT_UNIT)
        if role.installed != role.running:
            _write_unit(Machine(folder / "hosts" / name), sources[role.installed])
            await _ask(manager, name, "daemon-reload")


async def _ask(manager: asyncio.subprocess.Process, host: str, *argv: str) -> None:
    """Ask the manager what a shim would ask. Raises SandboxError."""
    assert manager.stdin is not None
    assert manager.stdout is not None
    manager.stdin.write(json.dumps({"host": host, "argv": argv}).encode() + b"\n")
    line = await manager.stdout.readline()
    answer = json.loads(line or b'{"code": 1, "err": "it has ended"}')
    if answer["code"]:
        raise SandboxError(f"the demo's service manager: {answer['err'].strip()}")
