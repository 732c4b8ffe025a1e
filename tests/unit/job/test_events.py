from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nixfleet_core.job.events import (
    EVENT_LINE_LIMIT,
    CancelSeen,
    Check,
    HostEvent,
    JobEnd,
    JobStart,
    Retry,
    Slept,
    StepEnd,
    StepStart,
    Tick,
    Waiting,
    read_event,
)
from nixfleet_core.limits import LARGEST, LAST_SECOND

EVENTS: tuple[tuple[str, HostEvent], ...] = (
    ('{"event":"job-start","at":5}', JobStart(5)),
    ('{"event":"step-start","at":5,"step":"pull","log":7}', StepStart("pull", 5, 7)),
    (
        '{"event":"retry","at":5,"step":"update","attempt":2,"tries":5,"wait":8}',
        Retry("update", 5, 2, 5, 8),
    ),
    (
        (
            '{"event":"step-end","at":5,"step":"pull","status":"failed","log":9,"rc":1,'
            '"attempts":3,"reason":"lock-changed"}'
        ),
        StepEnd("pull", 5, "failed", 9, 1, 3, "lock-changed"),
    ),
    ('{"event":"check","at":5,"check":"disk","ok":true}', Check("disk", 5, ok=True)),
    (
        '{"event":"check","at":5,"check":"disk","ok":false,"reason":"full"}',
        Check("disk", 5, ok=False, reason="full"),
    ),
    ('{"event":"waiting","at":5,"reason":"switch","limit":600}', Waiting("switch", 5, 600)),
    (
        '{"event":"waiting","at":5,"reason":"switch","limit":6,"pid":7,"program":"nixos-rebuild"}',
        Waiting("switch", 5, 6, 7, "nixos-rebuild"),
    ),
    ('{"event":"tick","at":5,"log":9}', Tick(5, 9)),
    ('{"event":"slept","at":5,"seconds":90}', Slept(5, 90)),
    ('{"event":"cancel","at":5}', CancelSeen(5)),
    ('{"event":"cancel","at":5,"deferred":true}', CancelSeen(5, deferred=True)),
    ('{"event":"job-end","at":5,"outcome":"done"}', JobEnd(5, "done")),
)


@pytest.mark.parametrize(("line", "event"), EVENTS, ids=[line[:30] for line, _ in EVENTS])
def test_reads_the_events_of_the_runner(line: str, event: HostEvent) -> None:
    assert read_event(line.encode()) == event
    assert read_event(msgspec.json.encode(event)) == event
    assert read_event(line[:-1].encode() + b',"new":[1,{}]}') == event


@pytest.mark.parametrize("line", [line for line, _ in EVENTS])
def test_a_torn_line_is_no_event(line: str) -> None:
    assert all(read_event(line[:size].encode()) is None for size in range(len(line)))


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"null",
        b"[]",
        b'{"event":"future","at":5}',
        b'{"at":5}',
        b'{"event":"tick","at":5}',
        b'{"event":"tick","at":"5","log":1}',
        b'{"event":"tick","at":5,"log":-1}',
        b'{"event":"tick","at":-5,"log":1}',
        b'{"event":"tick","at":1e30,"log":1}',
        b'{"event":"tick","at":253402300800,"log":1}',
        b'{"event":"tick","at":5,"log":99999999999999999999}',
        b'{"event":"step-start","at":5,"step":"rm","log":7}',
        b'{"event":"job-end","at":5,"outcome":"[@click=app.quit]x[/]"}',
        b'{"event":"job-end","at":5,"outcome":"\\u001b[2J"}',
        b'{"event":"job-end","at":5,"outcome":"done\\n"}',
        b'{"event":"job-end","at":5,"outcome":"\xff"}',
    ],
    ids=range(17),
)
def test_a_malformed_line_is_no_event(line: bytes) -> None:
    assert read_event(line) is None


@pytest.mark.parametrize("depth", [2000, 100_000])
def test_reader_survives_deeply_nested_lines(depth: int) -> None:
    """The depth that a decoder accepts depends on Python's version."""
    line = b'{"event":"tick","at":5,"log":1,"x":' + b"[" * depth + b"]" * depth + b"}"
    assert read_event(line) in (None, Tick(at=5, log=1))


def test_a_line_that_is_too_long_is_no_event() -> None:
    line = b'{"event":"tick","at":5,"log":9}'
    assert read_event(line.ljust(EVENT_LINE_LIMIT)) == Tick(5, 9)
    assert read_event(line.ljust(EVENT_LINE_LIMIT + 1)) is None


@given(st.binary())
def test_noise_is_no_event(line: bytes) -> None:
    assert read_event(line) is None


@example("tick", 0, 0)
@example("tick", LAST_SECOND, LARGEST)
@example("tick", LAST_SECOND + 1, 0)
@example("tick", 0, LARGEST + 1)
@example("tick", -1, 0)
@example("tick", 0, -1)
@given(st.sampled_from(("tick", "", 5)), st.integers() | st.text(), st.integers() | st.text())
def test_a_tick_is_read_only_within_its_limits(
    event: object, at: int | str, log: int | str
) -> None:
    line = json.dumps({"event": event, "at": at, "log": log}).encode()
    is_time = isinstance(at, int) and 0 <= at <= LAST_SECOND
    is_size = isinstance(log, int) and 0 <= log <= LARGEST
    assert (read_event(line) is not None) == (event == "tick" and is_time and is_size)
    if (read := read_event(line)) is not None:
        assert msgspec.to_builtins(read) == {"event": event, "at": at, "log": log}
