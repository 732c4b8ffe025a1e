"""Is my fix in? Hosts in different states, on three versions of Nix, and what is proven of each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from .repos import agent_program
from .test_claims import UNIT
from .test_proofs import UPDATE_LOCK, in_checkout

if TYPE_CHECKING:
    from .client import Client
    from .fleet import Fleet
    from .host import LabHost


def answer(client: Client, fix: str, host: LabHost) -> dict[str, Any]:
    """What `has` says of a host, and its exit code."""
    done = client.run("has", fix, host.name, "--json")
    told: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (0 if told["answer"] == "yes" else 3), done.stderr
    return told


def planned(client: Client, host: LabHost, *options: str) -> dict[str, Any]:
    """What a plan says of the input's commits."""
    done = client.run("update", host.name, "--dry-run", "--json", *options)
    coming: dict[str, Any] = json.loads(done.stdout)["coming"]
    return coming


def verify(client: Client, host: LabHost) -> None:
    assert client.run("verify", host.name).returncode in (0, 3)


@pytest.mark.parametrize("name", ["csb0", "csb1", "gpc0"])
def test_a_fix_is_followed_through_all_states_of_a_host(
    fresh: Fleet, host: LabHost, client: Client
) -> None:
    repos = fresh.repos
    base = repos.head("nixfleet")
    fix = repos.release("2.2.0")
    # nobody has a proof of what the first rollout installed
    found = answer(client, fix, host)
    assert (found["answer"], found["running_commit"]) == ("not proven", None)

    # the old lock, proven; what the fix builds is not
    verify(client, host)
    found = answer(client, fix[:9], host)
    assert (found["answer"], found["running_commit"]) == ("not proven", base), found
    assert "1 commit before the fix" in found["why"]

    # the plan names the fix; a plan that leaves flake.lock as it is brings nothing
    coming = planned(client, host)
    assert (coming["running"], coming["target"], coming["count"]) == (base, fix, 1), coming
    assert [one["title"] for one in coming["commits"]] == ["Release 2.2.0"]
    assert planned(client, host, "--as-locked")["target"] == base

    # the new lock, not built: now it is proven that the fix builds another path
    in_checkout(host, UPDATE_LOCK)
    verify(client, host)
    found = answer(client, "Release 2.2.0", host)
    assert (found["answer"], found["running_commit"]) == ("no", base), found
    in_checkout(host, "git checkout -q flake.lock")

    # switched from another checkout and not restarted: the old agent still runs; then restarted
    switch = f"sudo nixos-rebuild switch --flake .#{host.name}"
    in_checkout(host, f"cp -a . ../other; cd ../other; {UPDATE_LOCK}; {switch}")
    verify(client, host)
    found = answer(client, fix, host)
    assert (found["answer"], found["running_commit"]) == ("no", base), found
    host.enter(f"systemctl restart {UNIT}")
    found = answer(client, fix, host)
    assert (found["answer"], found["running_commit"]) == ("yes", fix), found

    # built and running
    client.update(host.name, "--force")
    found = answer(client, fix, host)
    assert (found["answer"], found["running_commit"]) == ("yes", fix), found

    # a later commit has it, too; one that reverts it has it not
    later = repos.release("2.3.0")
    client.update(host.name, "--force")
    found = answer(client, fix, host)
    assert (found["answer"], found["running_commit"]) == ("yes", later), found
    message = f'Revert "Release 2.2.0"\n\nThis reverts commit {fix}.'
    agent: dict[str, str | bytes] = {"VERSION": "2.1.9\n", "agent": agent_program("2.1.9")}
    reverted = repos.commit("nixfleet", message, agent)
    client.update(host.name, "--force")
    found = answer(client, fix, host)
    assert (found["answer"], found["running_commit"]) == ("no", reverted), found
    assert f"its revert {reverted[:7]}" in found["why"]

    # back to the fix is a downgrade, and says so
    back = client.run("update", host.name, "--dry-run", "--input-rev", fix)
    assert "input: a downgrade: 2 commits of nixfleet run now, and will not" in back.stdout


@pytest.mark.parametrize("name", ["csb0"])
def test_what_happens_to_the_repository_changes_no_answer_for_the_worse(
    fresh: Fleet, host: LabHost, client: Client
) -> None:
    repos = fresh.repos
    base = repos.head("nixfleet")
    # a newer commit changes nothing that is built: that counts once it is proven
    same = repos.commit("nixfleet", "Describe it", {"README": "x\n"})
    verify(client, host)
    found = answer(client, same, host)
    assert (found["answer"], found["running_commit"]) == ("not proven", base), found
    in_checkout(host, UPDATE_LOCK)
    verify(client, host)
    found = answer(client, same, host)
    assert (found["answer"], found["running_commit"]) == ("yes", same), found
    in_checkout(host, "git checkout -q flake.lock")

    # from here on the server leaves out files
    assert client.run("cache", "clear").returncode == 0
    repos.git("nixfleet", "config", "uploadpack.allowFilter", "true")
    fix = repos.release("2.2.0")
    # the fix is cherry-picked onto a branch that was pushed over it
    repos.move("nixfleet", base)
    repos.commit("nixfleet", "Beside", {"README": "x\n"})
    repos.git("nixfleet", "branch", "kept", fix)
    repos.git("nixfleet", "cherry-pick", "-x", fix)
    picked = repos.head("nixfleet")
    client.update(host.name, "--force")
    found = answer(client, fix, host)
    assert (found["answer"], found["running_commit"]) == ("yes", picked), found
    assert f"the cherry-pick {picked[:7]} (the same patch)" in found["why"]
    (clone,) = (client.folder / ".cache/nixfleet/repositories").glob("*.git/config")
    assert "partialclonefilter = tree:0" in clone.read_text()

    # nobody answers: the clone of before does
    repos.set_fault("nixfleet", "refuse")
    found = answer(client, fix, host)
    assert found["answer"] == "yes", found
    repos.set_fault("nixfleet", "ok")

    # main goes back: what runs is on no branch any more
    assert client.run("cache", "clear").returncode == 0
    repos.git("nixfleet", "config", "uploadpack.allowAnySHA1InWant", "true")
    repos.move("nixfleet", base)
    found = answer(client, fix, host)
    assert found["answer"] == "yes", found
    assert "force-pushed" in found["why"]

    # the history is cut off at what runs: whether a commit before it reverts the fix is not known
    assert client.run("cache", "clear").returncode == 0
    repos.move("nixfleet", picked)
    with repos.shallow("nixfleet", picked):
        found = answer(client, fix, host)
        assert (found["answer"], found["running_commit"]) == ("not proven", picked), found
        assert "its repository is shallow" in found["why"]
        assert answer(client, picked, host)["answer"] == "yes"
    repos.git("nixfleet", "config", "--unset", "uploadpack.allowFilter")
