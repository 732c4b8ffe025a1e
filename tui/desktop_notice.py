"""The notice that a terminal shows on the desktop, for an operator who looks elsewhere.

Pure. A terminal cannot be asked which notices it knows, and some print what they do not know. So it
is judged by what it says of itself in the environment; one that we do not know gets none.

- OSC 9, `TEXT`: iTerm2. Others take a text that begins with a number for something else, such as
  progress (`4;1;50`, of ConEmu, Windows Terminal and ghostty). Ours begins with a word.
- OSC 777, `notify;TITLE;BODY`: rxvt-unicode (with its extension), foot, ghostty, WezTerm.
- OSC 99, fields and text: kitty. It is shown only while the window is not in front.

tmux swallows them all, but passes on what is packed for it, if its `allow-passthrough` is on. GNU
screen would print what is packed for tmux, and passes nothing on.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal

from tui.text import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nixfleet_core.config import Notify

Protocol = Literal["osc9", "osc777", "osc99"]

TITLE_LIMIT: Final = 100
BODY_LIMIT: Final = 300
"""Characters; a desktop shows no more."""

_END: Final = "\x1b\\"

_BY_TERM: Final[Mapping[str, Protocol]] = {
    "xterm-kitty": "osc99",
    "xterm-ghostty": "osc777",
    "foot": "osc777",
    "wezterm": "osc777",
    "rxvt-unicode": "osc777",
}
"""By how TERM begins. ssh carries it along."""

_BY_PROGRAM: Final[Mapping[str, Protocol]] = {
    "iTerm.app": "osc9",
    "WezTerm": "osc777",
    "ghostty": "osc777",
}
"""By TERM_PROGRAM."""

_BY_VARIABLE: Final[Mapping[str, Protocol]] = {
    "KITTY_WINDOW_ID": "osc99",
    "WEZTERM_PANE": "osc777",
    "GHOSTTY_RESOURCES_DIR": "osc777",
    "ITERM_SESSION_ID": "osc9",
}
"""By a variable that only this terminal sets. In tmux nothing else names the terminal around it."""

_OTHERS_NAMES: Final = ("xterm", "tmux", "screen")
"""TERM begins so in many terminals. With any other name, variables are left over from a terminal in
which this one was started."""


def desktop_notice(
    title: str, body: str, *, job: str, choice: Notify, environ: Mapping[str, str]
) -> str:
    """What makes this terminal show a notice; "" if it would not. Both texts may quote a host.

    `job` tells it apart from other notices: kitty shows one of each name.
    """
    protocol = _protocol(choice, environ)
    if protocol is None:
        return ""
    heading, text = _field(title, TITLE_LIMIT), _field(body, BODY_LIMIT)
    told: tuple[str, ...]
    match protocol:
        case "osc9":
            told = (f"9;NixFleet: {heading}: {text}",)
        case "osc777":
            told = (f"777;notify;NixFleet: {heading};{text}",)
        case "osc99":
            name = f"i=nixfleet-{re.sub('[^A-Za-z0-9-]', '', job)}"
            told = (
                f"99;{name}:o=unfocused:d=0;NixFleet: {heading}",
                f"99;{name}:o=unfocused:p=body;{text}",
            )
    notice = "".join(f"\x1b]{one}{_END}" for one in told)
    return _for_tmux(notice) if _in_tmux(environ) else notice


def _for_tmux(sequences: str) -> str:
    doubled = sequences.replace("\x1b", "\x1b\x1b")
    return f"\x1bPtmux;{doubled}{_END}"


def _field(text: str, limit: int) -> str:
    """The text as one field: a semicolon would begin the next one."""
    return plain(text).replace(";", ",")[:limit]


def _protocol(choice: Notify, environ: Mapping[str, str]) -> Protocol | None:
    if choice == "off" or _in_screen(environ):
        return None
    return _known(environ) if choice == "auto" else choice


def _known(environ: Mapping[str, str]) -> Protocol | None:
    """What the terminal knows, by what it says of itself."""
    term, program = environ.get("TERM", ""), environ.get("TERM_PROGRAM", "")
    for name, protocol in _BY_TERM.items():
        if term.startswith(name):
            return protocol
    if not term.startswith(_OTHERS_NAMES) or "INSIDE_EMACS" in environ:
        return None
    if program and program != "tmux":
        return _BY_PROGRAM.get(program)
    for variable, protocol in _BY_VARIABLE.items():
        if environ.get(variable):
            return protocol
    return "osc9" if environ.get("LC_TERMINAL") == "iTerm2" else None  # which ssh may carry along


def _in_tmux(environ: Mapping[str, str]) -> bool:
    return bool(environ.get("TMUX")) or environ.get("TERM", "").startswith("tmux")


def _in_screen(environ: Mapping[str, str]) -> bool:
    """Whether this is GNU screen, or may be: tmux can call itself so, too."""
    is_screen = environ.get("TERM", "").startswith("screen")
    return is_screen and bool(environ.get("STY") or not environ.get("TMUX"))
