"""The agent comes back, whatever happens to the job or to its watcher."""

from __future__ import annotations

import json
import re
import signal
from typing import TYPE_CHECKING

import pytest

from .client import QUICK
from .host import CHECKOUT
from .places import held, spoil_pull

if TYPE_CHECKING:
    from .client import Client
    from .fleet import Fleet
    from .host import LabHost
    from .places import Place

UPDATE = ("update", "csb0", "--force", *QUICK)


def check_agent(host: LabHost) -> None:
    assert host.agent_state() == "active success"
    assert host.enter("systemctl list-units --plain --no-legend 'nixfleet-job*'") == ""


def attach(client: Client) -> dict[str, object]:
    done = client.run("attach", "csb0", "--json")
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


@pytest.mark.parametrize(
    ("fault", "code", "verdict", "step"),
    [
        ("pull", 1, "failed", "pull"),
        ("build", 1, "failed", "rebuild"),
        ("switch", 4, "partial", "rebuild"),
    ],
)
def test_agent_is_back_after_a_failed_step(
    fresh: Fleet, client: Client, fault: str, code: int, verdict: str, step: str
) -> None:
    host = fresh["csb0"]
    fresh.repos.release("2.2.0")
    if fault == "build":
        fresh.repos.commit_nixcfg(fail_build=True)
    elif fault == "switch":
        fresh.repos.commit_nixcfg(fail_switch=4)
    else:
        fresh.repos.commit_nixcfg()
    with client.start(*UPDATE, "--json") as running:
        if fault == "pull":
            spoil_pull(host, "head -c 1; exit 1")
        assert running.wait() == code, running.output
    answer = json.loads(running.output.splitlines()[-1])
    assert answer["verdict"] == verdict
    assert {s["id"]: s["status"] for s in answer["steps"]}[step] == "failed"
    check_agent(host)
    assert host.agent_version() == ("2.2.0" if fault == "switch" else "2.1.0")


def test_ctrl_c_cancels_and_waits_for_the_agent(fresh: Fleet, client: Client) -> None:
    host = fresh["csb0"]
    fresh.repos.release("2.2.0")
    with client.start(*UPDATE) as running, host.gate("build") as gate:
        gate.wait_reached()
        running.signal(signal.SIGINT)
        assert running.wait() == 7, running.output
    check_agent(host)
    assert host.agent_version() == "2.1.0"
    assert host.enter("pgrep -fa '[n]ix.* build' || true") == ""


def test_a_second_ctrl_c_detaches(fresh: Fleet, client: Client) -> None:
    host = fresh["csb0"]
    with client.start(*UPDATE) as running, host.gate("switch") as gate:
        gate.wait_reached()
        running.signal(signal.SIGINT)
        running.wait_for("cancelling")
        running.signal(signal.SIGINT)
        assert running.wait() == 9, running.output
    assert attach(client)["verdict"] == "cancelled"
    check_agent(host)


@pytest.mark.parametrize("place", ["pull", "rebuild", "activation"])
def test_cancel_from_elsewhere(fresh: Fleet, client: Client, place: Place) -> None:
    host = fresh["csb0"]
    fresh.repos.release("2.2.0")
    fresh.repos.commit_nixcfg()
    with client.start(*UPDATE, "--json") as running:
        with held(host, fresh.repos, running, place):
            assert client.run("cancel", "csb0").returncode == 0
            running.wait_for("cancelling")
        assert running.wait() == 7, running.output
    check_agent(host)
    # an activation that has begun is never cut off
    assert host.agent_version() == ("2.2.0" if place == "activation" else "2.1.0")
    left = json.loads(running.output.splitlines()[-1])["left"]
    assert [re.split(r" at | has | \d", one["what"])[0] for one in left] == LEFT[place], left


LEFT = {
    "pull": [
        "nixcfg, flake.lock and the system are as they were before",
        "the agent runs as before:",
    ],
    "rebuild": ["nixcfg is", "flake.lock", "the agent runs as before:"],
    "activation": [
        "nixcfg is",
        "flake.lock",
        "generation",
        "the agent runs:",
    ],
}


@pytest.mark.parametrize("place", ["rebuild", "activation"])
def test_what_a_cancelled_update_left_is_taken_back_as_it_says(
    fresh: Fleet, client: Client, place: Place
) -> None:
    host, look = fresh["csb0"], f"cd {CHECKOUT}; git rev-parse HEAD; git status --porcelain"
    was, system = host.enter(look, "ops"), host.enter("readlink -f /run/current-system")
    fresh.repos.release("2.2.0")
    fresh.repos.commit_nixcfg()
    with client.start(*UPDATE, "--json") as running:
        with held(host, fresh.repos, running, place):
            assert client.run("cancel", "csb0").returncode == 0
            running.wait_for("cancelling")
        assert running.wait() == 7, running.output
    commits, lock, *_ = json.loads(running.output.splitlines()[-1])["left"]
    assert commits["help"].startswith("nixfleet update csb0 --as-locked goes on from there; ")
    if place == "activation":
        assert lock["help"] == "nixfleet rollback csb0 takes it back with the generation"
        done = client.run("rollback", "csb0", "--yes")
        assert done.returncode == 0, done.stdout
    else:
        host.enter(by_hand(lock["help"]), "ops")
    host.enter(by_hand(commits["help"]), "ops")
    assert host.enter(look, "ops") == was
    assert host.enter("readlink -f /run/current-system") == system
    assert host.agent_version() == "2.1.0"


def by_hand(told: str) -> str:
    """The command for a person on the host."""
    _, mark, command = told.rpartition("as ops on the host, ")
    assert mark, told
    return command


def test_agent_is_back_after_a_reboot_in_the_rebuild(fresh: Fleet, client: Client) -> None:
    host = fresh["csb0"]
    fresh.repos.release("2.2.0")
    with client.start(*UPDATE) as running:
        with host.gate("build") as gate:
            gate.wait_reached()
            host.power_off()
        host.boot()
        running.wait_for("the job goes on")
        assert running.wait() == 1, running.output
    assert "interrupted" in running.output
    check_agent(host)
