"""A job that restarts the agent: one restart, a proof, and the agent is up whatever happens."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import msgspec
import pytest
from fake_host import AGENTS, UNIT, FakeHost

from nixfleet_core.facts.parse import parse_probe
from nixfleet_core.job.events import Check
from nixfleet_core.plan.model import Step

if TYPE_CHECKING:
    from nixfleet_core.facts.model import Facts
    from nixfleet_core.plan.model import Plan

STEPS = ("preflight", "restart", "verify")
one_shell = pytest.mark.parametrize("shell", ["busybox"], indirect=True)


def restart_plan(host: FakeHost) -> Plan:
    made = host.plan(pull=False)
    restart = Step(
        id="restart",
        title="restart",
        argv=("systemctl", "restart", UNIT),
        run_as="root",
        limit=30,
    )
    first, *_, last = made.steps
    return msgspec.structs.replace(
        made, goal="restart", steps=(first, restart, last), tools=("systemctl",)
    )


def calls(host: FakeHost) -> list[str]:
    """What was done to the agent, and by whom else anything was changed."""
    told = host.calls("systemctl st", "systemctl restart", "nixos-rebuild", "nix flake")
    return [" ".join(call.split()[:2]) for call in told]


def after(host: FakeHost) -> Facts:
    return parse_probe((host.job / "after").read_bytes())


def test_the_installed_agent_runs_after_one_restart(host: FakeHost) -> None:
    host.install(AGENTS["2.0"])
    before, lock = host.agent, host.lock.read_bytes()
    host.run_job(restart_plan(host))
    assert host.steps == dict.fromkeys(STEPS, "ok"), host.log
    assert calls(host) == ["systemctl restart"]
    assert host.agent != before
    seen = after(host)
    assert seen.running is not None
    assert seen.running.binary.path == AGENTS["2.0"]
    assert host.lock.read_bytes() == lock
    assert host.result["outcome"] == "done"


def test_a_restart_needs_no_checkout(host: FakeHost) -> None:
    host.install(AGENTS["2.0"])
    shutil.rmtree(host.checkout)
    host.run_job(restart_plan(host))
    assert host.steps == dict.fromkeys(STEPS, "ok"), host.log
    seen = after(host)
    assert seen.running is not None
    assert seen.running.binary.path == AGENTS["2.0"]
    assert parse_probe((host.job / "before").read_bytes()).running is not None


@one_shell
def test_an_agent_that_is_down_is_started(host: FakeHost) -> None:
    host.tool("systemctl", "stop", UNIT)
    host.run_job(restart_plan(host))
    assert host.steps == dict.fromkeys(STEPS, "ok"), host.log
    assert host.calls("systemctl reset-failed")
    assert host.agent_runs()


@one_shell
def test_a_masked_unit_is_refused_and_nothing_is_touched(host: FakeHost) -> None:
    host.mask()
    before = host.agent
    host.run_job(restart_plan(host))
    assert host.steps == {"preflight": "failed", "restart": "skipped", "verify": "skipped"}
    check = next(event for event in host.events if isinstance(event, Check) and not event.ok)
    assert (check.check, check.reason) == ("unit", "masked")
    assert host.agent == before


@one_shell
def test_an_agent_that_does_not_stop_in_time_is_killed_and_started(host: FakeHost) -> None:
    plan = restart_plan(host)
    steps = [msgspec.structs.replace(s, limit=1) if s.id == "restart" else s for s in plan.steps]
    host.install(AGENTS["2.0"])
    sleep = shutil.which("sleep")
    host.on(
        "systemctl",
        f"""case "$1" in
          restart) if [ ! -e "$s/killed" ]; then exec {sleep} 60; fi; default "$@" ;;
          kill) : >"$s/killed"; default stop {UNIT} ;;
          *) default "$@" ;;
        esac""",
    )
    host.run_job(msgspec.structs.replace(plan, steps=tuple(steps)))
    assert host.calls("systemctl kill"), host.log
    assert host.agent_runs()
    assert host.steps == dict.fromkeys(STEPS, "ok"), host.log
    assert host.step("restart").reason == "killed"


@one_shell
def test_a_restart_that_cannot_start_the_agent_fails_and_says_so(host: FakeHost) -> None:
    host.set("refuses", "1")
    host.run_job(restart_plan(host))
    assert host.steps == {"preflight": "ok", "restart": "failed", "verify": "failed"}, host.log
    assert (host.result["outcome"], host.result["failed"]) == ("failed", "restart")


@pytest.mark.parametrize("step", ["preflight", "restart"])
def test_a_killed_restart_leaves_the_agent_up(host: FakeHost, step: str) -> None:
    """The runner dies in that step, with the agent down."""
    host.install(AGENTS["2.0"])
    host.write_job(restart_plan(host))
    (host.job / "events").touch()
    (host.run_state / host.job.name).mkdir(parents=True)
    (host.run_state / host.job.name / "step").write_text(f"{step}\n")
    host.tool("systemctl", "stop", UNIT)
    host.run_job(command="finish")
    assert host.agent_runs()
    assert host.result["outcome"] == "interrupted"
    seen = after(host)
    assert seen.running is not None
    assert seen.running.binary.path == AGENTS["2.0"]
