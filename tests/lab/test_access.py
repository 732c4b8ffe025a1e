"""Who may log in, how they become root, and in which language the host speaks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from .client import QUICK
from .host import CHECKOUT, PASSWORD

if TYPE_CHECKING:
    from .client import Client
    from .fleet import Fleet
    from .host import LabHost


def test_as_root(fresh: Fleet, client: Client) -> None:
    host = fresh["csb0"]
    client.write_inventory({host: "root"})
    fresh.repos.release("2.2.0")
    assert client.update("csb0", "--force")["verdict"] == "updated"
    assert host.enter(f"find {CHECKOUT} -user root") == ""


def test_with_a_host_that_speaks_german(fresh: Fleet, host: LabHost, client: Client) -> None:
    host.set_language("de_DE.UTF-8")
    fresh.repos.release("2.2.0")
    assert client.update(host.name, "--force")["verdict"] == "updated"
    fresh.repos.set_fault("nixcfg", 404)
    refused = client.update(host.name, "--force", code=1)
    assert refused["cause"] == "preflight-remote"


def give_checkout_to(host: LabHost, user: str) -> str:
    """A checkout that `user` owns; where it is."""
    path = f"/home/{user}/nixcfg"
    host.enter(f"cp -a {CHECKOUT} {path}; chown -R {user}: {path}")
    return path


def sudo_log(host: LabHost) -> str:
    return host.enter("journalctl -q --no-pager -o cat _COMM=sudo || true")


@pytest.mark.parametrize("name", ["csb0", "csb1", "gpc0"])
def test_sudo_with_a_password_asks_once_and_leaves_no_trace(
    fresh: Fleet, host: LabHost, client: Client
) -> None:
    checkout = give_checkout_to(host, "pw")
    client.write_inventory({host: "pw"}, checkout=checkout)
    fresh.repos.release("2.2.0")
    with (
        host.gate("build") as gate,
        client.at_terminal("update", host.name, "--force", *QUICK) as running,
    ):
        running.wait_for("sudo password")
        running.type(f"{PASSWORD}\n")
        gate.wait_reached()
        files = "/proc/[0-9]*/cmdline /proc/[0-9]*/environ"
        seen = host.enter(f"cat {files} 2>/dev/null | tr '\\0' ' '")
        assert PASSWORD not in seen
        gate.open()
        assert running.wait() == 0, running.output
    assert running.output.count("sudo password") == 1
    assert PASSWORD not in running.output
    assert host.agent_version() == "2.2.0"
    files = "/var/lib/nixfleet /run/nixfleet /tmp /var/tmp /home"
    assert host.enter(f"grep -rlF {PASSWORD} {files} 2>/dev/null || true") == ""
    for path in client.folder.rglob("*"):
        assert not path.is_file() or PASSWORD.encode() not in path.read_bytes()


def test_a_wrong_password_is_one_attempt(fresh: Fleet, client: Client) -> None:
    host = fresh["csb0"]
    client.write_inventory({host: "pw"}, checkout=give_checkout_to(host, "pw"))
    with client.at_terminal("update", "csb0", "--force", *QUICK) as running:
        running.wait_for("sudo password")
        running.type("wrong\n")
        running.wait_for("wrong password")
        running.type("\n")  # no password: give up
        assert running.wait() == 1, running.output
    assert "preflight-elevation" in running.output
    journal = host.enter("journalctl -q --no-pager -o cat")
    assert journal.count("authentication failure;") == 1
    assert host.agent_state() == "active success"


def test_doas_without_a_password(fresh: Fleet, client: Client) -> None:
    host = fresh["csb0"]
    host.enter("mv /usr/bin/sudo /root; echo 'permit nopass ops' > /etc/doas.conf")
    fresh.repos.release("2.2.0")
    assert client.update("csb0", "--force")["verdict"] == "updated"
    assert host.agent_version() == "2.2.0"


def test_doas_with_a_password_is_refused(fresh: Fleet, client: Client) -> None:
    host = fresh["csb0"]
    host.enter("mv /usr/bin/sudo /root; echo 'permit ops' > /etc/doas.conf")
    answer = client.update("csb0", "--force", code=1)
    assert answer["cause"] == "preflight-elevation"
    assert 'users = [ "ops" ]' in answer["advice"]
    assert host.agent_state() == "active success"


@pytest.mark.parametrize("user", ["ops", "pw"])
def test_sudo_rs(fresh: Fleet, client: Client, user: str) -> None:
    """sudo-rs, which puts its own prompt around ours; pw has a password."""
    host = fresh["csb0"]
    host.enter("ln -sf ../lib/cargo/bin/sudo /usr/bin/sudo; sudo --version 2>&1 | grep sudo-rs")
    client.write_inventory({host: user}, checkout=give_checkout_to(host, user))
    fresh.repos.release("2.2.0")
    with client.at_terminal("update", "csb0", "--force", *QUICK) as running:
        if user == "pw":
            running.wait_for("sudo password")
            running.type(f"{PASSWORD}\n")
        assert running.wait() == 0, running.output
    assert running.output.count("sudo password") == int(user == "pw")
    assert host.agent_version() == "2.2.0"


def test_no_password_is_asked_for_without_a_terminal(fresh: Fleet, client: Client) -> None:
    host = fresh["csb0"]
    client.write_inventory({host: "pw"}, checkout=give_checkout_to(host, "pw"))
    answer = client.update("csb0", "--force", code=1)
    assert answer["cause"] == "preflight-elevation"


def test_the_list_never_calls_sudo(fleet: Fleet, client: Client) -> None:
    host = fleet["csb0"]
    client.write_inventory({host: "pw"})
    before = sudo_log(host)
    assert client.run("hosts").returncode == 0
    assert sudo_log(host) == before


def test_a_checkout_that_only_its_owner_can_read(fresh: Fleet, client: Client) -> None:
    """As the agent's own checkout: a state directory 0700 of another user."""
    host = fresh["csb0"]
    client.write_inventory({host: "pw"}, checkout=CHECKOUT)
    fresh.repos.release("2.2.0")
    with client.at_terminal("update", "csb0", "--force", *QUICK, "--json") as running:
        running.wait_for("sudo password")
        running.type(f"{PASSWORD}\n")
        assert running.wait() == 0, running.output
    assert '"verdict":"updated"' in running.output
    assert host.enter(f"find {CHECKOUT} ! -user ops") == ""


def test_plan_json_says_who_asked(fresh: Fleet, client: Client) -> None:
    host = fresh["csb0"]
    job = client.update("csb0", "--force")["job"]
    plan = json.loads(host.enter(f"cat /var/lib/nixfleet/jobs/{job}/plan.json"))
    assert plan["uid"] == 1000
    assert plan["from"].split()[0] == host.lab.gateway
    shown = host.enter(f"stat -c '%a %U:%G' /var/lib/nixfleet /var/lib/nixfleet/jobs/{job}")
    assert shown == "711 root:root\n750 root:root"
