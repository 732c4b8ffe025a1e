"""Which lines of a log a report shows, and what that costs."""

from __future__ import annotations

import time
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from nixfleet_core.log.plain_file import OddFileError
from nixfleet_core.report.excerpts import (
    AFTER,
    BEFORE,
    FIRST_ERRORS,
    LAST_ERRORS,
    LAST_LINES,
    MOST_COUNTED,
    read_excerpts,
)
from nixfleet_core.report.model import LogPart

if TYPE_CHECKING:
    from pathlib import Path


def log_of(folder: Path, text: str | bytes) -> Path:
    path = folder / "log.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def numbers(part: LogPart) -> list[list[int]]:
    return [[line.number for line in excerpt.lines] for excerpt in part.excerpts]


def test_the_lines_around_an_error_and_the_last_ones_are_shown(tmp_path: Path) -> None:
    lines = [f"line {number}" for number in range(1, 201)]
    lines[99] = "error: it broke"
    part = read_excerpts(log_of(tmp_path, "\n".join(lines) + "\n"), ((0, "Pull"), (400, "Rebuild")))
    assert (part.lines, part.errors, part.around, part.counted_all) == (200, 1, 1, True)
    assert numbers(part) == [
        list(range(100 - BEFORE, 100 + AFTER + 1)),
        list(range(200 - LAST_LINES + 1, 201)),
    ]
    shown = [line for excerpt in part.excerpts for line in excerpt.lines]
    assert [line.number for line in shown if line.is_error] == [100]
    assert all(line.text == lines[line.number - 1] for line in shown)
    assert [excerpt.step for excerpt in part.excerpts] == ["Rebuild", "Rebuild"]


def test_lines_of_two_errors_that_meet_are_shown_once(tmp_path: Path) -> None:
    lines = [f"line {number}" for number in range(1, 101)]
    lines[10] = lines[20] = "error: it broke"
    part = read_excerpts(log_of(tmp_path, "\n".join(lines)))
    assert numbers(part) == [list(range(6, 32)), list(range(86, 101))]
    assert (part.lines, part.errors) == (100, 2)


@pytest.mark.parametrize("end", ["", "\n"])
@pytest.mark.parametrize("count", [0, 1, 2, LAST_LINES - 1, LAST_LINES, LAST_LINES + 1, 40])
def test_the_last_lines_are_there_whatever_the_length(tmp_path: Path, count: int, end: str) -> None:
    text = "\n".join(f"l{number}" for number in range(1, count + 1)) + (end if count else "")
    part = read_excerpts(log_of(tmp_path, text))
    first = max(1, count - LAST_LINES + 1)
    assert part.lines == count
    assert numbers(part) == ([list(range(first, count + 1))] if count else [])
    assert all(line.text == f"l{line.number}" for one in part.excerpts for line in one.lines)


def test_of_many_errors_the_first_and_the_last_are_shown(tmp_path: Path) -> None:
    lines = [f"error: {number}" if number % 50 == 0 else "x" for number in range(1, 5001)]
    part = read_excerpts(log_of(tmp_path, "\n".join(lines)))
    shown = [line.text for one in part.excerpts for line in one.lines if line.is_error]
    assert shown == [f"error: {n * 50}" for n in (*range(1, 11), *range(96, 101))]
    assert (part.errors, part.around) == (100, FIRST_ERRORS + LAST_ERRORS)


def test_a_million_errors_cost_neither_time_nor_memory(tmp_path: Path) -> None:
    path = log_of(tmp_path, b"error: it broke\n" * 1_000_000 + b"error: at last\nthe end\n")
    tracemalloc.start()
    began = time.process_time()
    part = read_excerpts(path)
    taken, peak = time.process_time() - began, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert taken < 10  # two without tracemalloc on a slow machine
    assert peak < 64 * 1024**2
    assert (part.lines, part.counted_all) == (1_000_002, False)
    assert part.errors == MOST_COUNTED
    assert part.excerpts[-1].lines[-2].text == "error: at last"
    assert part.excerpts[-1].lines[-2].is_error
    assert sum(len(one.lines) for one in part.excerpts) < 300


def test_a_giant_line_hides_no_other_and_is_not_kept(tmp_path: Path) -> None:
    giant = b"x" * 3_000_000
    part = read_excerpts(log_of(tmp_path, giant + b"\nerror: it broke\n" + giant + b"\nlast\n"))
    shown = [line for one in part.excerpts for line in one.lines]
    assert max(len(line.text) for line in shown) < 20_000
    assert [line.text for line in shown if line.is_error] == ["error: it broke"]
    assert shown[-1].text == "last"


def test_no_half_of_a_credential_is_shown(tmp_path: Path) -> None:
    """What is read begins within a line only where that line is left out."""
    token = f"ghp_{'a1B2' * 9}"
    for size in range(5 * 16384 - 60, 5 * 16384 + 10):
        text = f"{token}{'y' * size}\nerror: it broke\n" + "x\n" * 40
        for one in read_excerpts(log_of(tmp_path, text)).excerpts:
            assert not any("a1B2a1B2" in line.text for line in one.lines)


def test_a_log_that_is_not_there_is_empty_and_an_odd_one_is_named(tmp_path: Path) -> None:
    assert read_excerpts(tmp_path / "log.txt") == LogPart()
    (tmp_path / "log.txt").mkdir()
    with pytest.raises(OddFileError):
        read_excerpts(tmp_path / "log.txt")
