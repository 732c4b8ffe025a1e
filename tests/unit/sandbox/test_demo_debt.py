"""The restart debt of the demo's hosts, and what their tools say for it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from test_sandbox import AGENT, FAST, run, show

from nixfleet_core.judge.debt import debt_sentence, old_and_new
from nixfleet_core.sandbox.fleet import SandboxFleet, sandbox_fleet
from nixfleet_core.sandbox.sessions import sandbox_sessions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from nixfleet_core.judge.debt import Debt

pytestmark = pytest.mark.asyncio(loop_scope="module")

CADDY = "caddy.service"
PATH = r"/nix/store/[0-9a-z]{32}-"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fleet() -> AsyncIterator[SandboxFleet]:
    async with sandbox_fleet(speed=FAST) as made:
        yield made


async def debt_of(fleet: SandboxFleet, name: str) -> Debt:
    (session,) = (one for one in sandbox_sessions(fleet) if one.host.name == name)
    return await session.debt()


@pytest.mark.parametrize(
    ("name", "units", "said"),
    [
        ("csb0", [], "nothing old runs"),
        ("csb1", [CADDY], "1 unit runs old programs"),
        ("gpc0", [CADDY, AGENT], "2 units run old programs"),
        ("hsb1", [], "nothing old runs"),
    ],
)
async def test_each_host_owes_what_runs_of_the_system_before(
    fleet: SandboxFleet, name: str, units: list[str], said: str
) -> None:
    debt = await debt_of(fleet, name)
    assert [one.unit for one in debt.units] == units
    assert debt_sentence(debt) == said
    assert debt.looked == (2 if CADDY in units else 1)
    for one in debt.units:
        assert one.reason
        assert one.pay == f"sudo systemctl restart {one.unit}"
    if units:
        assert old_and_new(debt.units[0]) == "caddy-2.10.0 → caddy-2.10.2"


async def test_the_debt_is_paid_by_the_command_that_the_look_names(fleet: SandboxFleet) -> None:
    host = fleet.find("csb1")
    assert (await debt_of(fleet, "csb1")).is_some
    command = "systemctl restart caddy.service"
    assert (await run(host, command)).rc == 0
    assert not (await debt_of(fleet, "csb1")).is_some


async def test_nix_store_tells_what_a_path_needs_and_what_is_needed_comes_first(
    fleet: SandboxFleet,
) -> None:
    host = fleet.find("gpc0")
    system = (await run(host, "readlink -f $NF_ROOT/run/current-system")).out.strip()
    inside = system.removeprefix(str(host.root))
    answer = await run(host, f"nix-store --query --requisites {inside}")
    *needed, last = answer.out.splitlines()
    assert last == inside
    names = sorted(re.sub(PATH, "", path) for path in needed)
    assert names == ["caddy-2.10.2", "nixfleet-agent-2.2.0"]
    link = await run(host, "nix-store --query --requisites $NF_ROOT/run/current-system")
    assert sorted(link.out.splitlines()) == sorted(answer.out.splitlines())
    missing = await run(host, "nix-store --query --requisites /nix/store/none")
    assert (missing.rc, missing.out) == (1, "")
    assert missing.err == "error: path '/nix/store/none' is not valid\n"


async def test_systemctl_tells_of_all_units_of_a_pattern_what_the_look_asks(
    fleet: SandboxFleet,
) -> None:
    answer = await run(
        fleet.find("gpc0"),
        "systemctl show '*.service' '*.mount' -p Id -p Type -p ControlGroup -p FragmentPath"
        " -p DropInPaths -p Transient -p NeedDaemonReload -p RefuseManualStop",
    )
    blocks = answer.out.strip().split("\n\n")
    assert blocks == [
        f"Type=simple\nControlGroup=/system.slice/{unit}\nId={unit}\n"
        f"FragmentPath=/etc/systemd/system/{unit}\nDropInPaths=\nNeedDaemonReload=no\n"
        "RefuseManualStop=no\nTransient=no"
        for unit in (CADDY, AGENT)
    ]


async def test_a_unit_without_a_process_has_no_cgroup(fleet: SandboxFleet) -> None:
    host = fleet.find("hsb1")
    (host.root / "run/systemd/system/idle.service").write_text("Type=oneshot\nExecStart=/bin/true")
    assert await show(host, "idle.service", "ControlGroup") == ""
    assert await show(host, "idle.service", "Type") == "oneshot"


async def test_a_process_is_shown_as_the_kernel_does_it(fleet: SandboxFleet) -> None:
    host = fleet.find("hsb1")
    pid = await show(host, AGENT, "MainPID")
    shown = host.root / "proc" / pid
    assert (shown / "cgroup").read_text() == f"0::/system.slice/{AGENT}\n"
    name, _, rest = (shown / "stat").read_text().rpartition(") ")
    assert name == f"{pid} (nixfleet-agent"
    fields = rest.split()
    assert len(fields) == 24  # up to where its code begins
    code = int(fields[-1])
    program = (shown / "exe").readlink()
    lines = (shown / "maps").read_text()
    mapped = re.findall(rf"^([0-9a-f]+)-([0-9a-f]+) r-xp .* {program}$", lines, re.M)
    ((begin, end),) = mapped
    assert int(begin, 16) <= code < int(end, 16)


async def test_a_process_that_has_ended_is_shown_no_more(fleet: SandboxFleet) -> None:
    host = fleet.find("gpc0")
    pid = await show(host, CADDY, "MainPID")
    assert (host.root / "proc" / pid / "maps").exists()
    assert (await run(host, f"systemctl stop {CADDY}")).rc == 0
    assert not (host.root / "proc" / pid).exists()
