from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tui.log_search import CHUNK, Search

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
    search = Search.of_text(path, text)
    search.scan(path.stat().st_size)
    hits, at = [], -1
    for _ in range(search.count):
        hit = search.after(at)
        assert hit is not None
        hits.append(hit)
        at = hit
    assert hits == [offset(number) for number in lines]


def test_search_finds_errors_as_words(path: Path) -> None:
    search = Search.of_errors(path)
    search.scan(path.stat().st_size)
    assert search.count == 3
    assert search.after(offset(1)) == offset(3)


def test_search_wraps_around(path: Path) -> None:
    search = Search.of_text(path, "error")
    search.scan(path.stat().st_size)
    assert search.after(offset(4)) == offset(1)
    assert search.before(offset(1)) == offset(4)
    assert search.number(offset(4)) == 3


def test_search_finds_text_that_is_appended_later(path: Path) -> None:
    search = Search.of_text(path, "late")
    search.scan(path.stat().st_size)
    assert search.after(0) is None
    with path.open("ab") as file:
        file.write(b"late\n")
    search.scan(path.stat().st_size)
    assert search.after(0) == offset(5)


def test_search_finds_every_hit_in_a_file_of_several_chunks(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    line = b"x" * 999 + b"\n"
    path.write_bytes((line * 1000 + b"needle\n") * (3 * CHUNK // 1_000_000 + 1))
    search = Search.of_text(path, "needle")
    search.scan(path.stat().st_size)
    assert search.count == 3 * CHUNK // 1_000_000 + 1


def test_search_finds_nothing_in_a_missing_file(tmp_path: Path) -> None:
    search = Search.of_text(tmp_path / "none", "x")
    search.scan(100)
    assert search.after(0) is None
