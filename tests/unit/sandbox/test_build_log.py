from __future__ import annotations

import json

from nixfleet_core.sandbox.store import Agent, System, store_name
from nixfleet_core.sandbox.tools.build_log import build_log, builds_of
from nixfleet_core.sandbox.tools.nix_log import BUILD, BUILDS, LOG_LINE, PROGRESS

SYSTEM = System("csb0", Agent("2.2.0", "source"), "configuration")


def records() -> list[dict[str, object]]:
    builds = builds_of(SYSTEM, with_agent=True)
    lines = [line.json for line in build_log(builds, 8.0)]
    assert all(line.startswith("@nix ") and line.endswith("\n") for line in lines)
    return [json.loads(line.removeprefix("@nix ")) for line in lines]


def test_the_log_lasts_as_long_as_asked_and_is_in_order() -> None:
    times = [line.at for line in build_log(builds_of(SYSTEM, with_agent=True), 8.0)]
    assert times == sorted(times)
    assert times[0] == 0.0
    assert round(times[-1], 6) == 8.0


def test_every_activity_that_starts_stops() -> None:
    started = [r["id"] for r in records() if r["action"] == "start"]
    stopped = [r["id"] for r in records() if r["action"] == "stop"]
    assert len(started) == len(set(started))
    assert sorted(started, key=str) == sorted(stopped, key=str)


def test_all_builds_are_announced_built_and_counted() -> None:
    found = records()
    count = next(r["id"] for r in found if r["action"] == "start" and r["type"] == BUILDS)
    built = [r for r in found if r["action"] == "start" and r["type"] == BUILD]
    done = [
        r["fields"]
        for r in found
        if r["action"] == "result" and r["id"] == count and r["type"] == PROGRESS
    ]
    assert len(built) == 47
    assert any(r.get("msg") == "these 47 derivations will be built:" for r in found)
    assert done == sorted(done, key=lambda fields: fields[0])  # type: ignore[index]
    assert done[-1] == [47, 47, 0, 0]


def test_log_lines_belong_to_a_build_that_runs() -> None:
    running: set[object] = set()
    lines = 0
    for r in records():
        if r["action"] == "start" and r["type"] == BUILD:
            running.add(r["id"])
        elif r["action"] == "stop":
            running.discard(r["id"])
        elif r["action"] == "result" and r["type"] == LOG_LINE:
            assert r["id"] in running
            lines += 1
    assert lines > 1500


def test_the_agent_is_not_built_when_it_is_there() -> None:
    names = [build.name for build in builds_of(SYSTEM, with_agent=False)]
    assert SYSTEM.agent.name not in names
    assert names[-1] == SYSTEM.name


def test_a_store_name_follows_its_inputs_and_nothing_else() -> None:
    name = store_name("nixfleet-agent-2.2.0", "tree")
    assert name == store_name("nixfleet-agent-2.2.0", "tree")
    assert name != store_name("nixfleet-agent-2.2.0", "another tree")
    assert set(name[:32]) <= set("0123456789abcdfghijklmnpqrsvwxyz")
    assert name[32:] == "-nixfleet-agent-2.2.0"
