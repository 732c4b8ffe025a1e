"""A host that sleeps: a Mac is kept awake, and no limit counts the sleep."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

import pytest
from fake_host import CHAIN, DARWIN, JOB, UNIT, FakeHost
from test_busy import SWITCH, agent_runs

from nixfleet_core.facts.parse import parse_probe
from nixfleet_core.job.events import Slept, Waiting
from nixfleet_core.scripts.compose import compose

if TYPE_CHECKING:
    from collections.abc import Callable

one_shell = pytest.mark.parametrize("shell", ["dash"], indirect=True)

CAFFEINATE = """
files=$(ls -l /proc/$$/fd)
echo "$files" | sed -n 's/.* [012] -> //p' >"$s/files"
echo "$3" >"$s/awake"
"""
"""Writes down which files it has, and for which process it runs."""

LATER = """case "$*" in
  +%s) echo $(($(/bin/date +%s) + $(cat "$s/later" 2>/dev/null || echo 0))) ;;
  *) exec /bin/date "$@" ;;
esac"""
"""A clock that is ahead by the seconds in a file."""


def until(true: Callable[[], bool]) -> None:
    """Wait until it is true."""
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def put_on_a_mac(host: FakeHost) -> None:
    host.on("uname", DARWIN)
    host.on("caffeinate", CAFFEINATE)


def files(host: FakeHost) -> list[str]:
    until((host.state / "awake").exists)
    return (host.state / "files").read_text().splitlines()


def follow(host: FakeHost) -> subprocess.Popen[bytes]:
    script = host.script("follow", NF_ID=JOB, NF_LOG_AT="0", NF_EVENTS_AT="0")
    started = subprocess.Popen(
        [*host.shell, "-s"],
        env=host.env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert started.stdin is not None
    started.stdin.write(script.encode())
    started.stdin.close()
    return started


def test_a_follower_keeps_a_mac_awake_and_lends_nothing(host: FakeHost) -> None:
    host.run_job()
    put_on_a_mac(host)
    with follow(host) as follower:
        assert follower.stdout is not None
        assert b"@result " in follower.stdout.read()
    assert files(host) == ["/dev/null"] * 3
    assert (host.state / "awake").read_text() == f"{follower.pid}\n"
    assert host.calls("caffeinate") == [f"caffeinate -i -w {follower.pid}"]


@one_shell
def test_only_a_mac_is_kept_awake(host: FakeHost) -> None:
    host.run_job()
    host.on("caffeinate", CAFFEINATE)
    with follow(host) as follower:
        assert follower.stdout is not None
        assert b"@result " in follower.stdout.read()
    assert host.calls("caffeinate") == []


def test_the_guard_keeps_a_mac_awake_while_its_job_runs(host: FakeHost) -> None:
    put_on_a_mac(host)
    host.on("launchctl", ":")
    host.job.mkdir(parents=True)
    until_awake = 'until [ -e "$AWAKE" ]; do :; done; : >"$NF_JOB/result"\n'
    (host.job / "run.sh").write_text(until_awake)
    call = 'export NF_JOB; NF_CARRIER=launchd NF_RUN=/nowhere; nf_enter_guard "$NF_JOB"'
    parts = ("launch", "probe", "preflight", "chain", "levels", "changes", "share_lock", "runner")
    values = {"NF_JOB": str(host.job), "NF_ID": host.job.name}
    script = compose(*parts, root=str(host.root), values=values, call=call)
    done = host.send(script, AWAKE=str(host.state / "awake"))
    assert done.returncode == 0, done.stderr
    assert files(host) == ["/dev/null"] * 3


# --- limits


def test_a_wait_counts_only_the_time_awake(host: FakeHost) -> None:
    """A gap counts as a slow look at most; a clock that is set back takes nothing away."""
    (host.state / "times").write_text(
        "".join(f"{t}\n" for t in (100, 101, 103, 5000, 5001, 40, 41))
    )
    host.on("date", 'sed -n 1p "$s/times"; sed 1d "$s/times" >"$s/rest"; mv "$s/rest" "$s/times"')
    call = """nf_clock_start
for _ in 1 2 3 4 5 6; do nf_clock; echo "$NF_CLOCK_AWAKE $NF_CLOCK_SLEPT"; done"""
    said = host.send(compose(root=str(host.root), call=call)).stdout.decode()
    assert said.splitlines() == ["1 0", "3 0", "13 4887", "14 0", "14 0", "15 0"]


def test_a_host_that_slept_still_waits_for_the_rebuild(host: FakeHost) -> None:
    agent_runs(host, SWITCH, "anything", "switch")
    host.on("date", LATER)
    host.write_job()
    runner = host.start_job()
    until((host.job / "events").exists)
    until(lambda: any(isinstance(event, Waiting) for event in host.events))
    host.set("later", "10000")
    until(lambda: any(isinstance(event, Slept) for event in host.events))
    looks = len(host.calls("systemctl"))
    until(lambda: len(host.calls("systemctl")) > looks + 9)
    host.let_have(UNIT)
    host.set("ps", "")
    said, _ = runner.communicate(timeout=60)
    assert (said, host.steps) == (b"", dict.fromkeys(CHAIN, "ok"))
    (slept,) = (event for event in host.events if isinstance(event, Slept))
    assert 9900 < slept.seconds < 10100
    assert f"this host slept for {slept.seconds} s: time limits do not count them" in host.log


# --- power

BATTERY = """Now drawing from 'Battery Power'
 -InternalBattery-0 (id=4653155)\t34%; discharging; 3:12 remaining present: true"""
LID = """+-o IOPMrootDomain  <class IOPMrootDomain, id 0x1000001af, registered, matched>
    {
      "AppleClamshellCausesSleep" = No
      "AppleClamshellState" = %s
    }
"""


@one_shell
@pytest.mark.parametrize(
    ("power", "lid", "seen"),
    [
        (BATTERY, "Yes", (True, 34, True)),
        (BATTERY, "No", (True, 34, False)),
        (BATTERY.replace("34%; discharging", "(no estimate)"), "No", (True, None, False)),
        (BATTERY.replace("'Battery Power'", "'AC Power'"), "Yes", (False, None, False)),
        ("Now drawing from 'AC Power'", "", (False, None, False)),
        ("", "", (False, None, False)),
    ],
)
def test_a_look_sees_what_a_mac_runs_on(
    host: FakeHost, power: str, lid: str, seen: tuple[bool, int | None, bool]
) -> None:
    host.set("power", power)
    host.set("lid", LID % lid if lid else "")
    host.on("pmset", '[ "$*" = "-g batt" ] && cat "$s/power"')
    host.on("ioreg", '[ "$*" = "-r -k AppleClamshellState -d 4" ] && cat "$s/lid"')
    asked = {"NF_CHECKOUT": "", "NF_INPUT": "nixfleet", "NF_ATTRIBUTE": "", "NF_DEEP": ""}
    facts = parse_probe(host.ask("probe", **asked).stdout)
    assert (facts.on_battery, facts.charge, facts.lid_closed) == seen
