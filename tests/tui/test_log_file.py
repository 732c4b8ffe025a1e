"""Matching lines as a file of their own."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from nixfleet_core.log.index import CLIP, SEGMENT
from tui.log_file import _SPAN, Line, LogFile, MatchingLines
from tui.log_search import FILTER_LIMIT, Query, Search

if TYPE_CHECKING:
    from pathlib import Path


def matching(path: Path, text: str) -> tuple[MatchingLines, Search]:
    search = Search(path, Query.of(text), limit=FILTER_LIMIT)
    search.scan(path.stat().st_size)
    lines = MatchingLines(path, search)
    while lines.grow():
        pass
    return lines, search


@pytest.mark.parametrize("share", [0.001, 0.1, 0.7, 1.0])
@pytest.mark.parametrize("width", [None, 50])
def test_matching_lines_are_those_of_grep(tmp_path: Path, share: float, width: int | None) -> None:
    path, chance = tmp_path / "log.txt", random.Random(share)
    texts = [
        f"{'yes' if chance.random() < share else 'no'} {n} {'x' * chance.randrange(120)}".encode()
        for n in range(12_000)
    ]
    path.write_bytes(b"\n".join(texts) + b"\n")
    lines, search = matching(path, "yes")
    lines.set_width(width)
    while lines.grow():
        pass
    expected = [text for text in texts if text.startswith(b"yes")]
    found, starts, row = [], [], 0
    while (line := lines.line_at_row(row)) is not None:
        found.append(line.data)
        starts.append(line.start)
        row += 1 if width is None else max(1, -(-len(line.data) // width))
    assert found == expected
    assert starts == list(search.hits)
    assert lines.rows == row


def test_a_place_in_the_file_belongs_to_the_next_line_that_matches(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(b"no\nyes 1\nno\nyes 2\nno\n")
    lines, _ = matching(path, "yes")
    found = [lines.line_at_offset(offset) for offset in range(path.stat().st_size)]
    assert [line.data[-1:] if line else b"" for line in found] == [b"1"] * 9 + [b"2"] * 12


def test_a_giant_line_is_read_in_part(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(b"yes " + b"x" * 3_000_000 + b"\nno\nyes last\n")
    lines, _ = matching(path, "yes")
    sizes: list[int] = []
    read = LogFile._read

    def counted(self: LogFile, start: int, size: int) -> bytes:
        data = read(self, start, size)
        sizes.append(len(data))
        return data

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LogFile, "_read", counted)
        first, last = lines.line_at_row(0), lines.line_at_row(1)
    assert first is not None
    assert last is not None
    assert last.data == b"yes last"
    assert sum(sizes) <= 2 * (SEGMENT + CLIP + _SPAN)


@pytest.mark.parametrize("width", [None, 30])
def test_the_lines_of_many_rows_are_those_of_each(tmp_path: Path, width: int | None) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(b"".join(b"%d %s\n" % (n, b"x" * (n % 90)) for n in range(4000)) + b"end")
    file = LogFile(path)
    file.set_width(width)
    file.grow()
    each: list[Line | None] = []
    row = 0
    while (line := file.line_at_row(row)) is not None:
        each.append(line)
        row += 1
    assert each[-1] == Line(path.stat().st_size - 3, b"end", row - 1)
    assert file.rows == row
    assert file.lines_at_rows(-2, row + 2) == [None, None, *each, None, None]


def test_the_lines_of_a_window_are_looked_up_page_by_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(b"x" * 99 + b"\n" + b"y" * 99 * 1000 + b"\n" + b"z\n" * 99)
    file = LogFile(path)
    file.grow()
    asked: list[int] = []
    page = LogFile._page

    def counted(self: LogFile, start: int, size: int, row: int) -> object:
        asked.append(start)
        return page(self, start, size, row)

    monkeypatch.setattr(LogFile, "_page", counted)
    assert len(file.lines_at_rows(0, 101)) == 101
    assert asked == [0, 100 + 99_001]


def test_a_file_that_has_become_shorter_still_has_lines(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(b"one\ntwo\nthree\n")
    file = LogFile(path)
    file.grow()
    path.write_bytes(b"one\ntwo\n")
    assert [line.data if line else b"" for line in file.lines_at_rows(0, 3)] == [
        *(b"one", b"two", b"two")
    ]
