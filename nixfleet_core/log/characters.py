r"""Which characters reach a screen. One policy for the app, the commands and their JSON.

Text from a host, a file or a tool must not drive the terminal, must not reorder or hide what people
read, and must not begin a line of its own. So none of these reaches a screen:

- control characters: C0 but the tab, DEL, and C1;
- characters that change the reading order: the bidirectional marks, embeddings and isolates;
- line and paragraph separators;
- invisible characters, which make two texts look alike: zero-width and filler characters, the soft
  hyphen, interlinear annotation, tags, and whatever else Unicode lets a renderer leave out;
- noncharacters and lone surrogates.

A log line loses them, and whole escape sequences too: logs are full of them, and `--raw` has them
all. Elsewhere each becomes `�`, so that people see that something was there. JSON keeps them as
escapes (\u202e): they can be printed, and nothing is lost. A lone surrogate, which JSON cannot
hold, becomes `�`.

Joiners and variation selectors are part of ordinary text (emoji, Persian), but terminals disagree
on their width, so a screen gets the text without them. Private-use characters stay: terminal fonts
draw icons with them.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_NO_CHARACTERS: Final = "\ufdd0-\ufdef" + "".join(
    f"{chr(plane << 16 | 0xFFFE)}{chr(plane << 16 | 0xFFFF)}" for plane in range(17)
)
_SURROGATES: Final = "\ud800-\udfff"
_CONTROLS: Final = "\x00-\x08\x0a-\x1f\x7f-\x9f"
_UNSHOWN: Final = (
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # reading order
    "\u2028\u2029"  # line and paragraph
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u2060-\u2065\u206a-\u206f\u3164\ufeff"
    "\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e00ff\U000e01f0-\U000e0fff"
)
_JOINERS: Final = "\u200c\u200d\ufe00-\ufe0f\U000e0100-\U000e01ef"
_FORBIDDEN: Final = f"{_CONTROLS}{_UNSHOWN}{_NO_CHARACTERS}{_SURROGATES}"

FORBIDDEN: Final = re.compile(f"[{_FORBIDDEN}]")
"""One character that must not reach a screen."""
JOINER: Final = re.compile(f"[{_JOINERS}]")
_ANY: Final = re.compile(f"[{_FORBIDDEN}{_JOINERS}]")
_ASCII_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_ASCII_IN_LINES: Final = bytes((*b"\t\n", *range(0x20, 0x7F)))
"""What lines of plain ASCII consist of."""
_SURROGATE: Final = re.compile(f"[{_SURROGATES}]")

SGR: Final = re.compile(r"\x1b\[([0-9;]{0,64})m")
"""A colour or the like, as `log_line` leaves it."""

ANY_SGR: Final = re.compile(r"\x1b\[[0-9;:]{0,64}m")
"""The same, as tools write it."""

SEQUENCE: Final = re.compile(
    r"\x1b\[(?P<sgr>[0-9;:]{0,64})m"
    r"|(?:\x1b\[|\x9b)[0-?]*+[ -/]*+[@-~]?"  # CSI
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*+(?:\x07|\x1b\\|\x9c)?"  # OSC, DCS, …
    r"|\x1b[ -/]*+[0-~]?"  # other escape sequences
    f"|[{_FORBIDDEN}{_JOINERS}]"
)
"""A sequence that a terminal obeys and does not show; `sgr` has a colour's parameters."""

RESET: Final = "\x1b[0m"
_RESETS: Final = (RESET, "\x1b[m")

_BREAK: Final = re.compile("[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")


def is_plain(text: str) -> bool:
    """Whether all of its characters may be shown as they are; tabs count as such."""
    if not text.isascii():
        return not _ANY.search(text)
    return text.isprintable() or not _ASCII_CONTROL.search(text)


def one_line(text: str) -> str:
    """Text for a line of our own: each forbidden character becomes `�`, newlines too."""
    if is_plain(text):
        return text
    return FORBIDDEN.sub("\ufffd", JOINER.sub("", text))


def log_line(line: str) -> str:
    """A log line, reduced to text, tabs and colours (SGR).

    Concealing and blinking are removed as well: the log is evidence.
    """
    if is_plain(line):
        return line
    return SEQUENCE.sub(lambda match: _colours(match["sgr"]), line)


def bare_text(lines: Sequence[str]) -> str | None:
    """Many lines without colours, as one text; None if they hold anything else that no screen gets,
    or a newline of their own. Most do not, and that is found out for all at once."""
    text = SGR.sub("", "\n".join(lines))
    if text.count("\n") + 1 != len(lines):
        return None
    if text.isascii():  # six times as fast as is_plain, for a long text
        return None if text.encode().translate(None, _ASCII_IN_LINES) else text
    return text if is_plain(text.replace("\n", "")) else None


def log_colours(lines: list[str]) -> list[str]:
    """Lines that have a `bare_text`, each as `log_line` gives it. Most colours stay as they are."""
    colours = set(SGR.findall("\n".join(lines)))
    if all(_colours(one) == f"\x1b[{one}m" for one in colours):
        return lines
    return [log_line(line) if "\x1b" in line else line for line in lines]


def without_colours(line: str) -> str:
    """A line from `log_line`, without its colours."""
    return SGR.sub("", line) if "\x1b" in line else line


def end_colours(line: str) -> str:
    """A line from `log_line`, with its colours reset at its end."""
    last = line.rfind("\x1b")
    return line if last < 0 or line.startswith(_RESETS, last) else f"{line}{RESET}"


def json_escapes(encoded: str) -> str:
    """JSON text with the same meaning, in which a terminal finds nothing to obey."""
    if is_plain(encoded):
        return encoded
    return _ANY.sub(lambda match: _escape(match[0]), encoded)


def is_line_break(character: str) -> bool:
    """Whether some terminal or editor would begin a new line there."""
    return _BREAK.match(character) is not None


def _escape(character: str) -> str:
    if _SURROGATE.match(character):
        return "\ufffd"
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


_PLAIN_SGR: Final = frozenset(
    (
        *(0, 1, 2, 3, 4, 7, 9, 21, 22, 23, 24, 27, 29, 39, 49, 53, 55, 59),
        *(*range(30, 38), *range(40, 48), *range(90, 98), *range(100, 108)),
    )
)
EXTENDED: Final = (38, 48, 58)
"""Foreground, background and underline; a palette's number or a full colour follows."""
EXTENDED_VALUES: Final = {5: 1, 2: 3}
"""How many values follow on each kind of that."""


@lru_cache(maxsize=4096)
def _colours(parameters: str | None) -> str:
    """The SGR sequence reduced to colour and weight; `` if nothing of it is left.

    By ECMA-48, and by ISO 8613-6 for parameters with colons, which become semicolons here.
    """
    if parameters is None:
        return ""
    left = [_sub_parameters(part) for part in parameters.split(";")]
    kept: list[int] = []
    while left:
        first, *rest = left.pop(0)
        if first in EXTENDED:
            size = EXTENDED_VALUES.get((rest or (left or [[0]])[0])[0], 0)
            values = rest[1:] or [part[0] for part in left[1 : 1 + size]]
            if not rest:
                del left[: 1 + size if size else None]
            if size and len(values) >= size:
                # with colons, a colour space may come before red, green and blue
                kept += (first, 5 if size == 1 else 2, *(values[-size:] if rest else values))
        elif first == 4 and rest:
            kept.append(24 if rest[0] == 0 else 4)
        elif first in _PLAIN_SGR and not rest:
            kept.append(first)
    return f"\x1b[{';'.join(map(str, kept))}m" if kept else ""


def _sub_parameters(part: str) -> list[int]:
    return [int(number[:4]) if number else 0 for number in part.split(":")]
