"""The cheaper cures: a build of what flake.lock has already, and a restart of the agent alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from .host import CHECKOUT
from .test_after import git, statuses

if TYPE_CHECKING:
    from .client import Client
    from .fleet import Fleet
    from .host import LabHost

FEATURES = "--extra-experimental-features 'nix-command flakes'"


def lock_fix(fresh: Fleet, host: LabHost) -> str:
    """Release a fix, let nixcfg's flake.lock have it, and let a newer commit be there. Return the
    fix's commit."""
    fix = fresh.repos.release("2.2.0")
    copy = "/tmp/nixcfg"
    host.enter(
        f"git clone -q {fresh.repos.url('nixcfg')} {copy} && cd {copy} && "
        f"nix {FEATURES} flake lock --update-input nixfleet",
        user="ops",
    )
    text = host.enter(f"cat {copy}/flake.lock", user="ops")
    fresh.repos.commit("nixcfg", "Move nixfleet to the fix", {"flake.lock": f"{text}\n"})
    fresh.repos.release("2.3.0")
    return fix


def test_what_flake_lock_has_already_is_built_and_the_lock_stays(
    fresh: Fleet, host: LabHost, client: Client
) -> None:
    fix = lock_fix(fresh, host)
    newest = fresh.repos.head("nixfleet")
    planned = client.run("update", host.name, "--as-locked", "--dry-run", "--json")
    assert "update" not in [step["id"] for step in json.loads(planned.stdout)["plan"]["steps"]]
    answer = client.update(host.name, "--as-locked")
    assert (answer["verdict"], answer["cause"]) == ("updated", ""), answer
    steps = ("preflight", "stop", "pull", "rebuild", "start", "verify")
    assert statuses(answer) == dict.fromkeys(steps, "ok")
    assert (host.agent_version(), answer["after"]["commit"]) == ("2.2.0", fix)
    # flake.lock is byte for byte what nixcfg has
    assert git(host, "status --porcelain") == ""
    assert git(host, "rev-parse HEAD:flake.lock") == git(host, "hash-object flake.lock")
    assert git(host, "rev-parse HEAD") == fresh.repos.head("nixcfg")
    assert any(newest[:7] in note for note in answer["notes"]), answer["notes"]
    # it runs what is locked, so there is nothing to do
    pid = host.agent_pid()
    again = client.update(host.name, "--as-locked")
    assert (again["verdict"], again["steps"], host.agent_pid()) == ("current", [], pid)
    assert any(newest[:7] in note for note in again["notes"]), again["notes"]
    # the list measures against the latest
    assert client.run("verify", host.name).returncode == 3
    # a change of somebody's is neither built over nor thrown away
    host.enter(f"cd {CHECKOUT} && nix {FEATURES} flake lock --update-input nixfleet", user="ops")
    mine = git(host, "hash-object flake.lock")
    other = host.enter(f"cat {CHECKOUT}/flake.lock", user="ops").replace(newest, fix)
    fresh.repos.commit("nixcfg", "Format flake.lock", {"flake.lock": f"{other}\n\n"})
    refused = client.update(host.name, "--as-locked", code=1)
    assert refused["cause"] == "preflight-pull", refused
    assert git(host, "hash-object flake.lock") == mine
