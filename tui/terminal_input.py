"""What a terminal sends, as events. It stands in for the parser of Textual 8.

Keys, pastes, mouse reports and the terminal's answers come in one stream, cut anywhere, and others
can have written a part of it: a paste is text from anywhere, and a terminal answers late. So only
what is understood is an event. All else is swallowed, and is never read as single keys. Nothing
between the marks of a paste is a key. What has no end does not make us deaf.

Textual's own parser (8.2.8) takes what it does not understand for keys, even a paste that holds an
escape; a number out of range in a key's report ends the app. Its tables, which say what a whole
sequence means, are used here.
"""

from __future__ import annotations

import re
from time import monotonic
from typing import TYPE_CHECKING, Final

from textual import constants, events, messages
from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual._keyboard_protocol import FUNCTIONAL_KEYS
from textual._xterm_parser import IS_ITERM, XTermParser
from textual.keys import Keys
from textual.message import Message

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

SEQUENCE_LIMIT: Final = 1.0
"""Seconds that a sequence, or an answer of the terminal, may take to arrive."""
PASTE_PAUSE: Final = 1.0
"""Seconds after which a paste is over if no more of it comes, and no end."""
PASTE_SIZE: Final = 65536
"""Characters of a paste that are kept: what is pasted here is one line."""

_ESC: Final = "\x1b"
_PASTE: Final = "\x1b[200~"
_PASTE_END: Final = "\x1b[201~"
_LONGEST: Final = 64
"""Characters of a sequence; a longer one is not understood."""

_STRINGS: Final = "P]X^_"
"""What begins a string after an escape (DCS, OSC, SOS, PM, APC): a terminal's answer."""

_ONE_KEY: Final = re.compile(r"[^\x1b]|\x1b(\[[0-9:;]*[@-~]|O.|[^\[O])?", re.DOTALL)
_LATE: Final = re.compile(r"\[[0-9:;<?]*[@-~]|\]\d+;")
_REST: Final = re.compile(r"[^\x1b\x07]*(?:\x07|\x1b\\)")
_REPORT: Final = re.compile(
    r"\x1b\[(?P<code>\d{1,7})?(?::[\d:]{0,16})?"
    r"(?:;(?P<modifiers>\d{1,3})?(?::(?P<kind>\d))?)?(?:;(?P<text>[\d:]{0,32}))?"
    r"(?P<end>[u~ABCDEFHPQS])"
)
"""A key's report: code:alternates; modifiers:kind; text. xterm has it, and kitty's protocol."""
_RELEASED: Final = "3"
_MOUSE: Final = re.compile(r"\x1b\[<\d{1,3};-?\d{1,5};-?\d{1,5}[Mm]")
_RESIZED: Final = re.compile(r"\x1b\[48" + r";(\d{1,5})(?::\d{0,5})?" * 4 + "t")
_MODE: Final = re.compile(r"\x1b\[\?(\d{1,5});(\d)\$y")
_BACKGROUND: Final = re.compile(
    r"\]11;rgba?:([0-9a-f]{1,4})/([0-9a-f]{1,4})/([0-9a-f]{1,4})(?:/[0-9a-f]{1,4})?", re.IGNORECASE
)
_SCHEMES: Final = {"\x1b[?997;1n": True, "\x1b[?997;2n": False}
"""Whether the operator prefers dark colours, as the terminal reports it (mode 2031)."""


class TerminalBackground(Message):
    """The terminal says whether its background is dark."""

    def __init__(self, *, dark: bool) -> None:
        super().__init__()
        self.dark = dark


class TerminalInput:
    """Takes what was read, piece by piece, and gives events."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._tables = XTermParser()
        self._sequence = ""
        """What has begun, from its escape on; of a string only how it begins, and an escape that
        may end it."""
        self._string = ""
        """What the string says, as far as it may be an answer."""
        self._began = 0.0
        self._skip = 0
        """Characters that belong to the last sequence."""
        self._paste: str | None = None
        self._heard = 0.0
        self._is_lost = False
        """A paste had no end: more of it may come."""
        self._is_escaped = False
        """An escape was a key, as no more came; but the rest of its sequence may be late."""
        self._is_cut = False
        """A string had no end: the rest of it may be late."""

    def feed(self, text: str) -> Iterator[Message]:
        """The events of what was read at once."""
        now = self._clock()
        if self._paste is None or not _ONE_KEY.fullmatch(text):
            self._heard = now  # keys in vain do not make a paste longer
        if self._is_lost and not _ONE_KEY.fullmatch(text):
            _, end, text = text.rpartition(_PASTE_END)
            if not end:
                return
        if self._is_escaped and _LATE.match(text):  # nobody types so fast
            self._sequence, self._began = _ESC, now
        if self._is_cut:
            text = text[rest.end() :] if (rest := _REST.match(text)) else text
        self._is_lost = self._is_escaped = self._is_cut = False
        while text:
            if self._paste is None:
                yield from self._take(text[0], now)
                text = text[1:]
            else:
                text = yield from self._take_paste(text)

    def tick(self) -> Iterator[Message]:
        """The events of what is over by now, as no more of it has come."""
        now = self._clock()
        if now - self._heard >= SEQUENCE_LIMIT:
            self._skip = 0
        if self._paste is not None:
            if now - self._heard >= PASTE_PAUSE:
                self._is_lost = True
                yield _pasted(self._paste)
                self._paste = None
        elif self._sequence == _ESC:
            if now - self._began >= constants.ESCAPE_DELAY:
                self._sequence, self._is_escaped = "", True
                yield events.Key("escape", _ESC)
        elif self._sequence and now - self._began >= SEQUENCE_LIMIT:
            self._is_cut = self._sequence[1] in _STRINGS
            self._sequence = ""

    def _take(self, char: str, now: float) -> Iterator[Message]:
        """One character outside of pastes."""
        sequence = self._sequence
        if self._skip:
            self._skip -= 1
        elif not sequence:
            if char == _ESC:
                self._sequence, self._began = _ESC, now
            else:
                yield from self._key(char)
        elif sequence[1:2] and sequence[1] in _STRINGS:
            yield from self._take_of_string(char)
        elif char == _ESC:
            if sequence == _ESC:
                yield events.Key("escape", _ESC)
            self._sequence, self._began = _ESC, now
        elif sequence == _ESC and (char in "[O" or char in _STRINGS):
            self._sequence += char
            self._string = char
        elif sequence == _ESC:
            self._sequence = ""
            yield from self._alt(char)
        elif " " <= char <= "?":
            if len(sequence) < _LONGEST:  # a longer one is swallowed up to its end
                self._sequence += char
        elif sequence == "\x1b[" and char == "[":  # the Linux console's function keys
            self._sequence += char
        else:
            self._sequence = ""
            if "@" <= char <= "~" and len(sequence) < _LONGEST:
                yield from self._meaning(sequence + char)

    def _take_of_string(self, char: str) -> Iterator[Message]:
        """A string ends with BEL, with escape and a backslash, or with what cancels it."""
        is_escaped = self._sequence[-1] == _ESC
        if char == "\x07" or (is_escaped and char == "\\"):
            self._sequence = ""
            yield from _answer(self._string)
        elif char in "\x18\x1a":
            self._sequence = ""
        elif char == _ESC:
            self._sequence = self._sequence[:2] + _ESC
        else:
            self._sequence = self._sequence[:2]
            if len(self._string) < _LONGEST:  # a longer one is no answer that we know
                self._string += _ESC * is_escaped + char

    def _take_paste(self, text: str) -> Generator[Message, None, str]:
        """Take what belongs to the paste; return what comes after it."""
        assert self._paste is not None
        paste, end, rest = (self._paste + text).partition(_PASTE_END)
        if end:
            self._paste = None
            yield _pasted(paste)
        elif len(paste) > PASTE_SIZE:
            # the mark may have begun
            self._paste = paste[:PASTE_SIZE] + paste[PASTE_SIZE:][1 - len(_PASTE_END) :]
        else:
            self._paste = paste
        return rest

    def _key(self, sequence: str) -> Iterator[Message]:
        """A key, if Textual knows one of that sequence, or it is a character. What once were
        control characters of 8 bits is neither."""
        if "\x80" <= sequence <= "\x9f":
            return
        if sequence in ANSI_SEQUENCES_KEYS or len(sequence) > 1 or _is_text(sequence):
            for key in self._tables._sequence_to_key_events(sequence):
                if key.key != Keys.Ignore:
                    yield key

    def _alt(self, char: str) -> Iterator[Message]:
        if _ESC + char in ANSI_SEQUENCES_KEYS:
            yield from self._key(_ESC + char)
        elif _is_text(char):
            yield from self._tables._sequence_to_key_events(char, alt=True)

    def _meaning(self, sequence: str) -> Iterator[Message]:
        """The events of a whole sequence; none if it is not understood."""
        if sequence == _PASTE:
            self._paste = ""
        elif sequence == "\x1b[I":
            yield events.AppFocus()
        elif sequence == "\x1b[O":
            yield events.AppBlur()
        elif sequence == "\x1b[M":  # the mouse, as X10 reports it
            self._skip = 3
        elif _MOUSE.fullmatch(sequence):
            if (mouse := self._tables.parse_mouse_code(sequence)) is not None:
                yield mouse
        elif (resized := _RESIZED.fullmatch(sequence)) is not None:
            yield from self._resized(*map(int, resized.groups()))
        elif (prefers_dark := _SCHEMES.get(sequence)) is not None:
            yield TerminalBackground(dark=prefers_dark)
        elif (mode := _MODE.fullmatch(sequence)) is not None:
            yield from _mode(*mode.groups())
        elif sequence in ANSI_SEQUENCES_KEYS:
            yield from self._key(sequence)
        elif (report := _REPORT.fullmatch(sequence)) is not None and (known := _known(report)):
            yield from self._key(known)

    def _resized(self, rows: int, columns: int, height: int, width: int) -> Iterator[Message]:
        if rows and columns:
            event = events.Resize.from_dimensions((columns, rows), (width, height))
            if width and height:
                self._tables.terminal_size = event.size
                self._tables.terminal_pixel_size = event.pixel_size
                self._tables.mouse_pixels = True
            yield event


def _answer(string: str) -> Iterator[Message]:
    """The event of a whole string; none if it is not understood."""
    if (background := _BACKGROUND.fullmatch(string)) is not None:
        red, green, blue = (int(part, 16) / (16 ** len(part) - 1) for part in background.groups())
        yield TerminalBackground(dark=0.299 * red + 0.587 * green + 0.114 * blue < 0.5)


def _pasted(text: str) -> events.Paste:
    """Text without control characters; a terminal sends a carriage return for a newline."""
    lines = text[:PASTE_SIZE].replace("\r\n", "\n").replace("\r", "\n")
    return events.Paste("".join(char for char in lines if char.isprintable() or char in "\n\t"))


def _is_text(char: str) -> bool:
    return char.isprintable() and char != "\ufffd"


def _mode(number: str, setting: str) -> Iterator[Message]:
    """The terminal says whether it has a mode that Textual has asked for."""
    if number == "2026" and setting != "0":
        yield messages.TerminalSupportsSynchronizedOutput()
    elif number == "2048" and constants.SMOOTH_SCROLL and not IS_ITERM:
        yield messages.InBandWindowResize.from_setting_parameter(int(setting))


def _known(report: re.Match[str]) -> str | None:
    """A key's report as Textual can read it; None if it is none, or of a key that was released."""
    if report["kind"] == _RELEASED:
        return None
    code, modifiers, end = report["code"] or "1", report["modifiers"] or "", report["end"]
    if f"{code}{end}" not in FUNCTIONAL_KEYS and (end != "u" or not _is_code(code)):
        return None
    if not 0 <= int(modifiers or "1") <= 256:
        return None
    text = report["text"] or ""
    if not all(map(_is_code, filter(None, text.split(":")))):
        return None
    words = f";{modifiers};{text}" if text else f";{modifiers}" if modifiers else ""
    return f"\x1b[{code}{words}{end}"


def _is_code(number: str) -> bool:
    """True for the code of a printable character."""
    return int(number) <= 0x10FFFF and _is_text(chr(int(number)))
