"""The scripts, run on a fake host, do and print what docs/protocol.md shows."""

from __future__ import annotations

import re
import shutil

import msgspec
import pytest
from fake_host import CHECKOUT, JOB, FakeHost, read_frames
from protocol_page import ASKED, EVENTS, FRAMES, LOOK, PAST_JOBS, RESULT, named, names, rows

from nixfleet_core.facts.parse import read_records
from nixfleet_core.job.copies import Asked
from nixfleet_core.scripts.compose import compose, part

OTHER = "20261123-004102-cd34"
NUMBERS = {"NF_RUN_SH": ":", "NF_NICE": "5", "NF_IO_WEIGHT": "50"}
FROM = {"NF_FROM": "192.0.2.1 51000 192.0.2.2 22"}
pytestmark = pytest.mark.parametrize("shell", ["dash"], indirect=True)


def without_times(data: bytes) -> bytes:
    """Without what depends on this machine: its times and users, and ticks by its speed."""
    data = re.sub(rb'\{"event":"tick".*\n', b"", data)
    data = re.sub(rb'"user":"[^"]*"', b'"user":""', data)
    return re.sub(rb'("(?:at|ended|uid)"): *\d+', rb"\1:0", data)


def launch(host: FakeHost, job: str, plan: str) -> None:
    done = host.send(host.script("launch", NF_ID=job, NF_PLAN=plan, **NUMBERS), **FROM)
    assert done.stdout == f"@nf launched {job}\n".encode()


@pytest.fixture
def refused(host: FakeHost) -> FakeHost:
    """A host whose job the preflight refused."""
    host.mask()
    host.run_job()
    return host


def test_a_refused_job_leaves_the_events_and_the_result_of_the_page(refused: FakeHost) -> None:
    assert without_times((refused.job / "events").read_bytes()) == without_times(EVENTS)
    assert without_times((refused.job / "result").read_bytes()) == without_times(RESULT)


def test_the_launcher_writes_the_plan_of_the_page(host: FakeHost) -> None:
    plan = msgspec.json.decode(ASKED, type=Asked).plan
    launch(host, JOB, msgspec.json.encode(plan).decode())
    assert without_times((host.job / "plan.json").read_bytes()) == without_times(ASKED)


def test_the_follower_sends_the_frames_of_the_page(refused: FakeHost) -> None:
    (refused.job / "before").unlink()
    *had, _ = (refused.job / "events").read_bytes().splitlines(keepends=True)
    values = {"NF_ID": JOB, "NF_LOG_AT": "11", "NF_EVENTS_AT": str(len(b"".join(had)))}
    script = compose("follow", root=str(refused.root), values=values, call="follow")
    sent, told = refused.send(script).stdout, FRAMES
    assert [frame.kind for frame in read_frames(sent)] == [f.kind for f in read_frames(told)]
    clock = rb"@(beat|events) \d+"
    assert re.sub(clock, rb"@\1", without_times(sent)) == re.sub(
        clock, rb"@\1", without_times(told)
    )


def test_the_history_is_printed_as_on_the_page(refused: FakeHost) -> None:
    launch(refused, OTHER, "{}")
    (refused.run_state / "current").write_text(f"{OTHER}\n")
    refused.let_live("nixfleet-job.service")
    assert without_times(refused.ask("past_jobs").stdout) == without_times(PAST_JOBS)


def look(host: FakeHost, **values: str) -> bytes:
    return host.ask(
        "probe", **{"NF_CHECKOUT": "", "NF_INPUT": "", "NF_ATTRIBUTE": ""} | values
    ).stdout


def test_a_look_is_printed_as_on_the_page(host: FakeHost) -> None:
    ours = {
        "boot",
        "nix.stamp",
        "now",
        "tools",
        "uid",
        "user",
    }  # these depend on this machine and its user
    seen, told = (
        [(key, value) for key, value in read_records(text).items() if key not in ours]
        for text in (look(host, NF_DEEP=""), LOOK)
    )
    assert seen == told


def test_each_key_is_asked_as_deeply_as_the_page_says(refused: FakeHost) -> None:
    depth = {name: row[1] for row in rows("key") for name in names(row[0])}
    shown: set[str] = set()
    for deep, asked in (("", "always"), ("1", "deep"), ("why", "why")):
        keys = {*read_records(look(refused, NF_CHECKOUT=CHECKOUT, NF_ATTRIBUTE="h", NF_DEEP=deep))}
        assert {depth[key] for key in keys - shown} == {asked}
        shown |= keys
    assert len(shown) > 30


def test_a_job_has_the_files_of_the_page(host: FakeHost) -> None:
    host.on("nix", 'case "$*" in *diff-closures*) echo "a: 1 → 2" ;; *) default "$@" ;; esac')
    host.write_job()
    for wish in ("cancel", "confirm"):
        assert host.ask(wish, NF_ID=JOB).stdout == b"@nf ok\n"
    files = {path.relative_to(host.job).as_posix() for path in host.job.rglob("*")}
    shutil.rmtree(host.job)
    host.run_job()
    files |= {path.name for path in host.job.iterdir()}
    (plist,) = re.findall(r'>"\S+/(job\.plist)"', part("launch"))
    assert {*named("name")} == {*files, plist}
