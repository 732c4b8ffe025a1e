"""The framed stream of scripts/ask/follow.sh, taken apart as it arrives.

A frame is `@KIND OFFSET LENGTH`, a newline, LENGTH bytes, a newline. Log bytes are handed on at
once, before their frame is whole: a link may break at any byte, and no byte that arrived is lost.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

GREETING: Final = b"nixfleet-follow 1\n"
SMALL_LIMIT: Final = 8 * 1024 * 1024
"""Bytes; the largest frame that is kept in memory (every kind but log and events)."""

_HEADER_LIMIT: Final = 256
_HEADER: Final = re.compile(rb"@([a-z][a-z.-]*) ([0-9]{1,15}) ([0-9]{1,15})")
_STREAMED: Final = frozenset({"log", "events"})


class StreamError(ValueError):
    """What a host sends is not what our script writes."""


class FrameError(StreamError):
    """The same of a framed stream."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A whole frame, or a part of one for `log` and `events`; `offset` is the offset of `data`."""

    kind: str
    offset: int
    data: bytes


class FrameReader:
    """Takes bytes in any portions, gives frames."""

    def __init__(self, greeting: bytes = GREETING, streamed: frozenset[str] = _STREAMED) -> None:
        """`streamed`: kinds whose bytes are handed on before their frame is whole."""
        self._buffer = bytearray()
        self._greeting, self._streamed = greeting, streamed
        self._greeted = not greeting
        self._kind = ""
        self._offset = 0
        self._left: int | None = None

    def feed(self, data: bytes) -> list[Frame]:
        """Take the next bytes. Raises FrameError."""
        self._buffer += data
        found: list[Frame] = []
        if not self._greeted and not self._read_greeting():
            return found
        while self._buffer:
            if self._left is None:
                if not self._read_header():
                    return found
                if not self._left and self._kind not in self._streamed:
                    found.append(self._take(0))
            elif self._left == 0:
                if self._buffer[:1] != b"\n":
                    raise FrameError(f"the frame {self._kind!r} has the wrong length")
                del self._buffer[:1]
                self._left = None
            elif self._kind in self._streamed or len(self._buffer) >= self._left:
                found.append(self._take(min(self._left, len(self._buffer))))
            else:
                return found
        return found

    def _read_greeting(self) -> bool:
        if not self._greeting.startswith(self._buffer[: len(self._greeting)]):
            raise FrameError(f"a follower of another version: {bytes(self._buffer[:80])!r}")
        self._greeted = len(self._buffer) >= len(self._greeting)
        if self._greeted:
            del self._buffer[: len(self._greeting)]
        return self._greeted

    def _read_header(self) -> bool:
        end = self._buffer.find(b"\n", 0, _HEADER_LIMIT)
        if end < 0:
            if len(self._buffer) >= _HEADER_LIMIT:
                raise FrameError("a frame without a header")
            return False
        match = _HEADER.fullmatch(self._buffer[:end])
        if match is None:
            raise FrameError(f"a frame with a bad header: {bytes(self._buffer[:end])[:80]!r}")
        self._kind, self._offset, self._left = match[1].decode(), int(match[2]), int(match[3])
        if self._kind not in self._streamed and self._left > SMALL_LIMIT:
            raise FrameError(f"the frame {self._kind!r} is too large: {self._left} bytes")
        del self._buffer[: end + 1]
        return True

    def _take(self, size: int) -> Frame:
        frame = Frame(self._kind, self._offset, bytes(self._buffer[:size]))
        del self._buffer[:size]
        self._offset += size
        self._left = (self._left or 0) - size
        return frame
