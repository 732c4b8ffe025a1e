"""How a line is cut to the window, and put together from few pieces."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from tui.log_paint import Painted, window_of

STYLES = (Style(color="red"), Style(bold=True), None)
BASE = Style(bgcolor="blue")


def pieces(letters: str) -> st.SearchStrategy[list[tuple[str, Style | None]]]:
    text = st.text(st.sampled_from(letters), min_size=1, max_size=6)
    return st.lists(st.tuples(text, st.sampled_from(STYLES)), max_size=4)


@given(pieces("ab ") | pieces("ab é漢"), st.integers(0, 15), st.integers(1, 15))
def test_a_window_shows_its_cells_of_a_line(
    parts: list[tuple[str, Style | None]], left: int, width: int
) -> None:
    segments = [Segment(text, style) for text, style in parts]
    strip = Strip(segments)
    line = Painted(strip.text, segments, strip.cell_length, None)
    shown = Strip(window_of(line, left, width, BASE))
    wanted = strip.extend_cell_length(left + width, BASE).crop(left, left + width)
    assert shown.text == wanted.text
    assert shown.cell_length == width
    assert [(text, style) for text, style, _ in shown.simplify()] == [
        (text, style) for text, style, _ in wanted.simplify() if text
    ]
    assert line.segments == segments
