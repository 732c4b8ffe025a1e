"""An update of several hosts: how many at once, and what a failure or ctrl-c does to the others."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest
from test_commands import CANCELLED, interrupted

from nixfleet_core.errors import Unreachable
from nixfleet_core.judge.verdict import Verdict

if TYPE_CHECKING:
    from fake_fleet import Fleet

FAILED = Verdict(kind="failed", cause="build-failed", sentence="x does not build")
UPDATE = ("update", "--yes", "--force", "csb0", "csb1", "gpc0")


@pytest.fixture
def three(fleet: Fleet) -> Fleet:
    fleet.add("gpc0").folder = fleet.sessions["csb0"].folder
    fleet.sessions["csb1"].says["verdict"] = FAILED
    return fleet


def launched(fleet: Fleet) -> list[str]:
    return [name for name, session in fleet.sessions.items() if session.launched]


def test_after_a_failure_no_other_host_begins_if_that_is_wanted(three: Fleet) -> None:
    done = three.run(*UPDATE, "--at-once", "1", "--stop-on-failure")
    assert (done.exit_code, launched(three)) == (1, ["csb0", "csb1"])
    assert "gpc0" in done.stdout
    assert "not begun: csb1 had failed before\n" in done.stdout
    assert three.sessions["gpc0"].calls == []


def test_a_failure_leaves_the_others_their_turn_otherwise(three: Fleet) -> None:
    done = three.run(*UPDATE, "--at-once", "1")
    assert (done.exit_code, launched(three)) == (1, ["csb0", "csb1", "gpc0"])
    assert "not begun" not in done.stdout


def test_hosts_that_have_begun_beside_the_one_that_fails_go_on(three: Fleet) -> None:
    done = three.run(*UPDATE, "--stop-on-failure")
    assert (done.exit_code, launched(three)) == (1, ["csb0", "csb1", "gpc0"])


def test_json_has_a_line_for_a_host_that_has_not_begun(three: Fleet) -> None:
    done = three.run(*UPDATE, "--at-once", "1", "--stop-on-failure", "--json")
    lines = {line["host"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert [lines[name]["verdict"] for name in ("csb0", "csb1", "gpc0")] == [
        *("updated", "failed", None)
    ]
    told = lines["gpc0"]
    assert (told["cause"], told["advice"], told["job"], told["steps"]) == ("", "", None, [])


def test_a_busy_host_counts_as_failed(three: Fleet) -> None:
    from nixfleet_core.session.protocol import Busy

    three.sessions["csb0"].says["launch"] = Busy("20261123-004101-ab12")
    done = three.run(*UPDATE, "--at-once", "1", "--stop-on-failure")
    assert (done.exit_code, launched(three)) == (6, [])
    assert done.stdout.count("not begun: csb0 had failed before") == 2


def test_no_host_begins_after_ctrl_c(three: Fleet) -> None:
    session = three.sessions["csb0"]
    session.says |= {"follow": interrupted(signal.SIGINT), "verdict": CANCELLED}
    done = three.run(*UPDATE, "--at-once", "1")
    assert (done.exit_code, launched(three)) == (7, ["csb0"])
    assert done.stdout.count("not begun: the command was ended before its turn") == 2


def test_no_host_begins_after_the_command_was_detached(three: Fleet) -> None:
    three.sessions["csb0"].says |= {"follow": interrupted(signal.SIGTERM)}
    done = three.run(*UPDATE, "--at-once", "1")
    assert (done.exit_code, launched(three)) == (9, ["csb0"])


BACK = Verdict(kind="rolled-back", sentence="generation 411 is back")
ROLLBACK = ("rollback", "--yes", "--at-once", "1", "csb0", "csb1", "gpc0")


@pytest.mark.parametrize("stop", [True, False])
def test_several_hosts_go_back_each_to_its_own_generation(three: Fleet, stop: bool) -> None:
    for name in ("csb0", "gpc0"):
        three.sessions[name].says["verdict"] = BACK
    done = three.run(*ROLLBACK, *(["--stop-on-failure"] * stop))
    assert (done.exit_code, launched(three)) == (1, ["csb0", "csb1", *([] if stop else ["gpc0"])])
    assert "plan_rollback False" in three.sessions["csb0"].calls
    three.sessions["csb1"].says["verdict"] = BACK
    assert three.run(*ROLLBACK, "--stop-on-failure").exit_code == 0


def test_a_host_that_cannot_go_back_counts_beside_one_that_did(three: Fleet) -> None:
    for session in three.sessions.values():
        session.says["verdict"] = BACK
    three.sessions["gpc0"].says["probe"] = Unreachable("no route")
    assert three.run(*ROLLBACK).exit_code == 5


def test_a_rollback_of_several_hosts_is_confirmed_and_names_no_generation(three: Fleet) -> None:
    done = three.run("rollback", "csb0", "csb1")
    assert (done.exit_code, "csb0, csb1: not rolled back" in done.stderr) == (2, True)
    done = three.run("rollback", "csb0", "csb1", "--yes", "--to", "411")
    assert (done.exit_code, "--to names a generation of one host" in done.stderr) == (2, True)
    assert not any(session.calls for session in three.sessions.values())


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--at-once", "0"), "0 is not in the range 1<=x<=64"),
        (("--at-once", "all"), "'all' is not a valid integer range"),
        (("--detach", "--stop-on-failure"), "--detach does not wait"),
    ],
)
def test_a_wrong_number_or_a_contradiction_is_refused(
    three: Fleet, words: tuple[str, ...], says: str
) -> None:
    done = three.run(*UPDATE, *words)
    assert (done.exit_code, says in done.stderr) == (2, True)
    assert not any(session.calls for session in three.sessions.values())
