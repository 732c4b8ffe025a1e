"""The cheaper cures: a build of what flake.lock has already, and a restart of the agent alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from .chaos.scene import JOB
from .host import CHECKOUT
from .test_after import git, statuses
from .test_lab_homes import SWITCH, pull, pull_agent

if TYPE_CHECKING:
    from pathlib import Path

    from .client import Answer, Client
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


def not_restarted(fresh: Fleet, host: LabHost) -> None:
    """The new agent is installed by hand, and the old one still runs: NixOS does not restart it."""
    fresh.repos.release("2.2.0")
    host.enter(f"cd {CHECKOUT} && nix {FEATURES} flake lock --update-input nixfleet", user="ops")
    rebuild = "/run/current-system/sw/bin/nixos-rebuild switch --flake"
    host.enter(f"SUDO_UID=1000 {rebuild} {CHECKOUT}#{host.name}")
    assert host.agent_version() == "2.1.0"


def restart(client: Client, host: LabHost) -> tuple[int, Answer]:
    done = client.run("restart", host.name, "--yes", "--json")
    answer: Answer = json.loads(done.stdout.splitlines()[-1])
    return done.returncode, answer


def downtime(host: LabHost) -> int:
    """Microseconds of the agent's last restart, as systemd has seen it."""
    said = host.enter(
        "systemctl show nixfleet-agent -p ActiveExitTimestampMonotonic "
        "-p ActiveEnterTimestampMonotonic"
    )
    times = dict(line.split("=") for line in said.splitlines())
    return int(times["ActiveEnterTimestampMonotonic"]) - int(times["ActiveExitTimestampMonotonic"])


def starts(host: LabHost) -> int:
    """How often systemd has started the agent."""
    return int(host.enter("journalctl -u nixfleet-agent -o cat | grep -c ^Started"))


def test_a_restart_alone_cures_an_agent_that_was_not_restarted(
    fresh: Fleet, host: LabHost, client: Client
) -> None:
    by_hand = []
    for _ in range(3):
        host.enter("systemctl restart nixfleet-agent")
        by_hand.append(downtime(host))
    not_restarted(fresh, host)
    why = client.run("why", host.name, "--json")
    assert json.loads(why.stdout)["cure"] == f"nixfleet restart {host.name}"
    planned = json.loads(client.run("restart", host.name, "--dry-run", "--json").stdout)
    assert planned["commands"][1].endswith(" systemctl restart nixfleet-agent.service")
    assert planned["plan"]["warnings"] == []
    began, system = starts(host), host.enter("readlink -f /run/current-system")
    lock = git(host, "hash-object flake.lock")
    code, answer = restart(client, host)
    assert (code, answer["verdict"], answer["cause"]) == (0, "restarted", ""), answer
    assert statuses(answer) == {"preflight": "ok", "restart": "ok", "verify": "ok"}
    assert host.agent_version() == "2.2.0"
    assert downtime(host) <= 2 * max(by_hand), by_hand
    assert starts(host) == began + 1
    assert git(host, "hash-object flake.lock") == lock
    assert host.enter("readlink -f /run/current-system") == system
    assert client.run("verify", host.name).returncode == 0
    # now a restart cannot help any more, and says so before
    warned = client.run("restart", host.name, "--dry-run").stdout
    assert "a restart starts the same agent again: 2.2.0 is installed, and runs already" in warned


def test_a_killed_restart_leaves_the_new_agent_up(fresh: Fleet, client: Client) -> None:
    host = fresh["csb0"]
    not_restarted(fresh, host)
    with client.start("restart", "csb0", "--yes", "--json") as running:
        running.wait_for("▶ Restart agent")
        host.enter(f"systemctl kill --signal=KILL {JOB}")
        assert running.wait() == 1, running.output
    answer: Answer = json.loads(running.output.splitlines()[-1])
    assert (answer["verdict"], answer["cause"]) == ("interrupted", "killed"), answer
    assert host.agent_version() == "2.2.0"
    assert git(host, "status --porcelain") == "M flake.lock"


def test_a_home_restarts_its_agent(fresh_homes: Fleet, home: LabHost, tmp_path: Path) -> None:
    """Under systemd's user manager and under launchd, which has the old plist loaded."""
    client = fresh_homes.client(tmp_path / "op")
    client.folder.mkdir()
    client.write_inventory({home: home.user})
    pid = home.agent_pid()
    code, answer = restart(client, home)
    assert (code, answer["verdict"]) == (0, "restarted"), answer
    assert home.agent_pid() != pid
    assert home.agent_version() == "2.1.0"
    fresh_homes.repos.commit_nixcfg(restart=False)
    fresh_homes.repos.release("2.2.0")
    pull(home)
    pull_agent(home)
    plist = "~/Library/LaunchAgents/com.nixfleet.agent.plist"
    if home.name == "imac0":
        home.run(f"cp -L {plist} old.plist", home.user)
    switched = home.run(f"{SWITCH}'#{home.attribute}'", home.user)
    assert switched.returncode == 0, switched.stderr
    if home.name == "imac0":
        # there Home Manager has loaded the new plist: load the old one again
        home.run(
            "launchctl bootout gui/501/com.nixfleet.agent; "
            "until launchctl bootstrap gui/501 ~/old.plist 2>/dev/null; do sleep 0.1; done",
            home.user,
        )
    else:
        assert home.agent_version() == "2.1.0"
    code, answer = restart(client, home)
    assert (code, answer["verdict"], answer["cause"]) == (0, "restarted", ""), answer
    assert statuses(answer) == {"preflight": "ok", "restart": "ok", "verify": "ok"}
    assert home.agent_version() == "2.2.0"
