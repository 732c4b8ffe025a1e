"""The notice on the desktop: which terminal gets which, and nothing else than a notice."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixfleet_core.log.characters import FORBIDDEN
from tui.desktop_notice import BODY_LIMIT, TITLE_LIMIT, desktop_notice

if TYPE_CHECKING:
    from nixfleet_core.config import Notify

JOB: Final = "20261123-004101-ab12"
OSC9 = "\x1b]9;NixFleet: csb0: updated: 2.2.0 runs\x1b\\"
OSC777 = "\x1b]777;notify;NixFleet: csb0: updated;2.2.0 runs\x1b\\"
OSC99 = (
    f"\x1b]99;i=nixfleet-{JOB}:o=unfocused:d=0;NixFleet: csb0: updated\x1b\\"
    f"\x1b]99;i=nixfleet-{JOB}:o=unfocused:p=body;2.2.0 runs\x1b\\"
)
XTERM, IN_TMUX = {"TERM": "xterm-256color"}, {"TERM": "tmux-256color", "TMUX": "/tmp/t,1,0"}


def tmux(text: str) -> str:
    return "\x1bPtmux;" + text.replace("\x1b", "\x1b\x1b") + "\x1b\\"


def told(choice: Notify = "auto", **environ: str) -> str:
    return desktop_notice("csb0: updated", "2.2.0 runs", job=JOB, choice=choice, environ=environ)


TERMINALS: Final[dict[str, tuple[dict[str, str], str]]] = {
    "kitty": ({"TERM": "xterm-kitty", "KITTY_WINDOW_ID": "1"}, OSC99),
    "kitty over ssh": ({"TERM": "xterm-kitty"}, OSC99),
    "kitty as an xterm": (XTERM | {"KITTY_WINDOW_ID": "1"}, OSC99),
    "ghostty": ({"TERM": "xterm-ghostty", "TERM_PROGRAM": "ghostty"}, OSC777),
    "ghostty as an xterm": (XTERM | {"TERM_PROGRAM": "ghostty"}, OSC777),
    "foot": ({"TERM": "foot-extra"}, OSC777),
    "rxvt-unicode": ({"TERM": "rxvt-unicode-256color"}, OSC777),
    "WezTerm": (XTERM | {"TERM_PROGRAM": "WezTerm", "WEZTERM_PANE": "0"}, OSC777),
    "iTerm2": (XTERM | {"TERM_PROGRAM": "iTerm.app", "ITERM_SESSION_ID": "w0"}, OSC9),
    "iTerm2 over ssh": (XTERM | {"LC_TERMINAL": "iTerm2"}, OSC9),
    "WezTerm from kitty": (XTERM | {"TERM_PROGRAM": "WezTerm", "KITTY_WINDOW_ID": "1"}, OSC777),
    "kitty from WezTerm": ({"TERM": "xterm-kitty", "TERM_PROGRAM": "WezTerm"}, OSC99),
    "tmux in kitty": (IN_TMUX | {"TERM_PROGRAM": "tmux", "KITTY_WINDOW_ID": "1"}, tmux(OSC99)),
    "tmux in WezTerm": (IN_TMUX | {"TERM": "screen", "WEZTERM_PANE": "0"}, tmux(OSC777)),
    "tmux in ghostty": (IN_TMUX | {"GHOSTTY_RESOURCES_DIR": "/g"}, tmux(OSC777)),
    "tmux in iTerm2": (IN_TMUX | {"ITERM_SESSION_ID": "w0"}, tmux(OSC9)),
    "ssh from tmux in iTerm2": ({"TERM": "tmux-256color", "LC_TERMINAL": "iTerm2"}, tmux(OSC9)),
    "tmux in an unknown one": (IN_TMUX, ""),
    "screen in kitty": ({"TERM": "screen", "STY": "1.a", "KITTY_WINDOW_ID": "1"}, ""),
    "screen in tmux in kitty": (
        {"TERM": "screen.xterm-kitty", "STY": "1.a", "TMUX": "t", "KITTY_WINDOW_ID": "1"},
        "",
    ),
    "ssh from screen or tmux": ({"TERM": "screen-256color", "LC_TERMINAL": "iTerm2"}, ""),
    "xterm": (XTERM, ""),
    "Apple's Terminal": (XTERM | {"TERM_PROGRAM": "Apple_Terminal"}, ""),
    "Windows Terminal": (XTERM | {"WT_SESSION": "x"}, ""),
    "VS Code from kitty": (XTERM | {"TERM_PROGRAM": "vscode", "KITTY_WINDOW_ID": "1"}, ""),
    "Alacritty from kitty": ({"TERM": "alacritty", "KITTY_WINDOW_ID": "1"}, ""),
    "Emacs from kitty": ({"TERM": "eterm-color", "KITTY_WINDOW_ID": "1"}, ""),
    "vterm in Emacs from kitty": (XTERM | {"INSIDE_EMACS": "v", "KITTY_WINDOW_ID": "1"}, ""),
    "the Linux console": ({"TERM": "linux", "LC_TERMINAL": "iTerm2"}, ""),
    "no terminal": ({}, ""),
}


@pytest.mark.parametrize(("environ", "notice"), TERMINALS.values(), ids=TERMINALS)
def test_each_terminal_gets_the_notice_that_it_knows(environ: dict[str, str], notice: str) -> None:
    assert told(**environ) == notice


@pytest.mark.parametrize(("choice", "notice"), [("osc9", OSC9), ("osc777", OSC777), ("off", "")])
def test_the_operators_choice_goes_before_what_the_terminal_says(
    choice: Notify, notice: str
) -> None:
    assert told(choice, TERM="xterm-kitty") == notice
    assert told(choice, **XTERM) == notice
    assert told(choice, **IN_TMUX) == (tmux(notice) if notice else "")
    assert told(choice, TERM="screen", STY="1.a") == ""


FRAME: Final = re.compile(r"\x1b\](?P<fields>[^\x1b\x07\x9c]*)\x1b\\")
FIELDS: Final = {"osc9": 2, "osc777": 4, "osc99": 3}
"""So many fields the frames of each kind have."""

HOSTILE: Final = st.text(
    st.one_of(st.characters(), st.sampled_from("\x1b\x07\x9c\x9b\x9d;]\\\n\r\u202e\x00\x7f4:"))
)


@given(HOSTILE, HOSTILE, HOSTILE, st.sampled_from(["osc9", "osc777", "osc99"]), st.booleans())
def test_no_text_of_a_host_leaves_its_field(
    title: str, body: str, job: str, choice: Notify, in_tmux: bool
) -> None:
    environ = IN_TMUX if in_tmux else XTERM
    notice = desktop_notice(title, body, job=job, choice=choice, environ=environ)
    if in_tmux:
        assert notice.startswith("\x1bPtmux;")
        assert notice.endswith("\x1b\\")
        packed = notice[len("\x1bPtmux;") : -len("\x1b\\")]
        assert "\x1b" not in packed.replace("\x1b\x1b", "")
        notice = packed.replace("\x1b\x1b", "\x1b")
    frames = [frame["fields"] for frame in FRAME.finditer(notice)]
    assert FRAME.sub("", notice) == ""
    assert len(frames) == (2 if choice == "osc99" else 1)
    for fields in frames:
        assert fields.startswith(f"{choice.removeprefix('osc')};")
        assert fields.count(";") == FIELDS[choice] - 1
        assert FORBIDDEN.search(fields) is None
        assert len(fields) < TITLE_LIMIT + BODY_LIMIT + 200
    if choice == "osc9":
        assert frames[0].startswith("9;NixFleet: ")  # a number would be no notice
