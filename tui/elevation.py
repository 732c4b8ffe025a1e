"""Asking for sudo's password where an operation turns out to need it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeVar

from nixfleet_core.errors import LaunchFailed, NeedsPassword, NoSuchJob, NotAllowed, Unreachable
from nixfleet_core.session.boundary import one_host

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from nixfleet_core.session.protocol import HostSession

T = TypeVar("T")

FAILURES: Final = (Unreachable, NotAllowed, NoSuchJob, LaunchFailed)
"""What the engine says when something cannot be done; the message is for people."""


class PasswordRefused(Exception):  # noqa: N818 - the operator's choice, not a fault
    """The operator closed the password dialog."""


class Elevation:
    """One password dialog at a time, whatever runs at once."""

    def __init__(self, ask: Callable[[str, bool], Awaitable[str | None]]) -> None:
        self._ask = ask
        self._asking = asyncio.Lock()
        self._given: dict[str, int] = {}

    async def run(self, session: HostSession, operation: Callable[[], Awaitable[T]]) -> T:
        """Await `operation`, asking for the password as often as it takes.

        Raises PasswordRefused, and the HostErrors of the operation: whatever else goes wrong in it
        is the host's, too.
        """
        name = session.host.name
        while True:
            given = self._given.get(name, 0)
            try:
                with one_host(name):
                    return await operation()
            except NeedsPassword as need:
                async with self._asking:
                    if self._given.get(name, 0) != given:
                        continue  # another operation on this host asked meanwhile
                    password = await self._ask(name, need.wrong)
                    if password is None:
                        raise PasswordRefused from None
                    session.give_password(password)
                    self._given[name] = given + 1
