from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nixfleet_core.log.index import CLIP, SEGMENT, LogIndex


def lengths(lines: bytes) -> int:
    """Rows of ten bytes, as a view with a width would count them."""
    pieces = lines.removesuffix(b"\n").split(b"\n")
    return sum((min(len(piece), CLIP) + 9) // 10 or 1 for piece in pieces)


LINES = st.lists(
    st.sampled_from([0, 1, 9, 10, 11, 300, CLIP + 7, SEGMENT - 1, SEGMENT * 2]), max_size=20
)


@given(LINES, st.booleans(), st.sampled_from([997, CLIP, SEGMENT - 1, SEGMENT * 3]), st.booleans())
def test_rows_and_segments_do_not_depend_on_how_bytes_arrive(
    line_lengths: list[int], ends: bool, step: int, wrapped: bool
) -> None:
    data = b"\n".join(b"x" * length for length in line_lengths)
    data += b"\n" if ends and line_lengths else b""
    index = LogIndex(lengths if wrapped else None)
    for at in range(0, len(data), step):
        index.feed(data[at : at + step])

    pieces = data.removesuffix(b"\n").split(b"\n") if data else []
    rows_of = [lengths(piece or b"\n") if wrapped else 1 for piece in pieces]
    assert (index.size, index.rows, index.lines) == (len(data), sum(rows_of), len(pieces))

    start = row = 0
    for piece, rows in zip(pieces, rows_of, strict=True):
        for segment in (index.segment_with_row(row), index.segment_with_offset(start)):
            assert segment.start <= start
            assert segment.row <= row
            assert start < max(segment.end, start + 1)
            shown_to = start + min(len(piece), CLIP)
            assert shown_to <= segment.start + segment.read_size
        start, row = start + len(piece) + 1, row + rows


def test_a_segment_begins_at_a_line() -> None:
    data = b"".join(b"%07d\n" % number for number in range(100_000))
    index = LogIndex()
    index.feed(data)
    segment = index.segment_with_row(50_000)
    assert data[segment.start : segment.start + 8] == b"%07d\n" % segment.row
    assert SEGMENT <= segment.end - segment.start < SEGMENT + 8


def test_only_the_shown_part_of_a_giant_line_is_read() -> None:
    index = LogIndex()
    index.feed(b"short\n" + b"x" * (10 * SEGMENT) + b"\nafter\n")
    assert index.rows == 3
    assert index.segment_with_row(1).read_size == SEGMENT + CLIP
    assert index.segment_with_row(2).row == 2
