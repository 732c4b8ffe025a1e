"""Plans for Home Manager: its own switch, its user's services, no root."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest

from nixfleet_core.facts.model import Checkout, Facts, Unit
from nixfleet_core.facts.service import Service
from nixfleet_core.host import Host
from nixfleet_core.judge.ways_back import WayBack
from nixfleet_core.nix.lock import parse_lock
from nixfleet_core.nix.version import parse_version
from nixfleet_core.plan.model import Options, Plan, Refusal
from nixfleet_core.plan.rules import choose_attribute, make_plan, make_rollback_plan

LOCK = """{"nodes": {"root": {"inputs": {"nixfleet": "n"}}, "n": {"locked": {"rev": "%s"},
"original": {"type": "git", "url": "https://h/nixfleet"}}}, "root": "root", "version": 7}"""
LINUX = Facts(
    hostname="hsb1",
    os="Debian 13",
    platform="home-manager",
    user="ops",
    trusted=True,
    tools=frozenset({"git", "nix", "home-manager", "systemctl"}),
    nix=parse_version("nix (Nix) 2.26.3"),
    unit=Unit("loaded", "active", pid=1, service=Service(manager="user")),
    checkout=Checkout(
        path="/home/ops/Code/nixcfg",
        state="ok",
        owner="ops",
        branch="main",
        upstream="origin/main",
        lock=parse_lock(LOCK % ("1" * 40)),
    ),
)
PLIST = "/Users/markus/Library/LaunchAgents/com.nixfleet.agent.plist"
MAC = replace(
    LINUX,
    hostname="imac0",
    user="markus",
    tools=frozenset({"git", "nix", "home-manager", "launchctl"}),
    unit=Unit(
        "loaded",
        "active",
        pid=1,
        service=Service(manager="launchd", domain="gui/501", file=PLIST),
    ),
    checkout=replace(LINUX.checkout, owner="markus") if LINUX.checkout else None,
)


def plan(facts: Facts, host: Host = Host(name="h"), **options: object) -> Plan:  # noqa: B008
    made = make_plan(host, facts, Options(**options))  # type: ignore[arg-type]
    assert isinstance(made, Plan), made
    return made


def commands(made: Plan) -> dict[str, tuple[str, ...]]:
    return {step.id: step.argv for step in made.steps}


def test_on_linux_the_users_own_systemd_has_the_agent() -> None:
    made = plan(LINUX)
    found = commands(made)
    assert found["stop"] == ("systemctl", "--user", "stop", "nixfleet-agent.service")
    assert found["start"] == ("systemctl", "--user", "start", "nixfleet-agent.service")
    assert found["rebuild"] == (
        *("home-manager", "switch", "--flake", "/home/ops/Code/nixcfg#ops@hsb1"),
        *("--log-format", "internal-json", "--option", "narinfo-cache-negative-ttl", "0"),
    )
    assert made.platform == "home-manager"
    assert not made.needs_root
    assert made.tools == ("git", "nix", "home-manager", "systemctl")


def test_on_a_mac_launchd_has_the_agent() -> None:
    found = commands(plan(MAC, max_jobs=2, cores=3))
    assert found["stop"] == ("launchctl", "bootout", "gui/501/com.nixfleet.agent")
    assert found["start"] == ("launchctl", "bootstrap", "gui/501", PLIST)
    assert found["rebuild"][4:10] == ("--log-format", "internal-json", "--cores", "3", "-j", "2")


def test_rebuild_of_a_home_runs_as_the_owner() -> None:
    step = plan(MAC).step("rebuild")
    assert step is not None
    assert step.run_as == "owner"


@pytest.mark.parametrize(
    ("hostname", "names", "expected"),
    [
        ("imac0", ("imac0", "markus@imac0", "markus"), "markus@imac0"),
        ("imac0.lan", ("markus@imac0", "markus@imac0.lan"), "markus@imac0"),
        ("imac0.lan", ("markus@imac0.lan", "imac0"), "markus@imac0.lan"),
        ("imac0", ("imac0", "markus"), "imac0"),
        ("imac0", ("markus",), "markus"),
        ("imac0", ("eve@imac0",), None),
        ("imac0", (), None),
        ("imac0", None, "markus@imac0"),
    ],
)
def test_the_attribute_is_the_first_that_the_flake_has(
    hostname: str, names: tuple[str, ...] | None, expected: str | None
) -> None:
    facts = replace(MAC, hostname=hostname, attributes=names)
    assert choose_attribute(Host(name="h"), facts) == expected
    made = make_plan(Host(name="h"), facts, Options())
    if expected is None:
        assert isinstance(made, Refusal)
        assert made.check == "attribute"
        assert "markus@imac0" in made.why
        assert all(name in made.advice for name in names or ())
    else:
        assert isinstance(made, Plan)
        assert made.attribute == expected


def test_the_inventorys_attribute_comes_first() -> None:
    facts = replace(MAC, attributes=("markus@imac0", "eve@imac0"))
    assert plan(facts, Host(name="h", attribute="eve@imac0")).attribute == "eve@imac0"


def test_a_name_that_the_flake_lacks_is_refused_though_the_inventory_gives_it() -> None:
    facts = replace(MAC, attributes=("markus@imac0",))
    made = make_plan(Host(name="h", attribute="eve@imac0"), facts, Options())
    assert isinstance(made, Refusal)
    assert (made.check, "eve@imac0" in made.why) == ("attribute", True)


def to(path: str) -> WayBack:
    return WayBack(system=path, profile=path)


def test_another_users_checkout_is_refused() -> None:
    assert LINUX.checkout is not None
    facts = replace(LINUX, checkout=replace(LINUX.checkout, owner="eve"))
    host = Host(name="h")
    for made in (
        make_plan(host, facts, Options()),
        make_rollback_plan(host, facts, to("/nix/store/old"), None, Options()),
    ):
        assert isinstance(made, Refusal)
        assert made.check == "checkout"
        assert made.why == "/home/ops/Code/nixcfg belongs to eve, and ops cannot become them"
        assert made.advice.startswith("log in as eve, or set `checkout`")


def test_a_checkout_of_unknown_owner_counts_as_the_users_own() -> None:
    assert LINUX.checkout is not None
    assert plan(replace(LINUX, checkout=replace(LINUX.checkout, owner=None))).owner == "ops"


@pytest.mark.parametrize("missing", ["home-manager", "systemctl"])
def test_missing_tools_are_named(missing: str) -> None:
    made = make_plan(Host(name="h"), replace(LINUX, tools=LINUX.tools - {missing}), Options())
    assert isinstance(made, Refusal)
    assert (made.check, missing in made.why) == ("tools", True)


def test_a_mac_without_git_is_told_of_apples_tools() -> None:
    for checkout in (MAC.checkout, Checkout(path="/c", state="not-git")):
        facts = replace(MAC, tools=MAC.tools - {"git"}, checkout=checkout)
        made = make_plan(Host(name="h"), facts, Options())
        rollback = make_rollback_plan(Host(name="h"), facts, to("/nix/store/x"), None, Options())
        assert isinstance(made, Refusal)
        assert (made.check, "xcode-select --install" in made.advice) == ("tools", True)
        if checkout is not MAC.checkout:
            assert rollback == made
    other = make_plan(Host(name="h"), replace(LINUX, tools=LINUX.tools - {"git"}), Options())
    assert isinstance(other, Refusal)
    assert "xcode" not in other.advice


def test_a_missing_job_of_launchd_is_named_by_its_label() -> None:
    unit = Unit("not-found", "inactive", service=Service(manager="launchd"))
    made = make_plan(Host(name="h"), replace(MAC, unit=unit), Options())
    assert isinstance(made, Refusal)
    assert "com.nixfleet.agent" in made.why


def test_plan_warns_of_an_agent_that_ends_with_the_login() -> None:
    (warning,) = plan(replace(LINUX, lingers=False)).warnings
    assert "lingering is off for ops" in warning
    assert plan(LINUX).warnings == ()


@pytest.mark.parametrize(
    ("path", "is_kept"),
    [
        ("/Users/markus/Documents/nixcfg", True),
        ("/Users/markus/desktop", True),
        ("/Users/markus/Downloads/a/b", True),
        ("/Users/markus/Library/Mobile Documents/com~apple~CloudDocs/nixcfg", True),
        ("/Users/markus/Code/nixcfg", False),
        ("/Users/markus/Code/Documents/nixcfg", False),
        ("/Users/markus/Documents2/nixcfg", False),
    ],
)
def test_plan_warns_of_a_checkout_that_macos_keeps_from_the_job(path: str, is_kept: bool) -> None:
    assert MAC.checkout is not None
    assert LINUX.checkout is not None
    warnings = plan(replace(MAC, checkout=replace(MAC.checkout, path=path))).warnings
    assert [f"{path} is there" in warning for warning in warnings] == [True] * is_kept
    assert all("Full Disk Access" in warning for warning in warnings)
    assert plan(replace(LINUX, checkout=replace(LINUX.checkout, path=path))).warnings == ()


@pytest.mark.parametrize("state", ["unreadable", "not-git"])
def test_a_checkout_that_macos_keeps_from_ssh_too_is_refused(
    state: Literal["unreadable", "not-git"],
) -> None:
    assert MAC.checkout is not None
    path = "/Users/markus/Documents/nixcfg"
    checkout = replace(MAC.checkout, path=path, state=state)
    made = make_plan(Host(name="h"), replace(MAC, checkout=checkout), Options())
    assert isinstance(made, Refusal)
    assert made.why == f"{path} cannot be read: macOS keeps that folder from ssh, too"
    assert "Full Disk Access" in made.advice


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (
            {"charge": 34, "lid_closed": True},
            "on battery (34 %), lid closed: the host may sleep in",
        ),
        ({"charge": 34}, "on battery (34 %): the host may run out of it in"),
        ({}, "on battery: the host may run out of it in"),
    ],
)
def test_plan_warns_of_a_mac_on_battery(seen: dict[str, object], said: str) -> None:
    (warning,) = plan(replace(MAC, on_battery=True, **seen)).warnings  # type: ignore[arg-type]
    assert warning == f"{said} the middle of the update; connect it to power"


def test_a_rollback_uses_the_same_service() -> None:
    made = make_rollback_plan(
        Host(name="h"), MAC, to("/nix/store/x-home-manager-generation"), None, Options()
    )
    assert isinstance(made, Plan)
    assert commands(made)["stop"] == ("launchctl", "bootout", "gui/501/com.nixfleet.agent")
    assert commands(made)["rollback"] == (
        *("switch-back", "/nix/store/x-home-manager-generation"),
        "/nix/store/x-home-manager-generation",
    )
    assert made.tools == ("nix-env", "launchctl")
