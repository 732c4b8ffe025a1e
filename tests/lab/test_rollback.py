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


def generation_of(host: LabHost) -> int:
    return int(host.enter("readlink /nix/var/nix/profiles/system").split("-")[1])


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
    assert generation_of(host) == 1, "it went back by number"
    again = client.run("rollback", host.name, "--yes", "--json", "--keep-lock")
    assert json.loads(again.stdout)["after"]["version"] == "2.2.0"
    assert lock_of(host) == lock


def test_a_generation_that_never_ran_is_not_gone_back_to(fresh: Fleet, client: Client) -> None:
    """A half switch leaves it in the profile. What was active stays the aim, by itself and when
    asked; any generation can be named."""
    host = fresh["csb0"]
    system, _ = system_of(host)
    fresh.repos.release("2.2.0")
    fresh.repos.commit_nixcfg("The next switch fails", fail_switch=1)
    assert client.update("csb0", "--force", code=1)["cause"] == "switch-incomplete"
    assert (system_of(host)[0] == system, generation_of(host)) == (True, 2)

    fresh.repos.commit_nixcfg("Repaired")
    fresh.repos.release("2.3.0", behaviour="crash")
    answer = client.update("csb0", "--force", "--rollback-on-failure", code=8)
    assert answer["verdict"] == "rolled-back"
    assert (system_of(host), generation_of(host)) == ((system, system), 1)
    assert host.agent_version() == "2.1.0"

    fresh.repos.release("2.4.0")
    assert client.update("csb0", "--force")["after"]["generation"] == 4
    with client.at_terminal("rollback", "csb0") as terminal:
        terminal.wait_for("Roll back to generation [1]")
        told = " ".join(terminal.output.split())
        assert "4 agent 2.4.0; is active now" in told
        assert "2 agent 2.2.0; never seen active" in told
        assert "* 1 agent 2.1.0; was active, proven (default: active before job" in told
        terminal.type("\r")
        assert terminal.wait() == 0, terminal.output
        assert "2.1.0" in terminal.output
        assert "runs again" in terminal.output
    assert (system_of(host), generation_of(host)) == ((system, system), 1)

    done = client.run("rollback", "csb0", "--to", "2", "--yes", "--keep-lock")
    assert done.returncode == 1, done.stdout
    assert "the profile names generation 2" in done.stdout
    assert (system_of(host)[0], generation_of(host)) == (system, 2)
    done = client.run("rollback", "csb0", "--to", "4", "--yes", "--keep-lock")
    assert (done.returncode, "runs again" in done.stdout) == (0, True), done.stdout
    assert (host.agent_version(), generation_of(host)) == ("2.4.0", 4)


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
    assert rows[1]["asked_by"] == f"ops from {host.lab.gateway}"


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
