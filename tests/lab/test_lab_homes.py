"""The lab's hosts with Home Manager are as its README says, and can be driven by hand."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .fleet import Fleet
    from .host import LabHost

UNIT = "/home/ops/.config/systemd/user/nixfleet-agent.service"
NIX = "test ! -r {0} || . {0}".format("/nix/var/nix/profiles/default/etc/profile.d/nix-daemon.sh")
MANAGE = f"{NIX}; export USER=$(id -un) PATH=$HOME/.nix-profile/bin:$PATH; home-manager"
SWITCH = f"cd Code/nixcfg; {MANAGE} switch --flake ."


def pull_agent(host: LabHost) -> None:
    """Lock the latest agent."""
    host.enter(f"cd {host.checkout}; nix flake update nixfleet", host.user)


def pull(host: LabHost) -> None:
    host.enter(f"git -C {host.checkout} pull -q --ff-only", host.user)


def profile(host: LabHost) -> str:
    return host.enter("readlink .local/state/nix/profiles/home-manager", host.user)


# --- both


def test_the_agent_runs_as_the_user(home: LabHost) -> None:
    assert home.agent_version() == "2.1.0"
    assert home.enter(f"ps -o user= -p {home.agent_pid()}") == home.user
    assert home.run("sudo -n true", home.user).returncode != 0


def test_a_switch_by_hand_brings_the_new_agent(fresh_homes: Fleet, home: LabHost) -> None:
    fresh_homes.repos.release("2.2.0")
    pull_agent(home)
    done = home.run(f"{SWITCH}'#{home.attribute}'", home.user)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Starting Home Manager activation\n")
    assert home.agent_version() == "2.2.0"


def test_a_reboot_brings_the_agent(fresh_homes: Fleet, home: LabHost) -> None:
    home.reboot()
    assert home.agent_version() == "2.1.0"


@pytest.mark.parametrize("point", ["build", "switch", "stop", "start"])
def test_gates_hold_the_switch(fresh_homes: Fleet, home: LabHost, point: str) -> None:
    fresh_homes.repos.release("2.2.0")
    pull_agent(home)
    old = home.agent_pid()
    with ThreadPoolExecutor() as pool, home.gate(point) as gate:  # type: ignore[arg-type]
        switch = pool.submit(home.run, SWITCH, home.user)
        gate.wait_reached()
        if point == "start":
            assert home.agent_pid() == 0
        else:
            assert home.agent_pid() == old
        gate.open()
        assert switch.result().returncode == 0
    assert home.agent_version() == "2.2.0"


# --- Home Manager


def test_home_manager_lists_generations_newest_first(fresh_homes: Fleet, home: LabHost) -> None:
    fresh_homes.repos.release("2.2.0")
    pull_agent(home)
    assert home.run(SWITCH, home.user).returncode == 0
    assert home.run(SWITCH, home.user).returncode == 0, "the same again: no new generation"
    told = home.run(f"{MANAGE} generations", home.user).stdout
    row = r"\d{4}-\d\d-\d\d \d\d:\d\d : id %s -> /nix/store/\w{32}-home-manager-generation%s\n"
    assert re.fullmatch(row % (2, r" \(current\)") + row % (1, ""), told)


@pytest.mark.parametrize("option", ["--fallback", "--quiet", "--offline"])
def test_home_manager_refuses_unknown_options(homes: Fleet, home: LabHost, option: str) -> None:
    failed = home.run(f"{SWITCH} {option}", home.user)
    assert failed.returncode == 1
    assert failed.stderr == f"home-manager: unknown option '{option}'\n"


def test_a_failed_build_changes_nothing(fresh_homes: Fleet, home: LabHost) -> None:
    fresh_homes.repos.commit_nixcfg(fail_build=True)
    pull(home)
    failed = home.run(SWITCH, home.user)
    assert failed.returncode == 1
    assert "undefined reference to nixfleet_main" in failed.stderr
    assert profile(home) == "home-manager-1-link"


def test_a_failed_activation_has_moved_the_profile(fresh_homes: Fleet, home: LabHost) -> None:
    fresh_homes.repos.commit_nixcfg(fail_switch=7)
    pull(home)
    assert home.run(SWITCH, home.user).returncode == 7
    assert profile(home) == "home-manager-2-link"


# --- Linux


def test_hsb1_is_no_nixos(homes: Fleet) -> None:
    host = homes["hsb1"]
    assert host.agent_state() == "active success"
    assert "-home-manager-files/.config/systemd/user/" in host.enter(f"readlink {UNIT}")
    assert "ID=debian" in host.enter("cat /etc/os-release")
    assert host.run("command -v nixos-rebuild || ls /etc/NIXOS", "ops").returncode != 0
    assert host.run("id -u", "eve").stdout == "1002\n"
    assert host.enter("ls /var/lib/systemd/linger") == "ops"


def test_home_manager_may_leave_a_changed_agent_alone(fresh_homes: Fleet) -> None:
    host = fresh_homes["hsb1"]
    fresh_homes.repos.commit_nixcfg(restart=False)
    pull(host)
    fresh_homes.repos.release("2.2.0")
    pull_agent(host)
    assert host.run(SWITCH, "ops").returncode == 0
    assert host.agent_version() == "2.1.0"
    assert "-nixfleet-agent-2.2.0/" in host.enter(f"cat {UNIT}")
