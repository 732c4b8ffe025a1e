"""The plan that restarts the agent, and does nothing else."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from test_rules import FACTS, HOST

from nixfleet_core.facts.model import Binary, Facts, Running, Unit
from nixfleet_core.facts.service import Service
from nixfleet_core.plan.model import Options, Plan, Refusal
from nixfleet_core.plan.rules import make_restart_plan

OLD = Binary(f"/nix/store/{'a' * 32}-nixfleet-agent-2.1.0/bin/agent", "2.1.0")
NEW = Binary(f"/nix/store/{'b' * 32}-nixfleet-agent-2.2.0/bin/agent", "2.2.0")


def restart(facts: Facts) -> Plan:
    made = make_restart_plan(HOST, facts, Options())
    assert isinstance(made, Plan), made
    return made


@pytest.mark.parametrize(
    ("service", "argv", "tools"),
    [
        (Service(), "systemctl restart nixfleet-agent.service", {"systemctl", "systemd-run"}),
        (
            Service(manager="user"),
            "systemctl --user restart nixfleet-agent.service",
            {"systemctl"},
        ),
        (
            Service(manager="launchd", domain="gui/501"),
            "launchctl kickstart -k gui/501/com.nixfleet.agent",
            {"launchctl"},
        ),
    ],
)
def test_one_command_restarts_the_agent(service: Service, argv: str, tools: set[str]) -> None:
    assert FACTS.unit is not None
    unit = replace(FACTS.unit, service=service)
    made = restart(replace(FACTS, unit=unit, tools=frozenset(tools)))
    assert [step.id for step in made.steps] == ["preflight", "restart", "verify"]
    assert " ".join(made.steps[1].argv) == argv
    assert (made.goal, made.options.pull, {*made.tools}) == ("restart", False, tools)


def test_neither_disk_nor_checkout_nor_nix_is_needed() -> None:
    bare = replace(FACTS, disk_free_kib=0, checkout=None, nix=None, memory_free_kib=0)
    made = restart(bare)
    assert (made.checkout, made.owner) == (HOST.checkout, "ops")


@pytest.mark.parametrize(
    ("running", "installed", "says"),
    [(OLD, NEW, False), (NEW, NEW, True), (None, NEW, False), (NEW, None, False)],
)
def test_a_restart_that_changes_nothing_is_said_before(
    running: Binary | None, installed: Binary | None, says: bool
) -> None:
    process = Running(running, "exe", 1) if running else None
    warnings = restart(replace(FACTS, running=process, installed=installed)).warnings
    assert any("2.2.0 is installed, and runs already" in said for said in warnings) == says


@pytest.mark.parametrize(
    ("unit", "why", "advice"),
    [
        (Unit("masked", "inactive"), "nixfleet-agent.service is masked", "systemctl unmask"),
        (Unit("not-found", "inactive"), r"no nixfleet-agent.service \(not-found\)", "enable"),
        (None, r"\(unknown\)", "enable"),
    ],
)
def test_a_unit_that_cannot_start_is_named(unit: Unit | None, why: str, advice: str) -> None:
    found = make_restart_plan(HOST, replace(FACTS, unit=unit), Options())
    assert isinstance(found, Refusal)
    assert found.check == "unit"
    assert re.search(why, found.why)
    assert advice in found.advice
