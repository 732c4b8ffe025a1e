"""The preflight refuses bad updates before the agent is touched; the user's work is never lost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from .client import QUICK
from .host import CHECKOUT
from .places import spoil_pull

if TYPE_CHECKING:
    from collections.abc import Callable

    from .client import Client
    from .fleet import Fleet
    from .host import LabHost


def as_ops(host: LabHost, command: str) -> str:
    return host.enter(f"cd {CHECKOUT}; {command}", user="ops")


def diverge(fleet: Fleet, host: LabHost) -> None:
    as_ops(host, "git commit -q --allow-empty -m mine")
    fleet.repos.commit_nixcfg("theirs")


def collide(fleet: Fleet, host: LabHost) -> None:
    as_ops(host, "echo >> lab.json")
    fleet.repos.commit_nixcfg("theirs", lines=4)


def leave_as_root(fleet: Fleet, host: LabHost) -> None:
    host.enter(f"touch {CHECKOUT}/.git/objects/left-behind")


def no_checkout(fleet: Fleet, host: LabHost) -> None:
    host.enter(f"mv {CHECKOUT} /home/ops/elsewhere")


def no_repository(fleet: Fleet, host: LabHost) -> None:
    as_ops(host, "mv .git ../../gone")


def cut_lock(fleet: Fleet, host: LabHost) -> None:
    as_ops(host, "head -c 300 flake.lock > cut; mv cut flake.lock")


def remove_unit(fleet: Fleet, host: LabHost) -> None:
    host.enter("rm /etc/systemd/system/nixfleet-agent.service; systemctl daemon-reload")


REFUSED: list[tuple[str, Callable[[Fleet, LabHost], object], dict[str, str]]] = [
    ("preflight-input", lambda fleet, host: None, {"input": "nosuch"}),
    ("preflight-remote", lambda fleet, host: fleet.repos.set_fault("nixcfg", "refuse"), {}),
    ("preflight-remote", lambda fleet, host: fleet.repos.set_fault("nixcfg", 404), {}),
    ("preflight-input", lambda fleet, host: fleet.repos.set_fault("nixfleet", 404), {}),
    ("preflight-checkout", no_checkout, {}),
    ("preflight-checkout", no_repository, {}),
    ("preflight-checkout", leave_as_root, {}),
    ("preflight-remote", lambda fleet, host: as_ops(host, "git checkout -q --detach"), {}),
    ("preflight-remote", lambda fleet, host: as_ops(host, "git branch --unset-upstream"), {}),
    ("preflight-pull", diverge, {}),
    ("preflight-pull", collide, {}),
    ("preflight-input", cut_lock, {}),
    ("preflight-unit", remove_unit, {}),
]  # fmt: skip


@pytest.mark.parametrize(("cause", "spoil", "keys"), REFUSED)
def test_preflight_refuses_and_leaves_the_agent_alone(
    fresh: Fleet,
    client: Client,
    cause: str,
    spoil: Callable[[Fleet, LabHost], object],
    keys: dict[str, str],
) -> None:
    host = fresh["csb0"]
    client.write_inventory({host: "ops"}, **keys)
    fresh.repos.release("2.2.0")
    spoil(fresh, host)
    pid = host.agent_pid()
    answer = client.update("csb0", "--force", code=1)
    assert (answer["verdict"], answer["cause"]) == ("failed", cause), answer
    assert answer["advice"]
    assert host.agent_pid() == pid


def refusal(client: Client, host: LabHost) -> str:
    """What the command says of an update that the host refuses, on one line."""
    done = client.run("update", host.name, "--force", "--yes")
    assert done.returncode == 1, done.stdout + done.stderr
    return " ".join(done.stdout.split())


def test_only_a_name_that_the_flake_lacks_is_called_missing_with_every_nix(
    fresh: Fleet, host: LabHost, client: Client
) -> None:
    client.write_inventory({host: "ops"}, attribute=f"{host.name}x")
    pid = host.agent_pid()
    assert f"no configuration of this name: it has {host.name}, " in refusal(client, host)
    client.write_inventory({host: "ops"})
    as_ops(host, "sed -i 's/nixos = host: {/nixos = host: nosuch {/' flake.nix")
    said = refusal(client, host)
    assert "(preflight-attribute)" in said
    assert "does not evaluate in the dirty tree" in said
    assert ": undefined variable 'nosuch' (at " in said
    assert "changed: flake.nix" in said
    flake = (fresh.repos.path("nixcfg") / "flake.nix").read_text().splitlines()
    line = next(at for at, text in enumerate(flake, 1) if "nixos = host: {" in text)
    assert f"flake.nix:{line}:" in said
    assert host.agent_pid() == pid


def test_a_flake_lock_that_an_update_left_dirty_does_not_stop_the_next(
    fresh: Fleet, host: LabHost, client: Client
) -> None:
    """The second update finds its own dirty flake.lock, and upstream has moved that file too."""
    client_lock = f"{CHECKOUT}/flake.lock"
    fresh.repos.release("2.2.0")
    client.update(host.name, "--force")
    assert as_ops(host, "git status --short") == "M flake.lock"
    lock = host.enter(f"cat {client_lock}", user="ops")
    fresh.repos.commit("nixcfg", "Update all", {"flake.lock": lock + "\n"})
    commit = fresh.repos.release("2.3.0")
    answer = client.update(host.name, "--force")
    assert (answer["verdict"], answer["after"]["version"]) == ("updated", "2.3.0")
    assert answer["after"]["commit"] == commit


def test_other_changes_of_flake_lock_are_refused_without_discard_lock(
    fresh: Fleet, client: Client
) -> None:
    host = fresh["csb0"]
    fresh.repos.release("2.2.0")
    as_ops(host, "nix flake update other")
    lock = host.enter(f"cat {CHECKOUT}/flake.lock", user="ops")
    fresh.repos.commit("nixcfg", "Touch the lock", {"flake.lock": lock + "\n"})
    answer = client.update("csb0", "--force", code=1)
    assert answer["cause"] == "preflight-pull"
    assert host.enter(f"cat {CHECKOUT}/flake.lock", user="ops") == lock
    assert client.update("csb0", "--force", "--discard-lock")["verdict"] == "updated"


@pytest.mark.parametrize("fails", ["pull", "update", "build"])
def test_a_saved_flake_lock_comes_back_when_the_update_fails(
    fresh: Fleet, client: Client, fails: str
) -> None:
    host = fresh["csb0"]
    fresh.repos.release("2.2.0")
    as_ops(host, "nix flake update nixfleet")
    dirty = host.enter(f"cat {CHECKOUT}/flake.lock", user="ops")
    fresh.repos.commit_nixcfg(fail_build=fails == "build", files={"flake.lock": dirty + "\n"})
    fresh.repos.release("2.3.0")
    with client.start("update", "csb0", "--force", *QUICK) as running:
        if fails == "pull":
            spoil_pull(host, "head -c 1; exit 1")
        elif fails == "update":
            with host.gate("stop") as gate:
                gate.wait_reached()
                fresh.repos.set_fault("nixfleet", 404)
        assert running.wait() in (1, 3), running.output
    assert host.enter(f"cat {CHECKOUT}/flake.lock", user="ops") == dirty
    assert host.agent_state() == "active success"


def test_uncommitted_work_survives_and_is_named(fresh: Fleet, client: Client) -> None:
    host = fresh["csb0"]
    fresh.repos.release("2.2.0")
    fresh.repos.commit_nixcfg("Something else")
    as_ops(host, "echo draft > notes.md; echo '# mine' >> home-path.sh")
    shown = client.run("update", "csb0", "--dry-run", "--json")
    warnings = json.loads(shown.stdout)["plan"]["warnings"]
    assert any("notes.md" in text and "home-path.sh" in text for text in warnings)
    client.update("csb0", "--force")
    assert as_ops(host, "cat notes.md; tail -n 1 home-path.sh") == "draft\n# mine"


def test_update_waits_for_a_running_switch(fresh: Fleet, client: Client) -> None:
    host = fresh["csb0"]
    fresh.repos.release("2.2.0")
    unit = "nixos-rebuild-switch-to-configuration"
    host.enter(f"mkfifo /run/other; systemd-run --collect -q --unit={unit} sh -c 'cat /run/other'")
    refused = client.update("csb0", "--force", "--now", code=1)
    assert refused["cause"] == "preflight-idle"
    with client.start("update", "csb0", "--force", *QUICK) as running:
        running.wait_for("waiting for another rebuild")
        host.enter(": > /run/other")
        assert running.wait() == 0, running.output
    assert host.agent_version() == "2.2.0"
