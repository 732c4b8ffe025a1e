"""The lab is as its README says: hosts, repositories, faults, gates, and the reset."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .client_on_host import install_client
from .host import CHECKOUT, PASSWORD, LabHost
from .run import claim

if TYPE_CHECKING:
    from .fleet import Fleet
    from .git_server import Fault

NIX = {"csb0": r"2\.26\.", "csb1": r"2\.8\.", "gpc0": r"2\.(3[4-9]|[4-9]\d)\."}
AGENT = r"/nix/store/[a-z0-9]{32}-nixfleet-agent-2\.1\.0/bin/nixfleet-agent"
REBUILD = (
    f"SUDO_UID=1000 /run/current-system/sw/bin/nixos-rebuild switch --flake {CHECKOUT}#$(hostname)"
)


def ls_remote(url: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["git", "ls-remote", url, "refs/heads/main"],
        capture_output=True,
        text=True,
        env=os.environ | {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"},
    )


def pull(host: LabHost) -> None:
    host.enter(f"git -C {CHECKOUT} pull -q --ff-only", user="ops")


# --- the hosts


def test_each_host_has_its_nix(host: LabHost) -> None:
    said = host.run("nix --version", user="ops").stdout
    assert re.match(rf"nix \(Nix\) {NIX[host.name]}", said)


def test_the_agent_runs_from_the_store_and_is_in_no_path(host: LabHost) -> None:
    exe = host.agent_exe()
    assert exe
    assert re.fullmatch(AGENT, exe)
    assert host.agent_version() == "2.1.0"
    assert host.agent_state() == "active success"
    assert f"path={exe} " in host.enter("systemctl show --property=ExecStart nixfleet-agent")
    assert host.run("command -v nixfleet-agent", user="ops").returncode == 1


def test_the_system_is_a_nixos_in_good_order(host: LabHost) -> None:
    system = host.enter("readlink -f /run/current-system")
    assert system == host.enter("readlink -f /nix/var/nix/profiles/system")
    assert f"-nixos-system-{host.name}-" in system
    assert "26.05" in host.enter("/run/current-system/sw/bin/nixos-version")
    assert host.enter("systemctl is-system-running --wait || systemctl --failed") == "running"


def test_the_checkout_is_clean_and_guarded_by_its_owner(fleet: Fleet, host: LabHost) -> None:
    assert host.run(f"git -C {CHECKOUT} status --short", user="ops").stdout == ""
    assert host.run(f"git -C {CHECKOUT} rev-parse HEAD", user="ops").stdout.strip() == (
        fleet.repos.head("nixcfg")
    )
    assert "dubious ownership" in host.run(f"git -C {CHECKOUT} status", user="root").stderr
    assert host.run("git config --get-all safe.directory", user="ops").returncode == 1


@pytest.mark.parametrize("repo", ["nixfleet", "other"])
def test_the_lock_file_names_the_repositories_heads(fleet: Fleet, host: LabHost, repo: str) -> None:
    head = ls_remote(fleet.repos.servers[repo].url).stdout.split()[0]  # type: ignore[index]
    assert f'"rev": "{head}"' in host.enter(f"cat {CHECKOUT}/flake.lock", user="ops")


def test_sudo_asks_the_user_pw_and_not_ops(host: LabHost) -> None:
    assert host.run("sudo -n id -u", user="ops").stdout == "0\n"
    assert host.run("sudo -n id -u", user="pw").returncode == 1
    right = host.run("sudo -kSp '' id -u", user="pw", stdin=f"{PASSWORD}\n")
    assert right.stdout == "0\n"


def test_a_wrong_password_is_in_the_journal(fresh: Fleet, host: LabHost) -> None:
    wrong = host.run("sudo -kSp '' id -u", user="pw", stdin="wrong\n")
    assert wrong.returncode == 1
    assert "1 incorrect password attempt" in host.enter("journalctl -q -o cat _COMM=sudo")


def test_german_hosts_speak_german(fresh: Fleet, host: LabHost) -> None:
    host.set_language("de_DE.UTF-8")
    assert "Auf Branch main" in host.run(f"git -C {CHECKOUT} status", user="ops").stdout
    asked = host.run("sudo -n true", user="pw").stderr
    assert "Passwort" in asked
    unit = host.run("systemd-run --quiet --pipe --wait env", user="root").stdout
    assert "LANG=de_DE.UTF-8" in unit


def test_the_client_runs_on_csb1_and_the_others_have_no_python(fresh: Fleet) -> None:
    install_client(fresh["csb1"])
    for command in ("nixfleet", "nixfleet-update"):
        shown = fresh["csb1"].run(f"{command} --help", user="ops")
        assert shown.returncode == 0, shown.stderr
        assert shown.stdout.startswith(f"Usage: {command} ")
    for name in ("csb0", "gpc0"):
        assert fresh[name].run("command -v python3", user="ops").returncode == 1


# --- what can be done to them


def test_the_chain_by_hand(fresh: Fleet, host: LabHost) -> None:
    other = fresh.repos.head("other")
    commit = fresh.repos.release("2.2.0")
    old = host.agent_exe()
    update = "nix flake lock --update-input" if host.suite == "bookworm" else "nix flake update"
    host.enter(f"cd {CHECKOUT}; {update} nixfleet", user="ops")
    host.enter(REBUILD)
    assert host.agent_exe() == old, "a switch does not restart the agent"
    host.enter("systemctl restart nixfleet-agent")
    assert host.agent_version() == "2.2.0"
    lock = host.enter(f"cat {CHECKOUT}/flake.lock", user="ops")
    assert commit in lock
    assert other in lock


@pytest.mark.parametrize(
    ("code", "new_profile", "new_system"),
    [(0, True, True), (1, True, False), (2, True, True), (4, True, True), (100, True, False)],
)
def test_a_switch_fails_as_nixos_does(
    fresh: Fleet, code: int, new_profile: bool, new_system: bool
) -> None:
    host = fresh["gpc0"]
    places = ("/nix/var/nix/profiles/system", "/run/current-system")
    before = [host.enter(f"readlink -f {place}") for place in places]
    fresh.repos.commit_nixcfg(fail_switch=code, lines=4)
    pull(host)
    assert host.run(REBUILD).returncode == code
    after = [host.enter(f"readlink -f {place}") for place in places]
    assert [a != b for a, b in zip(after, before, strict=True)] == [new_profile, new_system]


def test_a_build_fails(fresh: Fleet, host: LabHost) -> None:
    fresh.repos.commit_nixcfg(fail_build=True)
    pull(host)
    system = host.enter("readlink -f /nix/var/nix/profiles/system")
    failed = host.run(REBUILD)
    assert failed.returncode == 1
    assert "undefined reference to nixfleet_main" in failed.stderr
    assert host.enter("readlink -f /nix/var/nix/profiles/system") == system


def test_a_wrong_host_is_refused_before_the_build(fleet: Fleet, host: LabHost) -> None:
    failed = host.run(f"{REBUILD}-nobody")
    assert failed.returncode == 1
    assert "does not provide attribute" in failed.stderr
    assert "building the system configuration" not in failed.stderr


def test_an_unknown_option_is_refused(host: LabHost) -> None:
    failed = host.run(f"{REBUILD} --no-substitute")
    assert failed.returncode == 2
    assert "unrecognized arguments: --no-substitute" in failed.stderr


@pytest.mark.parametrize("point", ["build", "switch"])
def test_a_gate_holds_the_rebuild(fresh: Fleet, host: LabHost, point: str) -> None:
    fresh.repos.commit_nixcfg(lines=4)
    pull(host)
    system = host.enter("readlink -f /run/current-system")
    with ThreadPoolExecutor() as pool, host.gate(point) as gate:  # type: ignore[arg-type]
        rebuild = pool.submit(host.run, REBUILD)
        gate.wait_reached()
        assert not rebuild.done()
        assert host.enter("readlink -f /run/current-system") == system
        gate.open()
        assert rebuild.result().returncode == 0
    assert host.enter("readlink -f /run/current-system") != system


@pytest.mark.parametrize("point", ["stop", "start"])
def test_a_gate_holds_the_agent(fresh: Fleet, point: str) -> None:
    host = fresh["csb0"]
    with ThreadPoolExecutor() as pool, host.gate(point) as gate:  # type: ignore[arg-type]
        restart = pool.submit(host.run, "systemctl restart nixfleet-agent")
        gate.wait_reached()
        assert not restart.done()
        gate.open()
        assert restart.result().returncode == 0


def test_a_cut_link_swallows_packets_and_comes_back(fresh: Fleet, host: LabHost) -> None:
    host.cut_link()
    with pytest.raises(TimeoutError):
        socket.create_connection((host.ip, 22), timeout=0.5)
    assert host.enter("hostname") == host.name
    host.restore_link()
    assert host.run("hostname").stdout == f"{host.name}\n"


def test_ssh_connections_can_be_reset(fleet: Fleet, host: LabHost) -> None:
    assert host.drop_ssh_connections() == 0
    with subprocess.Popen(
        ["ssh", "-F", fleet.ssh_config, host.name, "echo up; exec sleep 60"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as ssh:
        assert ssh.stdout
        assert ssh.stdout.readline() == b"up\n"
        assert host.drop_ssh_connections() == 1
        assert ssh.wait(10) == 255
    assert host.run("hostname").returncode == 0


def test_a_reboot_keeps_the_disk_and_brings_the_agent(fresh: Fleet, host: LabHost) -> None:
    boot_id = "cat /proc/sys/kernel/random/boot_id"
    before = host.enter(f"touch /etc/kept /run/lost; {boot_id}")
    host.reboot()
    assert host.enter(boot_id) != before
    assert host.enter("ls -d /etc/kept /run/lost || true") == "/etc/kept"
    assert host.agent_version() == "2.1.0"


def test_a_reset_boots_only_hosts_that_were_touched(fleet: Fleet) -> None:
    fleet.reset()
    before = {host: host.boots for host in fleet.hosts.values()}
    assert fleet["csb0"].run("true").returncode == 0
    assert fleet["csb1"].enter("true") == ""
    fleet.reset()
    again = [host.name for host, boots in before.items() if host.boots != boots]
    assert again == ["csb0", "csb1"]


def test_a_reset_undoes_everything(fleet: Fleet) -> None:
    head = fleet.repos.head("nixcfg")
    fleet.repos.commit_nixcfg(fail_build=True)
    fleet.repos.release("2.2.0")
    fleet.repos.set_fault("nixcfg", 500)
    for host in fleet.hosts.values():
        host.enter(
            "systemctl disable -q --now nixfleet-agent; rm -rf /home/ops/Code; rm /etc/sudoers.d/*"
        )
    fleet["csb0"].cut_link()
    fleet["gpc0"].power_off()

    fleet.reset()

    assert ls_remote(fleet.repos.url("nixcfg")).stdout.split()[0] == head
    for host in fleet.hosts.values():
        assert host.agent_version() == "2.1.0"
        assert host.run(f"git -C {CHECKOUT} pull -q && sudo id -u", user="ops").stdout == "0\n"


# --- the repositories


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (500, "The requested URL returned error: 500"),
        (429, "The requested URL returned error: 429"),
        (404, "repository '.*' not found"),
        (401, "could not read Username"),
        ("refuse", "Failed to connect to|Couldn't connect"),
        ("empty", "Empty reply from server"),
    ],
)
def test_git_meets_the_fault(fresh: Fleet, fault: Fault, said: str) -> None:
    fresh.repos.set_fault("nixfleet", fault)
    failed = ls_remote(fresh.repos.url("nixfleet"))
    assert failed.returncode == 128
    assert re.search(said, failed.stderr)
    assert ls_remote(fresh.repos.url("other")).returncode == 0, "the others are not touched"
    fresh.repos.set_fault("nixfleet", "ok")
    assert ls_remote(fresh.repos.url("nixfleet")).returncode == 0


def test_a_captive_portal_answers_with_success_and_no_commit(fresh: Fleet) -> None:
    fresh.repos.set_fault("nixfleet", "html")
    answered = ls_remote(fresh.repos.url("nixfleet"))
    assert not re.search(r"[0-9a-f]{40}", answered.stdout)


def test_faults_come_one_after_the_other(fresh: Fleet) -> None:
    fresh.repos.set_fault("nixcfg", 500, 429, "ok")
    codes = [ls_remote(fresh.repos.url("nixcfg")).returncode for _ in range(3)]
    assert codes == [128, 128, 0]
    met = [fault for fault, _ in fresh.repos.servers["nixcfg"].requests]
    assert met[:3] == [500, 429, "ok"]


def test_a_hanging_request_is_answered_when_the_fault_ends(fresh: Fleet) -> None:
    fresh.repos.set_fault("nixcfg", "hang")
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(ls_remote, fresh.repos.url("nixcfg"))
        fresh.repos.servers["nixcfg"].wait_for("hang")
        assert not asked.done()
        fresh.repos.set_fault("nixcfg", "ok")
        assert asked.result(30).returncode == 0


# --- runs


def test_two_runs_are_separate(fleet: Fleet) -> None:
    second = claim()
    try:
        assert second.number != fleet.run.number
        assert second.dir.is_mount()
    finally:
        second.close()
    assert not second.cgroup.exists()
    assert fleet["csb0"].enter("hostname") == "csb0"


def test_a_killed_run_is_cleaned_up_after() -> None:
    victim = (
        "from lab.client import Client; from lab.run import claim\n"
        "import pathlib, signal, subprocess\n"
        "run = claim(); client = Client(pathlib.Path('/'), run.dir, run.clients)\n"
        "join = [*client.command()[:-1], 'sh', '-c', 'echo; exec sleep 600']\n"
        "left = subprocess.Popen(join, stdout=subprocess.PIPE, start_new_session=True)\n"
        "left.stdout.readline()\n"
        "print(run.number, run.janitor.pid, left.pid, flush=True); signal.pause()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", victim],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[1],
        text=True,
    ) as process:
        assert process.stdout
        number, janitor, client = process.stdout.readline().split()
        bridge = Path("/sys/class/net", f"nfl{number}")
        assert bridge.exists()
        end, left = os.pidfd_open(int(janitor)), os.pidfd_open(int(client))
        process.send_signal(signal.SIGKILL)
        assert select.select([end], [], [], 30)[0], "the janitor ends when it is done"
        assert select.select([left], [], [], 0)[0], "what an operator had started has ended"
        os.close(end)
        os.close(left)
    assert not bridge.exists()
    assert not Path("/run/nixfleet-lab", number).exists()
