"""Going back: on command, when the new agent does not stay up, when nobody can reach the host."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from .client import QUICK
from .host import CHECKOUT

if TYPE_CHECKING:
    from .client import Client
    from .fleet import Fleet
    from .host import LabHost


def lock_of(host: LabHost) -> str:
    return host.enter(f"cat {CHECKOUT}/flake.lock", user="ops")


def system_of(host: LabHost) -> tuple[str, str]:
    paths = host.enter("readlink -f /run/current-system /nix/var/nix/profiles/system")
    current, profile = paths.split()
    return current, profile


def test_rollback_undoes_the_last_update_and_its_flake_lock(
    fresh: Fleet, host: LabHost, client: Client
) -> None:
    system, lock = system_of(host), lock_of(host)
    fresh.repos.release("2.2.0")
    client.update(host.name, "--force")
    assert host.agent_version() == "2.2.0"
    done = client.run("rollback", host.name, "--yes", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    answer = json.loads(done.stdout)
    assert (answer["verdict"], answer["after"]["version"]) == ("rolled-back", "2.1.0")
    assert host.agent_version() == "2.1.0"
    assert (system_of(host), lock_of(host)) == (system, lock)
    again = client.run("rollback", host.name, "--yes", "--json", "--keep-lock")
    assert json.loads(again.stdout)["after"]["version"] == "2.2.0"
    assert lock_of(host) == lock


def test_an_unstable_new_agent_is_rolled_back(fresh: Fleet, client: Client) -> None:
    host = fresh["csb0"]
    system, lock = system_of(host), lock_of(host)
    fresh.repos.release("2.2.0", behaviour="crash")
    answer = client.update("csb0", "--force", "--rollback-on-failure", code=8)
    assert (answer["verdict"], answer["cause"]) == ("rolled-back", "agent-unstable")
    assert (system_of(host), lock_of(host)) == (system, lock)
    assert (host.agent_version(), host.agent_state()) == ("2.1.0", "active success")


def test_a_switch_that_cuts_its_own_network_is_rolled_back(fresh: Fleet, client: Client) -> None:
    host = fresh["csb0"]
    system = system_of(host)
    fresh.repos.release("2.2.0")
    with client.start(
        "update", "csb0", "--force", *QUICK, "--confirm-within", "10", "--json"
    ) as running:
        with host.gate("switch") as gate:
            gate.wait_reached()
            host.cut_link()
        running.wait_for("the job goes on")
        host.enter("while systemctl -q is-active nixfleet-job; do sleep 0.5; done")
        host.restore_link()
        assert running.wait() == 8, running.output
    answer = json.loads(running.output.splitlines()[-1])
    assert (answer["verdict"], answer["cause"]) == ("rolled-back", "unconfirmed")
    assert (system_of(host), host.agent_version()) == (system, "2.1.0")


def test_a_confirmed_switch_stays(fresh: Fleet, host: LabHost, client: Client) -> None:
    fresh.repos.release("2.2.0")
    answer = client.update(host.name, "--force", "--confirm-within", "20")
    assert (answer["verdict"], host.agent_version()) == ("updated", "2.2.0")
    statuses = {step["id"]: step["status"] for step in answer["steps"]}
    assert (statuses["confirm"], statuses["rollback"]) == ("ok", "skipped")


def test_jobs_lists_updates_and_rollbacks_with_who_asked(fresh: Fleet, client: Client) -> None:
    host = fresh["csb0"]
    fresh.repos.release("2.2.0")
    update = client.update("csb0", "--force")["job"]
    client.run("rollback", "csb0", "--yes")
    rows = [json.loads(line) for line in client.run("jobs", "csb0", "--json").stdout.splitlines()]
    assert [(row["goal"], row["outcome"]) for row in rows] == [
        ("rollback", "done"),
        ("update", "done"),
    ]
    assert rows[1]["job"] == update
    assert rows[1]["asked_by"] == f"uid 1000 from {host.lab.gateway}"


def test_the_job_is_gentle(fresh: Fleet, client: Client) -> None:
    host = fresh["csb0"]
    fresh.repos.release("2.2.0")
    with client.start("update", "csb0", "--force", *QUICK, "--nice", "7", "--max-jobs", "1") as run:
        with host.gate("build") as gate:
            gate.wait_reached()
            shown = host.enter("systemctl show nixfleet-job -p Nice -p IOWeight --value")
            assert sorted(shown.split()) == ["50", "7"]
            assert "--max-jobs 1" in host.enter("ps -eo args | grep '[n]ixos-rebuild switch'")
        assert run.wait() == 0, run.output
