"""A line is cut into rows that fit, without loss."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from nixfleet_core.cli.rows import split_rows
from nixfleet_core.log.characters import end_colours, log_line, without_colours

PIECES = st.sampled_from(
    ["word ", "x" * 30, "é", "漢字", "\t", " ", "\x1b[31m", "\x1b[0m", "\x1b[1;38;5;8m", "a-b/c"]
)


@given(st.lists(PIECES, max_size=40).map("".join), st.integers(8, 60), st.integers(8, 60))
def test_rows_fit_and_hold_the_whole_line(line: str, width: int, first: int) -> None:
    rows = split_rows(line, width, first)
    assert without_colours("".join(rows)) == without_colours(line)
    for number, row in enumerate(rows):
        room = width if number else first
        wide = len(re.findall("[é漢字]", row))
        assert len(without_colours(row)) + wide + 7 * row.count("\t") <= room
        assert end_colours(row) == row
        assert log_line(row) == row


@given(st.lists(PIECES, max_size=40).map("".join))
def test_a_row_begins_with_the_current_colours(line: str) -> None:
    """A bold red word that is cut continues in bold red."""
    rows = split_rows(f"\x1b[1;31m{'x' * 20}\x1b[0m{line}", 8)
    assert rows[:2] == [f"\x1b[1;31m{'x' * 8}\x1b[0m"] * 2


def test_a_narrow_terminal_gets_the_whole_line() -> None:
    assert split_rows("x" * 20, 1) == ["x" * 8, "x" * 8, "x" * 4]


def test_a_row_ends_behind_a_word() -> None:
    assert split_rows("one two three four", 10) == ["one two ", "three four"]
    assert split_rows("onetwothree four", 10) == ["onetwothre", "e four"]


def test_endless_colours_do_not_make_rows_grow() -> None:
    line = "\x1b[1m\x1b[31m" * 500 + "x" * 4000
    assert sum(map(len, split_rows(line, 10))) < 10 * len(line)
