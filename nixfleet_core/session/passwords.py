"""Asking for sudo's password when an operation turns out to need it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from nixfleet_core.errors import NeedsPassword, PasswordRefused
from nixfleet_core.session.boundary import one_host

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from nixfleet_core.session.protocol import HostSession

_T = TypeVar("_T")


class Passwords:
    """Asks one question at a time, however many operations run. `ask` gives None for no answer."""

    def __init__(self, ask: Callable[[NeedsPassword], Awaitable[str | None]]) -> None:
        self._ask = ask
        self._asking = asyncio.Lock()
        self._given: dict[str, int] = {}

    async def run(self, session: HostSession, operation: Callable[[], Awaitable[_T]]) -> _T:
        """Await `operation`, asking for the password as often as it takes.

        Raises PasswordRefused, and the operation's HostErrors; every other error becomes one.
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
                    password = await self._ask(need)
                    if password is None:
                        raise PasswordRefused(name, wrong=need.wrong, said=need.said) from None
                    session.give_password(password)
                    self._given[name] = given + 1
