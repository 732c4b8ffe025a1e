"""Hosts as a look has seen them: a healthy one, and its possible differences."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from nixfleet_core.facts.model import (
    ActiveGeneration,
    Binary,
    Checkout,
    Facts,
    LastJob,
    Running,
    System,
    Unit,
)
from nixfleet_core.facts.proofs import Proven
from nixfleet_core.host import Host
from nixfleet_core.nix.lock import FlakeLock, parse_lock

OLD, NEW = "1" * 40, "2" * 40
HOST = Host("csb0")
JOB = "20261123-004101-ab12"
MADE = 1_795_000_000
"""When the locked commit was made."""

STATE = f"{'4' * 40}-{'5' * 40}"
"""The name of a checkout's state."""
OLD_AGENT = Binary(f"/nix/store/{'a' * 32}-nixfleet-agent-2.1.0/bin/nixfleet-agent", "2.1.0")
NEW_AGENT = Binary(f"/nix/store/{'b' * 32}-nixfleet-agent-2.2.0/bin/nixfleet-agent", "2.2.0")
UP = Unit("loaded", "active", "running", "success", pid=7)


def lock(commit: str, name: str = "nixfleet", **original: str) -> FlakeLock:
    nodes: dict[str, Any] = {
        "root": {"inputs": {name: "n", "alias": [name]}},
        "n": {
            "locked": {"rev": commit, "lastModified": MADE},
            "original": {"type": "git", "url": "https://h/r", **original},
        },
    }
    return parse_lock(json.dumps({"nodes": nodes, "root": "root", "version": 7}))


CHECKOUT = Checkout(
    "/home/ops/Code/nixcfg",
    "ok",
    branch="main",
    upstream="origin/main",
    default_branch="main",
    head="c" * 40,
    lock=lock(NEW),
    source=STATE,
)
HEALTHY = Facts(
    hostname="csb0",
    os="NixOS",
    platform="nixos",
    now=MADE + 5000,
    unit=UP,
    running=Running(NEW_AGENT, "exe", pid=7, started=MADE + 1000),
    installed=NEW_AGENT,
    expected=NEW_AGENT,
    system=System("/nix/store/new", "/nix/store/new", 2),
    checkout=CHECKOUT,
    installed_at=MADE + 900,
)
BEHIND = replace(HEALTHY, checkout=replace(CHECKOUT, lock=lock(OLD)))
NOT_BUILT = replace(HEALTHY, running=Running(OLD_AGENT, "exe", 7, MADE + 1000), installed=OLD_AGENT)
PROFILE = System("/nix/store/old", "/nix/store/new", 2, active=ActiveGeneration(1))
OTHER = Checkout("/var/lib/nixfleet-agent/repo", "ok", lock=lock(OLD))
STALE_JOB = LastJob("failed", "update", "stale", 65)
MOVED_JOB = LastJob("done", latest="3" * 40)

BUILT = Proven(
    at=MADE + 3000,
    job=JOB,
    system="/nix/store/new",
    installed=OLD_AGENT.path,
    builds=OLD_AGENT.path,
    source=f"{'4' * 40}-{'6' * 40}",
    checkout=CHECKOUT.path,
    attribute="csb0",
    input="nixfleet",
    commit=OLD,
)
"""A job has built the old commit."""


def changed(facts: Facts = HEALTHY, /, **changes: Any) -> Facts:
    """The host with these facts; `checkout_x` is a fact of its checkout."""
    inner = {key[9:]: changes.pop(key) for key in list(changes) if key.startswith("checkout_")}
    if inner:
        changes["checkout"] = replace(facts.checkout or CHECKOUT, **inner)
    return replace(facts, **changes)
