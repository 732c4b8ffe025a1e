"""One connection to a host, as a test lets it speak and end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from nixfleet_core.transport.answer import Answer


@dataclass
class Talk:
    """One connection: the host's output, portion by portion, and its end."""

    says: list[bytes]
    end: str = "lost"
    stderr: str = ""
    hangs: bool = False
    heard_at: float = 0.0
    closed: bool = False

    async def read(self) -> bytes:
        if self.says:
            return self.says.pop(0)
        if self.hangs:
            await asyncio.Event().wait()
        return b""

    async def close(self) -> Answer:
        self.closed = True
        return Answer(0 if self.end == "whole" else 255, b"", self.stderr, self.end)  # type: ignore[arg-type]
