"""A password on its way: tried once, and kept only if it made us root."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from nixfleet_core.errors import HostError, NeedsPassword

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Password:
    """A host's password. All shells to the host share it, so what failed once is forgotten by all
    of them: three silent tries lock an account."""

    def __init__(self) -> None:
        self._value: str | None = None
        self._proven = False
        self._trial = asyncio.Lock()
        self._wrong: NeedsPassword | None = None

    def give(self, value: str) -> None:
        """The operator's answer."""
        self._value, self._proven, self._wrong = value, False, None

    def need(self, host: str) -> NeedsPassword:
        """The error if there is none; it says so if the last one was wrong."""
        return self._wrong or NeedsPassword(host)

    @asynccontextmanager
    async def tried(self) -> AsyncIterator[str | None]:
        """The password for one try; who else wants it waits for the end of this one.

        One that was never proven is forgotten at once, and comes back by `keep`. A HostError
        forgets any.
        """
        async with self._trial:
            value = self._value
            if not self._proven:
                self._value = None
            try:
                yield value
            except HostError as error:
                self._value, self._proven = None, False
                if isinstance(error, NeedsPassword) and error.wrong:
                    self._wrong = error
                raise

    def keep(self, value: str) -> None:
        """It made us root."""
        self._value, self._proven = value, True
