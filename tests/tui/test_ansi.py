from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from nixfleet_core.log.index import CLIP
from nixfleet_core.report.colours import COLOURS, pieces
from tui.ansi import clean_line, count_wrapped_rows, parse_line, plain_line, plain_text


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b"plain", "plain"),
        (b"\x1b[31;1merror:\x1b[0m it broke", "error: it broke"),
        (b"\x1b[2J\x1b[Hcleared", "cleared"),
        (b"\x1b]52;c;aGk=\x07clipboard", "clipboard"),
        (b"\x1b]2;title\x1b\\set", "set"),
        (b"\x1bPdevice\x1b\\string", "string"),
        ("\u009b2Jc1\u009d52;c;aGk=\u009cosc".encode(), "c1osc"),
        (b"\x1b[?1049haltscreen", "altscreen"),
        (b"\x1b(Bcharset\x1bcreset", "charsetreset"),
        (b"10%\r50%\r100%\r", "100%"),
        (b"a\tb", "a       b"),
        (b"\x1b[1mab\x1b[0m\tc", "ab      c"),
        (b"bad \xff utf-8", "bad \ufffd utf-8"),
        ("right\u202eto\u2066left".encode(), "righttoleft"),
        (b"nul\x00bell\x07", "nulbell"),
        (b"\x1b[", ""),
        (b"x" * 5000, "x" * CLIP),
    ],
)
def test_only_the_text_of_a_line_is_left(line: bytes, shown: str) -> None:
    assert plain_line(line) == shown
    assert "".join(segment.text for segment in parse_line(line)) == shown


@pytest.mark.parametrize(
    ("codes", "style"),
    [
        ("31", "color(1)"),
        ("92", "color(10)"),
        ("1;4;7", "bold underline reverse"),
        ("38;5;208", "color(208)"),
        ("48;2;1;2;3", "on #010203"),
        ("1;31;22;39", ""),
        ("31;0", ""),
        ("", ""),
        ("38;9;1", ""),
        ("38;5", ""),
    ],
)
def test_colours(codes: str, style: str) -> None:
    (segment,) = parse_line(f"\x1b[{codes}mtext".encode())
    assert str(segment.style or "").replace("none", "") == style


CODES = st.lists(st.sampled_from(range(110)) | st.integers(0, 300), max_size=8)


@given(st.lists(CODES, min_size=1, max_size=4))
def test_the_app_and_a_report_draw_a_line_alike(sequences: list[list[int]]) -> None:
    line = "".join(f"\x1b[{';'.join(map(str, codes))}mtext" for codes in sequences)
    numbers = {name: number for number, name in enumerate(COLOURS)}
    numbers |= {f"bright-{name}": number + 8 for name, number in numbers.items()}
    drawn = []
    for segment in parse_line(line.encode()):
        colour = segment.style.color if segment.style else None
        number = colour.number if colour is not None and colour.triplet is None else None
        is_named = number if number is not None and number < 16 else None
        drawn.append((is_named, bool(segment.style and segment.style.bold)))
    assert drawn == [(numbers.get(piece.colour), piece.bold) for piece in pieces(line)]


CONTROLS = st.text(st.sampled_from("\x1b[]m1;?P\\x\u0085\u0090\u009b\u009c\u009d\x07\r\t"))


@given(st.binary(max_size=200) | CONTROLS.map(str.encode))
def test_control_characters_are_removed(line: bytes) -> None:
    text = re.sub(r"\x1b\[[0-9;]*m", "", clean_line(line))
    assert not re.search("[\x00-\x1f\x7f-\x9f]", text)
    assert not re.search("[\x00-\x08\x0a-\x1f\x7f-\x9f]", plain_text(line))


PIECE = st.sampled_from(
    [b"", b"word", b"x" * 25, b"\x1b[31mred\x1b[0m", "日本語".encode(), b"\t", b"a\rb", b"y" * 5000]
)


@given(st.lists(st.lists(PIECE, max_size=4).map(b"".join), min_size=1, max_size=6))
def test_wrapped_rows_add_up_over_lines(lines: list[bytes]) -> None:
    def alone(line: bytes) -> int:
        return -(-cell_len(plain_line(line)) // 10) or 1

    assert count_wrapped_rows(b"".join(line + b"\n" for line in lines), 10) == sum(
        alone(line) for line in lines
    )
    for line in filter(None, lines):
        assert count_wrapped_rows(line, 10) == alone(line)
