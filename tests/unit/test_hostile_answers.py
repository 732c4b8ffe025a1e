"""For any bytes of a host, a reader gives what it documents, in time and memory that grow no
faster than the bytes."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec
import pytest
from hostile import (
    ASKED,
    CHANGES,
    DEBT,
    EVENTS,
    GENERATIONS,
    HISTORY,
    LOCK,
    NIX_LOG,
    PIECES,
    PROBE,
    RESULT,
    STATUS,
    STREAM,
    answer,
    changed,
    least_seconds,
    most_bytes,
    records,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from nixfleet_core.facts.generations import read_generations
from nixfleet_core.facts.health import parse_health
from nixfleet_core.facts.model import Facts
from nixfleet_core.facts.old_units import read_old_units
from nixfleet_core.facts.package_changes import change_text, parse_changes
from nixfleet_core.facts.parse import ProbeError, parse_probe
from nixfleet_core.host import Host
from nixfleet_core.job.compile import compile_plan
from nixfleet_core.job.copies import read_asked, read_result
from nixfleet_core.job.durations import PastJob, usual_durations
from nixfleet_core.job.events import EVENT_LINE_LIMIT, read_event
from nixfleet_core.job.frames import GREETING, FrameError, FrameReader
from nixfleet_core.job.history import job_line, read_history
from nixfleet_core.job.progress import JobState
from nixfleet_core.job.work import WorkClock
from nixfleet_core.judge.causes import expectation
from nixfleet_core.judge.checkup import check_up
from nixfleet_core.judge.debt import (
    apart_words,
    debt_notes,
    debt_sentence,
    old_and_new,
    restart_debt,
)
from nixfleet_core.judge.diagnosis import diagnose
from nixfleet_core.judge.table_state import assess
from nixfleet_core.judge.verdict import judge, snapshot
from nixfleet_core.judge.ways_back import WayBack, ways_back
from nixfleet_core.limits import TEXT_LIMIT
from nixfleet_core.log.failures import find_failure
from nixfleet_core.log.text import TextDecoder
from nixfleet_core.nix.lock import LockError, parse_lock
from nixfleet_core.nix.log_lines import NixLogDecoder
from nixfleet_core.nix.version import parse_version
from nixfleet_core.plan.model import Options, Plan
from nixfleet_core.plan.rules import make_plan, make_rollback_plan
from nixfleet_core.session.follow import TornLine

if TYPE_CHECKING:
    from collections.abc import Callable

HOST: Final = Host("csb0")
JOB: Final = "20261123-004101-ab12"
NEW: Final = "2" * 40


def read_probe(data: bytes) -> None:
    """Read the answer, and do all that the program does with facts."""
    with suppress(ProbeError):
        use_facts(parse_probe(data))
        msgspec.json.encode(check_up(HOST, parse_health(data, 1795866000, 1795866009)))


def read_ways(data: bytes) -> None:
    ways = ways_back(read_generations(data))
    for way in ways.options:
        plan = make_rollback_plan(HOST, parse_probe(answer(PROBE)), way, way.lock_from, Options())
        msgspec.json.encode((plan, way.words, way.sentence))


TO: Final = WayBack(system="/nix/store/z", profile="/nix/store/z")


def use_facts(facts: Facts) -> None:
    for latest in (None, NEW):
        expect = expectation(HOST, facts, latest)
        found = assess(facts, latest, HOST)
        diagnosis = diagnose(facts, expect)
        verdict = judge(facts, facts, expect, None)
        msgspec.json.encode((found.why, diagnosis.evidence, verdict, snapshot(facts, "nixfleet")))
    for options in (Options(), Options(level=6, force=True, commit_lock=True, push=True)):
        for plan in (
            make_plan(HOST, facts, options, NEW),
            make_rollback_plan(HOST, facts, TO, JOB, options),
        ):
            if isinstance(plan, Plan):
                msgspec.json.encode(plan)
                compile_plan(plan, JOB).encode()


def read_lock(data: bytes) -> None:
    with suppress(LockError):
        lock, other = parse_lock(data), parse_lock(LOCK)
        for name in lock.names():
            lock.find(name)
        lock.differs_only_in("nixfleet", other)
        other.differing_inputs(lock)


def read_events(data: bytes) -> None:
    """Read the events, and fold them as every view does."""
    torn, events = TornLine(), []
    for at in range(0, len(data), 97):
        events += [event for line in torn.feed(data[at : at + 97]) if (event := read_event(line))]
        assert len(torn) <= EVENT_LINE_LIMIT
    state = JobState(steps=())
    for event in events:
        state = state.after(event)
    usual_durations([PastJob((), events)] * 2, ())
    assert 0 <= state.fraction <= 1


def read_plan(data: bytes) -> None:
    """Read plan.json, and show the known part of the job."""
    asked = read_asked(data)
    state = JobState.of(asked.plan) if asked else JobState(steps=())
    for line in EVENTS.splitlines():
        event = read_event(line)
        assert event is not None
        state = state.after(event)
    assert 0 <= state.fraction <= 1
    job_line(JOB, asked=asked, result=None, running=False)


def read_end(data: bytes) -> None:
    job_line(JOB, asked=None, result=read_result(data), running=False)


def read_frames(data: bytes) -> None:
    reader = FrameReader()
    with suppress(FrameError):
        for at in range(0, len(data), 61):
            reader.feed(data[at : at + 61])


def read_jobs(data: bytes) -> None:
    for one in read_history(data).jobs:
        job_line(one.job, asked=one.asked, result=one.result, running=False)


def read_log(data: bytes) -> None:
    decoder = TextDecoder()
    for at in range(0, len(data), 4099):
        decoder.feed(data[at : at + 4099])
    decoder.finish()
    if (progress := decoder.progress) is not None and progress.expected:
        min(1.0, progress.done / progress.expected)


def read_nix_log(data: bytes) -> None:
    decoder, clock = NixLogDecoder(), WorkClock()
    for line in data.split(b"\n"):
        decoder.feed(line)
        msgspec.json.encode(clock.now(decoder.running))
        if (progress := decoder.progress) is not None and progress.expected:
            min(1.0, progress.done / progress.expected)


def read_changes(data: bytes) -> None:
    for change in parse_changes(data):
        change_text(change)


def read_debt(data: bytes) -> None:
    debt = restart_debt(read_old_units(data.decode("utf-8", "replace")))
    assert all(old_and_new(one) for one in debt.units)
    assert all(old_and_new(part) for part in debt.boot)
    assert debt_sentence(debt)
    msgspec.json.encode((debt, debt_notes(debt), apart_words(debt.apart)))


def read_status(data: bytes) -> None:
    read_probe(answer({**PROBE, "checkout.status": data}))


def read_failure(data: bytes) -> None:
    find_failure(data.decode("utf-8", "replace").splitlines())


def read_nix_version(data: bytes) -> None:
    parse_version(data.decode("utf-8", "replace"))


READERS: Final[dict[str, tuple[Callable[[bytes], None], bytes]]] = {
    "probe": (read_probe, answer(PROBE)),
    "lock": (read_lock, LOCK),
    "events": (read_events, EVENTS),
    "plan": (read_plan, ASKED),
    "result": (read_end, RESULT),
    "frames": (read_frames, STREAM),
    "history": (read_jobs, HISTORY),
    "generations": (read_ways, GENERATIONS),
    "log": (read_log, NIX_LOG),
    "nix-log": (read_nix_log, NIX_LOG),
    "changes": (read_changes, CHANGES),
    "debt": (read_debt, DEBT),
    "status": (read_status, STATUS),
    "failure": (read_failure, b"error: unable to download 'https://x': HTTP error 404\n" * 9),
    "nix-version": (read_nix_version, b"nix (Nix) 2.31.2\n"),
}
"""Each reader catches the errors that it documents, and no others."""


@pytest.mark.parametrize("reader", READERS)
@settings(max_examples=60)
@given(data=st.data())
def test_each_reader_survives_any_answer(reader: str, data: st.DataObject) -> None:
    read, sample = READERS[reader]
    read(sample)
    read(data.draw(changed(sample) | st.binary(max_size=200)))


@settings(max_examples=100)
@given(records())
def test_judgement_survives_any_values_of_a_look(data: bytes) -> None:
    read_probe(data)


@pytest.mark.parametrize("key", PROBE)
def test_judgement_survives_each_hostile_value_of_each_key(key: str) -> None:
    for piece in PIECES:
        read_probe(answer({**PROBE, key: piece}))


@pytest.mark.parametrize("number", [10**300, -(10**300), 2**64, "x", None, [1], 1.5])
def test_counts_out_of_bounds_are_no_progress(number: object) -> None:
    decoder = NixLogDecoder()
    decoder.feed(b'@nix {"action":"start","id":1,"type":104}')
    fields = json.dumps([number, 3, number, 0]).encode()
    decoder.feed(b'@nix {"action":"result","id":1,"type":105,"fields":%s}' % fields)
    progress = decoder.progress
    assert progress is not None
    assert (progress.done, progress.expected) == (0, 0)


def test_a_build_log_line_brings_its_prefix_once() -> None:
    """Even if the host puts many newlines into one line of Nix."""
    decoder = NixLogDecoder()
    name = b"a" * 200
    drv = b"/nix/store/" + b"0" * 32 + b"-" + name + b".drv"
    decoder.feed(b'@nix {"action":"start","id":1,"type":105,"fields":["%s"]}' % drv)
    line = b'@nix {"action":"result","id":1,"type":101,"fields":["%s"]}' % (b"x\\n" * 1000)
    assert sum(map(len, decoder.feed(line))) < 2 * len(line)


def test_a_value_with_a_nul_byte_is_an_error() -> None:
    with pytest.raises(ProbeError, match="'hostname' holds a NUL byte"):
        parse_probe(answer({**PROBE, "hostname": b"h\0x"}))


@pytest.mark.parametrize("key", ["now", "running.started", "installed.at"])
def test_a_clock_out_of_bounds_is_not_believed(key: str) -> None:
    facts = parse_probe(answer({**PROBE, key: b"253402300799"}))
    assert facts.running is not None
    assert {"now": facts.now, "installed.at": facts.installed_at}.get(
        key, facts.running.started
    ) in (0, None)


def test_texts_and_numbers_of_a_look_are_bounded() -> None:
    long = b"x" * 100_000
    facts = parse_probe(
        answer({**PROBE, "hostname": long, "os": long, "unit.sub": long, "unit.pid": b"9" * 15})
    )
    assert facts.unit is not None
    assert max(len(facts.hostname), len(facts.os), len(facts.unit.sub)) <= TEXT_LIMIT
    assert facts.unit.pid == 0


def test_a_look_has_no_more_records_than_there_are_kinds() -> None:
    with pytest.raises(ProbeError, match="more than 500 records"):
        parse_probe(answer({f"k{number}": b"" for number in range(1000)}))


@pytest.mark.parametrize(
    "line",
    [
        b'{"event":"waiting","at":1,"reason":"switch","limit":4611686018427387904}',
        b'{"event":"retry","at":1,"step":"pull","attempt":1,"tries":2,"wait":4611686018427387904}',
        b'{"event":"job-start","at":253402300799}',
    ],
)
def test_events_with_times_out_of_bounds_are_left_out(line: bytes) -> None:
    assert read_event(line) is None


# Time and memory.


def repeat(piece: bytes, begin: bytes = b"") -> Callable[[int], bytes]:
    return lambda size: begin + piece * (size // len(piece))


def lock_of(nodes: dict[str, object]) -> bytes:
    return json.dumps({"version": 7, "root": "r", "nodes": nodes}).encode()


def long_follows(size: int) -> bytes:
    """Each step of one path follows a second path of the same length."""
    count = size // 12
    return lock_of({"r": {"inputs": {"a": ["b"] * count, "b": ["c"] * count, "c": "r"}}})


def many_inputs(size: int) -> bytes:
    """Every input leads to the same long chain of nodes."""
    count = size // 60
    chain = {f"n{at}": {"inputs": {"n": f"n{at + 1}"}} for at in range(count)}
    return lock_of({"r": {"inputs": {f"i{at}": "n0" for at in range(count)}}, **chain})


def doubled_inputs(size: int) -> bytes:
    """Each node leads to the next one twice: as a tree it has 2**count nodes."""
    count = size // 60
    nodes = {f"n{at}": {"inputs": dict.fromkeys("lr", f"n{at + 1}")} for at in range(count)}
    return lock_of({"r": {"inputs": {"i": "n0"}}, **nodes})


def one_circle(size: int) -> bytes:
    count = size // 60
    nodes = {f"n{at}": {"inputs": {"n": f"n{(at + 1) % count}"}} for at in range(count)}
    return lock_of({"r": {"inputs": {f"i{at}": f"n{at}" for at in range(9)}}, **nodes})


def compare_locks(data: bytes) -> None:
    parse_lock(data).differing_inputs(parse_lock(data.replace(b'"n9"', b'"n8"')))


def find_input(data: bytes) -> None:
    parse_lock(data).find("a")


def read_one_message(data: bytes) -> None:
    NixLogDecoder().feed(data)


def message(piece: str, start: str = "") -> Callable[[int], bytes]:
    """One message of Nix that repeats these words."""

    def make(size: int) -> bytes:
        text = start + piece * (size // len(piece))
        return b"@nix " + json.dumps({"action": "msg", "level": 3, "msg": text}).encode()

    return make


def one_event_line(data: bytes) -> None:
    torn = TornLine()
    for at in range(0, len(data), 8):
        torn.feed(data[at : at + 8])


FLOODS: Final[dict[str, tuple[Callable[[bytes], None], Callable[[int], bytes]]]] = {
    "lock, follows": (find_input, long_follows),
    "lock, inputs": (compare_locks, many_inputs),
    "lock, shared": (compare_locks, doubled_inputs),
    "lock, circle": (compare_locks, one_circle),
    "lock, nested": (read_lock, repeat(b'{"nodes":{"a":')),
    "events without a newline": (one_event_line, repeat(b"x")),
    "events of checks": (
        read_events,
        repeat(b'{"event":"check","at":1,"check":"a","ok":false}\n'),
    ),
    "probe, records": (read_probe, repeat(b"a 0\n\n", b"nixfleet-probe 1\n")),
    "probe, no end": (read_probe, repeat(b"x", b"nixfleet-probe 1\n")),
    "status": (read_status, repeat(b"? a\n")),
    "frames, preface": (read_frames, repeat(b"nixfleet-follow 2\n")),
    "frames, empty": (read_frames, repeat(b"@log 0 0\n\n", GREETING)),
    "frames, beats": (read_frames, repeat(b"@beat 1 1\n1\n", GREETING)),
    "frames, one": (read_frames, repeat(b"x", GREETING + b"@before 0 8000000\n")),
    "history": (read_jobs, repeat(b"@nf job 20261123-004101-ab12\n{}\n{}\n\n")),
    "history, one line": (read_jobs, repeat(b"[", b"@nf job 20261123-004101-ab12\n")),
    "plan, nested": (read_plan, repeat(b'{"plan":')),
    "plan, steps": (
        read_plan,
        lambda size: ASKED.replace(b'"steps":[', b'"steps":[' + size * b"0,"),
    ),
    "changes": (read_changes, repeat("a: ∅ → 1, +1 B, ".encode())),
    "changes, escapes": (read_changes, repeat(b"\x1b[0")),
    "nix's json, nested": (read_nix_log, repeat(b"[", b"@nix ")),
    "nix's json, cut": (read_nix_log, repeat(b'{"action":"msg",', b"@nix ")),
    "nix's builds": (read_one_message, message(f"/{'a' * 32}-", "  /")),
    "nix's retries": (read_one_message, message("; retrying in 1 ms (")),
    "failure": (read_failure, repeat(b"unable to access 'x': ")),
    "debt, one process in many lines": (
        read_debt,
        repeat(
            b"process\t1\ta\t0\there\t-\t-\t1\nmaps\t1\t/nix/store/%s-x\n" % (b"a" * 32),
            b"unit\ta\t-\t-\t-\n",
        ),
    ),
    "debt, units": (read_debt, lambda size: b"".join(map(old_unit, range(size // 60)))),
}


def old_unit(number: int) -> bytes:
    return b"unit\tu%d\t-\t-\t-\nprocess\t%d\tu%d\t0\there\t-\t-\t0\n" % ((number,) * 3)


@pytest.mark.parametrize("flood", FLOODS)
def test_the_time_for_a_flood_grows_linearly(flood: str) -> None:
    """Four times the bytes take some four times the time; with a cost of the square, sixteen."""
    read, make = FLOODS[flood]
    small, large = make(60_000), make(240_000)
    base = least_seconds(lambda: read(small))
    assert least_seconds(lambda: read(large)) < 9 * base + 0.02


@pytest.mark.parametrize("flood", FLOODS)
def test_the_memory_for_a_flood_is_bounded_by_its_size(flood: str) -> None:
    read, make = FLOODS[flood]
    data = make(120_000)
    assert most_bytes(lambda: read(data)) < 40 * len(data) + 2**20


@pytest.mark.parametrize("chunk", [1, 7])
def test_a_long_line_in_small_portions_takes_linear_time(chunk: int) -> None:
    """Nix's JSON is kept until its line ends, up to a MiB."""

    def feed(size: int) -> None:
        decoder, data = TextDecoder(), b'@nix {"action":"msg","msg":"'
        for at in range(0, size, chunk):
            decoder.feed(data[at : at + chunk] or b"x" * chunk)

    base = least_seconds(lambda: feed(20_000))
    assert least_seconds(lambda: feed(80_000)) < 9 * base + 0.02
