"""Builds on a sandbox host: agents and systems, under store paths that follow from their inputs.

As in Nix, the same inputs give the same path, and an existing path is not built again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Final, NamedTuple

from nixfleet_core.sandbox.machine import write_whole

if TYPE_CHECKING:
    from nixfleet_core.sandbox.machine import Machine

NIXOS_VERSION: Final = "26.05.20260718.61b7c44"
AGENT_UNIT: Final = "nixfleet-agent.service"
AGENT_FILE: Final = f"etc/systemd/system/{AGENT_UNIT}"
PROXY_UNIT: Final = "caddy.service"
PROXY_FILE: Final = f"etc/systemd/system/{PROXY_UNIT}"
OLD_PROXY: Final = "2.10.0"
_NEW_PROXY: Final = "2.10.2"
_PROXY_HOSTS: Final = ("csb1", "gpc0")
_HERE: Final = Path(__file__).parent
_ALPHABET: Final = "0123456789abcdfghijklmnpqrsvwxyz"
_ACTIVATION_SECONDS: Final = 0.8

_AGENT: Final = """\
#!/bin/sh
if [ "${{1:-}}" = --help ]; then echo 'usage: nixfleet-agent'; exit; fi
trap 'echo "nixfleet-agent {version}: shutting down"; kill "$!" 2>/dev/null; exit 0' TERM
echo 'nixfleet-agent {version}: connected, reporting every 60 s'
while :; do sleep 86400 & wait "$!" 2>/dev/null; done
"""

_PROXY: Final = """\
#!/bin/sh
trap 'kill "$!" 2>/dev/null; exit 0' TERM
echo 'caddy {version}: serving initial configuration'
while :; do sleep 86400 & wait "$!" 2>/dev/null; done
"""

_SWITCH: Final = """\
#!/bin/sh
set -eu
root={root}
out=$root/nix/store/{name}
unit=$root/etc/systemd/system/nixfleet-agent.service
PATH=$root/shims:$PATH
changed=no
cmp -s "$out/etc/systemd/system/nixfleet-agent.service" "$unit" || changed=yes
echo 'activating the configuration...' >&2
sleep {pause}
ln -sfn "$out" "$root/run/current-system"
echo 'setting up /etc...' >&2
cp "$out/etc/systemd/system/nixfleet-agent.service" "$unit.new"
mv "$unit.new" "$unit"
echo 'reloading user units for ops...' >&2
echo 'restarting sysinit-reactivation.target' >&2
if systemctl is-active nixfleet-agent.service >/dev/null; then
  [ $changed = no ] || echo 'NOT restarting the following changed units: nixfleet-agent.service' >&2
else
  systemctl start nixfleet-agent.service
  echo 'the following new units were started: nixfleet-agent.service' >&2
fi
"""


class Agent(NamedTuple):
    """The agent as a commit of NixFleet builds it; `source` names the tree it is built from."""

    version: str
    source: str

    @property
    def name(self) -> str:
        """Its directory in the store."""
        return store_name(f"nixfleet-agent-{self.version}", self.source)


class System(NamedTuple):
    """A host's whole system; `configuration` identifies what nixcfg says about the host."""

    host: str
    agent: Agent
    configuration: str
    proxy: str = ""
    """The version of its web proxy; "" if it has none."""

    @property
    def name(self) -> str:
        """Its directory in the store."""
        label = f"nixos-system-{self.host}-{NIXOS_VERSION}"
        return store_name(label, self.agent.name, self.configuration, self.proxy)


def store_name(label: str, *inputs: str) -> str:
    """`HASH-LABEL`, the hash in Nix's own base 32."""
    digest = hashlib.sha256("\0".join((label, *inputs)).encode()).digest()
    number = int.from_bytes(digest[:20], "big")
    return "".join(_ALPHABET[number >> 5 * i & 31] for i in reversed(range(32))) + f"-{label}"


def unit_text(agent: Agent) -> str:
    """The unit file that the agent's NixOS module writes."""
    return (_HERE / AGENT_UNIT).read_text().replace("AGENT", agent.name)


def proxy_of(host: str) -> str:
    """The version of the web proxy that nixcfg has for the host; "" if it has none."""
    return _NEW_PROXY if host in _PROXY_HOSTS else ""


def proxy_text(version: str) -> str:
    """The unit file that the proxy's NixOS module writes."""
    return (_HERE / PROXY_UNIT).read_text().replace("CADDY", _proxy_name(version))


def _proxy_name(version: str) -> str:
    return store_name(f"caddy-{version}", NIXOS_VERSION)


def has(machine: Machine, name: str) -> bool:
    """Whether the store holds the path."""
    return (machine.root / "nix/store" / name).exists()


def add_agent(machine: Machine, agent: Agent) -> Path:
    """Put the agent into the host's store."""
    program = _AGENT.format(version=agent.version)
    return _add(machine, agent.name, {"bin/nixfleet-agent": program})


def add_derivation(machine: Machine, agent: Agent) -> Path:
    """Put the agent's derivation into the store."""
    path = machine.root / "nix/store" / f"{agent.name}.drv"
    write_whole(path, json.dumps(agent))
    return path


def add_system(machine: Machine, system: System) -> Path:
    """Put the system, and what it consists of, into the host's store."""
    add_agent(machine, system.agent)
    if system.proxy:
        program = _PROXY.format(version=system.proxy)
        _add(machine, _proxy_name(system.proxy), {"bin/caddy": program})
    switch = _SWITCH.format(
        root=quote(str(machine.root)),
        name=system.name,
        pause=f"{_ACTIVATION_SECONDS / machine.speed:.4f}",
    )
    files = {
        "nixos-version": NIXOS_VERSION,
        "bin/switch-to-configuration": switch,
        AGENT_FILE: unit_text(system.agent),
        **({PROXY_FILE: proxy_text(system.proxy)} if system.proxy else {}),
    }
    return _add(machine, system.name, files)


def add_tool(machine: Machine, name: str) -> Path:
    """Put a program that nobody runs into the host's store."""
    return _add(machine, name, {"bin/nixos-rebuild": "#!/bin/sh\n"})


def set_generation(machine: Machine, number: int, system: Path) -> None:
    """Make a system the generation with that number, and the current one."""
    link = machine.profile.with_name(f"{machine.profile.name}-{number}-link")
    link.symlink_to(system)
    machine.profile.unlink(missing_ok=True)
    machine.profile.symlink_to(link.name)


def _add(machine: Machine, name: str, files: dict[str, str]) -> Path:
    """Write a store path whole, or not at all: a build can be killed."""
    target = machine.root / "nix/store" / name
    if target.exists():
        return target
    building = target.with_name(f".{name}.{os.getpid()}")
    for path, text in files.items():
        file = building / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        if "bin" in file.parts[-2:-1]:
            file.chmod(0o755)
    try:
        building.rename(target)
    except OSError:
        shutil.rmtree(building)
    return target
