"""The gate that all new connections pass: sshd refuses those that come too many at once.

sshd's MaxStartups (10:30:100) counts connections that have not logged in yet. Each connection
through a jump logs in there too, so hosts behind one jump take their turns.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

from nixfleet_core.config import DEFAULT_LIMITS

if TYPE_CHECKING:
    from collections.abc import Callable

    from nixfleet_core.config import Limits

    Leave = Callable[[], None]

HELD: Final = 20.0
"""Seconds after which a host that has not answered gives its place to the next one. It goes on."""


class Door(Protocol):
    """The way to one host."""

    async def enter(self) -> Leave:
        """Wait for a place to set up a connection; the result gives the place back."""
        ...

    def pause(self, stderr: str, tries: int) -> float | None:
        """Seconds until we try again after ssh has failed with these words, or None."""
        ...

    async def hindrance(self) -> str:
        """What this machine has set up that may be why there is no connection, as advice; or ""."""
        ...


class NoDoor:
    """The way to this machine: nobody waits."""

    async def enter(self) -> Leave:
        return lambda: None

    def pause(self, stderr: str, tries: int) -> float | None:
        del stderr, tries
        return None

    async def hindrance(self) -> str:
        return ""


class Gate:
    """Lets connections in, first come first served. Only one event loop may use it at a time."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._inside: Counter[str] = Counter()
        self._waiting: deque[tuple[str, asyncio.Future[None]]] = deque()

    async def enter(self, jump: str = "") -> Leave:
        """Wait for a place for a connection through that jump ("": through none)."""
        turn = asyncio.get_running_loop().create_future()
        entry = (jump, turn)
        self._waiting.append(entry)
        self._admit()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave(jump)
            raise
        finally:
            with suppress(ValueError):
                self._waiting.remove(entry)
        return _Place(self, jump).leave

    def _admit(self) -> None:
        """Let in who may come in. Those who wait for a jump keep nobody else waiting."""
        for entry in tuple(self._waiting):
            jump, turn = entry
            room = not jump or self._inside[jump] < self._limits.through_one_jump
            if self._inside.total() < self._limits.connections and room:
                self._waiting.remove(entry)
                if not turn.done():
                    self._inside[jump] += 1
                    turn.set_result(None)

    def _leave(self, jump: str) -> None:
        self._inside[jump] -= 1
        self._admit()


class _Place:
    """A place at the gate; it is given back once, at the latest after `HELD` seconds."""

    def __init__(self, gate: Gate, jump: str) -> None:
        self._gate, self._jump = gate, jump
        self._inside = True
        self._timer = asyncio.get_running_loop().call_later(HELD, self.leave)

    def leave(self) -> None:
        self._timer.cancel()
        if self._inside:
            self._inside = False
            self._gate._leave(self._jump)
