"""One host with unusable answers: its row says so, the others stay the same, the app goes on."""

# ruff: noqa: ARG002 - a stand-in has the signatures of its model

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, cast

import pytest
from fakes import CURRENT, JOB, NOT_RESTARTED, NOW, FakeSession, make_host
from hostile import answer
from screen_text import screen_text, settle
from test_path import press

from nixfleet_core.facts.model import Snapshot
from nixfleet_core.job.copies import Copies
from nixfleet_core.job.events import JobStart, Retry, StepStart, Waiting
from nixfleet_core.job.history import JobLine
from nixfleet_core.judge.verdict import Verdict
from nixfleet_core.nix.lock import parse_lock
from nixfleet_core.session.boundary import guard_session
from nixfleet_core.session.shell_session import ShellSession
from nixfleet_core.transport.answer import Answer
from tui.screens.fleet import FleetScreen
from tui.widgets.row_table import RowTable

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import MakeApp
    from nixfleet_core.transport.shell import Shell
    from tui.app import NixFleetApp

pytestmark = pytest.mark.draws_frames  # a fault that breaks the app may show there

LOCK: Final = json.dumps(
    {
        "version": 7,
        "root": "r",
        "nodes": {
            "r": {"inputs": {"nixfleet": "n"}},
            "n": {
                "locked": {"rev": "1" * 40, "lastModified": 1795865000},
                "original": {"type": "git", "url": "https://h/r"},
            },
        },
    }
)
VALUES: Final = {
    "hostname": "bad",
    "platform": "nixos",
    "now": str(NOW),
    "unit.load": "loaded",
    "unit.active": "active",
    "unit.pid": "7",
    "running.path": "/nix/store/x",
    "running.started": str(NOW - 60),
    "installed.path": "/nix/store/x",
    "system.link": "system-1-link",
    "checkout.path": "/c",
    "checkout.state": "ok",
    "checkout.status": f"# branch.oid {'1' * 40}\n# branch.ab +1 -1",
    "checkout.lock": LOCK,
    "job.last": JOB,
}


def look(**values: str) -> bytes:
    """A look with these values; `running_started` stands for the key `running.started`."""
    found = {**VALUES, **{key.replace("_", ".", 1): value for key, value in values.items()}}
    return answer({key: value.encode() for key, value in found.items()})


FOLLOWS: Final = json.dumps(
    {
        "version": 7,
        "root": "r",
        "nodes": {"r": {"inputs": {"nixfleet": ["b"] * 9000, "b": ["c"] * 9000, "c": "r"}}},
    }
)
LOOKS: Final = {
    "noise": b"\xff\x00" * 5000,
    "a NUL byte": look(hostname="h\0x"),
    "a clock in the year 9999": look(now="253402300799"),
    "a start before all others": look(now="4294967295", running_started="0"),
    "a job in the year 1": look(job_last="00010101-000000-ffff"),
    "a job with an impossible date": look(job_last="99999999-999999-ffff"),
    "a commit of another time": look(checkout_lock=LOCK.replace("1795865000", "9" * 300)),
    "a commit before all others": look(checkout_lock=LOCK.replace("1795865000", f"-{'9' * 18}")),
    "numbers without end": look(unit_pid="9" * 400, system_link=f"system-{'9' * 9}-link"),
    "follows without end": look(checkout_lock=FOLLOWS),
    "a nested lock": look(checkout_lock='{"nodes":' * 9000),
}


@dataclass
class Answers:
    """A shell that gives each look the same answer."""

    says: bytes
    root: str = ""
    password: str | None = None

    async def run(self, script: str, *, limit: float, elevate: bool = False) -> Answer:
        return Answer(0, self.says, "")


def rows(app: NixFleetApp) -> dict[str, str]:
    """The lines of the fleet table, by host."""
    lines = re.findall(r"^[^\w\n]*((?:bad|good)\b.*)$", screen_text(app), re.MULTILINE)
    return {line.split()[0]: line for line in lines}


@pytest.mark.parametrize("bad", LOOKS)
async def test_app_survives_any_look_of_a_host(make_app: MakeApp, tmp_path: Path, bad: str) -> None:
    shell = cast("Shell", Answers(LOOKS[bad]))
    session = ShellSession(make_host("bad"), shell, Copies(tmp_path / "copies"))
    good = FakeSession(make_host("good"), tmp_path, probe=CURRENT)
    app = make_app([session, good])  # type: ignore[list-item]
    async with app.run_test(size=(160, 40)) as pilot:
        await settle(pilot)
        found = rows(app)
        assert "current" in found["good"]
        if bad in ("noise", "a NUL byte"):
            assert "error" in found["bad"]
        await press(
            *(pilot, "v", "escape", "enter", "escape", "H", "escape", "d", "end", "y", "escape"),
            *("down", "up", "slash", "g"),
        )
        assert app.is_running
        assert app._exit is False


# Errors of a session's methods.

ERRORS: Final = (
    OverflowError("date value out of range"),
    ValueError("NF_ATTRIBUTE holds a NUL byte"),
    RecursionError("too deep"),
    OSError(28, "No space left on device"),
)
KEYS: Final = {
    "probe": ("R",),
    "examine": ("enter", "escape"),
    "plan": ("enter", "escape"),
    "ways_back": ("b", "escape"),
    "plan_rollback": ("b", "enter", "escape"),
    "incoming": ("enter", "escape"),
    "launch": ("enter", "enter", "escape"),
    "fetch_plan": ("l",),
    "follow": ("enter", "enter"),
    "verdict": ("l",),
    "verify": ("v", "escape"),
    "jobs": ("H", "escape", "d", "escape"),
    "usual": ("enter", "enter"),
}


@pytest.mark.parametrize("guarded", [True, False])
@pytest.mark.parametrize(
    ("method", "error"),
    [
        *(("probe", error) for error in ERRORS),
        # each method raises one of the errors: catching does not depend on the method
        *((method, ERRORS[turn % len(ERRORS)]) for turn, method in enumerate(list(KEYS)[1:])),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
async def test_app_survives_any_error_of_a_session(
    make_app: MakeApp,
    tmp_path: Path,
    faults: list[Exception],
    method: str,
    error: Exception,
    guarded: bool,
) -> None:
    def fail(*_: object, **__: object) -> object:
        raise error

    async def fail_later(*_: object, **__: object) -> object:
        raise error

    class Bad(FakeSession):
        pass

    setattr(Bad, method, fail if method in ("plan", "follow", "usual") else fail_later)
    facts = replace(NOT_RESTARTED, job_last=JOB)
    bad = (guard_session(Bad) if guarded else Bad)(make_host("bad"), tmp_path, probe=facts)
    good = FakeSession(make_host("good"), tmp_path, probe=CURRENT)
    app = make_app([bad, good])
    async with app.run_test(size=(160, 40)) as pilot:
        await settle(pilot)
        await press(pilot, *KEYS[method])
        await bad.say(JobStart(at=NOW), None)
        await settle(pilot)
        assert app.is_running
        assert app._exit is False
        while not isinstance(app.screen, FleetScreen):
            await press(pilot, "escape")
        assert "current" in rows(app)["good"]


async def test_app_shows_a_wait_of_ages(make_app: MakeApp, tmp_path: Path) -> None:
    """The readers refuse such an event; a view that still gets one goes on."""
    bad = FakeSession(make_host("bad"), tmp_path, probe=NOT_RESTARTED)
    good = FakeSession(make_host("good"), tmp_path, probe=CURRENT)
    async with (app := make_app([bad, good])).run_test(size=(160, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "enter", "enter")
        await bad.say(
            JobStart(at=NOW),
            StepStart(step="preflight", at=NOW, log=0),
            Waiting(reason="switch", at=NOW, limit=2**62),
            Retry(step="preflight", at=NOW, attempt=1, tries=2, wait=2**62),
        )
        await settle(pilot)
        assert app.is_running


# Parts that cannot be drawn.


def broken(*_: object, **__: object) -> object:
    raise OverflowError("date value out of range")


@pytest.mark.parametrize(
    ("drawn", "keys"),
    [
        ("tui.screens.fleet._cells", ()),
        ("tui.details._layers", ()),
        ("tui.details.ago", ()),
        ("tui.fleet.assess", ()),
        ("tui.screens.history._cells", ("H",)),
        ("tui.host_facts.recall", ("d",)),
        ("tui.widgets.versions.snapshot_rows", ("enter", "enter")),
        ("tui.widgets.steps.step_sign", ("enter", "enter")),
        ("tui.screens.update.plan_text", ("enter", "enter")),
        ("tui.widgets.verdict_panel.verdict_tone", ("v",)),
    ],
)
async def test_app_shows_an_error_in_place_of_what_it_cannot_draw(
    make_app: MakeApp,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    faults: list[Exception],
    drawn: str,
    keys: tuple[str, ...],
) -> None:
    bad = FakeSession(make_host("bad"), tmp_path, probe=replace(NOT_RESTARTED, job_last=JOB))
    bad.says["jobs"] = (JobLine(JOB, NOW, "root", "update", "done", seconds=5),)
    bad.says["verdict"] = Verdict(kind="failed", sentence="x", before=Snapshot(generation=1))
    good = FakeSession(make_host("good"), tmp_path, probe=CURRENT)
    async with (app := make_app([bad, good])).run_test(size=(160, 40)) as pilot:
        await settle(pilot)
        await press(pilot, *keys)
        monkeypatch.setattr(drawn, broken)
        app.fleet.entries["bad"]._has_changed()
        app.tick()
        app.beat()
        text = await press(pilot, "v") if drawn.endswith("verdict_tone") else ""
        await settle(pilot)
        if drawn.startswith("tui.screens.history"):
            await press(pilot, "R")
        text += screen_text(app)
        assert app.is_running
        assert app._exit is False
        assert "OverflowError" in text or "error" in text
        assert faults


async def test_app_judges_each_look_once(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tui import fleet

    judged: list[object] = []
    real = fleet.assess

    def count(*args: object) -> object:
        judged.append(args)
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(fleet, "assess", count)
    lock = parse_lock(LOCK)
    assert NOT_RESTARTED.checkout is not None
    facts = replace(NOT_RESTARTED, checkout=replace(NOT_RESTARTED.checkout, lock=lock))
    async with (
        app := make_app([FakeSession(make_host("bad"), tmp_path, probe=facts)])
    ).run_test() as pilot:
        await settle(pilot)
        before = len(judged)
        for _ in range(20):
            app.screen.query_one(RowTable)
            app.tick()
            app.beat()
        assert len(judged) == before
