"""The commands: their refusals, their output and their exit codes. They contact no host."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal

import click
import msgspec
import pytest
from click.testing import CliRunner, Result
from fake_fleet import Fleet
from fakes import (
    BEFORE_JOB,
    CURRENT,
    EVENTS,
    JOB,
    OLD,
    OLD_PATH,
    PLAN,
    STALE,
    WHY,
    FakeSession,
    make_plan,
    make_restart,
    make_rollback,
)
from odd_files import ODD
from test_inventory import MISTAKES

from nixfleet_core.cli import listing, sessions, show_plan
from nixfleet_core.cli.choice import Choice
from nixfleet_core.cli.key_settings import Action, WrongKeysError
from nixfleet_core.cli.main import nixfleet
from nixfleet_core.cli.screen import Opened
from nixfleet_core.cli.setup import Setup
from nixfleet_core.cli.update_here import nixfleet_update
from nixfleet_core.config import Config, load_config
from nixfleet_core.errors import NeedsPassword, NoSuchJob, NotAllowed, Unreachable
from nixfleet_core.facts.health import Health
from nixfleet_core.facts.model import Binary, Checkout, Snapshot, Unit
from nixfleet_core.facts.package_changes import Change
from nixfleet_core.inventory import Inventory, this_machine
from nixfleet_core.job.events import (
    CancelSeen,
    Check,
    CopyHalt,
    Heartbeat,
    JobEnd,
    Link,
    LogGrew,
    Retry,
    Slept,
    StepEnd,
    StepStart,
    Waiting,
)
from nixfleet_core.job.history import JobLine, unreadable_line
from nixfleet_core.judge.coming import Coming, InputCommit
from nixfleet_core.judge.diagnosis import Diagnosis
from nixfleet_core.judge.left_behind import Left
from nixfleet_core.judge.running_commit import RunningCommit
from nixfleet_core.judge.verdict import Verdict
from nixfleet_core.judge.ways_back import WaysBack
from nixfleet_core.log.display import safe
from nixfleet_core.nix.git_url import NotKnown
from nixfleet_core.plan.model import Options, Refusal, Step
from nixfleet_core.session.coming import InputCommits
from nixfleet_core.session.discovery import FoundHosts, login_name
from nixfleet_core.session.no_hosts import Searched, no_hosts_words
from nixfleet_core.session.protocol import Busy, Commit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from nixfleet_core.cli.key_settings import Clash, KeyRules
    from nixfleet_core.cli.screen import LookAgain
    from nixfleet_core.config import Keys
    from nixfleet_core.facts.model import Facts
    from nixfleet_core.host import Host
    from nixfleet_core.job.events import JobEvent

EVIL = "\x1b]0;owned\x07\x9b2J\nupdated: proven\r"

PULL = "nf_step pull owner 60 5 git merge --ff-only FETCH_HEAD"
"""The one step of PLAN."""
RUNNING = replace(STALE, job_running=JOB)
REFUSAL = Refusal("disk", "full", "free some")


# What is refused.

COMMANDS = [
    ("hosts",),
    ("update", "csb0", "--yes"),
    ("update", "csb0", "--dry-run"),
    ("verify", "csb0"),
    ("why", "csb0"),
    ("doctor", "csb0"),
    ("attach", "csb0"),
    ("log", "csb0"),
    ("journal", "csb0"),
    ("cancel", "csb0"),
    ("rollback", "csb0", "--yes"),
    ("jobs",),
    ("connect", "csb0"),
    ("shell", "csb0"),
    (),
]


@pytest.mark.parametrize(("source", "line", "key", "says"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_the_inventory_ends_with_2(
    real: Fleet, source: str | bytes, line: int | None, key: str, says: str
) -> None:
    real.inventory.write_bytes(source.encode() if isinstance(source, str) else source)
    result = real.run("hosts")
    assert (result.exit_code, result.stdout) == (2, "")
    where = f"hosts.toml:{line}: " if line else "hosts.toml: "
    assert where in result.stderr
    assert key in result.stderr


@pytest.mark.parametrize("argv", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("text", [None, "[hosts.csb0]\nssh = '-oProxyCommand=x'\n"])
def test_every_command_reads_the_inventory_first(
    real: Fleet, argv: tuple[str, ...], text: str | None
) -> None:
    if text is not None:
        real.inventory.write_text(text)
    result = real.run(*argv)
    assert (result.exit_code, result.stdout) == (2, "")
    assert ("no such file" if text is None else "ssh address") in result.stderr


def test_the_hosts_own_command_reads_the_inventory(real: Fleet, tmp_path: Path) -> None:
    path = tmp_path / ".config/nixfleet/hosts.toml"
    path.parent.mkdir(parents=True)
    path.write_text("[hosts.here]\nlocal = 1\n")
    for argv in ((), ("--verify",), ("--dry-run",)):
        result = real.run(*argv, command=nixfleet_update)
        assert (result.exit_code, "local" in result.stderr) == (2, True)


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("hosts", "csb2"), "no host 'csb2'; did you mean"),
        (("update", "x"), "hosts: csb0, csb1"),
        (("update",), "name the hosts to update, or choose them with --tag or --state"),
        (("verify",), "name the hosts to verify, or choose them with --tag, --state or --unproven"),
        (("why",), "name the hosts to explain, or choose them with --tag or --state"),
        (("doctor",), "Missing argument"),
        (("attach",), "Missing argument"),
        (("log",), "Missing argument"),
        (("journal",), "Missing argument"),
        (("cancel",), "Missing argument"),
        (("attach", "csb0", "csb1"), "unexpected extra argument"),
        (("update", "csb0", "--frobnicate"), "No such option"),
        (("update", "csb0", "--level", "9"), "not in the range"),
        (("update", "csb0", "--level"), "requires an argument"),
        (("update", "csb0", "--level", "x"), "not a valid integer"),
        (("update", "csb0", "--force=9"), "not in the range"),
        (("update", "csb0", "--force="), "not a valid integer"),
        (("update", "--force", "2", "--yes"), "no host '2'"),
        (("update", "csb0", "--input-rev", "main"), "40 hexadecimal digits"),
        (("update", "csb0", "--input-rev", "A" * 40), "40 hexadecimal digits"),
        (
            ("update", "csb0", "--as-locked", "--commit-lock"),
            "nothing to commit: leave out --commit",
        ),
        (("update", "csb0", "--as-locked", "--push"), "nothing to commit: leave out --push"),
        (("update", "csb0", "--as-locked", "--input-rev", OLD), "and --input-rev moves it"),
        (("update", "csb0", "--stable", "0"), "not in the range"),
        (("update", "csb0"), "confirm at a terminal, or add --yes"),
        (("rollback", "csb0"), "confirm at a terminal, or add --yes"),
        (("restart", "csb0"), "not restarted; confirm at a terminal, or add --yes"),
        (("rollback", "csb0", "--to", "0"), "not in the range"),
        (("rollback", "csb0", "--to", "last"), "not a valid integer"),
        (("log", "csb0", "../../etc/passwd"), "no job id"),
        (("demo", "--speed", "0"), "not in the range"),
        (("--refresh", "9"), "give 10 to 86400 seconds, or off"),
        (("--refresh", "never"), "'never' is no time between looks"),
        (("--on-finish", "tell 'me"), "is no command: no closing quotation"),
        (("update", "csb0", "--yes", "--on-finish", "tell 'me"), "no closing quotation"),
        (("nonsense",), "No such command"),
    ],
)
def test_a_wrong_command_line_ends_with_2(fleet: Fleet, argv: tuple[str, ...], says: str) -> None:
    result = fleet.run(*argv)
    assert (result.exit_code, says in result.stderr) == (2, True), result.stderr
    assert all(session.calls == [] for session in fleet.sessions.values())


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("csb0",), "unexpected extra argument"),
        (("--force", "2"), "unexpected extra argument"),
        (("--force=8",), "not in the range"),
        (("--input-rev", "x"), "40 hexadecimal digits"),
    ],
)
def test_a_wrong_line_of_the_hosts_own_command(
    fleet: Fleet, argv: tuple[str, ...], says: str
) -> None:
    result = fleet.run(*argv, command=nixfleet_update)
    assert (result.exit_code, says in result.stderr) == (2, True), result.stderr


def test_help_and_version_need_no_inventory(real: Fleet) -> None:
    for command in (nixfleet, nixfleet_update):
        for word in ("-h", "--help", "--version"):
            assert CliRunner().invoke(command, [word]).exit_code == 0


# config.toml.


def write_config(fleet: Fleet, text: str) -> None:
    path = fleet.inventory.parent / ".config/nixfleet/config.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


WRONG = "refresh = 3\n[limits]\nrebiuld = 60\n"


def test_config_prints_what_holds_and_where_it_comes_from(
    real: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert real.run("config", "--check").exit_code == 0
    write_config(real, "refresh = 120\nlimits.look = 60\n")
    monkeypatch.setenv("NIXFLEET_SSH_CONFIG", "/my/config")
    done = real.run("--refresh", "off", "config", "--check")
    assert (done.exit_code, done.stderr) == (0, "")
    assert [line for line in done.stdout.splitlines() if line and not line.startswith("# ")] == [
        'refresh = "off"  # --refresh',
        "[limits]",
        "look = 60  # ~/.config/nixfleet/config.toml:2",
    ]
    assert "# NIXFLEET_SSH_CONFIG=/my/config  # environment" in done.stdout


@pytest.mark.parametrize(("words", "code"), [(("--check",), 2), ((), 0)])
def test_config_names_what_is_wrong(real: Fleet, words: tuple[str, ...], code: int) -> None:
    write_config(real, WRONG)
    done = real.run("config", *words)
    assert done.exit_code == code
    assert "# refresh = 60  # default" in done.stdout
    assert "config.toml:1: refresh: 3 is out of range" in done.stderr
    assert "config.toml:3: limits.rebiuld: unknown key; did you mean 'rebuild'?" in done.stderr


def test_commands_name_a_mistake_in_the_settings_and_go_on(fleet: Fleet) -> None:
    write_config(fleet, WRONG)
    done = fleet.run("hosts", "--json")
    assert (done.exit_code, "is out of range" in done.stderr) == (0, True)
    assert {json.loads(line)["host"] for line in done.stdout.splitlines()} == {"csb0", "csb1"}
    own = fleet.run("--verify", "--json", command=nixfleet_update)
    assert "is out of range" in own.stderr
    assert json.loads(own.stdout)["host"] == "csb0"


def test_the_app_opens_with_a_notice_of_a_mistake_in_the_settings(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nixfleet_core.cli.setup.require_terminal", lambda: None)
    write_config(fleet, WRONG)
    fleet.screen = screen = Screen()
    assert fleet.run().exit_code == 7
    assert ["refresh: 3" in notice for notice in screen.notices] == [False, True]


# Options.


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ((), Options()),
        (("--force",), Options(force=True)),
        (("--force=0",), Options(force=True, level=0)),
        (("--force=2",), Options(force=True, level=2)),
        (("--force=7",), Options(force=True, level=7)),
        (("--level", "2"), Options(force=True, level=2)),
        (("--force", "--level", "0"), Options(force=True, level=0)),
        (("--no-pull",), Options(pull=False)),
        (("--input-rev", OLD), Options(force=True, input_rev=OLD)),
        (("--discard-lock", "--now"), Options(discard_lock=True, now=True)),
        (("--stable", "9"), Options(stable=9)),
        (("--as-locked",), Options(as_locked=True)),
        (("--as-locked", "--force=2"), Options(force=True, level=2, as_locked=True)),
        (("--commit-lock",), Options(commit_lock=True)),
        (("--push",), Options(commit_lock=True, push=True)),
        (("--retry-after", "30"), Options(retry_after=30)),
    ],
)
def test_options_become_options_of_the_plan(
    fleet: Fleet, argv: tuple[str, ...], expected: Options
) -> None:
    session = fleet.sessions["csb0"]
    for words in (("update", "csb0", "--yes", *argv), ("update", *argv, "--yes", "csb0")):
        assert fleet.run(*words).exit_code == 0
        assert session.options == expected
    session.options = None
    assert fleet.run(*argv, command=nixfleet_update).exit_code == 0
    assert session.options == expected


@pytest.mark.parametrize(
    ("words", "path"),
    [((), "~/Code/nixcfg"), (("--checkout", "isolated"), "isolated"), (("--checkout=/c",), "/c")],
    ids=["as the inventory says", "isolated", "a path"],
)
def test_the_checkout_can_be_chosen(fleet: Fleet, words: tuple[str, ...], path: str) -> None:
    for name in ("update", "verify", "rollback"):
        yes = () if name == "verify" else ("--yes",)
        fleet.run(name, "csb0", *yes, *words)
        assert fleet.sessions["csb0"].host.checkout == path
    fleet.run(*words, command=nixfleet_update)
    assert fleet.sessions["csb0"].host.checkout == path
    wrong = fleet.run("update", "csb0", "--checkout", "elsewhere")
    assert wrong.exit_code == 2
    assert "isolated, nixcfg" in wrong.output


def test_force_never_takes_the_next_word(fleet: Fleet) -> None:
    result = fleet.run("update", "--yes", "--force", "csb0", "csb1")
    assert result.exit_code == 0
    for session in fleet.sessions.values():
        assert session.options == Options(force=True)


# How it ends.


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        (("updated", "current"), 0),
        (("updated", "stale"), 3),
        (("stale", "failed"), 1),
        (("cancelled", "partial"), 4),
        (("unreachable", "cancelled"), 5),
        (("rolled-back", "partial"), 8),
        (("agent-down", "stale"), 1),
    ],
)
def test_the_worst_host_decides_the_exit_code(
    fleet: Fleet, verdicts: tuple[Any, Any], code: int
) -> None:
    for session, kind in zip(fleet.sessions.values(), verdicts, strict=True):
        session.says["verdict"] = Verdict(kind=kind, sentence="x")
    assert fleet.run("update", "--yes", "csb0", "csb1").exit_code == code


def test_verify_changes_nothing(fleet: Fleet) -> None:
    result = fleet.run("verify", "csb0")
    assert (result.exit_code, "stale (not-restarted): old" in result.stdout) == (3, True)
    assert fleet.run("--verify", command=nixfleet_update).exit_code == 3
    assert "launch" not in fleet.sessions["csb0"].calls
    assert fleet.run("--verify", "--force", command=nixfleet_update).exit_code == 0
    assert "launch" in fleet.sessions["csb0"].calls


def test_verify_unproven_leaves_out_what_is_proven_or_refuted(fleet: Fleet) -> None:
    """A host that cannot be asked is not left out without a word."""
    refuted = replace(STALE, unit=Unit("masked", "inactive"), running=None)
    for name, seen in (("csb0", CURRENT), ("csb1", refuted)):
        fleet.sessions[name].says["probe"] = seen
    fleet.add("gpc0").says["probe"] = replace(CURRENT, proofs=())
    fleet.add("hsb1").says["probe"] = Unreachable("no route")
    done = fleet.run("verify", "--unproven", "--json")
    told = [msgspec.json.decode(line)["host"] for line in done.stdout.splitlines()]
    assert (sorted(told), done.exit_code) == (["csb0", "gpc0", "hsb1"], 3), "no latest of csb0"
    nothing = fleet.run("verify", "--unproven", "csb1")
    assert (nothing.exit_code, nothing.stdout) == (0, "")
    assert "no host is unproven" in nothing.stderr
    none = fleet.run("verify")
    assert (none.exit_code, "or --unproven" in none.stderr) == (2, True)


def test_update_says_that_a_job_is_detached_or_in_the_way(fleet: Fleet) -> None:
    detached = fleet.run("update", "--yes", "--detach", "csb0")
    assert (detached.exit_code, "goes on alone" in detached.stdout) == (9, True)
    fleet.sessions["csb0"].says["launch"] = Busy(JOB)
    busy = fleet.run("update", "--yes", "csb0")
    assert (busy.exit_code, f"another job is running: {JOB}" in busy.stdout) == (6, True)


def test_rollback_succeeds_if_the_host_went_back(fleet: Fleet) -> None:
    session = fleet.sessions["csb0"]
    session.says["verdict"] = Verdict(kind="rolled-back", sentence="x")
    assert fleet.run("rollback", "csb0", "--yes", "--keep-lock").exit_code == 0
    assert "plan_rollback True" in session.calls
    session.says["verdict"] = Verdict(kind="failed", sentence="x")
    assert fleet.run("rollback", "csb0", "--yes").exit_code == 1


def test_rollback_goes_to_the_generation_that_is_named(fleet: Fleet) -> None:
    session = fleet.sessions["csb0"]
    session.says["verdict"] = Verdict(kind="rolled-back", sentence="x")
    session.says["plan_rollback"] = make_rollback("csb0")
    done = fleet.run("rollback", "csb0", "--yes", "--to", "410")
    assert (done.exit_code, "plan_rollback False 410" in session.calls) == (0, True)
    assert "ways_back" not in session.calls
    assert f"goes back to generation 411: active before job {JOB}" in done.stdout


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_an_update_at_a_terminal_shows_its_plan_before_it_asks(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    monkeypatch.setattr("nixfleet_core.cli.run.at_terminal", lambda: True)
    csb0, csb1 = fleet.sessions.values()
    csb1.says["plan"] = REFUSAL
    done = fleet.run("update", *options, "csb0", "csb1", typed="n\n")
    assert done.exit_code == 1
    shown, asked, _ = done.stderr.partition("Update csb0? [y/N]")
    assert asked
    assert PULL in shown
    assert "# refused (disk): full" in shown
    assert (csb0.launched, csb1.launched, done.stdout) == ([], [], "")
    assert fleet.run("update", *options, "csb0", typed="y\n").exit_code == 0
    assert csb0.launched


def test_an_update_that_cannot_run_is_not_asked_for(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nixfleet_core.cli.run.at_terminal", lambda: True)
    fleet.sessions["csb0"].says["plan"] = REFUSAL
    done = fleet.run("update", "csb0", typed="y\n")
    assert (done.exit_code, done.stderr) == (1, "")
    assert "failed (preflight-disk): refused before anything was touched: full" in done.stdout


def test_a_current_host_is_not_asked_for(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nixfleet_core.cli.run.at_terminal", lambda: True)
    csb0 = fleet.sessions["csb0"]
    csb0.says["verify"] = Verdict(kind="current", sentence="x")
    done = fleet.run("update", "csb0", typed="y\n")
    assert (done.exit_code, done.stderr, csb0.launched) == (0, "", [])
    assert "current: x" in done.stdout


def test_the_plan_that_is_agreed_on_is_the_one_that_runs(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nixfleet_core.cli.run.at_terminal", lambda: True)
    csb0 = fleet.sessions["csb0"]
    assert fleet.run("update", "--force", "csb0", typed="y\n").exit_code == 0
    assert (csb0.calls.count("examine"), csb0.calls.count("plan")) == (1, 1)
    assert [plan.host for plan in csb0.plans] == ["csb0"]


@pytest.mark.parametrize(
    ("typed", "planned"),
    [("\n", "False 411"), ("410\n", "False 410"), ("x\n0\n9\n", "False 9"), ("", None)],
)
def test_rollback_at_a_terminal_lists_the_generations_and_asks(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, typed: str, planned: str | None
) -> None:
    monkeypatch.setattr("nixfleet_core.cli.run.at_terminal", lambda: True)
    session = fleet.sessions["csb0"]
    session.says["verdict"] = Verdict(kind="rolled-back", sentence="x")
    done = fleet.run("rollback", "csb0", typed=typed)
    assert "    412  agent 2.2.0; is active now\n" in done.stdout
    assert f"*   411  agent 2.1.0; was active (default: active before job {JOB})\n" in done.stdout
    assert "    410  agent 2.2.0; never seen active" in done.stdout
    assert "Roll back to generation [411]" in done.stderr
    plans = [call for call in session.calls if call.startswith("plan_rollback")]
    assert plans == ([f"plan_rollback {planned}"] if planned else [])
    assert done.exit_code == (0 if planned else 1)


@pytest.mark.parametrize(("typed", "planned"), [("\n", "False"), ("411\n", "False 411")])
def test_a_default_that_is_no_generation_can_be_taken_at_a_terminal(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, typed: str, planned: str
) -> None:
    monkeypatch.setattr("nixfleet_core.cli.run.at_terminal", lambda: True)
    session = fleet.sessions["csb0"]
    tried = msgspec.structs.replace(BEFORE_JOB, system="/nix/store/tried")
    session.says["ways_back"] = WaysBack(tried, (BEFORE_JOB,))
    done = fleet.run("rollback", "csb0", typed=typed)
    assert "the system /nix/store/tried, with generation 411 in the profile" in done.stdout
    assert f"plan_rollback {planned}" in session.calls


def test_rollback_of_a_host_that_is_away_asks_nothing(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nixfleet_core.cli.run.at_terminal", lambda: True)
    fleet.sessions["csb0"].says["probe"] = Unreachable("no route")
    done = fleet.run("rollback", "csb0", "--json")
    assert (done.exit_code, msgspec.json.decode(done.stdout)["verdict"]) == (5, "unreachable")
    assert "Roll back" not in done.stderr
    assert fleet.sessions["csb0"].calls == ["probe"]


@pytest.mark.parametrize(
    ("newest", "says"),
    [(None, "csb0 has had no job"), (JOB, "the host has no job")],
)
def test_attach_without_a_job_is_an_error(fleet: Fleet, newest: str | None, says: str) -> None:
    fleet.sessions["csb0"].says |= {
        "newest_job": newest,
        "fetch_plan": NoSuchJob("the host has no job"),
    }
    result = fleet.run("attach", "csb0")
    assert (result.exit_code, says in result.stderr) == (1, True)


def test_attaching_ends_with_the_verdict(fleet: Fleet) -> None:
    result = fleet.run("attach", "csb0")
    assert (result.exit_code, "updated: new" in result.stdout) == (0, True)
    assert fleet.sessions["csb0"].calls == ["newest_job", "fetch_plan", "follow", "verdict None"]


@pytest.mark.parametrize(
    ("says", "code", "words"),
    [
        ({"probe": RUNNING}, 0, f"job {JOB} stops"),
        ({}, 1, "no job is running on csb0"),
        ({"probe": Unreachable("no route")}, 5, "no route"),
        ({"probe": RUNNING, "cancel": NotAllowed("no sudo")}, 1, "no sudo"),
        ({"probe": RUNNING, "cancel": NeedsPassword("csb0")}, 1, "password"),
    ],
)
def test_cancelling(fleet: Fleet, says: dict[str, Any], code: int, words: str) -> None:
    fleet.sessions["csb0"].says |= says
    result = fleet.run("cancel", "csb0")
    assert (result.exit_code, words in result.output) == (code, True), result.output


# Signals: they come while a job is followed, sent by the fake itself.


def interrupted(*numbers: signal.Signals) -> Callable[[FakeSession], AsyncIterator[JobEvent]]:
    """A job that runs until it is cancelled; these signals come meanwhile."""

    async def follow(session: FakeSession) -> AsyncIterator[JobEvent]:
        yield StepStart(step="pull", at=1, log=0)
        for number in numbers:
            os.kill(os.getpid(), number)
            # the loop's handler runs before anything scheduled after it
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        if numbers != (signal.SIGINT,):
            await asyncio.Event().wait()
        await session.cancelling.wait()
        yield JobEnd(at=2, outcome="cancelled")

    return follow


CANCELLED = Verdict(kind="cancelled", cause="cancelled", sentence="the agent runs")


def test_the_first_ctrl_c_cancels_and_waits_for_the_agent(fleet: Fleet) -> None:
    session = fleet.sessions["csb0"]
    session.says |= {"follow": interrupted(signal.SIGINT), "verdict": CANCELLED}
    result = fleet.run("update", "--yes", "csb0")
    assert (result.exit_code, "cancelling" in result.stdout) == (7, True)
    assert session.calls.count("cancel") == 1


def test_a_cancelled_update_says_what_it_left_behind(fleet: Fleet) -> None:
    left = (Left("generation 8 is new", "nixfleet rollback csb0 goes back", "b"), Left(f"x{EVIL}"))
    fleet.sessions["csb0"].says["verdict"] = msgspec.structs.replace(CANCELLED, left=left)
    result = fleet.run("update", "--yes", "csb0", "--json")
    assert (
        "  left: generation 8 is new\n    → nixfleet rollback csb0 goes back\n  left: x"
    ) in result.stderr
    assert "\x1b" not in result.output
    (told, none) = read_lines(result)["csb0"].left
    assert (told.what, told.help, told.key) == (left[0].what, left[0].help, "b")
    assert none.help == ""


def test_the_second_ctrl_c_detaches(fleet: Fleet) -> None:
    session = fleet.sessions["csb0"]
    session.says |= {"follow": interrupted(signal.SIGINT, signal.SIGINT)}
    result = fleet.run("update", "--yes", "csb0")
    assert (result.exit_code, "goes on alone" in result.stdout) == (9, True)
    assert session.calls.count("cancel") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_signals_detach(fleet: Fleet, number: signal.Signals) -> None:
    session = fleet.sessions["csb0"]
    session.says |= {"follow": interrupted(number)}
    assert fleet.run("update", "--yes", "csb0").exit_code == 9
    assert "cancel" not in session.calls


def test_ctrl_c_in_attach_detaches(fleet: Fleet) -> None:
    session = fleet.sessions["csb0"]
    session.says |= {"follow": interrupted(signal.SIGINT)}
    assert fleet.run("attach", "csb0").exit_code == 9
    assert "cancel" not in session.calls


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_in_verify_speaks_of_no_job(
    fleet: Fleet, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def verify(_session: FakeSession, _latest: object, **_: bool) -> tuple[Facts, Verdict]:
        os.kill(os.getpid(), number)
        await asyncio.Event().wait()
        raise AssertionError("it is ended")

    monkeypatch.setattr(FakeSession, "verify", verify)
    result = fleet.run("verify", "csb0", "--json")
    assert result.exit_code == 9
    assert result.stderr == "stopped: nothing was proven, and nothing was changed\n"
    told = json.loads(result.stdout)
    assert (told["verdict"], told["cause"], told["advice"], told["job"]) == (None, "", "", None)


def test_update_says_that_its_cancellation_was_refused(fleet: Fleet) -> None:
    session = fleet.sessions["csb0"]
    session.says |= {
        "follow": interrupted(signal.SIGINT),
        "cancel": NotAllowed("sudo says no"),
        "verdict": CANCELLED,
    }
    assert "could not cancel: sudo says no" in fleet.run("update", "--yes", "csb0").stdout


# JSON: one object a host on one line; all else goes to stderr.


class StrictSnapshot(msgspec.Struct, forbid_unknown_fields=True):
    version: str | None
    commit: str | None
    store_path: str | None
    sha256: str | None
    system: str | None
    generation: int | None


class StrictStep(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    title: str
    status: str
    seconds: int | None
    attempts: int


class StrictChange(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    before: str | None
    after: str | None
    size: int | None


class StrictLeft(msgspec.Struct, forbid_unknown_fields=True):
    what: str
    help: str
    key: str


class StrictHost(msgspec.Struct, forbid_unknown_fields=True):
    host: str
    verdict: str | None
    cause: str
    advice: str
    before: StrictSnapshot
    after: StrictSnapshot
    left: list[StrictLeft]
    notes: list[str]
    changes: list[StrictChange]
    steps: list[StrictStep]
    running_commit: RunningCommit | None
    job: str | None
    log: str | None


def read_lines(result: Result) -> dict[str, StrictHost]:
    lines = [msgspec.json.decode(line, type=StrictHost) for line in result.stdout.splitlines()]
    return {line.host: line for line in lines}


def test_json_is_one_line_a_host_and_all_else_goes_to_stderr(fleet: Fleet, tmp_path: Path) -> None:
    after = Snapshot(version="2.2.0", commit=OLD, store_path="/nix/x", sha256="f" * 64, system="/s",
                     generation=2)  # fmt: skip
    fleet.sessions["csb0"].says["verdict"] = Verdict(kind="updated", sentence="new", after=after)
    fleet.sessions["csb1"].says["launch"] = Busy(JOB)
    result = fleet.run("update", "--yes", "--json", "csb0", "csb1")
    assert result.exit_code == 6
    found = read_lines(result)
    done, busy = found["csb0"], found["csb1"]
    assert (done.verdict, done.cause, done.advice) == ("updated", "", "")
    assert msgspec.to_builtins(done.after) == msgspec.to_builtins(after)
    assert done.before == StrictSnapshot(None, None, None, None, None, None)
    assert done.steps == [StrictStep("pull", "Pull nixcfg", "ok", 3, 1)]
    assert done.log == str(tmp_path / "log")
    assert (busy.verdict, busy.cause, busy.job, busy.steps) == (None, "busy", JOB, [])
    assert f"nixfleet attach {busy.host}" in busy.advice
    assert "updated: new" in result.stderr


def test_what_did_not_change_is_not_printed_as_a_change(fleet: Fleet) -> None:
    fleet.sessions["csb0"].says["verdict"] = Verdict(
        kind="updated",
        sentence="new",
        before=Snapshot(version="2.1.0", system="/nix/store/a", generation=87),
        after=Snapshot(version="2.2.0", system="/nix/store/a", generation=87),
        changes=(Change(name="nixfleet-agent", before="2.1.0", after="2.2.0"),),
    )
    result = fleet.run("update", "--yes", "csb0", "--json")
    lines = result.stderr.splitlines()
    assert "  generation 87     unchanged" in lines
    assert "  version    2.1.0  2.2.0" in lines
    assert "  changed: only the running agent" in lines
    assert read_lines(result)["csb0"].after.generation == 87


def test_notes_and_changes_are_printed_and_in_the_json(fleet: Fleet) -> None:
    changes = tuple(Change(name=f"p{number}", before="1", after="2") for number in range(22))
    fleet.sessions["csb0"].says["verdict"] = Verdict(
        kind="updated", sentence="new", notes=(f"not committed{EVIL}",), changes=changes
    )
    lines = fleet.run("update", "--yes", "csb0").stdout.splitlines()
    at = lines.index("  changed: 22 packages")
    assert lines[at + 1] == "    p0 1 → 2"
    assert lines[at + 21] == "    and 2 more; --json has all"
    (note,) = [line for line in lines if line.startswith("  note: not committed")]
    assert note.isprintable()
    line = read_lines(fleet.run("update", "--yes", "--json", "csb0"))["csb0"]
    assert line.changes[-1] == StrictChange("p21", "1", "2", None)
    assert line.notes == [f"not committed{EVIL}"]


@pytest.mark.parametrize(
    ("argv", "says", "verdict", "cause"),
    [
        (("verify", "csb0"), {}, "stale", "not-restarted"),
        (("attach", "csb0"), {}, "updated", ""),
        (("update", "--yes", "--detach", "csb0"), {}, None, "detached"),
        (("verify", "csb0"), {"probe": Unreachable("x")}, "unreachable", "unreachable"),
        (("update", "--yes", "csb0"), {"plan": REFUSAL}, "failed", "preflight-disk"),
        (("rollback", "--yes", "csb0"), {}, "updated", ""),
    ],
)
def test_json_of_every_command_has_that_shape(
    fleet: Fleet, argv: tuple[str, ...], says: dict[str, Any], verdict: str | None, cause: str
) -> None:
    fleet.sessions["csb0"].says |= says
    line = read_lines(fleet.run(*argv, "--json"))["csb0"]
    assert (line.verdict, line.cause) == (verdict, cause)


class StrictAgent(msgspec.Struct, forbid_unknown_fields=True):
    version: str | None
    store_path: str | None


class StrictRow(msgspec.Struct, forbid_unknown_fields=True):
    host: str
    where: str
    state: str
    why: str
    proven_age: int | None
    os: str | None
    nix: str | None
    running: StrictAgent
    installed: StrictAgent
    running_commit: RunningCommit | None
    commit: str | None
    latest: str | None
    latest_version: str | None
    job: str | None
    held: bool
    remembered: bool


def test_the_list_of_hosts_as_json(fleet: Fleet) -> None:
    fleet.sessions["csb1"].says["probe"] = Unreachable("no route", "ping it")
    result = fleet.run("hosts", "--json")
    assert result.exit_code == 0
    lines = [msgspec.json.decode(line, type=StrictRow) for line in result.stdout.splitlines()]
    seen, away = lines
    assert (seen.host, seen.where, seen.running.version, seen.commit) == (
        *("csb0", "ops@csb0", "2.1.0", OLD),
    )
    assert (away.state, away.why, away.os) == ("offline", "no route; ping it", None)


def test_the_list_of_hosts_for_people(fleet: Fleet) -> None:
    fleet.sessions["csb1"].says["probe"] = Unreachable("no route")
    head, *rows = fleet.run("hosts").stdout.splitlines()
    assert head.split()[:5] == ["HOST", "WHERE", "RUNNING", "INSTALLED", "LATEST"]
    assert [row.split()[:3] for row in rows] == [
        ["csb0", "ops@csb0", "2.1.0"],
        ["csb1", "ops@csb1", "–"],
    ]
    assert fleet.run("hosts", "csb1").stdout.count("\n") == 2


def test_the_list_of_hosts_says_what_the_client_may_not_ask(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> NotKnown:
        return NotKnown("the client may not ask h", "list it")

    monkeypatch.setattr("nixfleet_core.session.latest._ask", refuse)
    row = msgspec.json.decode(fleet.run("hosts", "csb0", "--json").stdout, type=StrictRow)
    assert (row.latest, row.state) == (None, "unproven")
    assert row.why.endswith("the client may not ask h")


# A plan that is only shown.


def test_a_dry_run_prints_the_commands_and_launches_nothing(fleet: Fleet) -> None:
    session = fleet.sessions["csb0"]
    session.says["incoming"] = (Commit(OLD, "Fix it"),)
    result = fleet.run("update", "--dry-run", "csb0")
    assert result.exit_code == 0
    host, dirty, *lines = result.stdout.splitlines()
    unknown = "which commits of nixfleet come along is not known"
    why = "nobody could say which commit is the latest"
    shown = ["# incoming: 1a2b3c4 Fix it", f"# input: {unknown}: {why}", PULL]
    assert (host, lines) == ("# csb0", shown)
    assert dirty.startswith("# if the flake refuses a dirty tree, what is built is a commit of ")
    assert "?ref=refs/nixfleet/JOB&rev=<commit of the new lock>'" in dirty
    assert "launch" not in session.calls
    assert fleet.run("--dry-run", command=nixfleet_update).stdout == result.stdout


def test_a_dry_run_names_the_commits_of_the_input(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    rev = "b" * 40
    commit = InputCommit(rev, "Reconnect\x1b[2J", 1_795_000_000)
    found = Coming(running=OLD, target=rev, count=2, commits=(commit,))

    async def between(*_: object, **__: object) -> Coming:
        return found

    monkeypatch.setattr(InputCommits, "between", between)
    result = fleet.run("update", "--dry-run", "csb0")
    lines = [line for line in result.stdout.splitlines() if line.startswith("# input: ")]
    assert lines == [
        "# input: 2 commits of nixfleet come along",
        f"# input: + {rev[:7]} 2026-11-18 Reconnect\ufffd[2J",
        "# input: + and 1 more",
    ]
    line = json.loads(fleet.run("update", "--dry-run", "--json", "csb0").stdout)
    assert line["coming"]["commits"][0]["rev"] == rev
    assert (line["coming"]["count"], line["plan"]["input"]) == (2, "nixfleet")


def test_a_dry_run_of_several_names_the_same_commits_once(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = InputCommit("b" * 40, "Reconnect", 1_795_000_000)
    more = Coming(running=OLD, target=new.rev, count=1, commits=(new,))
    found = {"csb0": more, "csb1": msgspec.structs.replace(more)}
    asked: set[InputCommits] = set()

    async def between(self: InputCommits, host: Host, *_: object, **__: object) -> Coming:
        asked.add(self)
        return found[host.name]

    monkeypatch.setattr(InputCommits, "between", between)
    result = fleet.run("update", "--dry-run", "csb0", "csb1")
    lines = [line for line in result.stdout.splitlines() if line.startswith(("# input", "# csb"))]
    named = "# input: + bbbbbbb 2026-11-18 Reconnect"
    comes = "# input: 1 commit of nixfleet comes along"
    assert lines == ["# csb0", comes, named, "# csb1", f"{comes} (as on csb0)"]
    assert len(asked) == 1, "equal questions are to be asked once"
    answer = fleet.run("update", "--dry-run", "--json", "csb0", "csb1").stdout
    for line in map(json.loads, answer.splitlines()):
        assert line["coming"]["commits"][0]["title"] == "Reconnect"

    found["csb1"] = Coming(running=new.rev, target=OLD, lost=1, losses=(new,))
    result = fleet.run("update", "--dry-run", "csb0", "csb1")
    assert "(as on" not in result.stdout
    assert "# input: a downgrade: 1 commit of nixfleet runs now, and will not" in result.stdout
    assert result.stdout.count("Reconnect") == 2


@pytest.mark.parametrize(
    ("says", "code", "check"),
    [
        ({"plan": REFUSAL}, 1, "disk"),
        ({"probe": Unreachable("no route")}, 5, "unreachable"),
        ({"examine": NeedsPassword("csb0")}, 1, "elevation"),
    ],
)
def test_a_dry_run_says_what_refuses_the_update(
    fleet: Fleet, says: dict[str, Any], code: int, check: str
) -> None:
    fleet.sessions["csb0"].says |= says
    result = fleet.run("update", "--dry-run", "csb0")
    assert (result.exit_code, f"# refused ({check}):" in result.stdout) == (code, True)
    line = json.loads(fleet.run("update", "--dry-run", "--json", "csb0").stdout)
    assert (line["plan"], line["refusal"]["check"]) == (None, check)


def test_a_dry_run_as_locked_says_what_stays(fleet: Fleet) -> None:
    warning = "flake.lock keeps nixfleet at 1a2b3c4: the step update is left out"
    plan = make_plan("csb0", Options(as_locked=True), warnings=(warning,))
    fleet.sessions["csb0"].says["plan"] = plan
    result = fleet.run("update", "--dry-run", "--as-locked", "csb0")
    assert f"# warning: {warning}" in result.stdout
    # no commit of a new flake.lock can come
    assert "a commit of" not in result.stdout
    line = json.loads(fleet.run("update", "--dry-run", "--as-locked", "--json", "csb0").stdout)
    assert (line["plan"]["options"]["as_locked"], line["plan"]["warnings"]) == (True, [warning])
    assert "update" not in [step["id"] for step in line["plan"]["steps"]]


def test_a_restart_is_a_job_and_0_means_that_it_is_proven(fleet: Fleet) -> None:
    session = fleet.sessions["csb0"]
    proven = Verdict(kind="restarted", cause="lock-behind", sentence="restarted; but behind")
    session.says |= {"plan_restart": make_restart("csb0"), "verdict": proven}
    result = fleet.run("restart", "csb0", "--yes", "--json")
    answer = json.loads(result.stdout)
    assert (result.exit_code, answer["verdict"], answer["cause"]) == (0, "restarted", "lock-behind")
    assert [plan.goal for plan in session.plans] == ["restart"]
    session.says["verdict"] = Verdict(kind="failed", cause="restart-failed", sentence="the same")
    assert fleet.run("restart", "csb0", "--yes").exit_code == 1
    session.says["plan_restart"] = Refusal("unit", "it is masked", "unmask it")
    assert fleet.run("restart", "csb0", "--yes").exit_code == 1
    assert len(session.plans) == 2


def test_a_restart_says_before_that_it_changes_nothing(fleet: Fleet) -> None:
    session = fleet.sessions["csb0"]
    session.says["plan_restart"] = make_restart("csb0", "a restart starts the same agent again")
    result = fleet.run("restart", "csb0", "--dry-run")
    assert "# warning: a restart starts the same agent again" in result.stdout
    assert "systemctl restart nixfleet-agent.service" in result.stdout
    assert "a commit of" not in result.stdout
    assert "incoming" not in session.calls
    line = json.loads(fleet.run("restart", "csb0", "--dry-run", "--json").stdout)
    assert (line["plan"]["goal"], line["refusal"]) == ("restart", None)
    assert "launch" not in session.calls


def test_the_hosts_own_command_proves_the_locked_commit(fleet: Fleet) -> None:
    session = fleet.sessions["csb0"]
    fleet.run("--verify", "--as-locked", command=nixfleet_update)
    assert [call for call in session.calls if "verify" in call][-1].endswith(" as-locked")
    fleet.run("--verify", command=nixfleet_update)
    assert not [call for call in session.calls if "verify" in call][-1].endswith(" as-locked")


def test_a_dry_run_as_json(fleet: Fleet) -> None:
    line = msgspec.json.decode(
        fleet.run("update", "--dry-run", "--json", "csb0").stdout, type=show_plan.PlanLine
    )
    assert (line.host, line.plan, line.commands) == ("csb0", PLAN, (PULL,))


# The log.


def says_log(text: bytes, *, link: bool = True) -> Callable[[FakeSession], AsyncIterator[JobEvent]]:
    """A running job that has so far printed this much."""

    async def follow(session: FakeSession) -> AsyncIterator[JobEvent]:
        files = session.files(JOB)
        files.log.write_bytes(text)
        files.text.write_bytes(text)
        yield LogGrew(size=len(text), text_size=len(text))
        yield Heartbeat(at=1, log=len(text)) if link else Link(up=False, why="lost")
        pytest.fail("it was waited for more")

    return follow


@pytest.mark.parametrize("link", [True, False])
def test_log_prints_all_that_has_been_received(fleet: Fleet, link: bool) -> None:
    session = fleet.sessions["csb0"]
    session.says["follow"] = says_log(b"\x1b[31mred\x1b[0m caf\xc3\xa9\n\xff\n", link=link)
    result = fleet.run("log", "csb0")
    assert (result.exit_code, result.stdout) == (0, "red café\n�\n")
    assert ("does not answer; this is the copy on this machine" in result.stderr) is not link
    raw = fleet.run("log", "csb0", JOB, "--raw")
    assert raw.stdout_bytes == b"\x1b[31mred\x1b[0m caf\xc3\xa9\n\xff\n"


@pytest.mark.parametrize("what", ODD)
def test_log_names_a_copy_that_is_no_file(fleet: Fleet, tmp_path: Path, what: str) -> None:
    ODD[what](tmp_path / "log.txt")
    fleet.sessions["csb0"].says["follow"] = (LogGrew(size=0, text_size=0),)
    result = fleet.run("log", "csb0")
    assert (result.exit_code, result.stdout) == (5, "")
    assert f"{tmp_path}/log.txt cannot be read: it is {what}" in result.stderr


def test_log_does_not_wait_for_room(fleet: Fleet, tmp_path: Path) -> None:
    async def halted(_: FakeSession) -> AsyncIterator[JobEvent]:
        yield CopyHalt("/x/log cannot be written here: full")
        pytest.fail("it was waited for more")

    (tmp_path / "log.txt").write_text("begun\n")
    fleet.sessions["csb0"].says["follow"] = halted
    result = fleet.run("log", "csb0")
    assert (result.exit_code, result.stdout) == (0, "begun\n")
    assert "/x/log cannot be written here: full; this is the copy as far" in result.stderr


def test_a_copy_that_cannot_grow_is_told_once_until_it_grows(fleet: Fleet, tmp_path: Path) -> None:
    (tmp_path / "log.txt").touch()
    halt, grew = CopyHalt("/x/log cannot be written here: full"), LogGrew(size=0, text_size=0)
    other = CopyHalt("/x/log.txt cannot be written here: full")
    events = (*EVENTS[:2], halt, halt, other, grew, halt, grew, *EVENTS[2:])
    fleet.sessions["csb0"].says["follow"] = events
    result = fleet.run("update", "--yes", "csb0")
    assert result.exit_code == 0
    said = "  /x/log cannot be written here: full; the client tries again for 10 minutes"
    assert [line for line in result.stdout.splitlines() if "cannot be written" in line] == [
        said
    ] * 2


def test_jobs_name_a_copy_that_cannot_be_read(fleet: Fleet) -> None:
    line = unreadable_line(JOB, "/x/plan.json: it is a named pipe")
    fleet.sessions["csb0"].says["jobs"] = (line,)
    words = fleet.run("jobs", "csb0").stdout
    assert words.rstrip().endswith("unreadable  /x/plan.json: it is a named pipe")
    (row,) = fleet.run("jobs", "csb0", "--json").stdout.splitlines()
    assert msgspec.json.decode(row)["unreadable"] == "/x/plan.json: it is a named pipe"


def test_log_of_a_missing_job_is_an_error(fleet: Fleet) -> None:
    async def gone(_: FakeSession) -> AsyncIterator[JobEvent]:
        yield Heartbeat(at=1, log=9)
        raise NoSuchJob("the host has no such job")

    fleet.sessions["csb0"].says["follow"] = gone
    result = fleet.run("log", "csb0", JOB)
    assert (result.exit_code, "no such job" in result.stderr) == (1, True)


# The history.


AWAY: Final = Unreachable("no route", "look at the network").without_jobs()


@pytest.mark.parametrize("command", ["log", "attach", "jobs"])
def test_no_known_job_of_a_host_that_is_away_is_not_no_job(fleet: Fleet, command: str) -> None:
    session = fleet.sessions["csb0"]
    session.says |= {"newest_job": AWAY, "jobs": AWAY}
    result = fleet.run(command, "csb0")
    assert result.exit_code == 5
    assert "no job is known here, and the host cannot be asked: no route" in result.output
    assert "  → look at the network" in result.output
    assert "has had no job" not in result.output
    session.says |= {"newest_job": None, "jobs": ()}
    result = fleet.run(command, "csb0")
    assert result.exit_code == (0 if command == "jobs" else 1)
    assert "csb0 has had no job" in result.stderr


def test_jobs_are_listed_even_when_one_host_refuses(fleet: Fleet) -> None:
    line = JobLine(job=JOB, at=5, asked_by="root", goal="update", outcome="failed",
                   failed_step="pull", seconds=7)  # fmt: skip
    fleet.sessions["csb0"].says["jobs"] = (line,)
    fleet.sessions["csb1"].says["jobs"] = NeedsPassword("csb1")
    result = fleet.run("jobs")
    assert result.exit_code == 1
    assert result.stdout.split() == [
        "csb0",
        JOB,
        "update",
        "7",
        "s",
        "failed",
        "(pull)",
        "root",
    ]
    assert "csb1: " in result.stderr
    found = msgspec.json.decode(fleet.run("jobs", "csb0", "--json").stdout, type=listing.JobRow)
    assert (found.host, found.job, found.seconds) == ("csb0", JOB, 7)


# Doctor.


def well(**changes: Any) -> Health:
    """A host on which nothing is wrong, except for these changes."""
    return replace(
        Health(
            replace(
                STALE,
                hostname="csb0",
                tools=frozenset({"git", "nix", "nixos-rebuild", "systemctl", "systemd-run"}),
                checkout=replace(STALE.checkout or Checkout("/c", "ok"), upstream="origin/main"),
            ),
            bounds="timeout",
            git="git version 2.47.3",
            root="login",
            home="/home/ops",
        ),
        **changes,
    )


def test_doctor_prints_a_line_a_point_and_what_helps(fleet: Fleet) -> None:
    fleet.sessions["csb0"].says["inspect"] = well(clock=900, greets=True, shell="zsh")
    result = fleet.run("doctor", "csb0")
    assert result.exit_code == 3
    lines = result.stdout.splitlines()
    points = [line for line in lines if not line.startswith(" " * 9)]
    assert lines[0] == f"csb0: 1 of {len(points) - 1} points are wrong"
    assert [line[:50] for line in lines[1:7]] == [
        "  right    host            NixOS 25.11, x86_64, ni",
        "  wrong    clock           900 s ahead of this mac",
        "                           → let the wrong one fol",
        "  note     login-shell     zsh; its start-up print",
        "                           → let its start-up file",
        "  right    path            has git, nix, nixos-reb",
    ]
    assert "  right    checkout        ~/Code/nixcfg, this user's" in lines
    assert fleet.sessions["csb0"].calls[-1] == "inspect"


class StrictPoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    state: Literal["right", "wrong", "unknown", "note"]
    seen: str
    help: str


class StrictDoctor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    host: str
    cause: str
    sentence: str
    help: str
    points: tuple[StrictPoint, ...]


def test_doctor_as_json_is_one_object_a_host(fleet: Fleet) -> None:
    fleet.sessions["csb0"].says["inspect"] = well()
    fleet.sessions["csb1"].says["inspect"] = Unreachable(
        "ssh: connect to host 10.1.2.3 port 22: no route; csb1", "ask ops@csb1 at 10.1.2.3"
    )
    result = fleet.run("doctor", "csb0", "csb1", "--json")
    assert result.exit_code == 5
    here, away = (
        msgspec.json.decode(line, type=StrictDoctor) for line in result.stdout.splitlines()
    )
    assert (here.host, here.cause, here.sentence) == ("csb0", "", "nothing is wrong")
    assert "wrong" not in {point.state for point in here.points}
    assert away == StrictDoctor(
        host="csb1",
        cause="unreachable",
        sentence="ssh: connect to host ‹address› port 22: no route; csb1",
        help="ask ops@csb1 at ‹address›",
        points=(),
    )


@pytest.mark.parametrize(
    ("healths", "code"),
    [
        (({}, {}), 0),
        (({"clock": 900}, {}), 3),
        (({"clock": 900}, None), 3),
        (({}, None), 5),
    ],
)
def test_doctors_exit_code_says_whether_something_is_wrong(
    fleet: Fleet, healths: tuple[dict[str, Any] | None, ...], code: int
) -> None:
    for session, changes in zip(fleet.sessions.values(), healths, strict=True):
        away = Unreachable("no route")
        session.says["inspect"] = away if changes is None else well(**changes)
    assert fleet.run("doctor", "csb0", "csb1").exit_code == code


# Why.


def test_why_says_the_cause_the_evidence_and_the_cure(fleet: Fleet) -> None:
    result = fleet.run("why", "csb0")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "not-restarted: not restarted: 2.2.0 is installed, but 2.1.0 still runs",
        f"  running path   {OLD_PATH}",
        "  expected path  missing",
        "  → nixfleet update csb0 --force",
        "  → restart it",
    ]
    assert fleet.sessions["csb0"].calls == ["probe", "explain None"]


def test_why_as_json_is_one_object_a_host(fleet: Fleet) -> None:
    fleet.sessions["csb0"].says["explain"] = replace(
        WHY, evidence=(("last job said", "https://me:hunter2@h/r"), ("lock", None))
    )
    fleet.sessions["csb1"].says["probe"] = Unreachable("no route", "look")
    result = fleet.run("why", "csb1", "csb0", "--json")
    assert (result.exit_code, "hunter2" in result.output) == (5, False)
    assert [json.loads(line) for line in result.stdout.splitlines()] == [
        {
            "host": "csb0",
            "cause": "not-restarted",
            "sentence": WHY.sentence,
            "evidence": {"last_job_said": "https://‹redacted›@h/r", "lock": None},
            "cure": "nixfleet update csb0 --force",
        },
        {
            "host": "csb1",
            "cause": "unreachable",
            "sentence": "no route",
            "evidence": {},
            "cure": "look",
        },
    ]


@pytest.mark.parametrize("refusal", [NeedsPassword("csb0"), NotAllowed("no sudo")], ids=str)
def test_why_explains_what_it_can_see_without_root(fleet: Fleet, refusal: Exception) -> None:
    facts = replace(STALE, unit=Unit("masked", "inactive"))
    fleet.sessions["csb0"].says |= {"probe": facts, "explain": refusal}
    result = fleet.run("why", "csb0")
    assert (result.exit_code, result.stdout.split(":")[0]) == (0, "unit-masked")


def test_hosts_says_who_is_waited_for(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    answers = asyncio.Event()

    def tell(text: str) -> None:
        told.append(text)
        answers.set()

    async def slow(**_: object) -> Facts:
        await answers.wait()
        return STALE

    monkeypatch.setattr("nixfleet_core.cli.listing.PATIENCE", 0.01)
    monkeypatch.setattr("nixfleet_core.cli.listing.say_waiting", tell)
    monkeypatch.setattr(fleet.sessions["csb1"], "probe", slow)
    assert fleet.run("hosts").exit_code == 0
    assert told[0].endswith("waiting for csb1")
    assert told[-1] == ""


# Words of hosts must not drive the terminal.


def hostile() -> dict[str, Any]:
    """A host whose free texts are all hostile."""
    plan = msgspec.structs.replace(
        PLAN,
        steps=(Step(id="pull", title=EVIL, argv=(EVIL,), run_as="owner", limit=1),),
        warnings=(EVIL,),
    )

    async def follow(_: FakeSession) -> AsyncIterator[JobEvent]:
        yield StepStart(step="pull", at=1, log=0)
        yield Link(up=False, seconds=3, why=EVIL)
        yield Check(check="pull", at=1, ok=False, reason="lock")
        yield StepEnd(step="pull", at=2, status="failed", log=0, rc=1)

    facts = replace(
        STALE,
        os=EVIL,
        running=None,
        installed=Binary(EVIL, EVIL),
        unit=Unit("loaded", EVIL, EVIL, EVIL),
    )
    return {
        "plan": plan,
        "fetch_plan": plan,
        "probe": facts,
        "incoming": (Commit(OLD, EVIL),),
        "follow": follow,
        "verdict": Verdict(
            kind="failed",
            cause="killed",
            sentence=EVIL,
            advice=EVIL,
            before=Snapshot(version=EVIL, store_path=EVIL),
        ),
        "jobs": (JobLine(job=JOB, at=1, asked_by=EVIL, goal=EVIL, outcome=EVIL, failed_step=EVIL),),
    }


@pytest.mark.parametrize(
    "argv",
    [
        ("hosts",),
        ("update", "--yes", "csb0"),
        ("update", "--dry-run", "csb0"),
        ("attach", "csb0"),
        ("jobs", "csb0"),
        ("verify", "csb0"),
        ("why", "csb0"),
        ("cancel", "csb0"),
    ],
    ids=" ".join,
)
def test_foreign_text_is_printed_without_control_characters(
    fleet: Fleet, argv: tuple[str, ...]
) -> None:
    says = hostile()
    says["verify"] = says["verdict"]
    says["explain"] = Diagnosis("current", EVIL, (("journal", EVIL),), EVIL)
    if argv[0] == "cancel":
        says |= {"probe": RUNNING, "cancel": NotAllowed(EVIL)}
    fleet.sessions["csb0"].says |= says
    output = fleet.run(*argv).output
    assert "owned" in output
    assert not set(output) & {"\x1b", "\x07", "\x9b", "\r"}
    assert not any(line.startswith("updated: proven") for line in output.splitlines())


def test_safe_text_keeps_ordinary_text() -> None:
    assert safe("é\t漢 [b]x[/b]") == "é\t漢 [b]x[/b]"
    assert safe("a\x00\n\x1b\x7f\x85\u2028b") == "a������b"


def test_progress_in_words(fleet: Fleet, tmp_path: Path) -> None:
    async def follow(session: FakeSession) -> AsyncIterator[JobEvent]:
        session.files(JOB).text.write_bytes(b"\x1b[1mone\x1b[0m\ntwo\nthree")
        yield LogGrew(size=4, text_size=16)
        yield LogGrew(size=8, text_size=21)
        yield Retry(step="pull", at=1, attempt=2, tries=5, wait=8)
        yield Waiting(reason="switch", at=1, limit=1800)
        yield Waiting(reason="switch", at=1, limit=60, pid=4711, program="rebuild")
        yield Check(check="idle", at=1, ok=True, reason="busy")
        yield Check(check="disk", at=1, ok=True)
        yield Slept(at=1, seconds=1200)
        yield CancelSeen(at=1, deferred=True)

    fleet.sessions["csb0"].says["follow"] = follow
    lines = fleet.run("update", "--yes", "csb0").stdout.splitlines()
    assert lines[1:] == [
        "│ one",
        "│ two",
        "│ three",
        "  retry 2/5 in 8 s",
        "  waiting for another rebuild on this host, at most 30 minutes",
        "  waiting for another rebuild on this host (rebuild, process 4711), at most a minute",
        "  check idle: busy; going on",
        "  the host slept for 20 minutes",
        "  cancelling; it takes effect after the activation",
        "updated: new",
    ]


def test_each_line_names_its_host_when_there_are_several(fleet: Fleet) -> None:
    lines = fleet.run("update", "--yes", "csb0", "csb1").stdout.splitlines()
    assert {line.split()[0] for line in lines} == {"csb0", "csb1"}


class Screen:
    """Keeps the arguments of each call to open the app."""

    def __init__(self) -> None:
        self.asked: list[object] = []
        self.notices: list[str] = []
        self.refreshes: list[float | None] = []
        self.drawn_in: list[str] = []
        self.paints: list[int] = []
        self.columns_shown: list[tuple[str, ...]] = []
        self.opened = Opened(())
        self.look_again: LookAgain | None = None
        self.commands: list[tuple[str, ...]] = []
        self.bound: list[Mapping[str, Keys]] = []

    def open(
        self,
        opened: Opened,
        *,
        ascii_only: bool,
        mouse: bool,
        config: Config,
        look_again: LookAgain,
    ) -> int:
        self.asked.append(([one.host.name for one in opened.sessions], ascii_only, mouse))
        self.refreshes.append(config.refresh)
        self.drawn_in.append(config.theme)
        self.paints.append(config.fps)
        self.columns_shown.append(config.columns)
        self.commands.append(config.on_finish)
        self.bound.append(config.keys)
        self.notices = list(opened.notices)
        self.opened, self.look_again = opened, look_again
        return 7

    def open_demo(self, speed: float, *, ascii_only: bool, mouse: bool, config: Config) -> int:
        self.asked.append((speed, ascii_only, mouse, config.refresh, config.theme, config.fps))
        self.commands.append(config.on_finish)
        self.columns_shown.append(config.columns)
        self.bound.append(config.keys)
        return 8

    def themes(self) -> tuple[str, ...]:
        return ("auto", "dark", "light", "nord")

    def columns(self) -> tuple[str, ...]:
        return ("host", "state", "job")

    def keys(self) -> KeyRules:
        return OneKey()


class OneKey:
    """An app with one key."""

    actions: Mapping[str, Action] = MappingProxyType({"app.go": Action("app.go", "Goes", ("g",))})

    def spelled(self, action: str, keys: Keys) -> Keys:
        if "wrong" in keys:
            raise WrongKeysError(f"{action} cannot have it", "choose another")
        return keys

    def clashes(self, _: Mapping[str, Keys]) -> Iterator[Clash]:
        yield from ()


def test_keys_are_for_the_app_and_config_prints_them(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nixfleet_core.cli.setup.require_terminal", lambda: None)
    fleet.screen = screen = Screen()
    path = "~/.config/nixfleet/config.toml"
    write_config(fleet, '[keys]\napp.go = ["f2", "f3"]\n')
    fleet.run()
    fleet.run("demo")
    assert screen.bound == [{"app.go": ("f2", "f3")}] * 2
    printed = fleet.run("config").stdout
    assert f'# Goes; default: g\napp.go = ["f2", "f3"]  # {path}:2\n' in printed
    write_config(fleet, '[keys]\napp.go = "wrong"\n')
    done = fleet.run("config", "--check")
    assert (done.exit_code, '# Goes\n# app.go = "g"  # default\n' in done.stdout) == (2, True)
    assert done.stderr == f"{path}:2: keys.app.go: app.go cannot have it; choose another\n"
    assert "keys" not in fleet.run("hosts").stderr


def test_nixfleet_without_a_command_opens_the_app(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nixfleet_core.cli.setup.require_terminal", lambda: None)
    fleet.screen = screen = Screen()
    assert fleet.run().exit_code == 7
    write_config(fleet, 'on-finish = ["mine"]')
    options = ("--ascii", "--no-mouse", "--refresh", "off", "--theme", "nord", "--fps", "4")
    assert fleet.run(*options).exit_code == 7
    assert fleet.run("--on-finish", "tell me").exit_code == 7
    assert screen.commands == [(), ("mine",), ("tell", "me")]
    screen.asked.pop()
    assert screen.refreshes == [60.0, None, 60.0]
    assert screen.drawn_in == ["auto", "nord", "auto"]
    assert screen.paints == [60, 4, 60]
    assert screen.asked == [(["csb0", "csb1"], False, True), (["csb0", "csb1"], True, False)]


def test_the_options_of_the_app_stand_before_demo_and_behind_it(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nixfleet_core.cli.setup.require_terminal", lambda: None)
    fleet.screen = screen = Screen()
    write_config(fleet, 'on-finish = ["mine"]')
    assert fleet.run("demo").exit_code == 8
    options = (
        *("--ascii", "--no-mouse", "--refresh", "20", "--theme", "light"),
        *("--fps", "9", "--on-finish", "a b"),
    )
    assert fleet.run(*options, "demo", "--speed", "3").exit_code == 8
    assert fleet.run("demo", "--speed", "3", *options).exit_code == 8
    assert screen.asked == [
        (1.0, False, True, 60.0, "auto", 60),
        *[(3.0, True, False, 20.0, "light", 9)] * 2,
    ]
    assert screen.commands == [(), ("a", "b"), ("a", "b")], "the settings' command is not for them"


@pytest.mark.parametrize(
    ("name", "says"),
    [("norrd", "did you mean 'nord'?"), ("", "themes: auto, dark, light, nord")],
)
def test_a_theme_that_the_app_does_not_have_is_refused(fleet: Fleet, name: str, says: str) -> None:
    fleet.screen = screen = Screen()
    for words in (("--theme", name), ("demo", "--theme", name), ("--theme", name, "hosts")):
        done = fleet.run(*words)
        assert (done.exit_code, f"{name!r} is no theme; {says}" in done.stderr) == (2, True)
    assert screen.asked == []


def test_the_columns_of_the_settings_reach_the_app_and_the_demo(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nixfleet_core.cli.setup.require_terminal", lambda: None)
    fleet.screen = screen = Screen()
    write_config(fleet, 'columns = ["state", "job"]')
    assert (fleet.run().exit_code, fleet.run("demo").exit_code) == (7, 8)
    write_config(fleet, 'columns = ["state", "jop"]')
    done = fleet.run("hosts")
    assert "columns: 'jop' is no column; did you mean 'job'?" in done.stderr
    assert (fleet.run().exit_code, fleet.run("demo").exit_code) == (7, 8)
    assert screen.columns_shown == [("state", "job")] * 2 + [()] * 2, "no wrong name gets there"


def test_paints_that_are_out_of_range_are_refused(fleet: Fleet) -> None:
    fleet.screen = screen = Screen()
    for words in (("--fps", "61"), ("demo", "--fps", "61"), ("--fps", "61", "hosts")):
        done = fleet.run(*words)
        says = "'61' is no number of paints a second; give 1 to 60"
        assert (done.exit_code, says in done.stderr) == (2, True)
    assert screen.asked == []


def test_nixfleet_says_that_the_app_is_missing(fleet: Fleet) -> None:
    for words in ((), ("demo",)):
        done = fleet.run(*words)
        assert done.exit_code == 1
        assert "this installation has no app" in done.stderr


def test_no_password_is_given_at_the_end_of_input() -> None:
    say = (
        "import asyncio; from nixfleet_core.cli.run import ask_for_password\n"
        "from nixfleet_core.errors import NeedsPassword\n"
        "print(asyncio.run(ask_for_password(NeedsPassword('csb0', wrong=False))))\n"
    )
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", say],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        start_new_session=True,
    ) as asked:
        os.close(theirs)
        seen = b""
        while b"password on csb0" not in seen:
            seen += os.read(ours, 65536)
        os.write(ours, b"\x04")
        assert asked.communicate(timeout=60)[0] == b"None\n"
    os.close(ours)
    assert asked.returncode == 0


@pytest.mark.parametrize("words", [(), ("demo",)], ids=["nixfleet", "demo"])
@pytest.mark.parametrize("missing", ["stdin", "stdout", "stderr"])
def test_the_app_says_that_it_needs_a_terminal(
    tmp_path: Path, words: tuple[str, ...], missing: str
) -> None:
    ours, theirs = pty.openpty()
    told, tells = os.pipe()
    other = tells if missing == "stderr" else subprocess.DEVNULL
    streams = [other if name == missing else theirs for name in ("stdin", "stdout", "stderr")]
    app = subprocess.Popen(
        [str(Path(sys.executable).with_name("nixfleet")), *words],
        stdin=streams[0],
        stdout=streams[1],
        stderr=streams[2],
        env=dict(os.environ, HOME=str(tmp_path), TMPDIR=str(tmp_path), TERM="xterm"),
        start_new_session=True,
    )
    for fd in (theirs, tells):
        os.close(fd)
    try:
        assert app.wait(60) == 2
        said = os.read(told if missing == "stderr" else ours, 65536).decode()
    finally:
        app.kill()
        for fd in (ours, told):
            os.close(fd)
    assert said.splitlines() == [
        "Error: the app needs a terminal; the commands do not, see nixfleet --help"
    ]
    assert list(tmp_path.iterdir()) == []


def test_the_commands_do_not_load_the_screen() -> None:
    words = "import sys, nixfleet_core.cli.main; sys.exit('textual' in sys.modules)"
    subprocess.run([sys.executable, "-c", words], check=True)


# Without an inventory.


@pytest.fixture
def remembering(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    """A fleet without an inventory, whose flake cannot be evaluated now."""
    hosts = tuple(
        replace(session.host, remembered=name == "csb1") for name, session in fleet.sessions.items()
    )
    monkeypatch.setattr(sessions, "load_inventory", lambda _: Inventory(hosts=(), path=None))

    async def found(*_: object) -> FoundHosts:
        return FoundHosts(hosts, ("homes are unknown: \x1b]0;x\x07no network",))

    monkeypatch.setattr(sessions, "hosts_without_inventory", found)
    return fleet


def test_hosts_says_which_names_are_only_remembered_and_why(remembering: Fleet) -> None:
    done = remembering.run("hosts")
    assert "homes are unknown: " in done.stderr
    assert "no network" in done.stderr
    assert "\x1b]" not in done.stderr
    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert "ops@csb1 (remembered)" in lines["csb1"]
    assert "remembered" not in lines["csb0"]
    rows = [json.loads(line) for line in remembering.run("hosts", "--json").stdout.splitlines()]
    assert [(row["host"], row["where"], row["remembered"]) for row in rows] == [
        ("csb0", "ops@csb0", False),
        ("csb1", "ops@csb1", True),
    ]


def test_the_app_is_told_why_names_are_unknown(
    remembering: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nixfleet_core.cli.setup.require_terminal", lambda: None)
    remembering.screen = screen = Screen()
    done = remembering.run()
    assert (done.exit_code, "unknown" in done.stderr) == (7, False)
    assert screen.notices == ["homes are unknown: \x1b]0;x\x07no network"]


# No hosts at all.


@pytest.fixture
def bare(real: Fleet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without an agent, a flake and a hosts.toml; that is where the last one would be."""
    facts = replace(CURRENT, unit=None, running=None, installed=None, job_last=None)
    session = FakeSession(this_machine(), tmp_path, probe=facts)
    monkeypatch.setattr(sessions, "open_session", lambda *_: session)
    monkeypatch.setattr("nixfleet_core.cli.setup.require_terminal", lambda: None)
    monkeypatch.setenv("PATH", "/nowhere")
    return tmp_path / ".config/nixfleet/hosts.toml"


def run_bare(*argv: str, screen: object = None) -> Result:
    return CliRunner().invoke(nixfleet, argv, obj=screen)


WITHOUT_HOSTS = [
    *(argv for argv in COMMANDS if argv),
    ("hosts", "--json"),
    ("jobs", "--json"),
    ("verify", "--unproven"),
]


@pytest.mark.parametrize("argv", WITHOUT_HOSTS, ids=" ".join)
def test_every_command_says_where_it_looked_for_hosts(bare: Path, argv: tuple[str, ...]) -> None:
    done = run_bare(*argv)
    assert (done.exit_code, done.stdout) == (2, "")
    searched = Searched(
        bare, has_folder=False, here=this_machine().name, user=login_name(), checkout=""
    )
    words = no_hosts_words(searched)
    why = "no host 'csb0': there are no hosts" if "csb0" in argv else "there are no hosts"
    assert done.stderr.splitlines() == [
        f"Error: {why}",
        *(*words.before_example(), "", *words.example.splitlines(), "", *words.after_example()),
    ]


def test_a_file_without_hosts_says_so_and_what_to_write(bare: Path) -> None:
    bare.parent.mkdir(parents=True)
    bare.write_text("[defaults]\n")
    done = run_bare("hosts")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: ~/.config/nixfleet/hosts.toml: hosts: there is no host;")
    assert f"  {bare}\n    it has no host in it;" in done.stderr
    assert "this machine" not in done.stderr.replace("# this machine", "")
    assert "[hosts.csb0]\n" in done.stderr


def test_a_machine_without_an_agent_can_be_named(bare: Path) -> None:
    name = this_machine().name
    chosen = sessions.sessions_of(Setup(bare, None, load_config({})), Choice((name,)))
    assert [session.host.name for session in chosen] == [name]


def test_the_app_opens_without_hosts_and_looks_again(bare: Path) -> None:
    screen = Screen()
    assert run_bare(screen=screen).exit_code == 7
    assert (screen.opened.sessions, screen.opened.searched) == (
        (),
        Searched(bare, has_folder=False, here=this_machine().name, user=login_name()),
    )
    bare.parent.mkdir(parents=True)
    bare.touch()
    assert run_bare(screen=screen).exit_code == 7, "a file without a host is no mistake"
    assert screen.opened.searched is not None
    assert screen.opened.searched.has_file
    look_again = screen.look_again
    assert look_again is not None
    assert asyncio.run(look_again()).searched == screen.opened.searched
    bare.write_text("[hosts.csb0]\nssh = 1\n")
    with pytest.raises(click.ClickException, match=r"hosts.toml:2: hosts.csb0.ssh: must be text"):
        asyncio.run(look_again())
    bare.write_text("[hosts.csb0]\nssh = 'ops@csb0'\n")
    opened = asyncio.run(look_again())
    assert [session.host.where for session in opened.sessions] == ["ops@csb0"]
    assert opened.searched is None
    bare.unlink()
    again = asyncio.run(look_again())
    assert again.searched == replace(
        screen.opened.searched, has_file=False, here=this_machine().name
    )


def test_nothing_is_printed_while_the_app_looks_again(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    screen = Screen()
    run_bare(screen=screen)
    flake, nix = tmp_path / "Code/nixcfg/flake.nix", tmp_path / "bin/nix"
    for path in (flake, nix):
        path.parent.mkdir(parents=True)
    flake.touch()
    nix.write_text("#!/bin/sh\necho '[\"csb7\"]'\n")
    nix.chmod(0o755)
    monkeypatch.setenv("PATH", f"{nix.parent}:/usr/bin:/bin")
    assert screen.look_again is not None
    opened = asyncio.run(screen.look_again())
    assert [session.host.name for session in opened.sessions] == [this_machine().name, "csb7"]
    assert capfd.readouterr() == ("", "")
    assert "Reading the names" in run_bare(screen=screen).stderr
