"""One boundary a host: an error that a host's answers cause is its own, and the other hosts go on.

A session raises HostErrors only (`guard_session`). Each door does its own work on a host inside
`one_host`, and draws a host through `drawn`. An error that nobody foresaw is a fault of this
program, or a host that means harm: its traceback goes to `errors.log` in the state directory,
without the values of variables, and is never shown.
"""

from __future__ import annotations

import functools
import inspect
import os
import traceback
from contextlib import aclosing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

import platformdirs

from nixfleet_core.errors import BadAnswer, ClientFailed, HostError, Unreachable
from nixfleet_core.job.copies import odd_file
from nixfleet_core.judge.table_state import Assessment
from nixfleet_core.limits import SAID_LIMIT
from nixfleet_core.log.plain_file import OddFileError
from nixfleet_core.log.redact import redact
from nixfleet_core.session.protocol import HostSession

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator
    from pathlib import Path

    from nixfleet_core.vocabulary import NoAnswer, State

_T = TypeVar("_T")
_Session = TypeVar("_Session")

FAULTS_LIMIT: Final = 256 * 1024
"""Bytes of errors.log; a larger file begins anew."""

_KEPT_FAULTS: Final = 100
"""So many different faults are kept in one run: a view fails again at each repaint."""

_seen: set[tuple[str, str]] = set()


@contextmanager
def one_host(name: str) -> Iterator[None]:
    """Turn every error inside into a HostError of that host.

    HostErrors pass, and so do errors that are not about a host: cancellation, ctrl-c, lack of
    memory, and a reader of our output that has gone.
    """
    try:
        yield
    except (HostError, MemoryError, BrokenPipeError):
        raise
    except TimeoutError as error:
        raise Unreachable("no answer in time") from error
    except OddFileError as error:
        raise odd_file(error) from error
    except OSError as error:
        what = ": ".join(str(part) for part in (error.filename, error.strerror) if part)
        raise ClientFailed(
            f"this machine could not do its part: {what or error}",
            f"a job that was started goes on; then: nixfleet attach {name}",
        ) from error
    except Exception as error:
        path = _keep_fault(name, error)
        raise BadAnswer(
            f"the host's answer cannot be used: {_words(error)}",
            f"look at the host by hand; {path} says where this program failed",
        ) from error


def drawn(name: str, draw: Callable[[], _T], instead: Callable[[str], _T]) -> _T:
    """Draw a host with `draw`; if that fails, draw the reason with `instead`."""
    try:
        with one_host(name):
            return draw()
    except HostError as error:
        return instead(str(error))


def not_seen(error: Unreachable) -> Assessment:
    """What the fleet table says of a host that gave no facts."""
    states: dict[NoAnswer, State] = {"unreachable": "offline", "no-shell": "no-shell"}
    return Assessment(states.get(error.cause, "error"), str(error))


def guard_session(cls: type[_Session]) -> type[_Session]:
    """Make all methods of a HostSession class raise HostErrors only."""
    for name in vars(HostSession):
        method = vars(cls).get(name)
        if not name.startswith("_") and inspect.isfunction(method):
            setattr(cls, name, _guarded(method))
    return cls


def _guarded(method: Callable[..., Any]) -> Callable[..., Any]:
    if inspect.isasyncgenfunction(method):

        @functools.wraps(method)
        async def told(self: HostSession, *args: Any, **more: Any) -> AsyncGenerator[Any, None]:
            with one_host(self.host.name):
                async with aclosing(method(self, *args, **more)) as events:
                    async for event in events:
                        yield event

        return told
    if inspect.iscoroutinefunction(method):

        @functools.wraps(method)
        async def asked(self: HostSession, *args: Any, **more: Any) -> Any:
            with one_host(self.host.name):
                return await method(self, *args, **more)

        return asked

    @functools.wraps(method)
    def called(self: HostSession, *args: Any, **more: Any) -> Any:
        with one_host(self.host.name):
            return method(self, *args, **more)

    return called


def _words(error: Exception) -> str:
    """The error on one line, cut to the length that may be shown."""
    text = redact(" ".join(str(error)[: 4 * SAID_LIMIT].split()))
    return f"{type(error).__name__}: {text}"[:SAID_LIMIT] if text else type(error).__name__


def faults_path() -> Path:
    """Where the tracebacks of unforeseen errors are kept."""
    return platformdirs.user_state_path("nixfleet") / "errors.log"


def _keep_fault(host: str, error: Exception) -> Path:
    """Keep each traceback once. If the file cannot be written, that is no second error."""
    path = faults_path()
    text = redact("".join(traceback.format_exception(error, limit=-20)))[-FAULTS_LIMIT // 2 :]
    if (host, text) in _seen or len(_seen) >= _KEPT_FAULTS:
        return path
    _seen.add((host, text))
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        fd = os.open(path, flags, 0o600)
        with os.fdopen(fd, "ab") as file:
            if file.tell() > FAULTS_LIMIT:
                file.truncate(0)
            head = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {host}\n"
            file.write((head + text + "\n").encode("utf-8", "replace"))
    except OSError:
        pass
    return path
