"""A job of its own commits flake.lock after an update: proven anew, under the same lock."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from .chaos.scene import JOB
from .client import QUICK
from .host import CHECKOUT
from .test_after import git, name_owner, statuses

if TYPE_CHECKING:
    from .client import Answer, Client
    from .fleet import Fleet
    from .host import LabHost


def commit(client: Client, host: LabHost, *more: str) -> tuple[int, Answer]:
    done = client.run("commit", host.name, "--yes", "--json", *more)
    answer: Answer = json.loads(done.stdout.splitlines()[-1])
    return done.returncode, answer


def agent(host: LabHost) -> str:
    return host.enter("systemctl show nixfleet-agent -p MainPID -p NRestarts")


def test_the_lock_of_an_update_is_committed_without_a_restart(
    fresh: Fleet, host: LabHost, client: Client
) -> None:
    name_owner(host)
    old = fresh.repos.head("nixfleet")
    new = fresh.repos.release("2.2.0")
    answer = client.update(host.name, "--force")
    assert answer["verdict"] == "updated", answer
    assert any("nixfleet commit HOST" in note for note in answer["notes"])
    assert git(host, "status --porcelain") == "M flake.lock"
    was = agent(host)
    code, answer = commit(client, host)
    assert (code, answer["verdict"], answer["cause"]) == (0, "current", ""), answer
    assert statuses(answer) == {"preflight": "ok", "verify": "ok", "commit": "ok"}
    message = f"flake.lock: nixfleet {old[:7]} -> {new[:7]}"
    assert git(host, "log -1 --format='%s, by %an'") == f"{message}, by Ops"
    assert git(host, "status --porcelain") == ""
    assert agent(host) == was
    # it is committed now: there is nothing to do
    code, answer = commit(client, host)
    assert (code, answer["cause"]) == (1, "preflight-commit"), answer


def test_without_a_proof_nothing_is_committed(fresh: Fleet, client: Client) -> None:
    host = fresh["csb0"]
    name_owner(host)
    fresh.repos.release("2.2.0")
    assert client.update("csb0", "--force")["verdict"] == "updated"
    before = git(host, "rev-parse HEAD")
    # somebody moves flake.lock on: it builds another agent than the one that runs
    fresh.repos.release("2.3.0")
    features = "--extra-experimental-features 'nix-command flakes'"
    host.enter(f"cd {CHECKOUT} && nix {features} flake lock --update-input nixfleet", user="ops")
    code, answer = commit(client, host)
    assert (code, answer["verdict"]) == (3, "stale"), answer
    assert statuses(answer)["commit"] == "skipped"
    assert git(host, "rev-parse HEAD") == before
    assert git(host, "status --porcelain") == "M flake.lock"


def test_a_commit_is_refused_while_another_job_runs(fresh: Fleet, client: Client) -> None:
    host = fresh["csb0"]
    name_owner(host)
    fresh.repos.release("2.2.0")
    assert client.update("csb0", "--force")["verdict"] == "updated"
    fresh.repos.release("2.3.0")
    with client.start("update", "csb0", "--force", *QUICK, "--json") as running:
        with host.gate("build") as gate:
            gate.wait_reached()
            code, answer = commit(client, host)
            assert (code, answer["verdict"]) == (6, None), answer
        assert running.wait() == 0, running.output


def test_a_killed_job_commits_nothing_and_leaves_the_agent_alone(
    fresh: Fleet, client: Client
) -> None:
    host = fresh["csb0"]
    name_owner(host)
    fresh.repos.release("2.2.0")
    assert client.update("csb0", "--force")["verdict"] == "updated"
    before, was = git(host, "rev-parse HEAD"), agent(host)
    with client.start("commit", "csb0", "--yes", "--json") as running:
        running.wait_for("▶ Verify")
        host.enter(f"systemctl kill --signal=KILL {JOB}")
        assert running.wait() == 1, running.output
    answer: Answer = json.loads(running.output.splitlines()[-1])
    assert (answer["verdict"], answer["cause"]) == ("interrupted", "killed"), answer
    assert (git(host, "rev-parse HEAD"), agent(host)) == (before, was)
    assert git(host, "status --porcelain") == "M flake.lock"
    assert any("not committed, as before" in left["what"] for left in answer["left"]), answer
    assert "the agent runs as process" in client.run("log", "csb0").stdout
    assert commit(client, host)[0] == 0
