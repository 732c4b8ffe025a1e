"""Which characters reach a screen, and which do not."""

from __future__ import annotations

import json
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixfleet_core.log.characters import (
    SGR,
    bare_text,
    end_colours,
    json_escapes,
    log_colours,
    log_line,
    one_line,
    without_colours,
)

# Written here again, not imported: a test of the policy against itself would show nothing.
OBEYED = "\x00\x07\x08\x0a\x0b\x0d\x1b\x1f\x7f\x80\x85\x9b\x9d\x9f"
REORDERING = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
UNSEEN = "\u00ad\u034f\u115f\u180e\u200b\u2060\u2063\u206a\u3164\ufeff\uffa0\ufff9\ufffb"
TAGS = "\U000e0001\U000e0041\U000e007f\U0001d173"
NONE = "\ufdd0\ufffe\uffff\U0001fffe\U0010ffff\ud800\udfff"
FORBIDDEN = f"{OBEYED}{REORDERING}{UNSEEN}{TAGS}{NONE}\u2028\u2029"
JOINERS = "\u200c\u200d\ufe0f\U000e0100"
ORDINARY = "é\t漢 [b]x[/b] ✔ → \U0001f600 \ue0b0 \u00a0 ع א \u0301"


@pytest.mark.parametrize("character", FORBIDDEN, ids=lambda c: f"U+{ord(c):04X}")
def test_no_screen_gets_a_forbidden_character(character: str) -> None:
    assert one_line(f"a{character}b") == "a\ufffdb"
    assert character not in log_line(f"a{character}b")
    encoded = json_escapes(json.dumps(f"a{character}b", ensure_ascii=False))
    assert character not in encoded
    kept = "\ufffd" if "\ud800" <= character <= "\udfff" else character
    assert json.loads(encoded) == f"a{kept}b"


@pytest.mark.parametrize("character", JOINERS, ids=lambda c: f"U+{ord(c):04X}")
def test_a_screen_gets_the_text_without_joiners(character: str) -> None:
    assert one_line(f"a{character}b") == log_line(f"a{character}b") == "ab"
    assert json.loads(json_escapes(f'"a{character}b"')) == f"a{character}b"


@pytest.mark.parametrize("clean", [one_line, log_line, json_escapes])
def test_ordinary_text_stays(clean: object) -> None:
    assert clean(ORDINARY) == ORDINARY  # type: ignore[operator]


@given(st.text())
def test_shown_text_is_printable(text: str) -> None:
    for shown in (one_line(text), without_colours(log_line(text))):
        bad = {
            c for c in shown if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") and c != "\t"
        }
        assert not bad
    assert one_line(one_line(text)) == one_line(text)


def test_colours_end_with_their_line() -> None:
    assert end_colours("\x1b[31mred") == "\x1b[31mred\x1b[0m"
    assert end_colours("\x1b[31mred\x1b[0m") == "\x1b[31mred\x1b[0m"
    assert end_colours("plain") == "plain"


@pytest.mark.parametrize(
    ("codes", "kept"),
    [
        ("8", ""),
        ("5", ""),
        ("6", ""),
        ("1;8;31", "1;31"),
        ("8;38;5;8", "38;5;8"),
        ("48;2;8;5;6;1", "48;2;8;5;6;1"),
        ("38:5:8", "38;5;8"),
        ("38:2:8:5:6", "38;2;8;5;6"),
        ("38:2::8:5:6", "38;2;8;5;6"),
        ("38;9;8", ""),
        ("38;5", ""),
        ("4:3", "4"),
        ("4:0", "24"),
        ("10;26;58;5;1", "58;5;1"),
        ("99999999;1", "1"),
        ("", "0"),
    ],
)
def test_codes_that_conceal_or_blink_are_removed(codes: str, kept: str) -> None:
    shown = log_line(f"a\x1b[{codes}mb")
    assert shown == (f"a\x1b[{kept}mb" if kept else "ab")


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("tab\there", "tab\there"),
        (
            "\x1b[1;31mred\x1b[0m \x1b[38:2:1:2:3mx\x1b[m",
            "\x1b[1;31mred\x1b[0m \x1b[38;2;1;2;3mx\x1b[0m",
        ),
        ("a\x1b[2Jb\x1b[10;5Hc\x1b[?1049hd\x1b[>4;2me", "abcde"),
        ("a\x1b]0;title\x07b\x1b]52;c;aGk=\x1b\\c\x1b]8;;x\x9cd", "abcd"),
        ("a\x1bPq#0\x1b\\b\x1b_x\x1b\\c\x1b^y\x1b\\d\x1bXz\x1b\\e", "abcde"),
        ("a\x1b]0;never ended", "a"),
        ("a\x1b]0;broken off\x1b[31mred", "a\x1b[31mred"),
        ("a\x1bcb\x1b(Bc\x1b7d\x1b=e\x1b", "abcde"),
        ("a\x1b[12", "a"),
        ("a\x1b\x1b[31mb", "a\x1b[31mb"),
        ("a\x9b31mb\x9d52;c;aGk=\x9cc\x85d\x90q\x9ce", "abcde"),
        ("a\x00\x07\x08\x0b\x0c\x0e\x1f\x7fb", "ab"),
        ("é→😀", "é→😀"),
    ],
)
def test_a_log_line_keeps_its_colours(line: str, shown: str) -> None:
    assert log_line(line) == shown


@given(st.text(alphabet=st.sampled_from("\x1b[]0;m1PcJ\x07\\\x9b\x9d\x9c a\x90\x85"), max_size=40))
def test_a_log_line_keeps_no_control_but_colours(line: str) -> None:
    shown = log_line(line)
    assert not re.search(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]", re.sub(r"\x1b\[[0-9;:]*m", "", shown))
    assert log_line(shown) == shown


@given(
    st.lists(
        st.text(st.sampled_from("ab\t\n\x1b[]318mé\x07\u200b\u202e\x85"), max_size=9), max_size=6
    )
)
def test_lines_with_a_bare_text_have_only_text_and_colours(lines: list[str]) -> None:
    shown = list(map(log_line, lines))
    bare = bare_text(lines)
    if bare is None:
        assert not lines or any(re.search("[^\tab318mé[\\]]", SGR.sub("", line)) for line in lines)
    else:
        assert bare.split("\n") == [without_colours(line) for line in shown]
        assert log_colours(lines) == shown


@pytest.mark.parametrize("character", FORBIDDEN + JOINERS, ids=lambda c: f"U+{ord(c):04X}")
def test_lines_with_a_forbidden_character_have_no_bare_text(character: str) -> None:
    assert bare_text(["a", f"b{character}"]) is bare_text(["a", f"b{character}", "é"]) is None


def test_colours_that_may_stay_do_not_make_new_lines() -> None:
    lines = ["\x1b[1;31mred\x1b[0m", "plain"]
    assert log_colours(lines) is lines
    assert log_colours(["\x1b[8mhidden", *lines]) == ["hidden", *lines]
