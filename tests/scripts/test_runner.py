"""The compiled job, run for real on a fake host."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
from shlex import quote
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from fake_host import AGENTS, CHAIN, CHECKOUT, JOB, SYSTEMS, FakeHost, git, lock_text, tree

from nixfleet_core.facts.parse import parse_probe
from nixfleet_core.job.events import CancelSeen, Check, JobEnd, JobStart, Retry, StepStart
from nixfleet_core.log.failure_table import OOM_KILLED
from nixfleet_core.log.failures import find_failure
from nixfleet_core.plan.model import Step

if TYPE_CHECKING:
    from nixfleet_core.plan.model import Plan
    from nixfleet_core.vocabulary import StepId

OTHER = "20261122-004101-cd34"
OK: dict[str, str] = dict.fromkeys(CHAIN, "ok")
one_shell = pytest.mark.parametrize("shell", ["bash"], indirect=True)
"""For what depends on the host's tools more than on its shell; NixOS has bash as sh."""
in_dash = pytest.mark.parametrize("shell", ["dash"], indirect=True)
in_busybox = pytest.mark.parametrize("shell", ["busybox"], indirect=True)
"""The same, so that these shells have their share."""


def ends(bad: StepId, status: str = "failed") -> dict[str, str]:
    """How the steps end when one does not: what follows is skipped, the agent is brought back."""
    at = CHAIN.index(bad)
    found: dict[str, str] = dict.fromkeys(CHAIN[:at], "ok")
    found |= dict.fromkeys(CHAIN[at:], "skipped")
    return found | {"start": "ok", "verify": "ok", bad: status}


def test_all_steps_run_in_order_and_the_proof_is_kept(host: FakeHost) -> None:
    host.run_job()
    assert host.steps == OK, host.log
    starts = [event for event in host.events if isinstance(event, StepStart)]
    assert [event.step for event in starts] == list(CHAIN)
    assert [event.log for event in starts] == sorted(event.log for event in starts)
    assert isinstance(host.events[0], JobStart)
    last = host.events[-1]
    assert isinstance(last, JobEnd)
    assert last.outcome == "done"
    ended = host.result["ended"]
    assert isinstance(ended, int)
    assert ended >= last.at
    said = {"format": 1, "outcome": "done", "failed": "", "rc": 0, "reason": "", "ended": ended}
    assert host.result == said
    done = [call.split()[:3] for call in host.calls("systemctl st", "nix flake", "nixos-rebuild")]
    assert done == [
        ["systemctl", "stop", "nixfleet-agent.service"],
        ["nix", "flake", "update"],
        ["nixos-rebuild", "switch", "--flake"],
        ["systemctl", "start", "nixfleet-agent.service"],
    ]
    before, after = (parse_probe((host.job / name).read_bytes()) for name in ("before", "after"))
    assert before.running is not None
    assert after.running is not None
    assert after.expected is not None
    assert (before.running.binary.path, after.running.binary.path) == tuple(AGENTS.values())
    assert after.expected.path == AGENTS["2.0"]
    assert (before.lock_rev("nixfleet"), after.lock_rev("nixfleet")) == (
        *(host.upstream.old, host.upstream.new),
    )
    assert (before.system.generation, after.system.generation) == (1, 2)
    assert (host.job / "latest").read_text().strip() == host.upstream.new
    assert git(host.checkout, "log", "-1", "--format=%s") == "Fix the disk"
    # a result is also where no disk is full
    assert (host.run_state / JOB / "result").read_bytes() == (host.job / "result").read_bytes()
    assert (host.run_state / "current").read_text() == f"{JOB}\n"
    for name in ("log", "events", "before", "after", "latest", "result", "flake.lock.before"):
        assert stat.S_IMODE((host.job / name).stat().st_mode) == 0o600, name
    assert stat.S_IMODE((host.run_state / JOB).stat().st_mode) == 0o700
    for path in (host.run_state / JOB).iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name

    kept = tree(host.job)
    host.run_job()
    host.run_job(command="finish")
    assert tree(host.job) == kept
    assert len(host.calls("nixos-rebuild")) == 1
    host.tool("systemctl", "stop", "nixfleet-agent.service")
    host.run_job(command="finish")
    assert host.agent_runs()


@one_shell
@pytest.mark.parametrize("step", ["rebuild"])
def test_after_a_failure_the_rest_is_skipped_and_the_agent_is_back(
    host: FakeHost, step: StepId
) -> None:
    host.run_job(host.plan(lines={step: ("sh", "-c", "echo broken; exit 7")}))
    assert host.steps == ends(step)
    assert host.agent_runs()
    assert (host.result["outcome"], host.result["failed"], host.result["rc"]) == ("failed", step, 7)
    assert host.step(step).rc == 7


@one_shell
def test_a_refusal_touches_nothing(host: FakeHost) -> None:
    host.mask()
    agent, files = host.agent, host.lock.read_bytes()
    host.run_job()
    assert host.steps == dict.fromkeys(CHAIN, "skipped") | {"preflight": "failed"}
    assert [(e.check, e.reason) for e in host.events if isinstance(e, Check) and not e.ok] == [
        ("unit", "masked")
    ]
    assert (host.step("preflight").reason, host.result["failed"]) == ("unit", "preflight")
    assert (host.agent, host.lock.read_bytes()) == (agent, files)
    assert host.calls("systemctl st", "nixos-rebuild") == []


@one_shell
def test_each_evaluation_of_a_job_gets_the_time_of_the_settings(host: FakeHost) -> None:
    host.on("timeout", 'shift 3; exec "$@"')
    host.run_job(host.plan(evaluation=777))
    assert host.steps["preflight"] == "ok"
    flake = [call for call in host.calls("timeout") if " eval " in call and "#nixosC" in call]
    assert flake
    assert flake == host.calls("timeout -k 5 777 ")


@one_shell
def test_an_agent_that_does_not_come_back_is_a_failure(host: FakeHost) -> None:
    host.on("nixos-rebuild", 'default "$@"; : >"$s/refuses"')
    host.run_job()
    assert (host.steps["start"], host.steps["verify"], host.step("verify").reason) == (
        *("failed", "failed", "down"),
    )
    assert host.result["failed"] == "start"


@one_shell
def test_an_agent_that_restarts_all_the_time_is_unstable(host: FakeHost) -> None:
    host.on("nixos-rebuild", 'default "$@"; : >"$s/loops"')
    host.on(
        "systemctl",
        'if [ "$1" = show ] && [ -e "$s/loops" ]; then "$0" restart nixfleet-agent; fi\n'
        'default "$@"',
    )
    host.run_job()
    assert (host.steps["verify"], host.step("verify").reason) == ("failed", "unstable")


@one_shell
def test_an_old_process_is_restarted(host: FakeHost) -> None:
    host.run_job(host.plan(lines={"stop": ("true",)}))
    assert host.steps == OK
    assert host.calls("systemctl restart") == ["systemctl restart nixfleet-agent.service"]


# Tries.

TRANSIENT = "fatal: unable to access 'https://h/': Could not resolve host: h"
PERMANENT = "git@h: Permission denied (publickey)."


def failing(times: int, says: str) -> tuple[str, ...]:
    """A command that fails so many times first."""
    script = """
n=$(($(cat "$1" 2>/dev/null || echo 0) + 1))
echo $n >"$1"
[ $n -gt "$2" ] || { echo "$3"; exit 128; }"""
    return ("sh", "-c", script, "sh", "/state/tries", str(times), says)


def test_what_looks_transient_is_tried_again_with_growing_pauses(host: FakeHost) -> None:
    host.on("sleep", f"exec {shutil.which('sleep')} 0.01")
    host.run_job(host.plan(lines={"pull": failing(2, TRANSIENT)}, tries=4))
    assert host.steps == OK
    retries = [event for event in host.events if isinstance(event, Retry)]
    assert [(e.step, e.attempt, e.tries, e.wait) for e in retries] == [
        ("pull", 2, 4, 8),
        ("pull", 3, 4, 16),
    ]
    assert host.step("pull").attempts == 3


@one_shell
def test_after_so_many_tries_it_is_given_up(host: FakeHost) -> None:
    host.on("sleep", f"exec {shutil.which('sleep')} 0.01")
    host.run_job(host.plan(lines={"pull": failing(9, TRANSIENT)}, tries=2))
    assert host.steps == ends("pull")
    assert (host.step("pull").attempts, host.step("pull").rc) == (2, 128)


@in_dash
def test_only_what_the_last_try_printed_decides(host: FakeHost) -> None:
    (host.state / "said").write_text(f"{TRANSIENT}\n")
    script = 'cat "$1"; echo never seen before >"$1"; exit 128'
    host.run_job(host.plan(lines={"pull": ("sh", "-c", script, "sh", "/state/said")}, tries=4))
    assert host.step("pull").attempts == 2


OFFLINE = {
    "cache": "warning: unable to download 'http://nas.lan:5000/nix-cache-info': "
    "Couldn't connect to server (7)",
    "builder": "cannot build on 'ssh-ng://builder': error: failed to start SSH connection to "
    "'builder': ssh: connect to host builder port 22: Connection refused",
    "cache, as Nix 2.34 says it": "error: unable to download 'http://nas.lan:5000/x.narinfo': "
    "Couldn't connect to server (7)",
}


def rebuilding(host: FakeHost, **changes: object) -> Plan:
    """A plan whose rebuild differs from the usual one in these."""
    plan = host.plan(retry_after=1)
    steps = (
        msgspec.structs.replace(step, **changes) if step.id == "rebuild" else step
        for step in plan.steps
    )
    return msgspec.structs.replace(plan, steps=tuple(steps))


FAILED_UNITS = "warning: the following units failed: backup.service"
UNFREE = "error: Package ‘x-1.0’ has an unfree license (‘unfree’), refusing to evaluate."


@pytest.mark.parametrize("offline", OFFLINE.values(), ids=OFFLINE)
@pytest.mark.parametrize(
    ("says", "rc"), [(FAILED_UNITS, 4), (FAILED_UNITS, 1), ("never seen before", 1)]
)
def test_a_switch_is_not_repeated_because_something_was_offline(
    host: FakeHost, offline: str, says: str, rc: int
) -> None:
    (host.state / "says").write_text(f"{offline}\n{says}\n")
    host.on("nixos-rebuild", f'default "$@"\ncat "$s/says" >&2\nexit {rc}')
    host.run_job(rebuilding(host, tries=3))
    assert len(host.calls("nixos-rebuild")) == 1
    assert host.step("rebuild").rc == rc


@in_dash
def test_a_failed_unit_is_no_reason_for_another_switch_of_the_same_system(host: FakeHost) -> None:
    """The profile does not move: only the code says that the switch is over."""
    (host.state / "says").write_text(f"{OFFLINE['cache, as Nix 2.34 says it']}\n")
    host.on("nixos-rebuild", 'cat "$s/says" >&2\nexit 4')
    host.run_job(rebuilding(host, tries=3))
    assert len(host.calls("nixos-rebuild")) == 1


@in_dash
def test_an_unfree_package_is_the_failure_and_not_the_offline_builder(host: FakeHost) -> None:
    (host.state / "says").write_text(f"{OFFLINE['builder']}\n{UNFREE}\n")
    host.on("nixos-rebuild", 'cat "$s/says" >&2\nexit 1')
    host.run_job(rebuilding(host, tries=3))
    assert len(host.calls("nixos-rebuild")) == 1


def test_a_switch_that_another_one_holds_up_is_tried_again(host: FakeHost) -> None:
    """The profile has moved, as always when the switch begins."""
    host.on(
        "nixos-rebuild",
        'default "$@"\nif [ ! -e "$s/tried" ]; then : >"$s/tried"; '
        "echo 'Could not acquire lock' >&2; exit 1; fi",
    )
    host.run_job(rebuilding(host, tries=3))
    assert host.steps == OK
    assert host.step("rebuild").attempts == 2


def test_a_command_that_somebody_kills_has_not_reached_its_limit(host: FakeHost) -> None:
    host.on("nixos-rebuild", "kill -KILL $$")
    host.run_job()
    assert host.step("rebuild").rc == 137
    assert OOM_KILLED not in host.log


def test_a_command_that_must_be_killed_at_its_limit_has_reached_it(host: FakeHost) -> None:
    """`timeout` then says 137, as for a command that somebody else killed."""
    host.on("nixos-rebuild", "trap '' TERM; while :; do /bin/sleep 0.1; done")
    host.run_job(rebuilding(host, limit=1))
    assert host.step("rebuild").rc == 124


def test_the_runner_says_that_the_kernel_killed_for_memory(host: FakeHost) -> None:
    """The killed process cannot; the job's control group counts it."""
    group = "/system.slice/nixfleet-job.service"
    events = host.root / f"sys/fs/cgroup{group}/memory.events"
    for path, text in (
        (host.root / "proc/self/cgroup", f"0::{group}\n"),
        (events, "max 3\noom_kill 0\n"),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    host.on("nixos-rebuild", f"echo oom_kill 1 >{quote(str(events))}; kill -9 $$")
    host.run_job()
    failure = find_failure(host.log.splitlines())
    assert (host.step("rebuild").rc, failure and failure.cause) == (137, "oom")


# flake.lock.


def dirty(host: FakeHost, text: str) -> bytes:
    """Uncommitted changes in flake.lock, which upstream has changed too."""
    host.lock.write_text(text)
    host.lock.chmod(0o644)
    return host.lock.read_bytes()


def cksum(host: FakeHost) -> str:
    with host.lock.open("rb") as file:
        return subprocess.run(["cksum"], stdin=file, capture_output=True, text=True).stdout.strip()


@one_shell
def test_a_dirty_lock_that_may_go_is_saved_and_makes_way(host: FakeHost) -> None:
    (host.checkout / "notes").write_text("other work")
    mine = dirty(host, lock_text(host.upstream.new) + "\n\n")
    host.run_job(restoring(host))
    assert host.steps == OK
    assert (host.job / "flake.lock.before").read_bytes() == mine
    assert (host.checkout / "notes").read_text() == "other work"
    assert host.lock.read_text() == lock_text(host.upstream.new)


def restoring(host: FakeHost, **changes: Any) -> Plan:
    return msgspec.structs.replace(host.plan(**changes), restore_lock=cksum(host))


@one_shell
@pytest.mark.parametrize("step", ["pull", "rebuild"])
def test_it_comes_back_byte_for_byte_if_the_update_does_not_work(
    host: FakeHost, step: StepId
) -> None:
    mine = dirty(host, lock_text(host.upstream.new) + "\n\n \t")
    host.run_job(restoring(host, lines={step: ("sh", "-c", "echo half >flake.lock; exit 1")}))
    assert host.steps == ends(step)
    assert host.lock.read_bytes() == mine
    assert not (host.checkout / ".flake.lock.nixfleet").exists()


@one_shell
def test_it_stays_the_new_one_once_the_profile_has_moved(host: FakeHost) -> None:
    dirty(host, lock_text(host.upstream.new) + "\n\n")
    host.on("nixos-rebuild", 'default "$@"; exit 4')
    host.run_job(restoring(host))
    assert host.steps["rebuild"] == "failed"
    assert host.lock.read_text() == lock_text(host.upstream.new)


@one_shell
def test_a_dirty_lock_that_may_not_go_is_a_refusal(host: FakeHost) -> None:
    mine = dirty(host, lock_text(host.upstream.new, "9" * 40))
    host.run_job()
    assert host.steps["preflight"] == "failed"
    assert [(e.check, e.reason) for e in host.events if isinstance(e, Check) and not e.ok] == [
        ("pull", "lock")
    ]
    assert host.lock.read_bytes() == mine


@one_shell
def test_a_lock_that_changed_since_the_plan_is_not_taken_for_the_planned_one(
    host: FakeHost,
) -> None:
    dirty(host, lock_text(host.upstream.new))
    plan = restoring(host)
    mine = dirty(host, lock_text(host.upstream.new, "9" * 40))
    host.run_job(plan)
    assert host.steps["preflight"] == "failed"
    assert host.lock.read_bytes() == mine


@one_shell
def test_a_lock_that_the_update_left_half_written_is_put_back(host: FakeHost) -> None:
    pulled = git(host.upstream.nixcfg, "show", "HEAD:flake.lock") + "\n"
    host.on(
        "nix",
        'case "$*" in *" update "*) printf "{" >flake.lock; exit 1 ;; *) default "$@" ;; esac',
    )
    host.run_job()
    assert host.steps == ends("update")
    assert host.lock.read_text() == pulled
    assert git(host.checkout, "status", "--porcelain") == ""


@one_shell
def test_success_with_the_old_commit_is_a_failure(host: FakeHost) -> None:
    host.set("new-values", host.lock_values(host.upstream.old))
    host.run_job()
    assert host.steps == ends("update")
    end = host.step("update")
    assert (end.rc, end.reason) == (65, "stale")


@one_shell
def test_an_input_that_no_repository_answers_for_is_believed(host: FakeHost) -> None:
    for name in ("lock-values", "new-values"):
        host.set(name, host.lock_values(host.upstream.old, "tarball"))
    host.run_job()
    assert host.steps == OK
    assert not (host.job / "latest").exists()


@one_shell
def test_unless_nix_says_that_it_kept_what_it_had(host: FakeHost) -> None:
    for name in ("lock-values", "new-values"):
        host.set(name, host.lock_values(host.upstream.old, "tarball"))
    said = "warning: error: unable to download 'https://h/x': HTTP error 404; using cached version"
    host.on("nix", f'default "$@"; case "$*" in *" update "*) echo "{said}" >&2 ;; esac')
    host.run_job()
    assert host.steps == ends("update")
    end = host.step("update")
    assert (end.rc, end.reason, end.attempts) == (65, "stale", 1)


@one_shell
def test_fetches_are_bounded_and_the_rebuild_is_not(host: FakeHost) -> None:
    bounded = {" update ": True, " x: true ": True, " fields": False, "switch ": False}
    assert gives_up_soon(host, *bounded) == bounded


def test_each_nix_gets_the_features_of_flakes_and_keeps_the_users_own_settings(
    host: FakeHost,
) -> None:
    """nix.conf has them off. home-manager and nixos-rebuild start Nix without an option for it."""
    own = "access-tokens = github.com=secret\nexperimental-features = ca-derivations"
    host.env["NIX_CONFIG"] = own
    told = r'''printf '%s\n' "$NIX_CONFIG" >"$s/config.$$"; default "$@"'''
    for tool in ("nix", "nix-env", "nix-store", "nixos-rebuild"):
        host.on(tool, told)
    host.on("home-manager", "exec nix build x")
    host.on("git", f'cat "/proc/$$/cmdline" >>"$s/argv"; exec {shutil.which("git")} "$@"')
    rebuild = ("sh", "-c", f"home-manager switch && nixos-rebuild switch --flake {CHECKOUT}#h")
    host.run_job(host.plan(lines={"rebuild": rebuild}))
    assert host.steps == OK, host.log
    files = [*host.state.glob("config.*")]
    assert len(files) >= 5
    for file in files:
        lines = file.read_text().split("\n")
        assert "extra-experimental-features = nix-command flakes" in lines
        for line in own.split("\n"):
            assert line in lines[: lines.index("extra-experimental-features = nix-command flakes")]
    assert "secret" not in "".join(host.calls()) + host.log


@one_shell
def test_settings_of_ones_own_count_more_than_those_for_fetches(host: FakeHost) -> None:
    host.env["NIX_CONFIG"] = "download-attempts = 7"
    host.on(
        "nix",
        r'''case "$*" in *" update "*) echo "$NIX_CONFIG" >"$s/config" ;; esac; default "$@"''',
    )
    host.run_job()
    told = (host.state / "config").read_text().split("\n")
    assert [line for line in told if "attempts" in line] == [
        "download-attempts = 1",
        "download-attempts = 7",
    ]


def gives_up_soon(host: FakeHost, *calls: str) -> dict[str, bool]:
    """Whether nix and nixos-rebuild were told to, in the calls that have these words."""
    soon = 'case "${NIX_CONFIG-}" in *download-attempts*) soon=yes ;; *) soon=no ;; esac'
    for tool in ("nix", "nixos-rebuild"):
        # the look evaluates nothing, so the preflight does
        host.on(
            tool,
            f'{soon}; echo "$soon $* " >>"$s/told"; '
            'case "$*" in *"eval --raw --no-update-lock-file"*) exit 1 ;; esac; default "$@"',
        )
    host.run_job()
    assert host.steps == OK
    told = (host.state / "told").read_text().splitlines()
    found = {call: [line.startswith("yes") for line in told if call in line] for call in calls}
    assert all(len(set(answers)) == 1 for answers in found.values()), found
    return {call: answers[0] for call, answers in found.items()}


@one_shell
@pytest.mark.parametrize("name", ["README", "README it's"])
def test_work_that_the_pull_would_overwrite_is_a_refusal(host: FakeHost, name: str) -> None:
    (host.checkout / "README").write_text("mine")
    (host.checkout / name).write_text("mine")
    host.run_job()
    assert host.steps["preflight"] == "failed"
    assert "git refuses to overwrite uncommitted changes:\n" in host.log
    assert "\nREADME\n" in host.log
    assert (host.checkout / "README").read_text() == "mine"


# Cancelling, and being killed.


def waiting(host: FakeHost) -> tuple[str, ...]:
    """A command that tells it runs, by a fifo, and then runs for long."""
    os.mkfifo(host.state / "fifo")
    return ("sh", "-c", f'echo up >"$1"; exec {shutil.which("sleep")} 60', "sh", "/state/fifo")


@in_busybox
def test_a_cancellation_ends_the_step_and_brings_the_agent_back(host: FakeHost) -> None:
    host.write_job(host.plan(lines={"rebuild": waiting(host)}))
    job = host.start_job()
    assert (host.state / "fifo").read_text() == "up\n"
    assert host.ask("cancel", NF_ID=JOB).stdout == b"@nf ok\n"
    job.communicate(timeout=30)
    assert host.steps == ends("rebuild", "cancelled")
    assert host.result["outcome"] == "cancelled"
    assert [event.deferred for event in host.events if isinstance(event, CancelSeen)] == [False]
    assert host.agent_runs()
    assert host.ask("cancel", NF_ID=JOB).stdout == b"@nf over\n"


def test_the_stop_of_its_unit_is_a_cancellation(host: FakeHost) -> None:
    host.write_job(host.plan(lines={"rebuild": waiting(host)}))
    job = host.start_job()
    (host.state / "fifo").read_text()
    os.kill(job.pid, signal.SIGTERM)
    job.communicate(timeout=30)
    assert host.steps == ends("rebuild", "cancelled")
    assert host.agent_runs()


@one_shell
def test_a_cancellation_works_in_the_pause_between_two_tries(host: FakeHost) -> None:
    os.mkfifo(host.state / "fifo")
    host.on("sleep", f"exec {shutil.which('sleep')} 0.2")
    script = 'echo up >"$1"; echo "$2"; exit 1'
    host.write_job(
        host.plan(lines={"pull": ("sh", "-c", script, "sh", "/state/fifo", TRANSIENT)}, tries=5)
    )
    job = host.start_job()
    (host.state / "fifo").read_text()
    host.ask("cancel", NF_ID=JOB)
    job.communicate(timeout=30)
    assert host.steps == ends("pull", "cancelled")
    assert host.step("pull").attempts <= 2


@one_shell
def test_an_activation_ends_before_a_cancellation_takes_effect(host: FakeHost) -> None:
    host.write_job(host.plan(lines={"rebuild": waiting(host)}))
    job = host.start_job()
    (host.state / "fifo").read_text()
    # from here on whoever asks for activations tells it, once for each time that the fifo is made
    told = host.state / "told"
    host.on(
        "systemctl",
        """
default "$@"
if [ "$1" = list-units ] && [ -p "$s/told" ]; then exec 3>"$s/told"; rm "$s/told"; fi""",
    )
    host.let_live("nixos-rebuild-switch-to-configuration.service")
    os.mkfifo(told)
    host.ask("cancel", NF_ID=JOB)
    told.read_text()
    host.let_end("nixos-rebuild-switch-to-configuration.service")
    os.mkfifo(told)
    told.read_text()
    job.communicate(timeout=30)
    assert host.steps == ends("rebuild", "cancelled")
    assert [e.deferred for e in host.events if isinstance(e, CancelSeen)] == [True, False]


@in_dash
def test_what_was_killed_is_finished_by_its_other_unit(host: FakeHost) -> None:
    mine = dirty(host, lock_text(host.upstream.new) + "\n")
    host.write_job(restoring(host, lines={"update": waiting(host)}))
    job = host.start_job()
    (host.state / "fifo").read_text()
    # timeout has a process group of its own; a unit is killed whole
    os.killpg(int((host.run_state / JOB / "pid").read_text()), signal.SIGKILL)
    os.killpg(job.pid, signal.SIGKILL)
    job.communicate(timeout=30)
    assert not host.agent_runs()
    host.run_job(command="finish")
    assert host.agent_runs()
    assert host.steps["update"] == "failed"
    assert host.step("update").reason == "interrupted"
    assert (host.steps["start"], host.steps["verify"]) == ("ok", "ok")
    assert host.result["outcome"] == "interrupted"
    assert host.lock.read_bytes() == mine


# Going back.

BACK = Step(id="rollback", title="", argv=("switch-back",), run_as="root", limit=30)
NEW_ONE_FAILS = """
case "$1 $(cat "$root/etc/systemd/system/nixfleet-agent.service")" in
  start*agent-2.0* | restart*agent-2.0*) exit 1 ;;
esac
default "$@"
"""


def going_back(host: FakeHost, confirm: int | None = None) -> Plan:
    """An update that goes back if the new agent does not stay up, or nobody confirms."""
    plan = host.plan(rollback_on_failure=True)
    at = CHAIN.index("start")
    words = ("wait-for-operator", str(confirm))
    wait = Step(id="confirm", title="", argv=words, run_as="root", limit=30)
    middle = (wait,) if confirm is not None else ()
    return msgspec.structs.replace(plan, steps=(*plan.steps[:at], *middle, *plan.steps[at:], BACK))


def system_of(host: FakeHost) -> tuple[str, str]:
    """The profile and the active system, as the host names them."""
    found = (host.root / name for name in ("nix/var/nix/profiles/system", "run/current-system"))
    profile, current = (str(path.resolve()).removeprefix(str(host.root)) for path in found)
    return profile, current


def is_as_before(host: FakeHost, lock: bytes) -> bool:
    return (
        host.agent_runs()
        and system_of(host) == (SYSTEMS["1.0"], SYSTEMS["1.0"])
        and host.lock.read_bytes() == lock
    )


def test_a_new_agent_that_does_not_start_makes_way_for_the_old_one(host: FakeHost) -> None:
    lock = host.lock.read_bytes()
    host.on("systemctl", NEW_ONE_FAILS)
    host.run_job(going_back(host))
    assert host.steps == OK | {"start": "failed", "verify": "failed", "rollback": "ok"}, host.log
    assert host.step("verify").reason == "down"
    assert is_as_before(host, lock)
    after = parse_probe((host.job / "after").read_bytes())
    assert after.running is not None
    assert after.running.binary.path == AGENTS["1.0"]


@one_shell
def test_a_new_agent_that_runs_stays(host: FakeHost) -> None:
    host.run_job(going_back(host))
    assert host.steps == OK | {"rollback": "skipped"}
    assert system_of(host) == (SYSTEMS["2.0"], SYSTEMS["2.0"])


@one_shell
def test_what_nobody_confirms_is_taken_back(host: FakeHost) -> None:
    lock = host.lock.read_bytes()
    host.run_job(going_back(host, confirm=0))
    assert (host.steps["confirm"], host.step("confirm").reason) == ("failed", "unconfirmed")
    assert host.steps["rollback"] == "ok"
    assert is_as_before(host, lock)


@one_shell
@pytest.mark.parametrize("confirmed", [False, True])
def test_who_is_killed_while_waiting_for_that_goes_back(host: FakeHost, confirmed: bool) -> None:
    lock = host.lock.read_bytes()
    os.mkfifo(host.state / "fifo")
    waits = f'[ "$(cat "$root/run/nixfleet/{JOB}/step")" = confirm ]'
    real = shutil.which("sleep")
    host.on("sleep", f'if {waits}; then echo up >"$s/fifo"; exec {real} 60; fi\nexec {real} 0.05')
    host.write_job(going_back(host, confirm=30))
    job = host.start_job()
    (host.state / "fifo").read_text()
    if confirmed:
        (host.job / "ctl/confirmed").touch()
    os.killpg(job.pid, signal.SIGKILL)
    job.communicate(timeout=30)
    host.on("sleep", f"exec {real} 0.05")
    host.run_job(command="finish")
    assert (host.steps["confirm"], host.step("confirm").reason) == ("failed", "interrupted")
    assert (host.steps["start"], host.result["outcome"]) == ("ok", "interrupted")
    assert is_as_before(host, lock) is not confirmed
    assert host.agent_runs()


@one_shell
def test_what_somebody_confirms_stays(host: FakeHost) -> None:
    host.write_job(going_back(host, confirm=30))
    assert host.ask("confirm", NF_ID=JOB).stdout == b"@nf ok\n"
    host.run_job()
    assert host.steps == OK | {"confirm": "ok", "rollback": "skipped"}


def asked_back(host: FakeHost, target: str) -> Plan:
    """A job that goes back to a system and to the lock that the job OTHER found."""
    plan = host.plan()
    steps = {step.id: step for step in plan.steps}
    back = msgspec.structs.replace(BACK, argv=("switch-back", target))
    return msgspec.structs.replace(
        plan,
        goal="rollback",
        target=target,
        lock_from=OTHER,
        steps=(steps["preflight"], steps["stop"], back, steps["start"], steps["verify"]),
    )


@in_busybox
def test_going_back_when_asked_takes_the_lock_back_too(host: FakeHost) -> None:
    host.tool("nixos-rebuild", "switch", "--flake", f"{CHECKOUT}#h")
    host.lock.write_text(lock_text(host.upstream.new))
    lock = (lock_text(host.upstream.old) + "\n \n").encode()
    (host.jobs / OTHER).mkdir(parents=True)
    (host.jobs / OTHER / "flake.lock.before").write_bytes(lock)
    host.run_job(asked_back(host, SYSTEMS["1.0"]))
    assert set(host.steps.values()) == {"ok"}, host.log
    assert host.result["outcome"] == "done"
    assert is_as_before(host, lock)


@one_shell
@pytest.mark.parametrize(
    "target",
    [
        "/nix/store/not-there",
        "/home/ops/evil",
        "/nix/store/link",
        "/nix/store",
        SYSTEMS["1.0"] + "/x",
    ],
)
def test_where_there_is_nothing_to_go_back_to_the_agent_comes_back(
    host: FakeHost, target: str
) -> None:
    for place in ("home/ops/evil", f"{SYSTEMS['1.0'][1:]}/x", "nix/store"):
        switch = host.root / place / "bin/switch-to-configuration"
        switch.parent.mkdir(parents=True)
        switch.write_text('#!/bin/sh\n: >"${0%/bin/*}/was-run"\n')
        switch.chmod(0o755)
    (host.root / "nix/store/link").symlink_to(host.root / "home/ops/evil")
    host.run_job(asked_back(host, target))
    assert not list(host.root.rglob("was-run"))
    assert (host.steps["rollback"], host.step("rollback").reason) == ("failed", "target")
    assert host.agent_runs()
