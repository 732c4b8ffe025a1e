"""The five hosts: what is special about each, and how they are made.

csb0 is stale and updates well; csb1 is current; gpc0 runs the old agent although the new one is
installed; hsb1 may not fetch its nixcfg; imac0 does not answer. The proxy of csb1 and gpc0 is that
of the system before.
"""

from __future__ import annotations

import shutil
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nixfleet_core.host import Host, SshAddress
from nixfleet_core.sandbox import flake, repositories, store
from nixfleet_core.sandbox.layout import write_base
from nixfleet_core.sandbox.machine import MARK, QUIET, Machine

if TYPE_CHECKING:
    from nixfleet_core.sandbox.flake import Source

_TEMPLATES: Final = ("nixcfg-behind", "nixcfg-pulled")
_FLEET: Final = Path(__file__).with_name("fleet.toml")


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
class _Role:
    """What is special about a host; commits are `old` (2.1.0) or `new` (2.2.0)."""

    ssh: tuple[str, str] | tuple[str, str, int]
    generation: int
    locked: str = "old"
    installed: str = "old"
    running: str = "old"
    pulled: bool = True
    remote: str | None = None
    reachable: bool = True
    tags: tuple[str, ...] = ()


_ROLES: Final = {name: _Role(**role) for name, role in tomllib.loads(_FLEET.read_text()).items()}


def make_hosts(folder: Path, path: str) -> tuple[SandboxHost, ...]:
    """Make the repositories and all hosts, ready for their agents to start.

    `path` is the PATH behind the shims. Raises OSError, GitError.
    """
    environment = fleet_environment(folder, path)
    sources = _make_nixfleet(folder, environment)
    nixcfg, old = folder / "git/nixcfg", sources["old"]
    values = {"REV": old.rev, "MODIFIED": old.modified, "HASH": old.nar_hash}
    values["NIXFLEET"] = f"file://{folder}/git/nixfleet"
    repositories.init_bare(nixcfg, environment)
    with ThreadPoolExecutor() as pool:
        making = []
        for pulled, history in ((False, "nixcfg"), (True, "nixcfg-new")):
            repositories.add_commits(nixcfg, history, environment, **values)
            # copies are cheaper than clones
            template = folder / "git" / _TEMPLATES[pulled]
            repositories.clone(f"file://{nixcfg}", template, environment)
            roles = _ROLES.items()
            names = [name for name, role in roles if role.reachable and role.pulled is pulled]
            making += [pool.submit(_make_host, folder, name, sources) for name in names]
        for host in making:
            host.result()
    return describe_hosts(folder)


def describe_hosts(folder: Path) -> tuple[SandboxHost, ...]:
    """The hosts of the fleet in that folder."""
    return tuple(_describe(folder, name) for name in _ROLES)


def install_units(host: SandboxHost) -> None:
    """Put the units of the current system in place, as a switch does."""
    system = host.root / "run/current-system"
    for file in (store.AGENT_FILE, store.PROXY_FILE):
        if (system / file).exists():
            shutil.copyfile(system / file, host.root / file)


def fleet_environment(folder: Path, path: str) -> dict[str, str]:
    """The environment of the fleet's own git; it has the mark, so that git ends with the fleet."""
    return {**QUIET, "PATH": path, "HOME": str(folder), MARK: str(folder)}


def _make_nixfleet(folder: Path, environment: dict[str, str]) -> dict[str, Source]:
    """NixFleet's repository, and its two releases."""
    repository = folder / "git/nixfleet"
    repositories.init_bare(repository, environment)
    old, new = repositories.add_commits(repository, "nixfleet", environment)
    url = f"file://{repository}"
    return {
        "old": flake.read_source(url, old, environment),
        "new": flake.read_source(url, new, environment),
    }


def _describe(folder: Path, name: str) -> SandboxHost:
    role, machine = _ROLES[name], Machine(folder / "hosts" / name)
    return SandboxHost(
        host=Host(
            name=name,
            address=SshAddress(*role.ssh),
            platform="nixos" if role.reachable else None,
            attribute=name if role.reachable else None,
            tags=tuple(role.tags),
        ),
        root=machine.root,
        environment=machine.environment(),
        reachable=role.reachable,
    )


def _make_host(folder: Path, name: str, sources: dict[str, Source]) -> None:
    """All of a host's files; its units name the programs to run, whichever are installed."""
    role, machine = _ROLES[name], Machine(folder / "hosts" / name)
    write_base(machine)
    _make_checkout(machine, role, sources)
    configuration = flake.configuration(machine.checkout, name)
    old, installed = sources["old"].agent, sources[role.installed].agent
    proxy = store.proxy_of(name)
    past = store.OLD_PROXY if proxy else ""
    before = store.add_system(machine, store.System(name, old, "the generation before", past))
    out = store.add_system(machine, store.System(name, installed, configuration, proxy))
    store.set_generation(machine, role.generation - 1, before)
    store.set_generation(machine, role.generation, out)
    (machine.root / "run/current-system").symlink_to(out)
    (machine.root / store.AGENT_FILE).write_text(store.unit_text(sources[role.running].agent))
    if past:
        (machine.root / store.PROXY_FILE).write_text(store.proxy_text(past))


def _make_checkout(machine: Machine, role: _Role, sources: dict[str, Source]) -> None:
    """nixcfg as the host has it. As in life, the lock file differs from HEAD after an update."""
    shutil.copytree(machine.fleet / "git" / _TEMPLATES[role.pulled], machine.checkout)
    if role.remote is not None:
        config = machine.checkout / ".git/config"
        origin = f"file://{machine.fleet}/git/nixcfg"
        config.write_text(config.read_text().replace(origin, role.remote))
    if role.locked == "new":
        path = machine.checkout / "flake.lock"
        lock = flake.read_lock(path)
        node = lock["nodes"]["nixfleet"]
        node["locked"] = flake.locked_fields(node["original"], sources["new"])
        path.write_text(flake.format_lock(lock))
