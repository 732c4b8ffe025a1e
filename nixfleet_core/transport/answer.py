"""How a script's answer is told from all else that a host prints.

A login shell's start-up files may print anything on stdout and stderr, also without a newline, and
what they start may print later. So we choose a random mark for each script. On both, the script's
words stand between `MARK begin` and `MARK end RC`, wherever in a line. The host joins the mark from
two halves, so a shell that repeats its input cannot show it.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from typing import Final, Literal

NOISE_LIMIT: Final = 64 * 1024
"""Bytes that a login shell may print on stdout before it runs a script."""

CARRIER_FAILED: Final = 255
"""ssh's own exit code; every other code comes from the host."""

End = Literal["whole", "away", "mute", "lost", "cut", "late"]
"""How an answer ended. whole: the script ran to its end. away: no connection came about. mute: the
login shell runs nothing. lost: the connection broke. cut: the answer broke off on the host, or is
too large. late: the time was over."""

_RC: Final = re.compile(rb"[0-9]{1,3}\n")
_RC_SIZE: Final = 4


@dataclass(frozen=True, slots=True)
class Answer:
    """A script's output. `rc` is the script's exit code if the answer is whole, else the carrier's.

    `stderr` has the words since the script began; those of ssh, too, if it failed. `noise` is what
    the login shell printed, if it is mute.
    """

    rc: int
    stdout: bytes
    stderr: str
    end: End = "whole"
    noise: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """The mark of one script."""

    halves: tuple[str, str] = field(
        default_factory=lambda: (f"@nf-{secrets.token_hex(8)}", secrets.token_hex(8))
    )

    @property
    def text(self) -> bytes:
        return "".join(self.halves).encode()

    @property
    def hello(self) -> bytes:
        """A script that prints only `greeting`: the login shell runs scripts."""
        return f"set +vx\n{self._print('hello')}\n".encode()

    @property
    def greeting(self) -> bytes:
        return self.text + b" hello\n"

    def around(self, script: str) -> bytes:
        """The script between its marks.

        A shell reads braces whole before it runs them, so a script that was cut off on its way does
        nothing. `set +vx` ends tracing (SHELLOPTS), since a trace on stderr would pass for the
        script's own words. In a subshell, because the script exits and has traps of its own.
        """
        begin, end = self._print("begin"), self._print("end $1")
        return (
            f"set +vx\n{{\n{begin}\n{begin} >&2\n(\n{script}\n)\n"
            f'set -- "$?"\n{end}\n{end} >&2\nexit "$1"\n}}\n'
        ).encode()

    def _print(self, words: str) -> str:
        """The command that prints the mark and the words. The halves need no quotes."""
        first, second = self.halves
        return f"printf '%s%s %s\\n' {first} {second} \"{words}\""


class AnswerReader:
    """Takes a shell's stdout in any portions, gives the bytes of the answer."""

    def __init__(self, mark: Mark) -> None:
        self._begin = mark.text + b" begin\n"
        self._end = mark.text + b" end "
        self._buffer = bytearray()
        self.begun = False
        self.rc: int | None = None
        """The script's exit code, once its end has come."""

    @property
    def noise(self) -> bytes:
        """What came before the answer, as long as it has not begun."""
        return b"" if self.begun else bytes(self._buffer)

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes. What comes after the end is dropped."""
        if self.rc is not None:
            return b""
        searched = max(0, len(self._buffer) - len(self._begin))
        self._buffer += data
        if not self.begun:
            at = self._buffer.find(self._begin, searched)
            if at < 0:
                return b""
            self.begun = True
            del self._buffer[: at + len(self._begin)]
        return self._take(self._safe_size())

    def rest(self) -> bytes:
        """What was kept back because the end could have begun there."""
        open_end = self.begun and self.rc is None
        return self._take(len(self._buffer)) if open_end else b""

    def _safe_size(self) -> int:
        """So many bytes belong to the answer for sure. Sets `rc` at the end."""
        at = self._buffer.find(self._end)
        if at >= 0:
            code = self._buffer[at + len(self._end) :][:_RC_SIZE]
            if _RC.match(code):
                self.rc = int(code.partition(b"\n")[0])
            return at
        first, tail = self._end[:1], max(0, len(self._buffer) - len(self._end))
        at = self._buffer.find(first, tail)
        while at >= 0 and not self._end.startswith(self._buffer[at:]):
            at = self._buffer.find(first, at + 1)
        return at if at >= 0 else len(self._buffer)

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken


def own_words(stderr: bytes, mark: Mark) -> bytes:
    """The script's part of stderr, of which only the last bytes may be known."""
    _, _, rest = stderr.rpartition(mark.text + b" begin\n")
    return rest.partition(mark.text + b" end ")[0]
