"""What a step's command writes to: a pipe, never a file of the job's."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest
from fake_host import CHAIN, JOB, FakeHost, git

from nixfleet_core.job.events import Check, StepStart
from nixfleet_core.nix.lock import LOCK_LIMIT
from nixfleet_core.scripts.compose import compose, part

if TYPE_CHECKING:
    from pathlib import Path

OK = dict.fromkeys(CHAIN, "ok")
one_shell = pytest.mark.parametrize("shell", ["dash"], indirect=True)
SLEEP = shutil.which("sleep")


def command(script: str) -> tuple[str, ...]:
    return ("sh", "-c", script, "sh", "/state")


def test_a_command_cannot_cut_the_log_off(host: FakeHost) -> None:
    script = "echo one; : >/proc/self/fd/1; : >/proc/self/fd/2; echo two >&2; echo three"
    host.run_job(host.plan(lines={"pull": command(script)}))
    assert host.steps == OK
    assert re.search(r"^\$ git .*fetch --quiet ", host.log, re.MULTILINE)
    assert "\none\ntwo\nthree\n" in host.log
    assert "still holds" not in host.log


@one_shell
def test_nothing_that_runs_as_the_owner_has_a_file_of_the_job(host: FakeHost) -> None:
    """Neither git nor Nix, in any step; what they only read is open for reading."""
    seen = """
for fd in 0 1 2 3 4 5 6 7 8 9; do
  file=$(readlink /proc/$$/fd/$fd) || continue
  if [ -p /proc/$$/fd/$fd ]; then continue; fi
  case $file in
    *var/lib/nixfleet/*|*run/nixfleet/*)
      flags=$(sed -n 's/^flags:.*\\(.\\)$/\\1/p' /proc/$$/fdinfo/$fd)
      if [ "$flags" != 0 ]; then echo "$0 $* $fd $file" >>"$s/bad"; fi
      ;;
  esac
done
"""
    for tool in ("nix", "git"):
        real = shutil.which(tool)
        run = f'exec {real} "$@"' if tool == "git" else 'default "$@"'
        host.on(tool, f"{seen}\n{run}")
    host.run_job()
    assert host.steps == OK
    assert host.calls("git rev-parse", "nix flake update")
    assert not (host.state / "bad").exists(), (host.state / "bad").read_text()


def test_a_steps_end_knows_all_that_it_said(host: FakeHost) -> None:
    size = 3_000_000
    host.run_job(
        host.plan(lines={"pull": command(f"yes 'a line' | head -c {size}; exit 3")}, tries=1)
    )
    (start,) = (e for e in host.events if isinstance(e, StepStart) and e.step == "pull")
    end = host.step("pull")
    assert (end.status, end.rc) == ("failed", 3)
    words = f"$ sh -c yes 'a line' | head -c {size}; exit 3 sh {host.root}/state\n"
    assert end.log - start.log == size + len(words.encode())


@one_shell
def test_what_is_left_running_is_not_waited_for(host: FakeHost) -> None:
    host.on("sleep-long", f"exec {SLEEP} 60")
    script = 'sleep-long & echo $! >"$1/left"; echo said'
    host.run_job(host.plan(lines={"pull": command(script)}))
    left = int((host.state / "left").read_text())
    os.kill(left, signal.SIGKILL)  # it was still there
    assert host.steps == OK
    assert "said\nsomething that was started here still holds its output" in host.log


def test_who_writes_to_a_full_disk_goes_on(shell: tuple[str, ...], tmp_path: Path) -> None:
    call = """nf_set_up; mkdir -p "$NF_RUN"
NF_LOG=/dev/full NF_OUT='' NF_WHO=root NF_LIMIT=30 NF_STEP=x NF_CARRIER=guard
nf_quietly sh -c 'yes | head -c 1000000; echo still here >&3; exit 4' 3>&1; echo "$?"
"""
    values = {"NF_ID": JOB, "NF_CHECKOUT": "", "NF_PLATFORM_GIVEN": "nixos"}
    script = compose("runner", root=str(tmp_path), call=call, values=values)
    done = subprocess.run([*shell, "-s"], input=script.encode(), capture_output=True, timeout=60)
    assert done.stdout == b"still here\n4\n", done.stderr


@one_shell
@pytest.mark.parametrize(("kind", "reason"), [("link", "lock-link"), ("large", "lock-large")])
def test_a_lock_that_is_a_link_or_large_is_not_copied(
    host: FakeHost, kind: str, reason: str
) -> None:
    if kind == "link":
        secret = host.root / "secret"
        secret.write_text("secret\n")
        host.lock.unlink()
        host.lock.symlink_to(secret)
    else:
        host.lock.write_text(" " * (LOCK_LIMIT + 1))
    git(host.checkout, "update-index", "--assume-unchanged", "flake.lock")
    host.run_job(host.plan(pull=False))
    assert host.steps["preflight"] == "failed"
    assert [(e.check, e.reason) for e in host.events if isinstance(e, Check) and not e.ok] == [
        ("input", reason)
    ]
    assert "it is not copied" in host.log
    assert not (host.job / "flake.lock.before").exists()


@one_shell
def test_a_lock_that_becomes_a_link_is_not_copied_either(host: FakeHost) -> None:
    host.on(
        "systemctl",
        'default "$@"\n'
        'case $1 in stop) ln -sf /etc/passwd "$root/home/ops/nixcfg/flake.lock" ;; esac',
    )
    host.run_job()
    assert (host.steps["pull"], host.step("pull").reason) == ("failed", "lock-link")
    assert not (host.job / "flake.lock.before").exists()
    assert host.agent_runs()


def test_the_limit_of_a_lock_is_one() -> None:
    assert f"\nNF_LOCK_LIMIT={LOCK_LIMIT} " in part("common")
