"""`nixfleet doctor` finds nothing wrong with a healthy host, and each planted fault."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, TypedDict

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from .client import Client
    from .fleet import Fleet
    from .host import LabHost


class Point(TypedDict):
    name: str
    state: str
    seen: str
    help: str


EVERYWHERE: Final = {
    *("service", "clock", "path", "open-files", "disk", "jobs-place", "power", "checkout-files"),
    *("branch", "input", "configuration"),
}
"""What `plant` breaks on every host."""
HIDING: Final = {"agent", "branch", "remote", "nix-store", "configuration"}
"""What `hide_others` breaks, and the agent."""
PROFILE: Final = ".local/state/nix/profile/bin"
"""A folder of the user's that comes early in the PATH of a look."""


def examine(client: Client, host: LabHost, code: int) -> dict[str, Point]:
    """What the doctor says of each point of the host. It must end with that code, and name no
    address but the one in the inventory."""
    done = client.run("doctor", host.name, "--json")
    assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert host.lab.gateway not in done.stdout
    answer = json.loads(done.stdout)
    points: dict[str, Point] = {point["name"]: point for point in answer["points"]}
    for point in points.values():
        assert point["seen"]
        assert bool(point["help"]) or point["state"] in ("right", "unknown"), point
    return points


def wrong(client: Client, host: LabHost) -> set[str]:
    """The names of what is wrong with the host."""
    points = examine(client, host, 3)
    return {name for name, point in points.items() if point["state"] == "wrong"}


def as_owner(host: LabHost, command: str) -> str:
    return host.enter(f"cd {host.checkout}; {command}", user=host.user)


def put_tool(host: LabHost, name: str, script: str) -> None:
    """Let a login find that script before the tool of that name."""
    host.enter(f"mkdir -p {PROFILE}", host.user)
    path = host.root / host.platform.home[1:] / PROFILE / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def plant(host: LabHost, tool: str, start_up: str) -> None:
    """Faults that do not hide one another. `tool` is a program that an update needs; the login
    shell reads `start_up`."""
    path = f"{host.platform.home}/{start_up}"
    put_tool(host, "date", "echo $(($(/usr/bin/date +%s) - 9000))")
    put_tool(host, "df", "printf 'head\\nfs 9 9 1000 1%% /\\n'")
    host.enter(
        f"chmod a-x $(readlink -f {tool}); touch {host.checkout}/.git/objects/left-behind; "
        f"touch {path}; echo 'ulimit -S -n 100; ulimit -H -n 100' | cat - {path} > /new; "
        f"cat /new > {path}"
    )
    as_owner(host, "git checkout -q --detach")


def let_run_low(host: LabHost) -> None:
    """A laptop on an almost empty battery."""
    supply = "/sys/class/power_supply"
    host.enter(
        f"mount -t tmpfs none {supply}; mkdir {supply}/BAT0; cd {supply}/BAT0; "
        "echo Battery > type; echo Discharging > status; echo 7 > capacity"
    )


def let_memory_run_out(host: LabHost) -> None:
    host.enter("echo 'MemAvailable: 1000 kB' > /meminfo; mount --bind /meminfo /proc/meminfo")


@pytest.fixture
def operator(homes: Fleet, tmp_path: Path) -> Client:
    """An operator who logs in as the users of the homes, and names no platform or attribute."""
    client = homes.client(tmp_path / "op")
    client.folder.mkdir()
    client.write_inventory({host: host.user for host in homes.hosts.values()})
    return client


def test_nothing_is_wrong_with_a_healthy_nixos(host: LabHost, client: Client) -> None:
    examine(client, host, 0)


def test_nothing_is_wrong_with_a_healthy_home(home: LabHost, operator: Client) -> None:
    examine(operator, home, 0)


def test_it_finds_all_faults_of_a_nixos(fresh: Fleet, host: LabHost, client: Client) -> None:
    client.write_inventory({host: "ops"}, input="nosuch", attribute="nosuch")
    plant(host, "/run/current-system/sw/bin/nixos-rebuild", ".bashrc")
    let_run_low(host)
    let_memory_run_out(host)
    host.enter(
        "systemctl disable -q --now nixfleet-agent; rm /etc/systemd/system/nixfleet-agent.service; "
        "systemctl daemon-reload; find /usr/bin -perm -4000 -exec chmod u-s {} +; "
        "rm -f /usr/bin/run0; "
        "install -d -o ops /var/lib/nixfleet /var/lib/nixfleet-update"
    )
    assert wrong(client, host) == EVERYWHERE | {"memory", "root"}


def hide_others(fleet: Fleet, host: LabHost) -> None:
    """Faults because of which others would not be looked for."""
    fleet.repos.set_fault("nixcfg", 404)
    as_owner(host, "git rev-parse HEAD > .git/MERGE_HEAD")
    host.enter("systemctl stop nix-daemon.socket nix-daemon.service")


def test_it_finds_what_hides_other_faults(fresh: Fleet, host: LabHost, client: Client) -> None:
    hide_others(fresh, host)
    host.enter("systemctl stop nixfleet-agent")
    assert wrong(client, host) == HIDING
    as_owner(host, "mv ~/Code ~/elsewhere")
    assert "checkout" in wrong(client, host)


def test_it_finds_what_hides_other_faults_of_a_home(
    fresh_homes: Fleet, home: LabHost, operator: Client
) -> None:
    hide_others(fresh_homes, home)
    if home.name == "hsb1":
        stop = "systemctl --user stop nixfleet-agent"
        home.enter(f"XDG_RUNTIME_DIR=/run/user/1000 {stop}", home.user)
        assert wrong(operator, home) == HIDING
    else:
        home.enter(f"touch /etc/lab-low-power; kill -9 {home.agent_pid()}")
        assert wrong(operator, home) == HIDING | {"agent-start"}
        home.enter("touch /etc/lab-no-gui /etc/lab-no-user")
        assert {"session", "service"} <= wrong(operator, home)


def test_it_finds_all_faults_of_a_home(fresh_homes: Fleet, operator: Client) -> None:
    home = fresh_homes["hsb1"]
    operator.write_inventory({home: home.user}, input="nosuch", attribute="nosuch")
    plant(home, "/home/ops/.nix-profile/bin/home-manager", ".bashrc")
    let_run_low(home)
    let_memory_run_out(home)
    home.enter("rm /var/lib/systemd/linger/ops; chown root /home/ops/.local/state")
    units = ".config/systemd/user"
    home.enter(
        "export XDG_RUNTIME_DIR=/run/user/1000; systemctl --user stop nixfleet-agent; "
        f"rm {units}/nixfleet-agent.service; systemctl --user daemon-reload",
        home.user,
    )
    assert wrong(operator, home) == EVERYWHERE | {"memory", "linger"}


def test_it_finds_all_faults_of_a_mac(fresh_homes: Fleet, operator: Client) -> None:
    mac = fresh_homes["imac0"]
    as_owner(
        mac, "mkdir ~/Documents; mv ~/Code/nixcfg ~/Documents; ln -s ~/Documents/nixcfg ~/Code"
    )
    operator.write_inventory({mac: mac.user}, input="nosuch", attribute="nosuch")
    plant(mac, "/Users/markus/.nix-profile/bin/home-manager", ".zshenv")
    mac.enter("echo 7 > /etc/lab-battery; chown root ~markus/.local/state")
    agent = "com.nixfleet.agent"
    mac.run(
        f"launchctl bootout gui/501/{agent}; rm -f Library/LaunchAgents/{agent}.plist; "
        f"while launchctl print gui/501/{agent} >/dev/null 2>&1; do sleep 1; done",
        mac.user,
    )
    assert wrong(operator, mac) == EVERYWHERE | {"checkout-folder"}
    mac.enter("touch /opt/mac/no-tools")
    assert {"git", "path"} <= wrong(operator, mac)
