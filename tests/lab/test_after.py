"""After the update: flake.lock is committed and pushed, changes are told, two checkouts differ."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

from .client import QUICK
from .host import CHECKOUT

if TYPE_CHECKING:
    from .client import Answer, Client
    from .fleet import Fleet
    from .host import LabHost

ISOLATED = "/var/lib/nixfleet-agent/repo"


def git(host: LabHost, words: str, checkout: str = CHECKOUT) -> str:
    return host.enter(f"git -C {checkout} {words}", user="ops")


def name_owner(host: LabHost) -> None:
    """Tell the owner's git who commits."""
    host.enter("git config --global user.name Ops", user="ops")
    host.enter("git config --global user.email ops@example.invalid", user="ops")


def statuses(answer: Answer) -> dict[str, str]:
    return {step["id"]: step["status"] for step in answer["steps"]}


def test_update_commits_and_pushes_only_flake_lock_and_lists_changes(
    fresh: Fleet, host: LabHost, client: Client
) -> None:
    fresh.repos.allow_push("nixcfg")
    name_owner(host)
    host.enter(f"cd {CHECKOUT}; echo mine >mine; git add mine", user="ops")
    old = fresh.repos.head("nixfleet")
    new = fresh.repos.release("2.2.0")
    answer = client.update(host.name, "--force", "--push")
    assert (answer["verdict"], answer["cause"]) == ("updated", ""), answer
    assert statuses(answer)["push"] == "ok"
    message = f"flake.lock: nixfleet {old[:7]} -> {new[:7]}"
    assert git(host, "log -1 --format='%s, by %an'") == f"{message}, by Ops"
    assert git(host, "show --format= --name-only") == "flake.lock"
    assert git(host, "status --porcelain") == "A  mine"
    assert git(host, "rev-parse HEAD") == fresh.repos.head("nixcfg")
    assert host.enter(f"find {CHECKOUT} -user root") == ""
    assert any("committed and pushed" in note and message in note for note in answer["notes"])
    agent = answer["changes"][0]
    assert (agent["name"], agent["before"], agent["after"]) == ("nixfleet-agent", "2.1.0", "2.2.0")
    # the next update finds nothing to commit, and a system that did not change
    again = client.update(host.name, "--force", "--push")
    assert (again["verdict"], statuses(again)["commit"], again["changes"]) == ("current", "ok", [])
    assert git(host, "rev-parse HEAD") == fresh.repos.head("nixcfg")


def test_a_refused_push_keeps_the_update_and_leaves_no_commit(fresh: Fleet, client: Client) -> None:
    host = fresh["csb0"]
    fresh.repos.allow_push("nixcfg")
    name_owner(host)
    before = git(host, "rev-parse HEAD")
    fresh.repos.release("2.2.0")
    with client.start("update", "csb0", "--force", "--push", *QUICK, "--json") as running:
        with host.gate("build") as gate:
            gate.wait_reached()
            newest = fresh.repos.commit_nixcfg("Somebody else was faster")
        assert running.wait() == 0, running.output
    answer: Answer = json.loads(running.output.splitlines()[-1])
    assert (answer["verdict"], answer["cause"]) == ("updated", "push-refused")
    assert answer["after"]["version"] == host.agent_version() == "2.2.0"
    assert fresh.repos.head("nixcfg") == newest
    assert git(host, "rev-parse HEAD") == before
    assert git(host, "status --porcelain") == "M flake.lock"
    assert "not committed" in answer["notes"][0]
    cured = client.update("csb0", "--force", "--push")
    assert (cured["verdict"], cured["cause"], statuses(cured)["push"]) == ("current", "", "ok")
    assert git(host, "rev-parse HEAD~1") == newest


def test_rollback_after_a_commit_says_that_flake_lock_shows_as_changed(
    fresh: Fleet, client: Client
) -> None:
    host = fresh["csb0"]
    name_owner(host)
    lock = host.enter(f"cat {CHECKOUT}/flake.lock", user="ops")
    upstream = fresh.repos.head("nixcfg")
    fresh.repos.release("2.2.0")
    answer = client.update("csb0", "--force", "--commit-lock")
    assert "committed, but not pushed" in answer["notes"][0]
    assert fresh.repos.head("nixcfg") == upstream
    done = client.run("rollback", "csb0", "--yes", "--json")
    back: Answer = json.loads(done.stdout)
    assert (back["verdict"], host.agent_version()) == ("rolled-back", "2.1.0")
    assert host.enter(f"cat {CHECKOUT}/flake.lock", user="ops") == lock
    assert "shows as changed" in back["notes"][0]
    assert git(host, "rev-parse HEAD~1") == upstream


def test_update_of_the_agents_checkout_warns_that_the_two_disagree(
    fresh: Fleet, client: Client
) -> None:
    host = fresh["csb0"]
    host.enter(f"install -d -m 700 -o ops {ISOLATED.removesuffix('/repo')}")
    host.enter(f"git clone -q {fresh.repos.url('nixcfg')} {ISOLATED}", user="ops")
    lock = host.enter(f"cat {CHECKOUT}/flake.lock", user="ops")
    new = fresh.repos.release("2.2.0")
    # git there has no user.name and user.email
    host.enter("git config --system --remove-section user")
    words = ("--force", "--checkout", "isolated")
    refused = client.update("csb0", *words, "--commit-lock", code=1)
    assert (refused["cause"], "user.name" in refused["advice"]) == ("preflight-commit", True)
    answer = client.update("csb0", *words)
    assert (answer["verdict"], answer["cause"]) == ("updated", "")
    assert answer["after"]["commit"] == new
    note, differs, check = answer["notes"]
    assert check.startswith("The agent's own --check said: ")
    assert "the agent's own pull resets its repository" in note
    assert differs.startswith(f"{CHECKOUT} locks nixfleet to ")
    # the command that the note names
    command = shlex.split(note.partition(", or: ")[2])
    named = ["git", "-c", "user.name=o", "-c", "user.email=o@example.invalid", *command[1:]]
    host.enter(shlex.join(named), user="ops")
    assert git(host, "status --porcelain", ISOLATED) == ""
    dry = client.run("update", "csb0", "--dry-run").stdout
    assert f"# warning: {ISOLATED} is at commit " in dry
    assert f"locks nixfleet to {new[:7]}, this one to " in dry
    # flake.lock goes back only into its own checkout
    back: Answer = json.loads(client.run("rollback", "csb0", "--yes", "--json").stdout)
    assert (back["verdict"], host.agent_version()) == ("rolled-back", "2.1.0")
    assert host.enter(f"cat {CHECKOUT}/flake.lock", user="ops") == lock
    assert git(host, "status --porcelain", ISOLATED) == ""
