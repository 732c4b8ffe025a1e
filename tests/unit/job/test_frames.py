from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixfleet_core.job.frames import GREETING, SMALL_LIMIT, Frame, FrameError, FrameReader

KINDS = ["log", "events", "beat", "plan.json", "before", "result", "gone"]


class Sent(NamedTuple):
    kind: str
    offset: int
    data: bytes

    @property
    def bytes(self) -> bytes:
        head = f"@{self.kind} {self.offset} {len(self.data)}\n".encode()
        return head + self.data + b"\n"


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, list[Sent]]:
    """The output of a follower: log and events each without a gap, other frames in between."""
    at = {kind: draw(st.integers(0, 10**9)) for kind in ("log", "events")}
    frames = []
    for kind in draw(st.lists(st.sampled_from(KINDS), max_size=8)):
        data = draw(st.binary(max_size=60) | st.sampled_from([b"@log 0 3\n", b"\n\n", GREETING]))
        frames.append(Sent(kind, at.get(kind, 7), data))
        if kind in at:
            at[kind] += len(data)
    return GREETING + b"".join(frame.bytes for frame in frames), frames


@st.composite
def cut(draw: st.DrawFn, data: bytes) -> list[bytes]:
    places = sorted(draw(st.lists(st.integers(0, len(data)), max_size=20)))
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


def read(portions: list[bytes]) -> list[Frame]:
    reader = FrameReader()
    return [frame for portion in portions for frame in reader.feed(portion)]


def joined(frames: list[Frame], kind: str) -> list[tuple[int, bytes]]:
    """The streamed bytes of a kind as (offset, bytes) without gaps."""
    found: list[tuple[int, bytes]] = []
    for frame in frames:
        if frame.kind == kind and frame.data:
            if found and found[-1][0] + len(found[-1][1]) == frame.offset:
                found[-1] = (found[-1][0], found[-1][1] + frame.data)
            else:
                found.append((frame.offset, frame.data))
    return found


@given(st.data())
def test_frames_do_not_depend_on_how_the_bytes_arrive(data: st.DataObject) -> None:
    raw, sent = data.draw(streams())
    got = read(data.draw(cut(raw)))
    small = [Sent(f.kind, f.offset, f.data) for f in got if f.kind not in ("log", "events")]
    assert small == [frame for frame in sent if frame.kind not in ("log", "events")]
    for kind in ("log", "events"):
        assert joined(got, kind) == joined([Frame(*frame) for frame in sent], kind)


@given(st.data())
def test_a_broken_stream_still_gives_every_log_byte_received(data: st.DataObject) -> None:
    log = data.draw(st.binary(min_size=1, max_size=100))
    whole = GREETING + Sent("log", 5, log).bytes
    begin = len(whole) - len(log) - 1
    size = data.draw(st.integers(0, len(whole)))
    got = joined(read(data.draw(cut(whole[:size]))), "log")
    came = log[: max(0, size - begin)]
    assert got == ([(5, came)] if came else [])


def test_a_small_frame_comes_whole_or_not_at_all() -> None:
    raw = GREETING + Sent("result", 0, b'{"outcome":"done"}').bytes
    whole = len(raw) - 1
    assert read([raw[: whole - 1]]) == []
    assert read([raw[:whole]]) == read([raw]) == [Frame("result", 0, b'{"outcome":"done"}')]


@pytest.mark.parametrize(
    ("stream", "says"),
    [
        (b"log 0 1\nx\n", "bad header"),
        (b"@ 0 1\nx\n", "bad header"),
        (b"@log 0\nx\n", "bad header"),
        (b"@log -1 1\nx\n", "bad header"),
        (b"@log 0 1 2\nx\n", "bad header"),
        (b"@log 0 1\r\nx\n", "bad header"),
        (b"@log 0 0x1\nx\n", "bad header"),
        (b"@../x 0 1\nx\n", "bad header"),
        (b"@LOG 0 1\nx\n", "bad header"),
        (b"@log 1234567890123456 1\nx\n", "bad header"),
        (b"@log \xd9\xa1 1\nx\n", "bad header"),
        (b"\n", "bad header"),
        (b"@log 0 1\nxy\n", "'log' has the wrong length"),
        (b"@result 0 1\nxy\n", "'result' has the wrong length"),
        (b"@result 0 %d\n" % (SMALL_LIMIT + 1), "'result' is too large"),
        (b"@" + b"a" * 256, "without a header"),
    ],
)
def test_a_malformed_frame_is_an_error(stream: bytes, says: str) -> None:
    for portions in ([GREETING + stream], [GREETING, *(bytes([byte]) for byte in stream)]):
        with pytest.raises(FrameError, match=says):
            read(portions)


def test_a_log_frame_may_be_larger_than_the_buffer() -> None:
    assert read([GREETING + b"@log 0 %d\n" % (2 * SMALL_LIMIT) + b"xy"]) == [Frame("log", 0, b"xy")]


@pytest.mark.parametrize("first", [b"nixfleet-follow 2\n", b"nixfleet-follow", b"motd\n", b"\n"])
def test_a_stream_that_does_not_begin_with_the_greeting_is_an_error(first: bytes) -> None:
    with pytest.raises(FrameError, match="another version"):
        read([first + GREETING])


@given(st.binary(max_size=400))
def test_any_bytes_are_frames_or_an_error(data: bytes) -> None:
    try:
        frames = read([GREETING + data])
    except FrameError:
        return
    assert all(isinstance(frame, Frame) for frame in frames)
