"""What a terminal sends is untrusted: only what is understood is an event."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from textual import events
from textual._parser import ParseError
from textual._xterm_parser import XTermParser

from tui.terminal_input import (
    PASTE_PAUSE,
    PASTE_SIZE,
    SEQUENCE_LIMIT,
    TerminalBackground,
    TerminalInput,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from textual.message import Message

START, END = "\x1b[200~", "\x1b[201~"


class Clock:
    """Stands still until it is told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def said(*texts: str) -> list[str]:
    """The events of what is read piece by piece, and of the silence after it."""
    clock = Clock()
    terminal = TerminalInput(clock)
    found = [event for text in texts for event in terminal.feed(text)]
    clock.now += 60
    return names([*found, *terminal.tick()])


def names(found: Iterable[Message]) -> list[str]:
    """Keys by their names, pastes by their text, backgrounds by what they are, others by their
    kind."""
    return [
        one.key
        if isinstance(one, events.Key)
        else f"paste {one.text}"
        if isinstance(one, events.Paste)
        else ("dark" if one.dark else "light")
        if isinstance(one, TerminalBackground)
        else type(one).__name__
        for one in found
    ]


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("aU é\r", ["a", "U", "space", "é", "enter"]),
        ("\x01\x7f\t", ["ctrl+a", "backspace", "tab"]),
        ("\x1b[A\x1bOB\x1b[1;5C", ["up", "down", "ctrl+right"]),
        ("\x1b[15~\x1b[[A\x1bOP", ["f5", "f1", "f1"]),
        ("\x1bx", ["alt+x"]),
        ("\x1b", ["escape"]),
        ("\x1b\x1b[A", ["escape", "up"]),
        # kitty's protocol
        ("\x1b[117u\x1b[13u\x1b[97;5u", ["u", "enter", "ctrl+a"]),
        ("\x1b[117;1:1u\x1b[117;1:2u", ["u", "u"]),
        ("\x1b[117:85:117;2u", ["shift+u"]),
        ("\x1b[97;;97u", ["a"]),
        ("\x1b[I\x1b[O", ["AppFocus", "AppBlur"]),
        ("\x1b[<0;10;10M\x1b[<0;10;10m", ["MouseDown", "MouseUp"]),
        ("\x1b[48;24;80;480;640t", ["Resize"]),
        ("\x1b[48;24:1;80;480;640t", ["Resize"]),
        ("\x1b[?2026;1$y", ["TerminalSupportsSynchronizedOutput"]),
        ("\x1b]11;rgb:0000/0000/0000\x1b\\", ["dark"]),
        ("\x1b]11;rgb:FFFF/ffff/FfFf\x07q", ["light", "q"]),
        ("\x1b]11;rgb:0/0/0\x07\x1b]11;rgb:f/f/f\x07", ["dark", "light"]),
        ("\x1b]11;rgb:fd/f6/e3\x07\x1b]11;rgb:000/2b2/363\x07", ["light", "dark"]),
        ("\x1b]11;rgba:ffff/ffff/ffff/0000\x1b\\", ["light"]),
        ("\x1b[?997;1n\x1b[?997;2n", ["dark", "light"]),
        (f"{START}two words{END}q", ["paste two words", "q"]),
        (f"{START}a\rb\x1b[31mc{END}", ["paste a\nb[31mc"]),
        (f"{START}{START}a{END}", ["paste [200~a"]),
        (f"{START}{END}", ["paste "]),
    ],
)
def test_what_is_understood(text: str, means: list[str]) -> None:
    assert said(text) == means
    assert said(*text) == means  # a character at a time


@pytest.mark.parametrize(
    "text",
    [
        "\x1b[117;1:3u",  # a key was released
        "\x1b[1;1:3A",
        "\x1b[99999999999u",
        "\x1b[1114112u",
        "\x1b[55296u",  # half of a pair
        "\x1b[117;999999u",
        "\x1b[117;1;1114112u",
        "\x1b[7;1u",  # a control character
        "\x1b[?62;22c",  # which terminal is it?
        "\x1b[>41;354;0c",
        "\x1b[?1u",  # kitty's flags
        "\x1b[?2026;0$y",
        "\x1b[12;40R",
        "\x1b]10;rgb:0000/0000/0000\x1b\\",  # its colours, of which we ask for one only
        "\x1b]11;?\x07",
        "\x1b]11;rgb:00/00\x07",
        "\x1b]11;rgb:00/00/00/00/00\x07",
        "\x1b]11;rgb:00000/00/00\x07",
        "\x1b]11;rgb:0g/00/00\x07",
        "\x1b]11;rgb:-1/00/00\x07",
        "\x1b]11;rgb:00/00/00\x18",  # taken back
        "\x1b]11;rgb:00/\x1bx00/00\x07",
        "\x1b]11;rgb:00/00/00" + " " * 5000 + "\x07",
        "\x1b]11;" + "\x1b" * 5000 + "rgb:00/00/00\x07",
        "\x1bP11;rgb:00/00/00\x07",
        "\x1b[?997;3n",
        "\x1b[?997n",
        "\x1bP1$r0m\x1b\\",
        "\x1b_Gi=31;OK\x1b\\",
        "\x1b[M !!",  # the mouse, as X10 reports it
        "\x1b[<0;99999999;1M",
        "\x1b[48;99999999;80;480;640t",
        "\x1b[48;0;0;0;0t",
        "\x1b[999z",
        "\x1b[1;2;3;4;5;6;7;8;9;10;11;12;13;14;15;16;17;18;19;20;21;22;23;24;25;26;27;28~",
        "\x1b[12\r",
        "\x1bO1\x01",
        "\x1b\r",
        "\x9b",
        "\x80",
        "\ufffd",
        END,
    ],
)
def test_what_is_not_understood_is_no_key(text: str) -> None:
    assert said(text) == []
    assert said(*text) == []
    assert said(f"{text}q") == ["q"], "what comes after it is heard"


@pytest.mark.parametrize(
    "text",
    ["\x1b[", "\x1b[12", "\x1bO", "\x1b]11;rgb", "\x1bP", "\x1b]0;\x1b", "\x1b[M", "\x1b[M "],
)
def test_what_has_no_end_makes_nobody_deaf(text: str) -> None:
    clock = Clock()
    terminal = TerminalInput(clock)
    assert list(terminal.feed(text)) == []
    clock.now += SEQUENCE_LIMIT
    assert list(terminal.tick()) == []
    assert names(terminal.feed("q")) == ["q"]


def test_a_paste_without_an_end_is_over_after_a_while_and_more_of_it_is_no_key() -> None:
    clock = Clock()
    terminal = TerminalInput(clock)
    assert list(terminal.feed(f"{START}one")) == []
    clock.now += PASTE_PAUSE / 2
    assert list(terminal.tick()) == []
    assert list(terminal.feed("two")) == []
    clock.now += PASTE_PAUSE
    assert names(terminal.tick()) == ["paste onetwo"]
    assert list(terminal.feed("u\ru\r")) == []
    assert names(terminal.feed(f"u\r{END}q")) == ["q"]
    assert names(terminal.feed("uv")) == ["u", "v"]


@pytest.mark.parametrize(("key", "name"), [("u", "u"), ("\x1b[A", "up"), ("\r", "enter")])
def test_after_a_paste_without_an_end_a_key_alone_is_typed(key: str, name: str) -> None:
    clock = Clock()
    terminal = TerminalInput(clock)
    list(terminal.feed(START))
    clock.now += PASTE_PAUSE
    assert names(terminal.tick()) == ["paste "]
    assert list(terminal.feed("more of it")) == []
    assert names(terminal.feed(key)) == [name]
    assert names(terminal.feed("uv")) == ["u", "v"]


def test_keys_in_vain_do_not_make_a_paste_without_an_end_longer() -> None:
    clock = Clock()
    terminal = TerminalInput(clock)
    list(terminal.feed(f"{START}x"))
    for _ in range(2):
        clock.now += PASTE_PAUSE / 2
        list(terminal.feed("q"))
    assert names(terminal.tick()) == ["paste xqq"]
    assert names(terminal.feed("q")) == ["q"]


@pytest.mark.parametrize("rest", ["[200~u\r", "[A", "[?62c", "]11;rgb:0/0/0\x07", "]11;rgb:uu"])
def test_the_rest_of_a_sequence_may_come_late(rest: str) -> None:
    """Its escape was a key by then. Nobody types the rest at once."""
    clock = Clock()
    terminal = TerminalInput(clock)
    list(terminal.feed("\x1b"))
    clock.now += 0.2
    assert names(terminal.tick()) == ["escape"]
    assert not {"u", "enter", "A", "c"} & set(names(terminal.feed(rest)))


@pytest.mark.parametrize("end", ["\x07", "\x1b\\"])
def test_the_rest_of_an_answer_may_come_late(end: str) -> None:
    clock = Clock()
    terminal = TerminalInput(clock)
    list(terminal.feed("\x1b]11;rgb:ffff/"))
    clock.now += SEQUENCE_LIMIT
    list(terminal.tick())
    assert list(terminal.feed(f"ffff/bbbb{end}")) == []
    assert names(terminal.feed("b")) == ["b"]


def test_of_a_large_paste_the_beginning_is_kept_and_its_end_is_found() -> None:
    pieces = ["x" * 4096] * (PASTE_SIZE // 4096 + 3)
    assert said(START, *pieces, END[:3], END[3:], "q") == ["paste " + "x" * PASTE_SIZE, "q"]


@given(
    digits=st.integers(1, 4),
    parts=st.tuples(*[st.floats(0, 1)] * 3),
    upper=st.booleans(),
    end=st.sampled_from(["\x07", "\x1b\\"]),
)
def test_a_background_is_dark_or_light_however_it_is_written(
    digits: int, parts: tuple[float, ...], upper: bool, end: str
) -> None:
    most = 16**digits - 1
    written = "/".join(f"{round(part * most):0{digits}x}" for part in parts)
    answer = f"\x1b]11;rgb:{written.upper() if upper else written}{end}"
    (found,) = said(answer)
    if max(parts) < 0.4:
        assert found == "dark"
    if min(parts) > 0.6:
        assert found == "light"
    assert said(*answer) == [found]


_HOSTILE = st.text(
    st.sampled_from([*"\x1b[]OP<>?;:~0123456789uRMmtcA$y \r\x07\\", "\x9b", "é", "\ud800"])
)


@settings(max_examples=300, deadline=None)
@given(text=_HOSTILE, cuts=st.lists(st.integers(0, 60), max_size=6))
def test_it_does_not_matter_where_the_stream_is_cut(text: str, cuts: list[int]) -> None:
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [text[a:b] for a, b in itertools.pairwise(places)]
    assert said(*pieces) == said(text)


@settings(max_examples=300, deadline=None)
@given(before=_HOSTILE, pasted=_HOSTILE)
def test_nothing_between_the_marks_is_a_key(before: str, pasted: str) -> None:
    pasted = pasted.replace(END, "")
    assert said(f"{START}{pasted}{END}") == said(START, pasted, END)
    (paste,) = said(f"{START}{pasted}{END}")
    assert paste.startswith("paste ")
    assert "\x1b" not in paste
    # whatever came before it, after a while
    clock = Clock()
    terminal = TerminalInput(clock)
    list(terminal.feed(before.replace(START, "")))
    clock.now += 60
    list(terminal.tick())
    assert names(terminal.feed("q")) in (["q"], [])


@pytest.mark.parametrize(
    "text", ["\x1b[117;1:3u", "\x1b[99999999999u", "\x1b[?62;22c", f"{START}\x1b[31mu{END}"]
)
def test_textuals_own_parser_still_needs_this(text: str) -> None:
    """8.2.8 fails, or takes them for keys. If this fails, look whether ours can go."""
    parser = XTermParser()
    try:
        found = names(parser.feed(text))
        parser._timeout_time = 0.0  # no more of it comes
        found += names(parser.tick())
    except (ValueError, OverflowError, ParseError):
        return
    assert found != said(text)
