"""A stream from a host, kept up: a silence is shown, a dead link is given up and made anew.

It is the same for all that is followed: a job, and the agent's own log.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, TypeVar

from nixfleet_core.errors import BadAnswer, ClientFailed, Unreachable
from nixfleet_core.job.events import Link
from nixfleet_core.job.frames import StreamError
from nixfleet_core.session.no_answer import no_answer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine

    from nixfleet_core.transport.answer import Answer
    from nixfleet_core.transport.shell import Conversation

_T = TypeVar("_T")

QUIET: Final = 8.0
"""Seconds without a byte after which the silence is shown; the host gives a sign of life each 5."""

SILENT: Final = 20.0
"""Seconds without a byte after which we give up the link and connect anew."""

RETRY_DELAYS: Final = (0.5, 1.0, 2.0, 4.0, 5.0)
"""Seconds before each next try to connect; the last value repeats."""

STREAM_ERRORS: Final = 8
"""After so many connections in a row that brought no news and ended with something that cannot be
read, we give up the host: that is no broken link."""


class AtOnce(Exception):  # noqa: N818 - no error
    """Connect again without a pause: we have learnt how."""


async def kept_up(
    attach: Callable[[], AsyncGenerator[_T, None]],
    lost: Callable[[], Awaitable[None]],
    is_over: Callable[[], bool],
    what: str,
    *,
    gives_up: Callable[[], bool] = lambda: False,
) -> AsyncGenerator[_T | Link, None]:
    """One connection after the other, until it is over.

    `attach` is one connection, and gives its news. It raises StreamError, AtOnce, and what an
    unreachable host raises; everything else passes. `lost` is called before each new try; it ends a
    connection that may be dead. `what` is followed, in words. `gives_up`: the loss of a link is an
    error.
    """
    tries, since, wrong = 0, time.monotonic(), 0
    while True:
        why = "the connection was closed"
        try:
            async with aclosing(attach()) as live:
                async for event in live:
                    tries, since, wrong = 0, time.monotonic(), 0
                    yield event
        except AtOnce:
            continue
        except (BadAnswer, ClientFailed):
            raise
        except StreamError as error:
            why, wrong = str(error), wrong + 1
            if wrong == STREAM_ERRORS or gives_up():
                raise BadAnswer(f"its answer about {what} cannot be read: {why}") from error
        except (Unreachable, TimeoutError, OSError) as error:
            why = str(error) or "no answer"
            if gives_up():
                raise
        if is_over():
            return
        delay = RETRY_DELAYS[min(tries, len(RETRY_DELAYS) - 1)]
        tries += 1
        yield Link(up=False, seconds=int(time.monotonic() - since), why=why)
        await asyncio.sleep(delay)
        await lost()


async def portions(talk: Conversation) -> AsyncGenerator[bytes | Link, None]:
    """What the script writes, in the portions in which it comes; and a Link for each second of a
    silence, and for its end. A sign of life on stderr ends a silence, too. Raises TimeoutError when
    it lasts too long."""
    heard, shown = time.monotonic(), False
    while True:
        portion = await _read(talk, 1.0)
        if portion is None:
            heard = max(heard, talk.heard_at)
            silent = time.monotonic() - heard
            if silent >= SILENT:
                raise TimeoutError(f"no answer for {int(silent)} s")
            if silent >= QUIET:
                shown = True
                yield Link(up=False, seconds=int(silent), why="no answer")
            elif shown:
                shown = False
                yield Link(up=True)
            continue
        if not portion:
            return
        heard, shown = time.monotonic(), False
        yield portion
        # a host that floods always has data to read: give the other hosts their turn
        await asyncio.sleep(0)


def why_ended(answer: Answer) -> str:
    """Why a stream has ended before its last word."""
    return "the follower ended" if answer.end == "whole" else str(no_answer(answer, SILENT, ""))


async def finished(work: Coroutine[None, None, _T]) -> _T:
    """The result of work in a thread. A cancellation waits for the thread: we cannot stop it, and
    it must not write to files that a new follower has opened.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        task.exception()  # marks it as seen, else asyncio complains
        raise


async def _read(talk: Conversation, seconds: float) -> bytes | None:
    """The answer's next part within that time; b"" at its end, None if there was none."""
    try:
        async with asyncio.timeout(seconds):
            return await talk.read()
    except TimeoutError:
        return None
