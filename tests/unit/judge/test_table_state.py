from __future__ import annotations

import json
from dataclasses import replace

import pytest

from nixfleet_core.facts.model import Binary, Checkout, Facts, Running, Unit
from nixfleet_core.host import Host
from nixfleet_core.judge.table_state import assess, latest_version
from nixfleet_core.nix.git_url import NotKnown
from nixfleet_core.nix.lock import FlakeLock, parse_lock

OLD, NEW = "1a2b3c4" + "0" * 33, "9f2c1ab" + "0" * 33
HOST = Host("csb0")
GIT = {"type": "git", "url": "https://h/r"}
PATH = f"/nix/store/{'a' * 32}-nixfleet-agent-2.2.0"
OTHER = f"/nix/store/{'b' * 32}-nixfleet-agent-2.2.0"
BINARY = Binary(PATH, "2.2.0")
STATE = f"{'4' * 40}-{'5' * 40}"


def lock(rev: str, name: str = "nixfleet") -> FlakeLock:
    nodes = {"root": {"inputs": {name: "n"}}, "n": {"locked": {"rev": rev}, "original": GIT}}
    return parse_lock(json.dumps({"version": 7, "root": "root", "nodes": nodes}))


HEALTHY = Facts(
    hostname="csb0",
    os="NixOS",
    platform="nixos",
    unit=Unit(load="loaded", active="active", sub="running", pid=1, began="9"),
    running=Running(BINARY, "exe", pid=1),
    installed=BINARY,
    expected=BINARY,
    checkout=Checkout("/c", "ok", lock=lock(NEW), source=STATE),
)


@pytest.mark.parametrize(
    ("changes", "state", "why"),
    [
        (
            {},
            "current",
            "proven: 2.2.0 (aaaaaaaa…) runs, is installed, and is what the flake builds",
        ),
        ({"expected": None}, "unproven", "nobody has proven this state of the checkout"),
        ({"running": Running(BINARY, "claimed", pid=1)}, "unproven", "only the agent itself says"),
        (
            {"expected": Binary(OTHER)},
            "stale",
            "the flake builds bbbbbbbb…, but 2.2.0 (aaaaaaaa…) is",
        ),
        ({"job_running": "20261123-004101-ab12"}, "updating", "20261123-004101-ab12"),
        (
            {"running": Running(Binary(OTHER), "exe", pid=1)},
            "stale",
            "not restarted: 2.2.0 (aaaaaaaa…)",
        ),
        (
            {"running": None},
            "unproven",
            "the program that the agent's process runs could not be seen",
        ),
        ({"installed": None}, "unproven", "the installed agent could not be seen"),
        ({"unit": None}, "unknown", "unit could not be seen"),
        ({"unit": Unit("not-found", "inactive")}, "down", "its unit is not-found"),
        (
            {"unit": Unit("loaded", "failed", "failed", "start-limit-hit")},
            "down",
            "its unit is failed (start-limit-hit)",
        ),
        (
            {"checkout": Checkout("/c", "ok", lock=lock(OLD))},
            "stale",
            "flake.lock has nixfleet at 1a2b3c4, latest is 9f2c1ab",
        ),
        ({"checkout": None}, "unproven", "the checkout could not be seen"),
        ({"checkout": Checkout("/c", "missing")}, "unproven", "the checkout /c is missing"),
        ({"checkout": Checkout("/c", "ok", unnamed="lock")}, "unproven", "it has no flake.lock"),
        (
            {"checkout": Checkout("/c", "ok", lock_error="flake.lock cannot be read: torn")},
            "unproven",
            "flake.lock cannot be read: torn",
        ),
        (
            {"checkout": Checkout("/c", "ok", lock=lock(NEW, "other"))},
            "unproven",
            "flake.lock has no input nixfleet",
        ),
    ],
)
def test_one_layer_decides_the_state(changes: dict[str, object], state: str, why: str) -> None:
    found = assess(replace(HEALTHY, **changes), NEW, HOST)  # type: ignore[arg-type]
    assert found.state == state
    assert why in found.why


def test_an_unanswered_latest_does_not_count_as_equal() -> None:
    found = assess(HEALTHY, None, HOST)
    assert (found.state, found.why) == (
        "unproven",
        (
            "flake.lock is at 9f2c1ab; "
            "its repository did not say what the latest commit of nixfleet is"
        ),
    )


def test_the_state_says_why_latest_was_not_asked_and_what_allows_it() -> None:
    found = assess(HEALTHY, NotKnown("the client may not ask h", "list it"), HOST)
    assert (found.state, found.why) == (
        "unproven",
        "flake.lock is at 9f2c1ab; the client may not ask h",
    )
    assert found.finding is not None
    assert (found.finding.cause, found.finding.advice) == ("latest-unknown", "list it")


def test_flake_lock_is_read_for_the_hosts_own_input() -> None:
    facts = replace(HEALTHY, checkout=Checkout("/c", "ok", lock=lock(NEW, "agent"), source=STATE))
    assert assess(facts, NEW, replace(HOST, input="agent")).state == "current"


def test_a_commit_has_a_version_only_if_hosts_agree_on_it() -> None:
    rebuilt = HEALTHY
    unproven = replace(HEALTHY, expected=None, installed=Binary("/x", "2.1.0"))
    not_rebuilt = replace(unproven, expected=BINARY)
    another = replace(unproven, expected=Binary("/x"))
    other_commit = replace(HEALTHY, checkout=Checkout("/c", "ok", lock=lock(OLD)))
    unknown = replace(HEALTHY, installed=Binary("/x"))

    def version(*fleet: Facts) -> str | None:
        return latest_version(NEW, [assess(facts, NEW, HOST) for facts in fleet])

    assert version(rebuilt, other_commit, unknown) == "2.2.0"
    assert version(rebuilt, not_rebuilt, unproven) == "2.2.0"
    assert version(rebuilt, another) is None
    assert version(unproven) is None
    assert version(other_commit, unknown) is None
