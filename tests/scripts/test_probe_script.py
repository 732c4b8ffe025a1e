"""The probe: a real run on a fake host, read as the client reads it."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from fake_host import AGENTS, CHECKOUT, JOB, SYSTEMS, FakeHost, git, lock_text, tree

from nixfleet_core.facts.model import Facts
from nixfleet_core.facts.parse import parse_probe, read_records

one_shell = pytest.mark.parametrize("shell", ["bash"], indirect=True)


def ask(host: FakeHost, **values: str) -> subprocess.CompletedProcess[bytes]:
    known = {
        "NF_PLATFORM_GIVEN": "",
        "NF_CHECKOUT": CHECKOUT,
        "NF_INPUT": "nixfleet",
        "NF_ATTRIBUTE": "",
        "NF_UNIT": "nixfleet-agent.service",
        "NF_DEEP": "",
        "NF_CHOSEN": "",
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
    assert "--no-update-lock-file" in call
    assert '#nixosConfigurations."h".config.systemd.services.nixfleet-agent' in call


@one_shell
def test_the_evaluation_gets_the_time_of_the_settings(host: FakeHost) -> None:
    host.on("timeout", 'shift 3; exec "$@"')
    probe(host, NF_DEEP="1", NF_ATTRIBUTE="h", NF_EVALUATION="777")
    assert len(host.calls("timeout -k 5 777 ")) == 1


@one_shell
def test_a_flake_that_does_not_evaluate_is_reported(host: FakeHost) -> None:
    host.on("nix", 'case "$*" in *eval*) exit 1 ;; esac; default "$@"')
    facts = probe(host, NF_DEEP="1", NF_ATTRIBUTE="h")
    assert (facts.expected, facts.expected_error) == (None, "eval")


# The process: see test_process.py.


@one_shell
def test_a_stopped_agent_has_no_process(host: FakeHost) -> None:
    host.tool("systemctl", "stop", "nixfleet-agent.service")
    facts = probe(host)
    assert facts.unit is not None
    assert (facts.unit.is_up, facts.running) == (False, None)
    assert facts.installed is not None


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
def test_sees_other_jobs_and_rebuilds(
    host: FakeHost, unit: str, active: str, running: bool, switching: bool
) -> None:
    other = "20261122-000000-0000"
    for job in (JOB, other):
        (host.jobs / job).mkdir(parents=True)
    host.run_state.mkdir()
    (host.run_state / "current").write_text(f"{other}\n")
    host.let_live(unit, f"{active} any")
    facts = probe(host)
    assert (facts.job_running, facts.switch_running) == (other if running else None, switching)
    assert facts.job_last == JOB
    assert facts.unit is not None
    assert facts.unit.pid == 4001


@one_shell
@pytest.mark.parametrize("place", ["jobs", "run_state"], ids=["on disk", "in memory"])
def test_a_job_with_a_result_runs_no_more_though_its_unit_does(host: FakeHost, place: str) -> None:
    for folder in (host.jobs, host.run_state):
        (folder / JOB).mkdir(parents=True)
    (host.run_state / "current").write_text(f"{JOB}\n")
    host.let_live("nixfleet-finish.service", "activating any")
    assert probe(host).job_running == JOB
    (getattr(host, place) / JOB / "result").touch()
    assert probe(host).job_running is None


@one_shell
def test_a_host_without_systemd_has_no_agent_facts(host: FakeHost) -> None:
    host.on("systemctl", "exit 1")
    facts = probe(host)
    assert (facts.unit, facts.running, facts.installed) == (None, None, None)
    assert facts.checkout is not None


# The checkout.


def checkout_of(host: FakeHost, **values: str) -> tuple[str | None, str | None]:
    found = probe(host, **values).checkout
    return (found.path, found.state) if found else (None, None)


def test_other_paths_are_no_checkouts(host: FakeHost) -> None:
    (host.root / "empty").mkdir()
    assert checkout_of(host, NF_CHECKOUT="/not/there") == ("/not/there", "missing")
    assert checkout_of(host, NF_CHECKOUT="/empty") == ("/empty", "not-git")
    assert checkout_of(host, NF_CHECKOUT="") == (None, None)
    assert checkout_of(host, NF_CHECKOUT="~/nixcfg") == ("/home/ops/nixcfg", "ok")


@one_shell
def test_an_unreadable_checkout_is_not_missing(host: FakeHost) -> None:
    if os.geteuid() == 0:
        # a root to whom modes apply as to everybody
        capable = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--")
        host = replace(host, shell=(*capable, *host.shell))
    (host.root / "home/ops").chmod(0)
    try:
        assert checkout_of(host)[1] == "unreadable"
    finally:
        (host.root / "home/ops").chmod(0o700)


def test_names_uncommitted_changes_and_reads_the_committed_flake_lock(host: FakeHost) -> None:
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
def test_a_file_of_a_similar_name_is_not_flake_lock(host: FakeHost, name: str) -> None:
    (host.checkout / name).touch()
    checkout = probe(host).checkout
    assert checkout is not None
    assert checkout.lock == checkout.head_lock or checkout.head_lock is None


ISOLATED = "/var/lib/nixfleet-agent/repo"


def clone_to(host: FakeHost, path: str) -> Path:
    """Another checkout of the host's nixcfg."""
    made = Path(f"{host.root}{path}")
    made.parent.mkdir(parents=True)
    shutil.copytree(host.checkout, made)
    return made


@pytest.mark.parametrize("path", [ISOLATED, "/home/ops/Code/nixcfg"])
def test_the_other_checkout_is_seen_too(host: FakeHost, path: str) -> None:
    assert probe(host).other is None
    other = clone_to(host, path)
    git(other, "commit", "-q", "--allow-empty", "-m", "Another")
    (other / "flake.lock").write_text(lock_text(host.upstream.new))
    facts = probe(host)
    assert facts.other is not None
    assert facts.other.lock is not None
    found = facts.other.lock.find("nixfleet")
    assert (facts.other.path, facts.other.head, found and found.rev) == (
        *(path, git(other, "rev-parse", "HEAD"), host.upstream.new),
    )
    assert facts.lock_rev("nixfleet") == host.upstream.old


def test_the_agents_own_repository_is_asked_for_by_a_word(host: FakeHost) -> None:
    assert checkout_of(host, NF_CHECKOUT="isolated") == (ISOLATED, "missing")
    clone_to(host, ISOLATED)
    clone_to(host, "/home/ops/Code/nixcfg")
    facts = probe(host, NF_CHECKOUT="isolated")
    assert facts.checkout is not None
    assert (facts.checkout.path, facts.checkout.state) == (ISOLATED, "ok")
    assert facts.other is not None
    assert facts.other.path == "/home/ops/Code/nixcfg"


@one_shell
def test_with_home_manager_the_agents_own_repository_is_at_home(host: FakeHost) -> None:
    path = "/home/ops/.local/state/nixfleet-agent/repo"
    clone_to(host, path)
    values = {"NF_PLATFORM_GIVEN": "home-manager", "NF_CHECKOUT": "isolated"}
    assert checkout_of(host, **values) == (path, "ok")
    assert probe(host, NF_PLATFORM_GIVEN="home-manager").other is not None


@one_shell
def test_a_folder_that_is_no_repository_has_nothing_to_compare(host: FakeHost) -> None:
    Path(f"{host.root}{ISOLATED}").mkdir(parents=True)
    found = probe(host).other
    assert found is not None
    assert (found.state, found.head, found.lock) == ("not-git", None, None)


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
        NF_PLATFORM_GIVEN="nixos",
        NF_CHECKOUT=f"/home/ops/{name}",
        NF_INPUT="nixfleet",
        NF_ATTRIBUTE="",
        NF_UNIT="nixfleet-agent.service",
        NF_DEEP="",
    )
    records = read_records(host.send(script).stdout)
    shown = os.fsencode(name).decode("utf-8", "replace")
    assert records["checkout.path"] == f"/home/ops/{shown}"
    # a command substitution drops the newlines at the end of a name
    assert records["system.current"] == f"/nix/store/{'z' * 32}-{shown}".rstrip("\n")
    assert records["checkout.state"] == "ok"
    assert not list(host.root.rglob("owned"))
    assert not list(host.checkout.rglob("owned"))


@pytest.mark.parametrize(
    "data", [b"\xff\xfe\n\n", b"{'$(id)'}\nend 0\n", b"x" * 2_000_000], ids=range(3)
)
def test_any_flake_lock_is_one_record(host: FakeHost, data: bytes) -> None:
    host.lock.write_bytes(data)
    records = read_records(ask(host).stdout)
    shown = data[:1048577].rstrip(b"\n").decode("utf-8", "replace")
    assert records["checkout.lock"] == shown
    checkout = probe(host).checkout
    assert checkout is not None
    assert checkout.lock is None
    assert checkout.lock_error


# The facts that explain an old agent.


def test_an_operators_look_sees_both_checkouts(host: FakeHost) -> None:
    agents = host.root / "var/lib/nixfleet-agent/repo"
    git(host.root, "clone", "-q", str(host.upstream.nixcfg), str(agents))
    (agents / "flake.lock").write_text(lock_text(host.upstream.new))
    facts = probe(host)
    assert facts.other is not None
    assert (facts.other.path, facts.other.state, facts.other.branch, facts.other.dirty) == (
        *("/var/lib/nixfleet-agent/repo", "ok", "main", ("flake.lock",)),
    )
    assert facts.other.head == git(agents, "rev-parse", "HEAD")
    assert facts.other.lock is not None
    found = facts.other.lock.find("nixfleet")
    assert found is not None
    assert found.rev == host.upstream.new
    assert facts.lock_rev("nixfleet") == host.upstream.old
    # for the agent's own look it is the other way round
    shutil.copytree(host.checkout, host.root / "home/ops/Code/nixcfg", symlinks=True)
    facts = probe(host, NF_CHECKOUT="/var/lib/nixfleet-agent/repo")
    assert facts.other is not None
    assert facts.other.path == "/home/ops/Code/nixcfg"


@one_shell
def test_the_other_checkout_may_be_missing(host: FakeHost) -> None:
    assert probe(host).other is None
    (host.root / "var/lib/nixfleet-agent/repo").mkdir(parents=True)
    facts = probe(host)
    assert facts.other is not None
    assert facts.other.state == "not-git"


@one_shell
def test_the_other_flake_is_evaluated_only_if_ours_explains_nothing(host: FakeHost) -> None:
    git(host.root, "clone", "-q", str(host.checkout), f"{host.root}/var/lib/nixfleet-agent/repo")
    facts = probe(host, NF_DEEP="why", NF_ATTRIBUTE="h")
    assert (facts.other_expected, len(host.calls("nix --extra"))) == (None, 2)
    host.on(
        "nix",
        f"""case "$*" in
          *--version*) default "$@" ;;
          *agent/repo*) echo {AGENTS["1.0"]} ;;
          *) echo {AGENTS["2.0"]} ;;
        esac""",
    )
    facts = probe(host, NF_DEEP="why", NF_ATTRIBUTE="h")
    assert facts.expected is not None
    assert facts.other_expected is not None
    assert (facts.expected.path, facts.other_expected.path) == (AGENTS["2.0"], AGENTS["1.0"])
    assert probe(host, NF_DEEP="1", NF_ATTRIBUTE="h").other_expected is None


def test_why_asks_nixcfgs_remote_and_for_last_words(host: FakeHost) -> None:
    newest = git(host.upstream.nixcfg, "rev-parse", "HEAD")
    host.on("journalctl", "echo 'panic: no such table'")
    host.on(
        "nix",
        """case "$*" in
          *path-info*) echo '[{"path":"/x","registrationTime":1784356753,"valid":true}]' ;;
          *) default "$@" ;;
        esac""",
    )
    facts = probe(host, NF_DEEP="why")
    assert facts.checkout is not None
    assert (facts.checkout.default_branch, facts.checkout.incoming) == ("main", newest)
    assert (facts.installed_at, facts.journal) == (1784356753, "panic: no such table")
    assert host.calls("nix --extra")[0].endswith(
        f"--json {AGENTS['1.0'].removesuffix('/bin/agent')}"
    )
    git(host.checkout, "pull", "-q")
    checkout = probe(host, NF_DEEP="why").checkout
    assert checkout is not None
    assert (checkout.head, checkout.incoming) == (newest, None)


@one_shell
def test_a_plain_look_asks_no_remote(host: FakeHost) -> None:
    checkout = probe(host).checkout
    assert checkout is not None
    assert (checkout.default_branch, checkout.incoming) == ("main", None)
    assert not host.calls("journalctl", "nix --extra")


@one_shell
def test_reads_the_last_job_with_the_line_on_its_fetch(host: FakeHost) -> None:
    host.job.mkdir(parents=True)
    assert probe(host).last_job is None
    (host.job / "result").write_text(
        '{"outcome":"failed","failed":"update","reason":"stale","rc":65}'
    )
    (host.job / "latest").write_text(f"{host.upstream.new}\n")
    (host.job / "log").write_text("fatal: unable to access\nerror: x; using cached version\nend\n")
    plain, deep = (probe(host, NF_DEEP=deep).last_job for deep in ("", "why"))
    assert plain is not None
    assert deep is not None
    assert (plain.failed, plain.reason, plain.rc) == ("update", "stale", 65)
    assert (plain.latest, plain.said) == (host.upstream.new, None)
    assert deep.said == "fatal: unable to access / error: x; using cached version"


@one_shell
@pytest.mark.parametrize(("wanted", "differs"), [("systemd 2\n", False), ("systemd 3", True)])
def test_a_system_with_another_init_needs_a_reboot(
    host: FakeHost, wanted: str, differs: bool
) -> None:
    assert probe(host).system.needs_reboot is False
    for version, text in (("1.0", "systemd 2"), ("2.0", wanted)):
        Path(f"{host.root}{SYSTEMS[version]}/init-interface-version").write_text(text)
    profiles = host.root / "nix/var/nix/profiles"
    (profiles / "system-2-link").symlink_to(f"{host.root}{SYSTEMS['2.0']}")
    (profiles / "system").unlink()
    (profiles / "system").symlink_to("system-2-link")
    (host.root / "run/booted-system").symlink_to(f"{host.root}{SYSTEMS['1.0']}")
    system = probe(host).system
    assert (system.booted, system.needs_reboot) == (SYSTEMS["1.0"], differs)


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
def test_sees_whether_the_daemon_trusts_the_user(
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
    assert probe(host, NF_PLATFORM_GIVEN="home-manager", NF_CHECKOUT="").trusted is trusted
    assert probe(host, NF_PLATFORM_GIVEN="nixos", NF_CHECKOUT="").trusted is None
    host.set("uid", "0")
    assert probe(host, NF_PLATFORM_GIVEN="home-manager", NF_CHECKOUT="").trusted is None


def test_nix_is_not_run_again_while_nothing_about_it_has_changed(host: FakeHost) -> None:
    settings = host.root / "etc/nix/nix.conf"
    settings.parent.mkdir(parents=True, exist_ok=True)

    host.set("uid", "1000")
    host.on("id", 'case $1 in -u) cat "$s/uid" ;; -un) echo ops ;; *) echo users wheel ;; esac')

    def look(stamp: str) -> tuple[dict[str, str], list[str]]:
        before = len(host.calls("nix "))
        values = {"NF_PLATFORM_GIVEN": "home-manager", "NF_CHECKOUT": "", "NF_NIX_STAMP": stamp}
        records = read_records(ask(host, **values).stdout)
        return records, host.calls("nix ")[before:]

    first, asked = look("")
    assert len(asked) == 3, "its version, and twice whether it trusts us"
    again, asked = look(first["nix.stamp"])
    assert asked == []
    assert again["nix.stamp"] == first["nix.stamp"]
    assert not {"nix", "nix.trusted"} & again.keys()
    assert again["tools"] == first["tools"]
    settings.write_text("trusted-users = ops\n")
    changed, asked = look(first["nix.stamp"])
    assert "nix --version" in asked
    host.on("nix", 'echo "nix (Nix) 2.99.0"')
    replaced, asked = look(changed["nix.stamp"])
    assert "nix --version" in asked
    assert replaced["nix"] == "nix (Nix) 2.99.0"
