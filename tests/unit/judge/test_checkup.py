"""What the doctor says of a host, point by point."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import pytest
from seen_hosts import CHECKOUT, HEALTHY, OLD, OTHER, changed

from nixfleet_core.facts.health import Health, Launchd, Remote
from nixfleet_core.facts.model import Rebuild, Unit
from nixfleet_core.facts.service import Service
from nixfleet_core.host import Host, parse_address
from nixfleet_core.judge.checkup import Point, check_up
from nixfleet_core.nix.version import NixVersion
from nixfleet_core.vocabulary import PointName

HOST = Host("csb0", parse_address("ops@cs0.example.org"))
NIX = NixVersion("nix", (2, 31), "2.31.2")
WELL = Health(
    changed(
        HEALTHY,
        tools=frozenset({"git", "nix", "nixos-rebuild", "systemctl", "systemd-run"}),
        nix=NIX,
        user="ops",
        uid=1000,
        attributes=("csb0",),
        disk_free_kib=9_000_000,
        memory_free_kib=9_000_000,
        checkout_owner="ops",
    ),
    shell="bash",
    home="/home/ops",
    has_nix_at_login=True,
    files=1024,
    bounds="timeout",
    git="git version 2.47.3",
    features=frozenset({"nix-command", "flakes"}),
    store_answers=True,
    carrier="systemd",
    root="sudo",
    remote=Remote(answers=True, kind="https"),
)
HOME = replace(
    WELL,
    facts=replace(
        WELL.facts,
        platform="home-manager",
        trusted=True,
        unit=Unit("loaded", "active", "running", pid=7, service=Service(manager="user")),
        tools=frozenset({"git", "nix", "home-manager", "systemctl", "launchctl"}),
        attributes=("ops@csb0",),
    ),
    carrier="user",
    root=None,
)
LAUNCHD = Launchd(
    session="Aqua", domains=("gui", "user"), files=4096, arguments="", newline="\\012"
)
SERVICE = Service(manager="launchd", domain="gui/501", file="/p")
MAC = replace(
    HOME,
    facts=replace(
        HOME.facts,
        os="macOS 15.6.1",
        unit=Unit("loaded", "active", "running", pid=7, service=SERVICE),
        checkout=replace(HOME.facts.checkout or CHECKOUT, path="/Users/ops/Code/nixcfg"),
    ),
    home="/Users/ops",
    carrier="launchd",
    launchd=LAUNCHD,
)


def points(health: Health) -> dict[PointName, Point]:
    return {point.name: point for point in check_up(HOST, health)}


def with_(health: Health, **changes: Any) -> Health:
    """The host with these changes; `facts_x` is a fact, `launchd_x` an answer of the Mac."""
    facts = {k[6:]: changes.pop(k) for k in list(changes) if k.startswith("facts_")}
    launchd = {k[8:]: changes.pop(k) for k in list(changes) if k.startswith("launchd_")}
    if facts:
        changes["facts"] = changed(health.facts, **facts)
    if launchd:
        changes["launchd"] = replace(LAUNCHD, **launchd)
    return replace(health, **changes)


@pytest.mark.parametrize("health", [WELL, HOME, MAC], ids=["nixos", "home", "mac"])
def test_nothing_is_wrong_with_a_healthy_host(health: Health) -> None:
    found = check_up(HOST, health)
    assert {point.state for point in found} <= {"right", "unknown"}
    assert all(point.seen for point in found)
    order = [get_args(PointName).index(point.name) for point in found]
    assert order == sorted(set(order))


def test_the_list_has_no_other_name() -> None:
    everything = {*points(with_(MAC, facts_other=OTHER)), *points(WELL), *points(HOME)}
    assert everything == {*get_args(PointName)}


WAITS = Unit("loaded", "active", "running", pid=7, service=SERVICE, waits=True)
NO_SESSION = Unit("loaded", "inactive", service=SERVICE, has_session=False)
MASKED = Unit("masked", "inactive")
DOWN = Unit("loaded", "inactive")
GONE = {"facts_checkout_state": "missing"}
NEAR = Remote(answers=True, kind="ssh", is_near=True)
WRONG: list[tuple[Health, dict[str, Any], PointName, str, str]] = [
    (WELL, {"facts_platform": "unknown"}, "host", "not NixOS", "log in as the user"),
    (WELL, {"clock": 900}, "clock", "900 s ahead", "time server"),
    (WELL, {"clock": -900}, "clock", "900 s behind", "time server"),
    (WELL, {"facts_tools": frozenset({"git"})}, "path", "nixos-rebuild", "PATH"),
    (WELL, {"bounds": None}, "time-limits", "no timeout, perl or bash", "PATH"),
    (WELL, {"files": 100}, "open-files", "up to 100", "ulimit"),
    (MAC, {"launchd_files": 100}, "open-files", "up to 100", "NumberOfFiles"),
    (MAC, {"git_is_stub": True}, "git", "Apple's", "xcode-select --install"),
    (WELL, {"git": "", "facts_tools": frozenset()}, "git", "not found", "PATH"),
    (WELL, {"facts_nix": None}, "nix", "not found", "PATH"),
    (WELL, {"facts_nix": NixVersion("nix", (2, 7), "2.7.0")}, "nix", "2.7.0", "2.8 or later"),
    (WELL, {"store_answers": False}, "nix-store", "daemon went away", "see whether it runs"),
    (WELL, {"facts_disk_free_kib": 1000}, "disk", "0 MiB are free", "free some space"),
    (WELL, {"facts_memory_free_kib": 1000}, "memory", "0 MiB of memory", "wait until"),
    (MAC, {"facts_on_battery": True, "facts_charge": 7}, "power", "battery (7 %)", "connect it"),
    (MAC, {"facts_on_battery": True, "facts_lid_closed": True}, "power", "lid", "connect it"),
    (WELL, {"root": None}, "root", "no sudo or doas", "log in as root"),
    (WELL, {"no_place": "/x belongs to eve"}, "jobs-place", "/x belongs to eve", "root's"),
    (HOME, {"closed_place": "/home/ops/.local"}, "jobs-place", "write to ~/.local", "chown"),
    (WELL, {"facts_unit": None}, "service", "no nixfleet-agent.service", "enable"),
    (WELL, {"facts_unit": Unit("not-found", "")}, "service", "not-found", "enable"),
    (WELL, {"facts_unit": MASKED}, "service", "masked", "unmask"),
    (MAC, {"facts_unit": NO_SESSION}, "service", "nobody is", "log in at the screen"),
    (WELL, {"facts_unit": DOWN}, "agent", "not running", "force update"),
    (MAC, {"launchd_pended": "inefficient"}, "agent-start", "inefficient", "kickstart"),
    (MAC, {"launchd_domains": ()}, "session", "no domain", "log in"),
    (HOME, {"facts_lingers": False}, "linger", "off", "loginctl enable-linger"),
    (WELL, GONE, "checkout", "there is no ~/Code/nixcfg", "`checkout`"),
    (HOME, {"facts_checkout_owner": "eve"}, "checkout", "belongs to eve", "log in as eve"),
    (WELL, {"foreign": ("./a",)}, "checkout-files", "root: ./a", "chown -R ops: ~/Code/nixcfg"),
    (
        *(MAC, {"facts_checkout_path": "/Users/ops/Documents/nixcfg"}),
        *("checkout-folder", "Documents", "move the checkout"),
    ),
    (WELL, {"facts_checkout_branch": None}, "branch", "no branch", "check out"),
    (WELL, {"facts_checkout_upstream": None}, "branch", "no upstream", "--set-upstream-to"),
    (WELL, {"unfinished": "MERGE_HEAD"}, "branch", "unfinished", "finish"),
    (WELL, {"facts_checkout_ahead": 1, "facts_checkout_behind": 1}, "branch", "diverged", "rebase"),
    (WELL, {"remote": Remote(answers=False, kind="ssh")}, "remote", "by ssh; no answer", "log"),
    (WELL, {"facts_checkout_lock": None}, "input", "no flake.lock", "restores"),
    (WELL, {"facts_attributes": ("csb1",)}, "configuration", "none of csb0", "csb1"),
    (
        *(WELL, {"facts_attributes": None, "eval_said": ("error: x",)}),
        *("configuration", "does not evaluate", "correct nixcfg"),
    ),
]


@pytest.mark.parametrize(
    ("health", "changes", "name", "seen", "cure"),
    WRONG,
    ids=[f"{number}-{case[2]}" for number, case in enumerate(WRONG)],
)
def test_each_fault_is_found_with_what_helps(
    health: Health, changes: dict[str, Any], name: PointName, seen: str, cure: str
) -> None:
    point = points(with_(health, **changes))[name]
    assert (point.state, seen in point.seen, cure in point.help) == ("wrong", True, True), point


NOTES: list[tuple[Health, dict[str, Any], PointName, str]] = [
    (WELL, {"greets": True}, "login-shell", "prints text"),
    (WELL, {"files": 256}, "open-files", "up to 256"),
    (WELL, {"features": frozenset({"flakes"})}, "nix-features", "nix-command off"),
    (HOME, {"facts_trusted": False}, "trusted-user", "does not trust this user"),
    (MAC, {"facts_on_battery": True, "facts_charge": 80}, "power", "on battery (80 %)"),
    (HOME, {"carrier": "guard"}, "session", "guarded processes"),
    (MAC, {"facts_unit": WAITS}, "agent", "is starting"),
    (MAC, {"launchd_domains": ("user",)}, "session", "nobody is logged in"),
    (MAC, {"remote": NEAR}, "local-network", "macOS 15"),
    (WELL, {"facts_other": replace(OTHER, head="d" * 40)}, "second-checkout", "undoes"),
    (WELL, {"facts_job_running": "20261123-004101-ab12"}, "other-work", "is running"),
    (WELL, {"facts_rebuild": Rebuild(7, "nixos-rebuild")}, "other-work", "another rebuild"),
    (MAC, {"launchd_newline": "?"}, "ps-newline", "shows it as ?"),
    (MAC, {"launchd_arguments": "escaped"}, "launchctl-arguments", "escaped"),
]


@pytest.mark.parametrize(("health", "changes", "name", "seen"), NOTES)
def test_what_is_only_good_to_know_is_a_note(
    health: Health, changes: dict[str, Any], name: PointName, seen: str
) -> None:
    point = points(with_(health, **changes))[name]
    assert (point.state, seen in point.seen, bool(point.help)) == ("note", True, True), point


@pytest.mark.parametrize(
    ("health", "changes", "name"),
    [
        (WELL, {"facts_now": 0}, "clock"),
        (WELL, {"shell": ""}, "login-shell"),
        (WELL, {"files": None}, "open-files"),
        (WELL, {"git": ""}, "git"),
        (WELL, {"store_answers": None}, "nix-store"),
        (WELL, {"features": None}, "nix-features"),
        (HOME, {"facts_trusted": None}, "trusted-user"),
        (MAC, {"facts_memory_free_kib": None}, "memory"),
        (WELL, {"facts_checkout_state": "unreadable"}, "checkout"),
        (
            *(MAC, {"facts_checkout_state": "not-git", "facts_tools": MAC.facts.tools - {"git"}}),
            "checkout",
        ),
        (WELL, {"remote": None}, "remote"),
        (WELL, {"facts_attributes": None}, "configuration"),
        (MAC, {"launchd_newline": ""}, "ps-newline"),
    ],
)
def test_what_could_not_be_seen_is_unknown(
    health: Health, changes: dict[str, Any], name: PointName
) -> None:
    assert points(with_(health, **changes))[name].state == "unknown"


def test_several_faults_are_found_at_once() -> None:
    found = points(
        with_(
            WELL,
            facts_unit=MASKED,
            facts_disk_free_kib=1,
            facts_memory_free_kib=1,
            facts_checkout_branch=None,
            facts_checkout_lock=None,
            facts_tools=frozenset(),
        )
    )
    wrong = {name for name, point in found.items() if point.state == "wrong"}
    assert wrong == {"service", "disk", "memory", "branch", "input", "path"}


def test_what_rests_on_a_missing_checkout_is_not_judged() -> None:
    found = points(with_(WELL, **GONE))
    assert "input" not in found
    assert "branch" not in found


def test_no_text_names_an_address_that_the_user_did_not_give() -> None:
    said = ("fatal: unable to access 'https://me:pw@git.example.org/x': Could not resolve host: h",)
    health = with_(
        WELL,
        remote=Remote(answers=False, kind="https", said=said),
        eval_said=("error: cannot reach 192.0.2.7",),
        facts_attributes=None,
        no_place="belongs to eve@ldap.example.org at 192.0.2.7; cs0.example.org does not",
        facts_checkout_lock_error="https://me:pw@h/r",
        facts_checkout_lock=None,
    )
    found = points(health)
    text = repr(found)
    for hidden in ("git.example.org", "ldap", "192.0.2.7", "me:pw", "/home/ops"):
        assert hidden not in text
    assert "cs0.example.org" in text
    assert (found["remote"].state, "fetch-failed" in found["remote"].seen) == ("wrong", True)


def test_only_the_homes_own_path_is_shortened() -> None:
    health = with_(HOME, closed_place="/home/ops2/x", facts_checkout_path="/home/ops")
    found = points(health)
    assert "/home/ops2/x" in found["jobs-place"].seen
    assert found["checkout"].seen.startswith("~,")
    assert points(replace(health, home="/"))["checkout"].seen.startswith("/home/ops,")


def test_a_commit_of_flake_lock_is_shown_short() -> None:
    lock = replace(HEALTHY.checkout or CHECKOUT, lock=OTHER.lock)
    assert (
        points(with_(WELL, facts_checkout=lock))["input"].seen == f"nixfleet, locked to {OLD[:7]}"
    )
