"""The main path on real hosts: 2.1.0 becomes 2.2.0, over ssh and on the host itself."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TYPE_CHECKING

import pytest

from nixfleet_core.cli.listing import look
from nixfleet_core.config import load_config
from nixfleet_core.inventory import default_inventory_path, load_inventory
from nixfleet_core.job.copies import Copies
from nixfleet_core.session.open import open_sessions

from . import log_sessions
from .client import QUICK, Client
from .host import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nixfleet_core.session.shell_session import ShellSession

    from .client import Answer
    from .fleet import Fleet
    from .host import LabHost

STEPS = ["preflight", "stop", "pull", "update", "rebuild", "start", "verify"]


def statuses(answer: Answer) -> dict[str, str]:
    return {step["id"]: step["status"] for step in answer["steps"]}


def locked(host: LabHost) -> dict[str, str]:
    """Each input of the checkout's flake.lock and its commit."""
    nodes = json.loads(host.enter(f"cat {CHECKOUT}/flake.lock", user="ops"))["nodes"]
    return {name: node["locked"]["rev"] for name, node in nodes.items() if "locked" in node}


def test_an_update_brings_the_new_agent_and_proves_it(
    fresh: Fleet, host: LabHost, client: Client
) -> None:
    old = locked(host)
    commit = fresh.repos.release("2.2.0")
    answer = client.update(host.name, "--force")
    assert (answer["verdict"], answer["cause"]) == ("updated", "")
    assert statuses(answer) == dict.fromkeys(STEPS, "ok")
    before, after = answer["before"], answer["after"]
    assert (before["version"], after["version"]) == ("2.1.0", "2.2.0")
    assert (before["commit"], after["commit"]) == (old["nixfleet"], commit)
    exe = host.agent_exe()
    assert exe == f"{after['store_path']}/bin/nixfleet-agent"
    assert after["sha256"] == host.enter(f"sha256sum {exe}").split()[0]
    assert before["sha256"]
    assert before["sha256"] != after["sha256"]
    assert after["system"] == host.enter("readlink -f /run/current-system")
    assert after["generation"] == (before["generation"] or 0) + 1
    assert locked(host) == old | {"nixfleet": commit}
    log = client.log_of(host, answer["job"] or "")
    assert log_sessions.names(log) == ["nixos-rebuild itself", "system"]
    assert log_sessions.told(log)[-1].done > 0

    again = client.update(host.name)
    assert (again["verdict"], again["steps"]) == ("current", [])
    pid = host.agent_pid()
    forced = client.update(host.name, "--force")
    assert forced["verdict"] == "current"
    assert statuses(forced) == dict.fromkeys(STEPS, "ok")
    assert host.agent_pid() != pid


def test_three_hosts_at_once(fresh: Fleet, client: Client) -> None:
    fresh.repos.release("2.2.0")
    done = client.run("update", *fresh.hosts, "--force", *QUICK, "--json")
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert {answer["host"]: answer["verdict"] for answer in answers} == dict.fromkeys(
        fresh.hosts, "updated"
    )


def test_an_agent_that_was_not_restarted_is_found_and_cured(fresh: Fleet, client: Client) -> None:
    host = fresh["csb0"]
    fresh.repos.release("2.2.0")
    host.enter(f"cd {CHECKOUT}; nix flake update nixfleet", user="ops")
    rebuild = "/run/current-system/sw/bin/nixos-rebuild switch --flake"
    host.enter(f"SUDO_UID=1000 {rebuild} {CHECKOUT}#csb0")
    assert host.agent_version() == "2.1.0"
    shown = client.run("verify", "csb0", "--json")
    assert shown.returncode == 3
    assert json.loads(shown.stdout)["cause"] == "not-restarted"
    answer = client.update("csb0")
    assert (answer["verdict"], host.agent_version()) == ("updated", "2.2.0")


def test_a_broken_agent_is_replaced(fresh: Fleet, client: Client) -> None:
    host = fresh["csb0"]
    host.enter("systemctl stop nixfleet-agent")
    fresh.repos.release("2.2.0")
    answer = client.update("csb0", "--force")
    assert (answer["verdict"], host.agent_version()) == ("updated", "2.2.0")


def test_the_input_can_be_locked_to_a_commit(fresh: Fleet, host: LabHost, client: Client) -> None:
    wanted = fresh.repos.release("2.2.0")
    fresh.repos.release("2.3.0")
    answer = client.update(host.name, "--force", "--input-rev", wanted)
    assert (answer["verdict"], answer["after"]["version"]) == ("updated", "2.2.0")
    assert locked(host)["nixfleet"] == wanted


def test_without_a_pull_nixcfg_stays(fresh: Fleet, client: Client) -> None:
    host = fresh["csb0"]
    head = host.enter(f"git -C {CHECKOUT} rev-parse HEAD", user="ops")
    fresh.repos.commit_nixcfg(fail_build=True)
    fresh.repos.release("2.2.0")
    answer = client.update("csb0", "--force", "--no-pull")
    assert answer["verdict"] == "updated"
    assert "pull" not in statuses(answer)
    assert host.enter(f"git -C {CHECKOUT} rev-parse HEAD", user="ops") == head


def test_a_dry_run_prints_the_commands_and_changes_nothing(
    fleet: Fleet, host: LabHost, client: Client
) -> None:
    listing = (
        "find / -xdev \\( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /var/log "
        "-o -path /tmp -o -path /var/tmp \\) -prune -o -printf '%p %s %T@ %i\\n' | sort"
    )
    before = host.enter(listing)
    done = client.run("update", host.name, "--force", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert f"nixos-rebuild switch --flake '{CHECKOUT}#{host.name}'" in done.stdout
    assert "--option narinfo-cache-negative-ttl 0" in done.stdout
    assert host.enter(listing) == before
    assert host.enter("ls -A /tmp") == host.enter("ls -A /tmp | grep -v nixfleet || true")


def test_incoming_commits_are_listed_before_anything_is_done(fresh: Fleet, client: Client) -> None:
    fresh.repos.commit_nixcfg("Open a port for everyone")
    done = client.run("update", "csb0", "--dry-run")
    assert "Open a port for everyone" in done.stdout


def test_listing_asks_all_hosts_at_once(
    fleet: Fleet, client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It takes hardly longer than a plain `ssh HOST` that runs the probe. Both log in each time;
    the interpreter's start does not count."""
    for key, value in client.env.items():
        monkeypatch.setenv(key, value)
    sessions = open_sessions(
        load_inventory(default_inventory_path()).hosts,
        Copies(tmp_path),
        load_config(os.environ).config,
    )

    def seconds(act: Callable[[], object]) -> float:
        for session in sessions:
            asyncio.run(session.let_go())
        begun = time.monotonic()
        act()
        return time.monotonic() - begun

    def alone(session: ShellSession) -> float:
        host = fleet[session.host.name]
        return seconds(lambda: host.run("exec /bin/sh -s", "ops", stdin=session.probe_script()))

    # turn by turn, so that a machine that is busy meanwhile slows both down
    ratios = [
        seconds(lambda: asyncio.run(look(sessions))) / max(alone(session) for session in sessions)
        for _ in range(5)
    ]
    assert min(ratios) <= 1.5, f"times the slowest host alone: {ratios}"


def test_listing_starts_one_ssh_a_host(fleet: Fleet, client: Client, tmp_path: Path) -> None:
    count = tmp_path / "count"
    ssh = tmp_path / "ssh"
    ssh.write_text(f'#!/bin/sh\necho "$*" >> {count}\nexec {shutil.which("ssh")} "$@"\n')
    ssh.chmod(0o755)
    client.path = f"{tmp_path}:{client.env['PATH']}"
    assert client.run("hosts").returncode == 0
    # `ssh -G` connects to nothing: it says what the configuration has for a host
    calls = [line for line in count.read_text().splitlines() if " -G " not in f" {line}"]
    assert len(calls) == len(fleet.hosts)


def test_listing_shows_versions_and_what_is_stale(fresh: Fleet, client: Client) -> None:
    fresh.repos.release("2.2.0")
    fresh["gpc0"].enter("systemctl stop nixfleet-agent")
    client.update("csb0", "--force")
    done = client.run("hosts", "--json")
    rows = {row["host"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert {name: row["state"] for name, row in rows.items()} == {
        "csb0": "current",
        "csb1": "stale",
        "gpc0": "down",
    }
    assert rows["csb0"]["running"]["version"] == "2.2.0"
    assert rows["csb1"]["latest"] == fresh.repos.head("nixfleet")


def test_two_operators_at_once_run_one_job(
    fresh: Fleet, client: Client, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = fresh.client(tmp_path_factory.mktemp("two"))
    other.write_inventory({fresh["csb0"]: "ops"})
    fresh.repos.release("2.2.0")
    # whoever comes first is held at the agent's stop until the other has come
    with fresh["csb0"].gate("stop") as gate, ThreadPoolExecutor() as pool:
        both = [
            pool.submit(one.run, "update", "csb0", "--force", *QUICK, "--json")
            for one in (client, other)
        ]
        first = next(as_completed(both))
        gate.open()
    busy = first.result()
    (winner,) = (one.result() for one in both if one is not first)
    assert (busy.returncode, winner.returncode) == (6, 0)
    assert json.loads(busy.stdout)["job"] == json.loads(winner.stdout)["job"]
    attached = other.run("attach", "csb0", "--json")
    assert json.loads(attached.stdout)["verdict"] == "updated"
