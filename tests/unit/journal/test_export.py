"""The journal's export format, as systemd 252, 257 and 262 wrote it (tests/samples/journal)."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixfleet_core.journal import export
from nixfleet_core.journal.export import Entry, ExportError, ExportReader

SAMPLES = sorted((Path(__file__).parents[2] / "samples/journal").glob("*.export"))
RECORDED = pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)

MESSAGES = [
    b"Starting nixfleet-agent.service - NixFleet agent...",
    b"Started nixfleet-agent.service - NixFleet agent.",
    b"nixfleet-agent 2.1.0 started",
    b"first line of three\nsecond line\nthird",
    b"not utf-8: \xff\xfe end",
    b"colour: \x1b[31mred\x1b[0m",
    b"an error by priority",
    b"x" * 3000,
    b"password: correct-horse-battery",
]


def field(name: bytes, value: bytes) -> bytes:
    """A field as journalctl writes any value."""
    return name + b"\n" + len(value).to_bytes(8, "little") + value + b"\n"


def read(data: bytes) -> list[Entry]:
    return ExportReader().feed(data)


@RECORDED
def test_every_message_of_three_versions_is_read(path: Path) -> None:
    entries = read(path.read_bytes())
    assert [entry.message for entry in entries] == MESSAGES
    assert [entry.priority for entry in entries] == [6, 6, 6, 3, 6, 6, 3, 6, 6]
    assert {entry.identifier for entry in entries} == {"systemd", "nixfleet-agent"}
    assert entries[0].pid == "1"
    assert entries[0].cursor.startswith("s=")
    assert entries[0].at // 10**9 == 1796038


@RECORDED
def test_the_entries_hold_every_byte(path: Path) -> None:
    data = path.read_bytes()
    assert b"".join(entry.raw for entry in read(data)) == data


@RECORDED
def test_a_stream_cut_at_any_byte_gives_the_same_entries(path: Path) -> None:
    data = path.read_bytes()
    whole = read(data)
    for cut in range(len(data) + 1):
        reader = ExportReader()
        assert reader.feed(data[:cut]) + reader.feed(data[cut:]) == whole


@RECORDED
def test_a_stream_that_comes_byte_by_byte_gives_the_same_entries(path: Path) -> None:
    data, reader = path.read_bytes(), ExportReader()
    assert [one for at in range(len(data)) for one in reader.feed(data[at : at + 1])] == read(data)


@given(values=st.lists(st.binary(max_size=80), max_size=5), cuts=st.lists(st.integers(0, 400)))
def test_any_value_comes_back_whatever_the_portions(values: list[bytes], cuts: list[int]) -> None:
    data = b"".join(b"__CURSOR=c\n" + field(b"MESSAGE", value) + b"\n" for value in values)
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    reader = ExportReader()
    entries = [entry for begin, end in pairwise(places) for entry in reader.feed(data[begin:end])]
    assert [entry.message for entry in entries] == values
    assert b"".join(entry.raw for entry in entries) == data


def test_of_a_field_that_comes_twice_the_first_counts() -> None:
    assert read(b"MESSAGE=one\nMESSAGE=two\n\n")[0].message == b"one"


def test_an_entry_without_a_message_is_an_entry() -> None:
    assert read(b"__CURSOR=c\n\n")[0] == Entry(b"__CURSOR=c\n\n", cursor="c")


def test_empty_lines_between_entries_are_nothing() -> None:
    assert [entry.cursor for entry in read(b"\n\n__CURSOR=a\n\n\n__CURSOR=b\n\n")] == ["a", "b"]


@pytest.mark.parametrize(
    "data",
    [b"=x\n", b"no journal at all " * 20 + b"\n", b"MESSAGE\n" + (1).to_bytes(8, "little") + b"xx"],
)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(ExportError):
        read(data)


@pytest.mark.parametrize(
    "large",
    [
        b"MESSAGE=" + b"x" * 5000 + b"\n",
        field(b"MESSAGE", b"\n" * 5000),
        b"".join(b"F%d=%s\n" % (number, b"x" * 200) for number in range(20)),
    ],
    ids=["one line", "one value", "many fields"],
)
@pytest.mark.parametrize("portion", [1, 7, 700, 10**6])
def test_a_giant_entry_costs_no_memory_and_no_other_entry(
    large: bytes, portion: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "ENTRY_LIMIT", 1000)
    before, after = b"__CURSOR=a\nMESSAGE=before\n\n", b"__CURSOR=c\nMESSAGE=after\n\n"
    data = before + b"__CURSOR=b\n" + large + b"_PID=7\n\n" + after
    reader, entries = ExportReader(), []
    for at in range(0, len(data), portion):
        entries += reader.feed(data[at : at + portion])
        assert len(reader._buffer) <= 1000 + portion
    if portion < 1000:
        assert [(one.cursor, one.message) for one in entries] == [
            ("a", b"before"),
            ("b", None),
            ("c", b"after"),
        ]
        assert [bool(one.raw) for one in entries] == [True, False, True]
    assert entries[0].raw == before
    assert entries[-1].raw == after


@given(data=st.binary(max_size=300))
def test_no_bytes_of_a_host_raise_another_error(data: bytes) -> None:
    reader = ExportReader()
    try:
        reader.feed(data)
        reader.feed(data)
    except ExportError:
        pass
