"""The probe, run for real on a fake host, and read as the client reads it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from fake_host import AGENTS, CHECKOUT, JOB, SYSTEMS, FakeHost, git, lock_text, tree

from nixfleet_core.facts import Facts, parse_probe, read_records

one_shell = pytest.mark.parametrize("shell", ["bash"], indirect=True)


def ask(host: FakeHost, **values: str) -> subprocess.CompletedProcess[bytes]:
    known = {
        "NF_PLATFORM": "",
        "NF_CHECKOUT": CHECKOUT,
        "NF_INPUT": "nixfleet",
        "NF_ATTRIBUTE": "",
        "NF_UNIT": "nixfleet-agent.service",
        "NF_DEEP": "",
    }
    return host.ask("probe", **{**known, **values})


def probe(host: FakeHost, **values: str) -> Facts:
    done = ask(host, **values)
    assert done.returncode == 0, done.stderr
    return parse_probe(done.stdout)


def test_sees_the_whole_host_and_changes_nothing(host: FakeHost) -> None:
    (host.state / "calls").touch()
    before = {name: value for name, value in tree(host.root).items() if name != "state/calls"}
    facts = probe(host)
    after = {name: value for name, value in tree(host.root).items() if name != "state/calls"}
    assert after == before
    assert (facts.hostname, facts.os, facts.platform, facts.machine) == (
        *("the-host", "NixOS 25.11", "nixos", "x86_64"),
    )
    assert str(facts.nix) == "Nix 2.34.8"
    assert {"git", "nix", "nixos-rebuild", "systemctl", "systemd-run"} <= facts.tools
    assert facts.unit is not None
    assert (facts.unit.exists, facts.unit.is_up, facts.unit.pid) == (True, True, 4001)
    assert facts.running is not None
    assert (facts.running.proof, facts.running.pid, facts.running.binary.version) == (
        *("exe", 4001, "1.0"),
    )
    assert facts.installed is not None
    assert facts.running.binary.path == facts.installed.path == AGENTS["1.0"]
    assert facts.installed.sha256 is None
    assert (facts.system.current, facts.system.profile, facts.system.generation) == (
        *(SYSTEMS["1.0"], SYSTEMS["1.0"], 1),
    )
    assert facts.disk_free_kib == 99999999
    assert (facts.job_running, facts.job_last, facts.switch_running) == (None, None, False)
    checkout = facts.checkout
    assert checkout is not None
    assert (checkout.path, checkout.state, checkout.branch, checkout.upstream) == (
        *(CHECKOUT, "ok", "main", "origin/main"),
    )
    assert (checkout.dirty, checkout.head_lock) == ((), None)
    assert checkout.head == git(host.checkout, "rev-parse", "HEAD")
    assert facts.lock_rev("nixfleet") == host.upstream.old
    assert not host.calls("sudo", "doas", "nix --extra")


def test_with_a_proof_it_also_evaluates_and_hashes(host: FakeHost) -> None:
    host.set("expected", f"@{AGENTS['2.0']} agent --serve")
    facts = probe(host, NF_DEEP="1", NF_ATTRIBUTE="h")
    assert facts.running is not None
    assert facts.expected is not None
    assert facts.expected.path == AGENTS["2.0"]
    assert facts.running.binary.sha256 is not None
    assert facts.installed is not None
    assert facts.installed.sha256 == facts.running.binary.sha256
    (call,) = host.calls("nix --extra")
    assert "--no-write-lock-file" in call
    assert '#nixosConfigurations."h".config.systemd.services.nixfleet-agent' in call


@one_shell
def test_a_flake_that_does_not_evaluate_is_said(host: FakeHost) -> None:
    host.on("nix", 'case "$*" in *eval*) exit 1 ;; esac; default "$@"')
    facts = probe(host, NF_DEEP="1", NF_ATTRIBUTE="h")
    assert (facts.expected, facts.expected_error) == (None, "eval")


# The process.


def process(host: FakeHost, exe: str | None, *cmdline: str) -> None:
    """Let the agent's process have this exe link and this command line."""
    folder = host.root / "proc/4001"
    (folder / "exe").unlink()
    if exe is not None:
        (folder / "exe").symlink_to(exe)
    (folder / "cmdline").write_bytes(b"".join(word.encode() + b"\0" for word in cmdline))


PROCESSES = {
    "its own program": (AGENTS["1.0"], [AGENTS["1.0"], "--x"], "exe", AGENTS["1.0"]),
    "a deleted program": (f"{AGENTS['1.0']} (deleted)", [], "exe", AGENTS["1.0"]),
    "another program": ("/usr/bin/evil", [AGENTS["2.0"]], "exe", "/usr/bin/evil"),
    "a script": ("/nix/store/x-bash/bin/bash", ["bash", AGENTS["2.0"]], "script", AGENTS["2.0"]),
    "a shell that names nothing": ("/bin/sh", ["sh", "-c", "x"], "script", "/bin/sh"),
    "a closed link": (None, ["sh", AGENTS["2.0"], "$(id)"], "claimed", AGENTS["2.0"]),
    "not yet the agent": ("/usr/lib/systemd/systemd-executor", [], None, None),
    "nothing at all": (None, [], "claimed", None),
}


@one_shell
@pytest.mark.parametrize(("exe", "cmdline", "proof", "path"), PROCESSES.values(), ids=PROCESSES)
def test_how_the_running_path_is_known(
    host: FakeHost, exe: str | None, cmdline: list[str], proof: str | None, path: str | None
) -> None:
    process(host, exe, *cmdline)
    found = probe(host).running
    assert (found and found.binary.path) == path
    assert found is None or found.proof == proof


@one_shell
def test_a_stopped_agent_has_no_process(host: FakeHost) -> None:
    host.tool("systemctl", "stop", "nixfleet-agent.service")
    facts = probe(host)
    assert facts.unit is not None
    assert (facts.unit.is_up, facts.running) == (False, None)
    assert facts.installed is not None


@pytest.mark.parametrize(
    "says", ["", "2.\n3.3.3", "x" * 100_000, "\x1b]0;\x07v9.9.9\x1b", "\xff 1.2.3"], ids=range(5)
)
def test_whatever_an_agent_says_of_itself_is_one_record(host: FakeHost, says: str) -> None:
    binary = host.root / AGENTS["1.0"][1:]
    (host.state / "says").write_text(says)
    binary.write_text('#!/bin/sh\ncat "${0%/nix/store/*}/state/says"\n')
    facts = probe(host)
    assert facts.installed is not None
    assert len(facts.installed.version or "") < 100
    assert facts.checkout is not None


@one_shell
def test_an_agent_that_hangs_is_not_waited_for(host: FakeHost) -> None:
    # the limit is the stub's: a real one would take the probe's three seconds
    real = shutil.which("timeout")
    host.on("timeout", f'shift 3; exec {real} -k 1 0.2 "$@"')
    (host.root / AGENTS["1.0"][1:]).write_text("#!/bin/sh\nexec tail -f /dev/null\n")
    host.on("systemctl", 'default "$@"')
    assert probe(host).installed is not None
    assert host.calls("timeout -k 5 3 ")[0].endswith("--version")


# Units.


@one_shell
@pytest.mark.parametrize(
    ("unit", "active", "running", "switching"),
    [
        ("nixfleet-job.service", "active", True, False),
        ("nixfleet-job.service", "activating", True, False),
        ("nixfleet-job.service", "inactive", False, False),
        ("nixfleet-job.service", "failed", False, False),
        ("nixfleet-finish.service", "activating", True, False),
        ("nixos-rebuild-switch-to-configuration.service", "active", False, True),
        ("nixos-rebuild-switch-to-configuration-7.service", "deactivating", False, True),
        ("nixos-rebuild-switch-to-configuration.service", "inactive", False, False),
    ],
)
def test_what_else_runs(
    host: FakeHost, unit: str, active: str, running: bool, switching: bool
) -> None:
    other = "20261122-000000-0000"
    for job in (JOB, other):
        (host.jobs / job).mkdir(parents=True)
    host.run_state.mkdir()
    (host.run_state / "current").write_text(f"{other}\n")
    host.set("other-blocks", f"Id={unit}\nLoadState=loaded\nActiveState={active}\nMainPID=9\n")
    facts = probe(host)
    assert (facts.job_running, facts.switch_running) == (other if running else None, switching)
    assert facts.job_last == JOB
    assert facts.unit is not None
    assert facts.unit.pid == 4001


@one_shell
def test_without_systemd_nothing_is_made_up(host: FakeHost) -> None:
    host.on("systemctl", "exit 1")
    facts = probe(host)
    assert (facts.unit, facts.running, facts.installed) == (None, None, None)
    assert facts.checkout is not None


# The checkout.


def checkout_of(host: FakeHost, **values: str) -> tuple[str | None, str | None]:
    found = probe(host, **values).checkout
    return (found.path, found.state) if found else (None, None)


def test_checkouts_that_are_none(host: FakeHost) -> None:
    (host.root / "empty").mkdir()
    assert checkout_of(host, NF_CHECKOUT="/not/there") == ("/not/there", "missing")
    assert checkout_of(host, NF_CHECKOUT="/empty") == ("/empty", "not-git")
    assert checkout_of(host, NF_CHECKOUT="") == (None, None)
    assert checkout_of(host, NF_CHECKOUT="~/nixcfg") == ("/home/ops/nixcfg", "ok")


@one_shell
@pytest.mark.skipif(os.geteuid() == 0, reason="root may enter every directory")
def test_what_lies_behind_a_closed_door_is_not_missing(host: FakeHost) -> None:
    (host.root / "home/ops").chmod(0)
    try:
        assert checkout_of(host)[1] == "unreadable"
    finally:
        (host.root / "home/ops").chmod(0o700)


def test_uncommitted_changes_are_named_and_the_committed_lock_comes_along(host: FakeHost) -> None:
    host.lock.write_text(lock_text(host.upstream.new))
    (host.checkout / "it's new $(x)").touch()
    checkout = probe(host).checkout
    assert checkout is not None
    assert checkout.dirty == ("flake.lock", "it's new $(x)")
    assert checkout.lock is not None
    assert checkout.head_lock is not None
    found = [lock.find("nixfleet") for lock in (checkout.lock, checkout.head_lock)]
    assert [lock.rev for lock in found if lock] == [host.upstream.new, host.upstream.old]
    with host.lock.open("rb") as file:
        done = subprocess.run(["cksum"], stdin=file, capture_output=True, text=True, check=True)
    assert checkout.lock_cksum == done.stdout.strip()


@one_shell
@pytest.mark.parametrize("name", ["a flake.lock", "flake.lock.bak", "my-flake.lock"])
def test_a_file_of_a_similar_name_is_not_the_lock(host: FakeHost, name: str) -> None:
    (host.checkout / name).touch()
    checkout = probe(host).checkout
    assert checkout is not None
    assert checkout.lock == checkout.head_lock or checkout.head_lock is None


HOSTILE = [
    "it's $(touch owned) `touch owned`",
    'quo"tes; touch owned; #',
    "new\nline\nend 0\n",
    "-leading",
    "é漢\x1b[31m",
    "*?[a]{b,c}~",
    "\udcff\udcfe bad utf-8",
]


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_paths_of_any_kind_are_seen_as_they_are(host: FakeHost, name: str) -> None:
    shutil.copytree(host.checkout, f"{host.root}/home/ops/{name}", symlinks=True)
    system = Path(f"{host.root}/nix/store/{'z' * 32}-{name}")
    system.mkdir()
    (host.root / "run/current-system").unlink()
    (host.root / "run/current-system").symlink_to(system)
    script = host.script(
        "probe",
        NF_PLATFORM="nixos",
        NF_CHECKOUT=f"/home/ops/{name}",
        NF_INPUT="nixfleet",
        NF_ATTRIBUTE="",
        NF_UNIT="nixfleet-agent.service",
        NF_DEEP="",
    )
    records = read_records(host.send(script).stdout)
    shown = os.fsencode(name).decode("utf-8", "replace")
    assert records["checkout.path"] == f"/home/ops/{shown}"
    # who reads a name from a command loses the newlines at its end
    assert records["system.current"] == f"/nix/store/{'z' * 32}-{shown}".rstrip("\n")
    assert records["checkout.state"] == "ok"
    assert not list(host.root.rglob("owned"))
    assert not list(host.checkout.rglob("owned"))


@pytest.mark.parametrize(
    "data", [b"\xff\xfe\n\n", b"{'$(id)'}\nend 0\n", b"x" * 2_000_000], ids=range(3)
)
def test_a_lock_of_any_kind_is_one_record(host: FakeHost, data: bytes) -> None:
    host.lock.write_bytes(data)
    records = read_records(ask(host).stdout)
    shown = data[:1048577].rstrip(b"\n").decode("utf-8", "replace")
    assert records["checkout.lock"] == shown
    checkout = probe(host).checkout
    assert checkout is not None
    assert checkout.lock is None
    assert checkout.lock_error


@pytest.mark.parametrize(
    ("answer", "users", "trusted"),
    [
        ('{"trusted":1,"url":"daemon"}', "", True),
        ('{"trusted": false, "url":"daemon"}', "", False),
        ("", "root", False),
        ("", "root *", True),
        ("", "root ops", True),
        ("", "@wheel root", True),
        ("", "@ops @wheels wheel", False),
        ("", "", None),
    ],
)
@one_shell
def test_whether_the_daemon_trusts_the_user(
    host: FakeHost, answer: str, users: str, trusted: bool | None
) -> None:
    host.set("uid", "1000")
    host.on("id", 'case $1 in -u) cat "$s/uid" ;; -un) echo ops ;; *) echo users wheel ;; esac')
    host.set("ping", answer)
    host.set("config", f"trusted-substituters = x\ntrusted-users = {users}" if users else "")
    host.on(
        "nix",
        'case "$*" in *"store ping"*) cat "$s/ping" ;; *show-config) cat "$s/config" ;;'
        ' *) default "$@" ;; esac',
    )
    assert probe(host, NF_PLATFORM="home-manager", NF_CHECKOUT="").trusted is trusted
    assert probe(host, NF_PLATFORM="nixos", NF_CHECKOUT="").trusted is None
    host.set("uid", "0")
    assert probe(host, NF_PLATFORM="home-manager", NF_CHECKOUT="").trusted is None
