"""The follower with a host that answers as a test says; nothing here waits for a clock."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import shutil
import stat
import tempfile
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast
from unittest.mock import patch

import msgspec
import pytest
from fake_talk import Talk
from hypothesis import given, settings
from hypothesis import strategies as st
from odd_files import ODD

from nixfleet_core.errors import BadAnswer, ClientFailed, NeedsPassword, NoSuchJob, NotAllowed
from nixfleet_core.job.copies import FLOOR, Copies, JobCopy, check_room
from nixfleet_core.job.events import (
    EVENT_LINE_LIMIT,
    CopyHalt,
    Heartbeat,
    JobEnd,
    JobEvent,
    JobStart,
    LineTime,
    Link,
    LogGrew,
    StepPlace,
    Tick,
)
from nixfleet_core.job.frames import GREETING
from nixfleet_core.job.work import BuildNow, BuildTime, BuildTimes, Work
from nixfleet_core.limits import SAID_LIMIT
from nixfleet_core.session import follow, link
from nixfleet_core.session.follow import Follower, TornLine, read_events
from nixfleet_core.session.link import STREAM_ERRORS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nixfleet_core.transport.shell import Shell

JOB = "20261123-004101-ab12"
DONE = b'{"format":1,"outcome":"done","failed":"","rc":0,"ended":9}\n'
EVENTS = b"".join(
    (
        b'{"event":"job-start","at":1}\n',
        b'{"event":"tick","at":2,"log":1}\n',
        b'{"event":"tick","at":3,"log":3}\n',
        b'{"event":"job-end","at":4,"outcome":"done"}\n',
    )
)
TOLD = [JobStart(at=1), Tick(at=2, log=1), Tick(at=3, log=3), JobEnd(at=4, outcome="done")]


def frame(kind: str, at: int, data: bytes) -> bytes:
    return b"@%s %d %d\n%s\n" % (kind.encode(), at, len(data), data)


RESULT = frame("result", 0, DONE)


@dataclass(frozen=True)
class Asked:
    """The follower's request."""

    job: str
    log_at: int
    events_at: int
    elevated: bool


@dataclass
class Host:
    """A shell whose connections are made by `answer`."""

    answer: Callable[[Asked], Talk]
    root: str = "/r"
    asked: list[Asked] = field(default_factory=list)
    processes: list[Talk] = field(default_factory=list)

    async def open(self, script: str, *, elevate: bool = False) -> Talk:
        found = dict(re.findall(r"^(NF_\w+)=(\S*)$", script, re.MULTILINE))
        assert script.startswith("set +vx\nNF_ROOT=/r\n")
        asked = Asked(found["NF_ID"], int(found["NF_LOG_AT"]), int(found["NF_EVENTS_AT"]), elevate)
        self.asked.append(asked)
        self.processes.append(self.answer(asked))
        return self.processes[-1]


def says(*connections: bytes | Talk | Exception) -> Host:
    """A host whose connections give these in turn; the last one is repeated."""
    left = list(connections)

    def answer(_: Asked) -> Talk:
        what = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(what, Exception):
            raise what
        return what if isinstance(what, Talk) else Talk([GREETING + what])

    return Host(answer)


@pytest.fixture
def copy(tmp_path: Path) -> JobCopy:
    copy = Copies(tmp_path).job("csb0", JOB)
    copy.prepare()
    return copy


@pytest.fixture(autouse=True, scope="module")
def _no_pauses() -> Iterator[None]:
    with (
        patch.object(link, "RETRY_DELAYS", (0.0,)),
        patch.object(follow, "CHANGED_DELAY", 0.0),
        patch.object(follow, "HALT_DELAY", 0.0),
    ):
        yield


@pytest.fixture
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy that cannot grow is given up at once."""
    monkeypatch.setattr(follow, "HALT_LIMIT", 0.0)


def follower(host: Host, copy: JobCopy, lost: Callable[[], None] = lambda: None) -> Follower:
    async def drop() -> None:
        lost()

    return Follower(cast("Shell", host), copy, JOB, drop)


async def collect(
    host: Host, copy: JobCopy, lost: Callable[[], None] = lambda: None
) -> list[JobEvent]:
    async with asyncio.timeout(20):
        return [event async for event in follower(host, copy, lost).events()]


def links(events: list[JobEvent]) -> list[str]:
    return [event.why for event in events if isinstance(event, Link)]


# Any link may break at any byte.


def stream(log: bytes, asked: Asked, chunk: int) -> bytes:
    """The output of follow.sh from those offsets on."""
    frames = [GREETING, frame("plan.json", 0, b"{}"), frame("beat", 5, b"%d" % len(log))]
    for kind, data, at in (("log", log, asked.log_at), ("events", EVENTS, asked.events_at)):
        frames += [frame(kind, i, data[i : i + chunk]) for i in range(at, len(data), chunk)]
    return b"".join((*frames, frame("before", 0, b"b"), frame("after", 0, b"a"), RESULT))


@settings(max_examples=50)
@given(
    log=st.binary(max_size=120),
    chunk=st.integers(1, 50),
    cuts=st.lists(st.floats(0, 0.999), max_size=6),
    portion=st.integers(5, 300),
)
def test_broken_links_lose_and_double_no_byte(
    log: bytes, chunk: int, cuts: list[float], portion: int
) -> None:
    left = list(cuts)

    def answer(asked: Asked) -> Talk:
        raw = stream(log, asked, chunk)
        if left:
            raw = raw[: int((len(raw) - 1) * left.pop(0))]  # a part of the result
        return Talk([raw[i : i + portion] for i in range(0, len(raw), portion)])

    with tempfile.TemporaryDirectory() as folder:
        copy = Copies(Path(folder)).job("csb0", JOB)
        host = Host(answer)

        def check() -> None:
            assert log.startswith(copy.files.log.read_bytes())
            assert EVENTS.startswith(copy.files.events.read_bytes())

        events = asyncio.run(collect(host, copy, lost=check))
        assert copy.files.log.read_bytes() == log
        assert copy.files.events.read_bytes() == EVENTS
        assert [event for event in events if event in TOLD] == TOLD
        assert len(host.asked) == len(cuts) + 1
        assert [asked.job for asked in host.asked] == [JOB] * len(host.asked)
        assert len(links(events)) == len(cuts)
        assert (copy.read("before"), copy.read("after"), copy.read("result")) == (b"b", b"a", DONE)
        assert all(process.closed for process in host.processes)


async def test_a_reconnect_asks_from_the_end_of_the_copy(copy: JobCopy) -> None:
    torn = len(EVENTS) - 5
    host = says(
        frame("log", 0, b"abc") + frame("events", 0, EVENTS[:torn]) + b"@log 3 100\ndef",
        frame("log", 6, b"ghi\n") + frame("events", torn, EVENTS[torn:]) + RESULT,
    )
    events = await collect(host, copy)
    assert [(asked.log_at, asked.events_at) for asked in host.asked] == [(0, 0), (6, torn)]
    assert copy.files.log.read_bytes() == b"abcdefghi\n"
    assert [event for event in events if event in TOLD] == TOLD


@pytest.mark.parametrize("events_first", [True, False])
async def test_events_and_log_lines_are_told_in_the_hosts_order(
    copy: JobCopy, events_first: bool
) -> None:
    """A step begins before its first line and ends after its last, for any order of frames."""
    log = b'pulled\n@nix {"action":"start","id":1,"type":104}\nbuilt\n'
    first, second = log.index(b"@nix"), len(log)
    events = b"".join(
        (
            b'{"event":"step-start","at":1,"step":"pull","log":0}\n',
            b'{"event":"step-end","at":2,"step":"pull","status":"ok","log":%d}\n' % first,
            b'{"event":"step-start","at":2,"step":"rebuild","log":%d}\n' % first,
            b'{"event":"step-end","at":3,"step":"rebuild","status":"ok","log":%d}\n' % second,
        )
    )
    frames = [frame("events", 0, events), frame("log", 0, log)]
    told = await collect(
        says(b"".join(frames if events_first else reversed(frames)) + RESULT), copy
    )
    kinds = [type(event).__name__ for event in told if not isinstance(event, StepPlace)]
    if events_first:
        assert kinds[:8] == [
            *("LogGrew", "StepStart", "LogGrew", "StepEnd", "StepStart"),
            *("LogGrew", "Progress", "StepEnd"),
        ]
    assert [kind for kind in kinds if kind.startswith("Step")] == ["StepStart", "StepEnd"] * 2
    assert copy.files.log.read_bytes() == log


async def test_an_event_that_waits_for_missing_bytes_is_told_at_the_end(copy: JobCopy) -> None:
    late = b'{"event":"tick","at":3,"log":99}\n'
    events = await collect(says(frame("events", 0, late) + frame("log", 0, b"x") + RESULT), copy)
    assert Tick(at=3, log=99) in events


async def test_a_later_client_continues_its_copy_and_is_told_everything(copy: JobCopy) -> None:
    said = GREETING + frame("log", 0, b"one\n") + frame("events", 0, EVENTS)
    first = follower(says(Talk([said], hangs=True)), copy)
    async with aclosing(first.events()) as live:
        async for event in live:
            if isinstance(event, JobEnd):
                break
    host = says(frame("log", 4, b"two\n") + RESULT)
    events = await collect(host, copy)
    assert (host.asked[0].log_at, host.asked[0].events_at) == (4, len(EVENTS))
    assert [event for event in events if event in TOLD] == TOLD
    assert copy.files.log.read_bytes() == b"one\ntwo\n"


async def test_lines_of_an_earlier_copy_are_told_with_their_times(copy: JobCopy) -> None:
    copy.files.log.write_bytes(b"one\x07\ntwo\nthree\nfo")  # ends at 5, 9 and 15; cleaned: 4, 8, 14
    ticks = ((2, 5), (3, 9), (4, 17), (5, 99))
    lines = (b'{"event":"tick","at":%d,"log":%d}\n' % tick for tick in ticks)
    copy.files.events.write_bytes(b"".join(lines))
    events = await collect(says(frame("log", 17, b"ur\n") + RESULT), copy)
    times = [event for event in events if isinstance(event, LineTime)]
    assert times == [LineTime(2, 4), LineTime(3, 8), LineTime(4, 14)]
    first = next(event for event in events if isinstance(event, LogGrew))
    assert events.index(times[-1]) < events.index(first)


async def test_steps_are_told_with_their_places_in_the_readable_log(copy: JobCopy) -> None:
    copy.files.log.write_bytes(b"one\x07\ntwo\n")  # ends at 5 and 9; cleaned: 4 and 8
    step = b'{"event":"step-start","step":"%s","at":1,"log":%d}\n'
    copy.files.events.write_bytes(step % (b"stop", 5))
    more = frame("events", len(step % (b"stop", 5)), step % (b"pull", 16))
    events = await collect(says(more + frame("log", 9, b"\x07three\nfour\n") + RESULT), copy)
    places = [event for event in events if isinstance(event, StepPlace)]
    assert places == [StepPlace("stop", 4), StepPlace("pull", 14)]
    assert events.index(places[0]) < events.index(LogGrew(9, 8))


BUILD = b"".join(
    (
        b'@nix {"action":"start","id":1,"type":105,"fields":["/nix/store/git-2.47.drv",""]}\n',
        b'@nix {"action":"result","id":1,"type":104,"fields":["buildPhase"]}\n',
        b'@nix {"action":"result","id":1,"type":101,"fields":["make"]}\n',
        b'@nix {"action":"stop","id":1}\n',
    )
)
"""The log of one build."""
PLACES = [at + 1 for at, byte in enumerate(BUILD) if byte == ord("\n")]
"""Where its lines end."""


def ticks(*times: int) -> bytes:
    """The events of a job whose log had its next line at each of these times."""
    lines = (
        b'{"event":"tick","at":%d,"log":%d}\n' % pair for pair in zip(times, PLACES, strict=False)
    )
    return b"".join((*lines, b'{"event":"job-end","at":999,"outcome":"done"}\n'))


def works(events: list[JobEvent]) -> list[Work]:
    return [event for event in events if isinstance(event, Work)]


def told_builds(events: list[JobEvent]) -> list[BuildTimes]:
    return [event for event in events if isinstance(event, BuildTimes)]


GIT_TIMES = BuildTimes((BuildTime("git-2.47", "git", 40),))


async def test_what_nix_does_is_told_when_it_changes_and_what_it_built_at_the_end(
    copy: JobCopy,
) -> None:
    parts = [frame("log", at, BUILD[at:end]) for at, end in pairwise((0, *PLACES))]
    host = says(frame("events", 0, ticks(100, 110, 120, 140)) + b"".join(parts) + RESULT)
    events = await collect(host, copy)
    now = BuildNow("git-2.47", "git", 100)
    later = msgspec.structs.replace(now, phase="buildPhase")
    assert works(events) == [Work((now,), 1), Work((later,), 1), Work()]
    assert told_builds(events) == [GIT_TIMES]
    assert events[-1] == GIT_TIMES
    assert copy.built() == GIT_TIMES


async def test_a_later_client_is_told_the_same_times_of_builds(copy: JobCopy) -> None:
    said = frame("log", 0, BUILD) + frame("events", 0, ticks(100, 110, 120, 140)) + RESULT
    await collect(says(said), copy)
    for _ in range(2):
        again = await collect(says(NoSuchJob("gone")), copy)
        assert (works(again), told_builds(again)) == ([], [GIT_TIMES])
        assert copy.built() == GIT_TIMES
        (copy.path / "builds.json").unlink()


async def test_a_client_that_comes_meanwhile_is_told_what_runs(copy: JobCopy) -> None:
    copy.files.log.write_bytes(BUILD[: PLACES[1]])
    copy.files.events.write_bytes(ticks(100, 110))
    events = await collect(says(RESULT), copy)
    assert works(events) == [Work((BuildNow("git-2.47", "git", 100, "buildPhase"),), 1)]
    assert told_builds(events) == []


async def test_heartbeats_give_times_to_builds(copy: JobCopy) -> None:
    beats = [frame("beat", at, b"%d" % log) for at, log in ((100, PLACES[0]), (140, len(BUILD)))]
    process = Talk([GREETING, frame("log", 0, BUILD), *beats, RESULT])
    events = await collect(says(process), copy)
    assert told_builds(events) == [GIT_TIMES]


async def test_the_rate_of_a_download_falls_when_only_the_host_is_heard(copy: JobCopy) -> None:
    begun = (
        b'@nix {"action":"start","id":1,"level":4,"parent":0,"text":"","type":101,'
        b'"fields":["https://c.example/x.tar.gz"]}\n'
    )
    done = b'@nix {"action":"result","fields":[2000,9000,0,0],"id":1,"type":105}\n'
    parts = (
        frame("beat", 100, b"0") + frame("log", 0, begun),
        frame("beat", 102, b"%d" % len(begun)) + frame("log", len(begun), done),
        frame("beat", 113, b"%d" % len(begun + done)),
    )
    events = await collect(says(Talk([GREETING, *parts, RESULT])), copy)
    assert [work.rate for work in works(events)] == [None, 0, 1000, 0]


@pytest.mark.parametrize(
    ("log", "events"),
    [
        (BUILD, ticks(100, 100, 100, 100)),
        (BUILD, b""),
        (BUILD[: PLACES[2]], ticks(100, 110, 120)),
        (b"plain\n" * 40, ticks(100, 110, 120, 140)),
    ],
)
async def test_a_job_that_built_nothing_for_a_second_is_told_and_kept_no_times(
    copy: JobCopy, log: bytes, events: bytes
) -> None:
    told = await collect(says(frame("log", 0, log) + frame("events", 0, events) + RESULT), copy)
    assert told_builds(told) == []
    assert not (copy.path / "builds.json").exists()


@pytest.mark.parametrize("what", ODD)
async def test_times_of_builds_that_cannot_be_kept_are_told_all_the_same(
    copy: JobCopy, what: str
) -> None:
    ODD[what](copy.path / "builds.json")
    said = frame("log", 0, BUILD) + frame("events", 0, ticks(100, 110, 120, 140)) + RESULT
    assert told_builds(await collect(says(said), copy)) == [GIT_TIMES]
    assert copy.built() == BuildTimes()


@pytest.mark.parametrize("at", [0, 2, 4, 10**9])
async def test_bytes_that_do_not_continue_the_copy_are_refused(copy: JobCopy, at: int) -> None:
    host = says(frame("log", 0, b"abc"), frame("log", at, b"X"), frame("log", 3, b"d") + RESULT)
    events = await collect(host, copy)
    assert copy.files.log.read_bytes() == b"abcd"
    assert any("do not continue" in why for why in links(events))


async def test_refused_events_are_not_told(copy: JobCopy) -> None:
    host = says(frame("events", 5, EVENTS), frame("events", 0, EVENTS) + RESULT)
    events = await collect(host, copy)
    assert [event for event in events if event in TOLD] == TOLD


@pytest.mark.parametrize(
    "noise",
    [
        b"@log x\n",
        b"@result 0 99999999\n",
        frame("beat", 5, b"x"),
        frame("beat", 5, b""),
        frame("beat", 10**14, b"1"),
    ],
)
async def test_a_malformed_frame_ends_one_connection(copy: JobCopy, noise: bytes) -> None:
    first = Talk([GREETING + frame("log", 0, b"a"), noise])
    host = says(first, frame("log", 1, b"b") + RESULT)
    (why,) = links(await collect(host, copy))
    assert re.search("bad header|too large|an invalid heartbeat", why)
    assert copy.files.log.read_bytes() == b"ab"


async def test_frames_of_an_unknown_kind_are_skipped(copy: JobCopy) -> None:
    await collect(says(frame("news", 0, b"x") + RESULT), copy)
    assert sorted(path.name for path in copy.path.iterdir()) == [
        "events",
        "log",
        "log.txt",
        "result",
    ]


# How it ends.


async def test_the_result_ends_following_and_the_host_is_not_asked_again(copy: JobCopy) -> None:
    host = says(Talk([GREETING + frame("log", 0, b"x\nno newline") + RESULT], hangs=True))
    events = await collect(host, copy)
    assert events[-1] == LogGrew(size=12, text_size=13)
    assert host.processes[0].closed
    text = copy.files.text.read_bytes()
    assert text == b"x\nno newline\n"
    again = says(NoSuchJob("gone"))
    assert (await collect(again, copy))[-1] == events[-1]
    assert again.asked == []
    assert copy.files.text.read_bytes() == text


async def test_following_a_missing_job_is_an_error(copy: JobCopy) -> None:
    with pytest.raises(NoSuchJob, match=JOB):
        await collect(says(frame("gone", 0, b"missing")), copy)
    assert not copy.path.exists()


async def test_the_copy_of_a_job_stays_when_the_host_forgets_it(copy: JobCopy) -> None:
    copy.files.log.write_bytes(b"x\n")
    with pytest.raises(NoSuchJob, match=JOB):
        await collect(says(frame("gone", 0, b"missing")), copy)
    assert copy.files.log.read_bytes() == b"x\n"


async def test_a_job_that_died_with_its_host_is_interrupted(copy: JobCopy) -> None:
    host = says(frame("beat", 77, b"0") + frame("gone", 0, b"interrupted"))
    events = await collect(host, copy)
    assert JobEnd(at=77, outcome="interrupted") in events
    found = copy.result()
    assert found is not None
    assert found.outcome == "interrupted"
    assert links(events) == []


async def test_the_job_of_another_user_is_read_as_root_at_once(copy: JobCopy) -> None:
    host = says(frame("gone", 0, b"denied"), frame("log", 0, b"x"), RESULT)
    events = await collect(host, copy)
    assert [asked.elevated for asked in host.asked] == [False, True, True]
    assert links(events) == ["the connection broke"]


async def test_a_job_that_root_may_not_read_counts_as_missing(copy: JobCopy) -> None:
    with pytest.raises(NoSuchJob):
        await collect(says(frame("gone", 0, b"denied")), copy)


@pytest.mark.parametrize("error", [NeedsPassword("csb0"), NotAllowed("no sudo")])
async def test_the_follower_says_that_it_needs_root(copy: JobCopy, error: Exception) -> None:
    with pytest.raises(type(error)):
        await collect(says(frame("gone", 0, b"denied"), error), copy)


async def test_frames_after_the_result_open_no_new_connection(copy: JobCopy) -> None:
    host = says(frame("log", 0, b"x") + RESULT + frame("changes", 0, b"c"))
    events = await collect(host, copy)
    assert (links(events), len(host.asked)) == ([], 1)
    assert copy.read("changes") == b"c"


# A hostile host.


def test_a_line_is_an_event_up_to_the_limit_and_none_beyond_it() -> None:
    torn = TornLine()
    longest = b"x" * EVENT_LINE_LIMIT
    assert (torn.feed(longest[:-1]), torn.feed(b"x"), torn.feed(b"\n")) == ([], [], [longest])
    assert (torn.feed(longest), torn.feed(b"x"), torn.feed(b"y\nz\n")) == ([], [], [b"z"])


async def test_events_are_read_up_to_the_limit(
    copy: JobCopy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "EVENTS_LIMIT", len(EVENTS))
    events = await collect(
        says(frame("log", 0, b"abc") + frame("events", 0, EVENTS) + RESULT), copy
    )
    assert [event for event in events if event in TOLD] == TOLD


async def test_an_endless_event_line_is_dropped_and_the_next_is_told(copy: JobCopy) -> None:
    endless = b'{"event":"job-start","at":' + b"1" * 300_000
    begin = GREETING + frame("log", 0, b"abc") + b"@events 0 400000\n"
    process = Talk([begin, endless, b"\n" + EVENTS], hangs=True)
    made = follower(says(process), copy)
    told: list[JobEvent] = []
    async with aclosing(made.events()) as live:
        async for event in live:
            told.append(event)
            assert len(made._torn) <= EVENT_LINE_LIMIT
            if isinstance(event, JobEnd):
                break
    assert [event for event in told if event in TOLD] == TOLD
    assert copy.files.events.read_bytes() == endless + b"\n" + EVENTS


async def test_endless_events_end_the_follower(
    copy: JobCopy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "EVENTS_LIMIT", 1000)
    host = says(*(frame("events", at, b"x" * 400) for at in range(0, 2000, 400)))
    with pytest.raises(BadAnswer, match="its events of this job are larger"):
        await collect(host, copy)
    assert copy.files.events.stat().st_size == 800


async def test_the_follower_gives_up_on_a_host_that_sends_only_bad_frames(copy: JobCopy) -> None:
    host = says(b"@log x\n")
    with pytest.raises(BadAnswer, match="cannot be read: a frame with a bad header"):
        await collect(host, copy)
    assert len(host.asked) == STREAM_ERRORS


async def test_the_follower_goes_on_with_a_host_that_errs_now_and_then(copy: JobCopy) -> None:
    beat = GREETING + frame("beat", 5, b"0")
    noise = [Talk([beat, b"@log x\n"]) for _ in range(2 * STREAM_ERRORS)]
    await collect(says(*noise, frame("log", 0, b"x") + RESULT), copy)
    assert copy.files.log.read_bytes() == b"x"


async def test_a_small_file_comes_once_in_a_connection(copy: JobCopy) -> None:
    events = await collect(says(frame("before", 0, b"b") * 2, RESULT), copy)
    assert links(events) == ["the frame 'before' came twice"]


async def test_a_flood_of_heartbeats_is_told_as_one(copy: JobCopy) -> None:
    beats = b"".join(frame("beat", at, b"0") for at in range(1, 2000))
    events = await collect(says(beats + RESULT), copy)
    assert [event for event in events if isinstance(event, Heartbeat)] == [Heartbeat(1999, 0)]


async def test_a_flood_of_one_host_does_not_block_the_others(copy: JobCopy) -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    beats = [frame("beat", 5, b"0")] * 200
    await collect(says(Talk([GREETING, *beats, RESULT])), copy)
    task.cancel()
    assert turns > 200


# This machine's disk.


@pytest.mark.usefixtures("_no_waiting")
async def test_a_copy_stops_before_the_disk_is_full_and_continues_later(
    copy: JobCopy, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = [10 * FLOOR, 10 * FLOOR, 10 * FLOOR, FLOOR - 4096]  # events, a byte, two more, none
    disk = SimpleNamespace(f_frsize=4096, f_blocks=100 * FLOOR // 4096)

    def statvfs(_: object) -> SimpleNamespace:
        blocks = (free.pop(0) if len(free) > 1 else free[0]) // 4096
        return SimpleNamespace(**vars(disk), f_bavail=blocks)

    monkeypatch.setattr("nixfleet_core.job.copies.os.statvfs", statvfs)
    said = frame("events", 0, EVENTS) + frame("log", 0, b"abc") + frame("log", 3, b"def")
    with pytest.raises(ClientFailed, match=r"less than 256 MiB free: .* log stops at 3 bytes"):
        await collect(says(said), copy)
    assert copy.files.log.read_bytes() == b"abc"
    assert copy.read("result") is None
    free[:] = [10 * FLOOR]
    host = says(frame("log", 3, b"def") + RESULT)
    events = await collect(host, copy)
    assert host.asked[0].log_at == 3
    assert copy.files.log.read_bytes() == b"abcdef"
    assert [event for event in events if event in TOLD] == TOLD


def test_a_small_disk_keeps_a_fiftieth_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SimpleNamespace(f_frsize=1024, f_blocks=1_000_000, f_bavail=20_001)
    monkeypatch.setattr("nixfleet_core.job.copies.os.statvfs", lambda _: disk)
    check_room(tmp_path / "log")
    disk.f_bavail = 19_999
    with pytest.raises(ClientFailed, match="the copy of the job's log stops at 0 bytes"):
        check_room(tmp_path / "log")


@pytest.mark.usefixtures("_no_waiting")
@pytest.mark.parametrize("name", ["log", "events"])
async def test_a_failed_write_of_the_copy_is_this_machines_failure(
    copy: JobCopy, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def full(_: int, __: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("nixfleet_core.session.follow.os.write", full)
    host = says(frame(name, 0, b"abc\n") + RESULT)
    with pytest.raises(ClientFailed, match=f"/{name} cannot be written here: No space left"):
        await collect(host, copy)
    assert len(host.asked) == 1


def full_once(monkeypatch: pytest.MonkeyPatch, module: str, call: str, room: int) -> None:
    """The disk takes so many more bytes, then fails once, then has room again."""
    left, real = [room], getattr(os, call)

    def write(fd: int, data: memoryview, *at: int) -> int:
        if not left:
            return int(real(fd, data, *at))
        if not left[0]:
            left.clear()
            raise OSError(errno.ENOSPC, "No space left on device")
        written = int(real(fd, data[: left[0]], *at))
        left[0] -= written
        return written

    monkeypatch.setattr(f"nixfleet_core.{module}.os.{call}", write)


def from_the_offsets(log: bytes) -> Callable[[Asked], Talk]:
    """A host that sends all that the copy lacks."""
    return lambda asked: Talk([stream(log, asked, 5)])


@pytest.mark.parametrize(
    ("module", "call", "room"),
    [("session.follow", "write", room) for room in (0, 1, 3, 40, 60)]
    + [("log.text", "pwrite", room) for room in (0, 2)],
)
async def test_a_copy_goes_on_once_there_is_room_and_nothing_is_lost_or_doubled(
    copy: JobCopy, monkeypatch: pytest.MonkeyPatch, module: str, call: str, room: int
) -> None:
    full_once(monkeypatch, module, call, room)
    log = b"one\ntwo\nthree\n"
    host = Host(from_the_offsets(log))
    events = await collect(host, copy)
    (halt,) = [event for event in events if isinstance(event, CopyHalt)]
    name = "log.txt" if module == "log.text" else "events|log"
    assert re.search(rf"{copy.path}/({name}) cannot be written here: No space left", halt.why)
    assert links(events) == [], "the host was not lost"
    assert [event for event in events if event in TOLD] == TOLD
    assert copy.files.log.read_bytes() == copy.files.text.read_bytes() == log
    assert copy.files.events.read_bytes() == EVENTS
    assert copy.read("result") == DONE


def replace_by_a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("not a folder")


def fill_with_folders(folder: Path) -> None:
    """No file of the job can be written any more."""
    shutil.rmtree(folder)
    folder.symlink_to(folder.name)


@pytest.mark.parametrize("spoil", [shutil.rmtree, replace_by_a_file, fill_with_folders])
@pytest.mark.parametrize("depth", [0, 1, 2])
async def test_a_folder_that_goes_away_is_named_and_comes_back_whole(
    copy: JobCopy, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Path], None], depth: int
) -> None:
    folder = (copy.path, *copy.path.parents)[depth]
    log, half = b"one\ntwo\nthree\n", EVENTS.index(b"\n", 40) + 5

    def answer(asked: Asked) -> Talk:
        if len(host.asked) > 1:
            return Talk([stream(log, asked, 5)])
        first = frame("events", 0, EVENTS[:half]) + frame("log", 0, log[:6])
        return Talk([GREETING + first, frame("log", 6, log[6:])])

    host = Host(answer)
    events: list[JobEvent] = []
    async with asyncio.timeout(20):
        async for event in follower(host, copy).events():
            events.append(event)
            if isinstance(event, LogGrew) and event.size == 6:
                spoil(folder)
            elif isinstance(event, CopyHalt) and not folder.is_dir():
                folder.unlink(missing_ok=True)
    halts = {event.why for event in events if isinstance(event, CopyHalt)}
    assert len(halts) == 1
    assert str(folder) in halts.pop()
    assert links(events) == []
    assert [event for event in events if event in TOLD] == TOLD
    assert copy.files.log.read_bytes() == copy.files.text.read_bytes() == log
    assert copy.files.events.read_bytes() == EVENTS
    assert (copy.read("before"), copy.read("after"), copy.read("result")) == (b"b", b"a", DONE)


@pytest.mark.parametrize(
    "name", ["log", "log.txt", "events", "result", ".result.new", ".before.new"]
)
@pytest.mark.parametrize("what", ODD)
async def test_an_odd_file_in_a_copy_is_named_at_once(copy: JobCopy, name: str, what: str) -> None:
    ODD[what](copy.path / name)
    host = Host(from_the_offsets(b"abc\n"))
    with pytest.raises(ClientFailed) as caught:
        await collect(host, copy)
    assert str(caught.value) == f"{copy.path / name} cannot be read: it is {what}"


async def test_two_clients_of_one_machine_both_see_everything(copy: JobCopy) -> None:
    """Each finds that the other has written to their copy."""
    log = b"one\ntwo\nthree\n"
    told: list[JobEvent] = []
    one = follower(Host(from_the_offsets(log)), copy).events()
    async with asyncio.timeout(20), aclosing(one):
        async for event in one:
            told.append(event)
            if isinstance(event, LogGrew) and event.size == 5:
                other = await collect(Host(from_the_offsets(log[:10])), copy)
                assert isinstance(other[-1], LogGrew)
                assert other[-1].size == 10
                (copy.path / "result").unlink()
    assert [event for event in told if event in TOLD] == TOLD
    assert copy.files.log.read_bytes() == copy.files.text.read_bytes() == log


async def test_events_without_their_place_in_the_log_are_told_of_an_ended_job(
    copy: JobCopy,
) -> None:
    """The host's disk was full: the log is shorter than the events say."""
    copy.write("events", EVENTS)
    copy.write("log", b"a")
    copy.write("result", DONE)
    events = await collect(says(b""), copy)
    assert [event for event in events if event in TOLD] == TOLD


@pytest.mark.usefixtures("_no_waiting")
async def test_a_small_file_that_cannot_be_written_is_no_lost_link(
    copy: JobCopy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr("nixfleet_core.job.copies.write_whole", full)
    with pytest.raises(
        ClientFailed, match=f"{copy.path}/result cannot be written here: Disk quota"
    ):
        await collect(says(RESULT), copy)


@pytest.mark.usefixtures("_no_waiting")
async def test_a_readable_log_that_cannot_be_written_is_mended_later(
    copy: JobCopy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("nixfleet_core.log.text.os.pwrite", full)
        with pytest.raises(ClientFailed, match=r"log\.txt cannot be written here"):
            await collect(says(frame("log", 0, b"abc\n") + RESULT), copy)
    assert copy.files.log.read_bytes() == b"abc\n"
    await collect(says(RESULT), copy)
    assert copy.files.text.read_bytes() == b"abc\n"


# Messages meanwhile.


async def test_the_follower_closes_a_lost_link_and_says_why(copy: JobCopy) -> None:
    dropped: list[bool] = []
    host = says(
        Talk([], stderr="Warning: x\nssh: connect to host h: No route to host\n\n"),
        OSError("no such file: ssh"),
        RESULT,
    )
    events = await collect(host, copy, lambda: dropped.append(True))
    assert links(events) == ["ssh: connect to host h: No route to host", "no such file: ssh"]
    assert len(dropped) == 2


async def test_the_words_of_ssh_on_a_lost_link_are_cut_off(copy: JobCopy) -> None:
    host = says(Talk([], stderr="x" * (SAID_LIMIT + 1)), RESULT)
    assert links(await collect(host, copy)) == ["x" * SAID_LIMIT]


async def test_the_pauses_between_two_tries_grow_until_something_is_heard(
    copy: JobCopy, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def pause(seconds: float) -> None:
        if seconds:
            pauses.append(seconds)
        await sleep(0)

    monkeypatch.setattr(link, "RETRY_DELAYS", (1.0, 2.0, 4.0))
    monkeypatch.setattr("nixfleet_core.session.link.asyncio.sleep", pause)
    silent = [Talk([]) for _ in range(4)]
    await collect(says(*silent, frame("beat", 5, b"0"), RESULT), copy)
    assert pauses == [1.0, 2.0, 4.0, 4.0, 1.0]


async def test_the_follower_shows_silence_and_later_reconnects(copy: JobCopy) -> None:
    now = 0.0

    async def read(process: Talk, seconds: float) -> bytes | None:
        nonlocal now
        if not process.says:
            now += seconds
            return None
        return await process.read()

    host = says(Talk([GREETING + frame("beat", 5, b"0")], hangs=True), RESULT)
    clock = SimpleNamespace(monotonic=lambda: now)
    with patch.object(link, "_read", read), patch.object(link, "time", clock):
        events = await collect(host, copy)
    assert Heartbeat(at=5, log=0) in events
    quiet = [
        event.seconds for event in events if isinstance(event, Link) and event.why == "no answer"
    ]
    assert quiet == list(range(int(link.QUIET), int(link.SILENT)))
    assert links(events)[-1] == f"no answer for {link.SILENT:.0f} s"
    assert len(host.asked) == 2


async def test_only_the_owner_can_read_the_copy(copy: JobCopy) -> None:
    await collect(says(frame("log", 0, b"x") + frame("events", 0, EVENTS) + RESULT), copy)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in copy.path.iterdir()}
    assert set(modes) == {"log", "log.txt", "events", "result"}
    assert set(modes.values()) == {0o600}


async def test_a_listener_that_stops_closes_the_connection(copy: JobCopy) -> None:
    host = says(Talk([GREETING + frame("log", 0, b"x")], hangs=True))
    async with aclosing(follower(host, copy).events()) as live:
        async for event in live:
            if event == LogGrew(size=1, text_size=0):
                break
    assert host.processes[0].closed


async def test_a_cancelled_listener_closes_the_connection(copy: JobCopy) -> None:
    heard = asyncio.Event()
    host = says(Talk([GREETING + frame("log", 0, b"x")], hangs=True))

    async def listen() -> None:
        async for event in follower(host, copy).events():
            if event == LogGrew(size=1, text_size=0):
                heard.set()

    task = asyncio.create_task(listen())
    await heard.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert host.processes[0].closed


def test_a_torn_last_event_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "events"
    assert read_events(path) == []
    path.write_bytes(EVENTS[:-1])
    assert read_events(path) == TOLD[:-1]
    path.write_bytes(b"noise\n" + EVENTS)
    assert read_events(path) == TOLD
