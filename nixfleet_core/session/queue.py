"""The same for several hosts: so many at once, and no more of them after a failure."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

AT_ONCE: Final = 8
"""So many hosts are worked on at once, unless the operator says otherwise: their jobs load the same
servers and caches. How many connections are set up at once is the business of `transport.gate`."""

_Host = TypeVar("_Host")
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class NotBegun(Generic[_Host]):
    """The host's turn did not come, since `failed` had failed before."""

    failed: _Host


@dataclass(frozen=True, slots=True)
class Queue:
    """Hosts take their turns in their order, at most `at_once` at a time (0: all). With `stop` none
    begins after one has failed; those that have begun go on to their end."""

    at_once: int = AT_ONCE
    stop: bool = False

    async def run(
        self,
        hosts: Sequence[_Host],
        act: Callable[[_Host], Awaitable[_Result]],
        failed: Callable[[_Result], bool],
    ) -> list[_Result | NotBegun[_Host]]:
        """The results in the order of the hosts. What `act` raises ends the queue."""
        found: dict[int, _Result] = {}
        waiting = iter(enumerate(hosts))
        first_failed: NotBegun[_Host] | None = None

        async def take_turns() -> None:
            nonlocal first_failed
            while first_failed is None and (turn := next(waiting, None)) is not None:
                number, host = turn
                found[number] = await act(host)
                if self.stop and first_failed is None and failed(found[number]):
                    first_failed = NotBegun(host)

        places = min(self.at_once or len(hosts), len(hosts))
        await asyncio.gather(*(take_turns() for _ in range(places)))
        if first_failed is None:
            return [found[number] for number in range(len(hosts))]
        return [found.get(number, first_failed) for number in range(len(hosts))]
