"""One bad host and one good host: each command gives each host its own answer."""

# ruff: noqa: ARG002 - a stand-in has the signatures of its model; `fleet` is a fixture

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, cast

import pytest
from fake_fleet import Fleet
from fakes import PROVEN, STALE
from hostile import GENERATIONS, HISTORY, JOB, LOCK, PROBE, answer

from nixfleet_core.errors import BadAnswer, ClientFailed
from nixfleet_core.host import Host
from nixfleet_core.job.copies import Copies
from nixfleet_core.session.shell_session import ShellSession
from nixfleet_core.transport.answer import Answer

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

    from nixfleet_core.judge.table_state import Assessment
    from nixfleet_core.transport.shell import Shell

GOOD: Final = {
    "probe": answer({key: value for key, value in PROBE.items() if key != "checkout.head-lock"}),
    "past_jobs": HISTORY,
    "generations": GENERATIONS,
    "incoming": b"",
    "attributes": b"",
    "launch": b"@nf busy %s\n" % JOB.encode(),
}
"""A host's answer to each script; another job is running on it."""


@dataclass
class Answers:
    """A shell that answers each script as the test says."""

    says: dict[str, bytes]
    root: str = ""
    password: str | None = None
    asked: list[str] = field(default_factory=list)

    async def run(self, script: str, *, limit: float, elevate: bool = False) -> Answer:
        call = re.search(r"\{\nnf_platform\n(\S+) </dev/null\nexit\n\}\n$", script)
        assert call is not None
        self.asked.append(call[1])
        more = ("doctor", "probe_whole")  # looks with more records
        looks = "probe" if call[1] in more else call[1]
        return Answer(0, self.says[looks], "")


def session(name: str, folder: Path, **says: bytes) -> ShellSession:
    shell = Answers({**GOOD, **says})
    return ShellSession(Host(name), cast("Shell", shell), Copies(folder))


def look(**values: bytes) -> bytes:
    """A look with these values; `checkout_lock` stands for the key `checkout.lock`."""
    changed = {key.replace("_", ".", 1): value for key, value in values.items()}
    return answer({**PROBE, **changed})


DEEP: Final = b'{"nodes":' * 5000
FOLLOWS: Final = json.dumps(
    {
        "version": 7,
        "root": "r",
        "nodes": {"r": {"inputs": {"nixfleet": ["b"] * 5000, "b": ["c"] * 5000, "c": "r"}}},
    }
).encode()
HUGE_TIME: Final = LOCK.replace(b"1795865000", b"9" * 300)

LOOKS: Final = {
    "silence": b"",
    "noise": b"\xff\x00" * 5000,
    "a flood": b"x" * 9_000_000,
    "cut off": look()[:-40],
    "a NUL byte in the hostname": look(hostname=b"h\0x"),
    "a NUL byte in a path": look(checkout_path=b"/c\0x"),
    "a clock in the year 9999": look(now=b"253402300799"),
    "a clock before all others": look(now=b"0", running_started=b"253402300799"),
    "a job with an impossible date": look(job_last=b"99999999-999999-ffff"),
    "a nested lock": look(checkout_lock=DEEP),
    "a lock of follows": look(checkout_lock=FOLLOWS),
    "a lock of another time": look(checkout_lock=HUGE_TIME),
    "numbers without end": look(unit_pid=b"9" * 400, unit_restarts=b"9" * 15, uid=b"-" * 9),
    "a nested result": look(job_result=b"[" * 5000),
    "records without end": b"nixfleet-probe 1\n" + b"k 0\n\n" * 9,
}
COMMANDS: Final = (
    ("hosts", "--json"),
    ("hosts",),
    ("verify", "bad", "good", "--json"),
    ("why", "bad", "good", "--json"),
    ("why", "bad", "good"),
    ("update", "bad", "good", "--yes", "--force", "--json"),
    ("update", "bad", "good", "--dry-run", "--json"),
    ("update", "bad", "good", "--dry-run"),
    ("jobs", "--json"),
    ("doctor", "bad", "good", "--json"),
    ("doctor", "bad", "good"),
)


def check_both(done: Result, command: tuple[str, ...]) -> dict[str, dict[str, object]]:
    """Check that both hosts have their answers, without a traceback; return the JSON answers."""
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert "Traceback" not in done.output
    if "--json" not in command:
        assert "good" in done.output
        assert "bad" in done.output
        return {}
    lines = [line for line in done.output.splitlines() if line.startswith("{")]
    answers = {found["host"]: found for found in map(json.loads, lines)}
    assert "good" in answers
    return answers


@pytest.mark.parametrize("bad", LOOKS)
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_commands_survive_any_look_of_a_host(
    fleet: Fleet,
    tmp_path: Path,
    command: tuple[str, ...],
    bad: str,
) -> None:
    fleet.sessions.clear()
    fleet.sessions["bad"] = session("bad", tmp_path, probe=LOOKS[bad])  # type: ignore[assignment]
    fleet.sessions["good"] = session("good", tmp_path)  # type: ignore[assignment]
    answers = check_both(fleet.run(*command), command)
    if command[0] == "update" and "--force" in command:
        assert answers["good"]["cause"] == "busy"
        assert "cause" in answers["bad"]


def test_an_unusable_answer_becomes_the_hosts_verdict(
    fleet: Fleet,
    tmp_path: Path,
) -> None:
    look = LOOKS["a NUL byte in the hostname"]
    fleet.sessions["csb0"] = session("csb0", tmp_path, probe=look)  # type: ignore[assignment]
    done = fleet.run("update", "csb0", "--yes", "--force", "--json")
    found = json.loads(done.stdout)
    assert (done.exit_code, found["verdict"], found["cause"]) == (5, "unreachable", "bad-answer")
    found = json.loads(fleet.run("hosts", "csb0", "--json").stdout)
    assert found["state"] == "error"
    assert "'hostname' holds a NUL byte" in found["why"]
    done = fleet.run("update", "csb0", "--dry-run", "--json")
    assert (done.exit_code, json.loads(done.stdout)["refusal"]["check"]) == (5, "bad-answer")


PASTS: Final = {
    "a job with an impossible date": b"@nf job 99999999-999999-ffff\n\n\n@nf running \n",
    "a job of the year 1": b"@nf job 00010101-000000-ffff\n\n\n@nf running \n",
    "a nested plan": b"@nf job %s\n%s\n\n" % (JOB.encode(), b"[" * 9000),
    "times without end": HISTORY.replace(b"1795866", b"9" * 200),
    "jobs without end": b"@nf job 20261123-004101-ab12\n\n\n" * 9000,
    "noise": b"\xff\x00@nf job " * 900,
    "generations without end": GENERATIONS
    + b"".join(b"@nf generation %d /nix/store/x -\n" % number for number in range(5000)),
    "odd generations": b"@nf now - - -\n@nf generation x y z\n@nf generation 1\n@nf back a b\n",
}


@pytest.mark.parametrize("past", PASTS)
@pytest.mark.parametrize(
    "command",
    [
        ("jobs", "--json"),
        ("jobs",),
        ("rollback", "bad", "--yes", "--json"),
    ],
    ids=" ".join,
)
def test_commands_survive_any_history_of_a_host(
    fleet: Fleet,
    tmp_path: Path,
    command: tuple[str, ...],
    past: str,
) -> None:
    fleet.sessions.clear()
    fleet.sessions["bad"] = session("bad", tmp_path, past_jobs=PASTS[past], generations=PASTS[past])  # type: ignore[assignment]
    fleet.sessions["good"] = session("good", tmp_path)  # type: ignore[assignment]
    done = fleet.run(*command)
    assert isinstance(done.exception, SystemExit | None), done.exception
    assert len(done.output.splitlines()) < 200
    if command[0] == "jobs":
        assert "good" in done.output
        assert "99999999" not in done.output


# Errors of a session's methods.

ERRORS: Final = (
    OverflowError("date value out of range"),
    ValueError("NF_ATTRIBUTE holds a NUL byte"),
    RecursionError("too deep"),
    KeyError("x"),
    BadAnswer("odd"),
    ClientFailed("the disk is full"),
    OSError(28, "No space left on device"),
)
METHODS: Final = {
    "probe": COMMANDS,
    "debt": (("debt", "bad", "good", "--json"), ("debt", "bad", "good")),
    "inspect": (("doctor", "bad", "good", "--json"), ("doctor", "bad", "good")),
    "examine": (("update", "bad", "good", "--yes", "--force", "--json"), COMMANDS[7]),
    "plan": (("update", "bad", "good", "--yes", "--force", "--json"), COMMANDS[7]),
    "incoming": (COMMANDS[6],),
    "launch": (("update", "bad", "good", "--yes", "--force", "--json"),),
    "fetch_plan": (("attach", "bad", "--json"),),
    "newest_job": (("attach", "bad", "--json"), ("log", "bad")),
    "jobs": (("jobs", "--json"), ("jobs",)),
    "journal": (("journal", "bad"), ("journal", "bad", "-f")),
    "verify": (("verify", "bad", "good", "--json"),),
    "explain": (("why", "bad", "good", "--json"), ("why", "bad", "good")),
    "verdict": (("update", "bad", "good", "--yes", "--force", "--json"),),
    "cancel": (("cancel", "bad"),),
}


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    ("method", "command"),
    [(method, command) for method, commands in METHODS.items() for command in commands],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_commands_survive_any_error_of_a_session(
    fleet: Fleet,
    faults: list[Exception],
    method: str,
    command: tuple[str, ...],
    error: Exception,
) -> None:
    fleet.sessions.clear()
    running = replace(STALE, job_running=JOB) if method == "cancel" else STALE
    fleet.add("bad", **{"probe": running, method: error})
    fleet.add("good", verify=PROVEN)
    done = fleet.run(*command)
    assert isinstance(done.exception, SystemExit | None), done.exception
    assert "Traceback" not in done.output
    if command[0] in ("update", "verify", "why", "doctor"):
        answers = check_both(done, command)
        judged = command[0] in ("update", "verify") and "--dry-run" not in command
        if judged and "--json" in command:
            assert answers["good"]["verdict"] == "updated"
            assert answers["bad"]["verdict"] == "unreachable"
    if command[0] != "hosts" and (command[0], method) != ("jobs", "probe"):
        # the doctor finds something wrong with the other host
        codes = (3, 5) if command[0] == "doctor" else (1, 5)
        assert done.exit_code in codes, done.output


def test_a_host_that_cannot_be_printed_still_has_its_line(
    fleet: Fleet,
    faults: list[Exception],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from nixfleet_core.cli import listing

    def cells(row: listing.SeenHost, seen: list[Assessment]) -> tuple[str, ...]:
        if row.host.name == "csb0":
            raise OverflowError("date value out of range")
        return real(row, seen)

    real = listing._cells
    monkeypatch.setattr(listing, "_cells", cells)
    lines = fleet.run("hosts").output.splitlines()
    assert re.search(r"csb0 .* error +.*OverflowError", lines[1])
    assert "csb1" in lines[2]
    assert "error" not in lines[2]
