"""What colour sequences mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixfleet_core.log.characters import log_line, without_colours
from nixfleet_core.log.sgr import NO_PEN, Pen, drawn_pieces


def pen_after(codes: str) -> Pen:
    ((_, pen),) = drawn_pieces(f"\x1b[{codes}mtext")
    return pen


@pytest.mark.parametrize(
    ("codes", "pen"),
    [
        ("", NO_PEN),
        ("0", NO_PEN),
        ("31", Pen(fg=1)),
        ("97", Pen(fg=15)),
        ("44", Pen(bg=4)),
        ("103", Pen(bg=11)),
        ("1;2;3;4;7;9", Pen(None, None, True, True, True, True, True, True)),
        ("1;2;22", NO_PEN),
        ("3;23;4;24;7;27;9;29", NO_PEN),
        ("31;42;39", Pen(bg=2)),
        ("31;42;49", Pen(fg=1)),
        ("1;31;0;32", Pen(fg=2)),
        ("38;5;208;1", Pen(fg=208, bold=True)),
        ("48;2;1;2;3;1", Pen(bg=(1, 2, 3), bold=True)),
        # the colour of an underline is not drawn, and its numbers mean nothing by themselves
        ("58;5;1;4", Pen(underline=True)),
        ("58;2;1;3;7;31", Pen(fg=1)),
        # there is no such colour
        ("38;5;256;1", Pen(bold=True)),
        ("31;38;2;1;2;300;1", Pen(fg=1, bold=True)),
        # cut off, or of an unknown kind: the rest means nothing
        ("38", NO_PEN),
        ("38;5", NO_PEN),
        ("38;2;1;2", NO_PEN),
        ("38;9;1", NO_PEN),
        ("21;53;55;59;5;99999", NO_PEN),
    ],
)
def test_what_parameters_mean(codes: str, pen: Pen) -> None:
    assert pen_after(codes) == pen


def test_a_pen_holds_until_it_is_changed() -> None:
    line = "a\x1b[31mb\x1b[1m\x1b[4mc\x1b[0md\x1b[7m"
    assert list(drawn_pieces(line)) == [
        ("a", NO_PEN),
        ("b", Pen(fg=1)),
        ("c", Pen(fg=1, bold=True, underline=True)),
        ("d", NO_PEN),
    ]
    assert list(drawn_pieces("")) == []


@given(st.text(st.sampled_from("\x1b[]m0123456789;:ab")))
def test_no_text_is_lost(line: str) -> None:
    clean = log_line(line)
    assert "".join(text for text, _ in drawn_pieces(clean)) == without_colours(clean)
