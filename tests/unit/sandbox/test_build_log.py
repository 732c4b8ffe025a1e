from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from nixfleet_core.sandbox import store
from nixfleet_core.sandbox.machine import Machine
from nixfleet_core.sandbox.store import Agent, System, store_name
from nixfleet_core.sandbox.tools import build
from nixfleet_core.sandbox.tools.build import build_system, read_events
from nixfleet_core.sandbox.tools.nix_log import BUILD, BUILDS, LOG_LINE, PROGRESS, Log

SYSTEM = System("csb0", Agent("3.1.4", "source"), "configuration")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path / "hosts/csb0")
    (machine.root / "nix/store").mkdir(parents=True)
    (tmp_path / "speed").write_text("1e9")
    return machine


def built(machine: Machine, capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    build_system(machine, SYSTEM, Log(as_json=True))
    lines = capsys.readouterr().err.splitlines()
    assert all(line.startswith("@nix ") for line in lines)
    return [json.loads(line.removeprefix("@nix ")) for line in lines]


def test_the_log_lasts_as_long_as_a_host_is_quick(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept = [0.0]
    clock = SimpleNamespace(
        monotonic=lambda: sum(slept), sleep=lambda seconds: slept.append(seconds)
    )
    monkeypatch.setattr(build, "time", clock)
    (machine.fleet / "speed").write_text("2")
    build_system(machine, SYSTEM, Log(as_json=True))
    assert 3.9 < sum(slept) < 4.0
    assert max(slept) < 0.02


def test_every_activity_that_starts_stops(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    records = built(machine, capsys)
    started = [r["id"] for r in records if r["action"] == "start"]
    stopped = [r["id"] for r in records if r["action"] == "stop"]
    assert len(started) == len(set(started))
    assert sorted(started, key=str) == sorted(stopped, key=str)


def test_all_builds_are_announced_built_and_counted(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    found = built(machine, capsys)
    count = next(r["id"] for r in found if r["action"] == "start" and r["type"] == BUILDS)
    built_ones = [r for r in found if r["action"] == "start" and r["type"] == BUILD]
    done = [
        cast("list[int]", r["fields"])
        for r in found
        if r["action"] == "result" and r["id"] == count and r["type"] == PROGRESS
    ]
    assert len(built_ones) == 41
    assert any(r.get("msg") == "these 41 derivations will be built:" for r in found)
    assert done == sorted(done, key=lambda fields: fields[0])
    assert done[-1] == [41, 41, 0, 0]
    assert max(running for _, _, running, _ in done) == 4
    assert store.has(machine, SYSTEM.name)


def test_log_lines_belong_to_a_build_that_runs(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    running: set[object] = set()
    lines = 0
    for r in built(machine, capsys):
        if r["action"] == "start" and r["type"] == BUILD:
            running.add(r["id"])
        elif r["action"] == "stop":
            running.discard(r["id"])
        elif r["action"] == "result" and r["type"] == LOG_LINE:
            assert r["id"] in running
            lines += 1
    assert lines > 1200


def test_the_agent_is_built_before_its_unit_and_the_system_last() -> None:
    events = read_events(SYSTEM, with_agent=True)
    ends = [name for name, what, _ in events if what == "stop"]
    assert ends.index("nixfleet-agent-3.1.4") < ends.index("unit-nixfleet-agent.service")
    assert ends[-1] == "nixos-system-csb0-26.05.20260718.61b7c44"
    texts = [str(more) for _, what, more in events if what == "log"]
    assert any(f"/nix/store/{SYSTEM.agent.name}/bin" in text for text in texts)
    assert not [text for text in texts if "HASH" in text or "VERSION" in text]


def test_the_agent_is_not_built_when_it_is_there() -> None:
    names = {name for name, _, _ in read_events(SYSTEM, with_agent=False)}
    assert not [name for name in names if name.startswith("nixfleet-agent")]
    assert SYSTEM.name[33:] in names


def test_the_record_is_a_small_text() -> None:
    assert build.RECORD.stat().st_size < 80_000


def test_a_store_name_follows_its_inputs_and_nothing_else() -> None:
    name = store_name("nixfleet-agent-2.2.0", "tree")
    assert name == store_name("nixfleet-agent-2.2.0", "tree")
    assert name != store_name("nixfleet-agent-2.2.0", "another tree")
    assert set(name[:32]) <= set("0123456789abcdfghijklmnpqrsvwxyz")
    assert name[32:] == "-nixfleet-agent-2.2.0"
