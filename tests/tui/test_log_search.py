from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tui.log_search import CHUNK, Query, Search

if TYPE_CHECKING:
    from pathlib import Path

LINES = [
    b"building foo\n",
    b"\x1b[31;1merror:\x1b[0m builder failed\n",
    b"0 failures, errorless\n",
    b"Fatal: no space left\n",
    b"done, error error\n",
]


def offset(number: int) -> int:
    return sum(len(line) for line in LINES[:number])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "log.txt"
    path.write_bytes(b"".join(LINES))
    return path


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("error", [1, 2, 4]),
        ("Error", []),
        ("Fatal", [3]),
        ("fatal", [3]),
        ("error: builder", [1]),
        ("o.", []),
        ("nowhere", []),
    ],
)
def test_search_finds_text_as_typed(path: Path, text: str, lines: list[int]) -> None:
    search = Search(path, Query.of(text))
    search.scan(path.stat().st_size)
    hits, at = [], -1
    for _ in range(len(search.hits)):
        hit = search.hits.after(at)
        assert hit is not None
        hits.append(hit)
        at = hit
    assert hits == [offset(number) for number in lines]


def test_search_finds_the_lines_of_one_build(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(b"git> a\nxgit> b\ngit (post)> c\nsee git> d\n\x1b[1mgit> e\x1b[0m\n")
    search = Search(path, Query.of("git>"))
    search.scan(path.stat().st_size)
    assert list(search.hits) == [0, 15, 40]


def test_search_finds_only_what_another_query_lets_through(path: Path) -> None:
    search = Search(path, Query.of("error"), within=Query.of("done"))
    search.scan(path.stat().st_size)
    assert list(search.hits) == [offset(4)]


def test_search_stops_when_nobody_wants_it(path: Path) -> None:
    search = Search(path, Query.of("error"))
    search.scan(path.stat().st_size, lambda: True)
    assert search.scanned == 0


def test_parameters_of_colours_are_no_text(path: Path) -> None:
    search = Search(path, Query.of("31;1"))
    search.scan(path.stat().st_size)
    assert not search.hits


def test_search_waits_for_the_end_of_a_line(path: Path) -> None:
    search = Search(path, Query.of("halves"))
    with path.open("ab") as file:
        file.write(b"two hal")
    search.scan(path.stat().st_size)
    with path.open("ab") as file:
        file.write(b"ves\n")
    search.scan(path.stat().st_size)
    assert list(search.hits) == [offset(5)]


def test_search_wraps_around(path: Path) -> None:
    search = Search(path, Query.of("error"))
    search.scan(path.stat().st_size)
    assert search.hits.after(offset(4)) == offset(1)
    assert search.hits.before(offset(1)) == offset(4)
    assert search.hits.number(offset(4)) == 3


def test_search_finds_text_that_is_appended_later(path: Path) -> None:
    search = Search(path, Query.of("late"))
    search.scan(path.stat().st_size)
    assert search.hits.after(0) is None
    with path.open("ab") as file:
        file.write(b"late\n")
    search.scan(path.stat().st_size)
    assert search.hits.after(0) == offset(5)


def test_search_finds_every_hit_in_a_file_of_several_chunks(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    line = b"x" * 999 + b"\n"
    path.write_bytes((line * 1000 + b"needle\n") * (3 * CHUNK // 1_000_000 + 1))
    search = Search(path, Query.of("needle"))
    search.scan(path.stat().st_size)
    assert len(search.hits) == 3 * CHUNK // 1_000_000 + 1


def test_search_finds_nothing_in_a_missing_file(tmp_path: Path) -> None:
    search = Search(tmp_path / "none", Query.of("x"))
    search.scan(100)
    assert search.hits.after(0) is None
