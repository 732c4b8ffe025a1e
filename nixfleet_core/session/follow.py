"""Follow a job on a host: the client's copy grows, events are passed on, lost links are restored.

Two rules hold: bytes that are in the copy are never asked for again (its size is the offset), and
bytes that do not continue the copy are never written.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections import deque
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Final

from nixfleet_core.errors import BadAnswer, NoSuchJob, Unreachable
from nixfleet_core.job.copies import CopyStopped, cannot_write, check_room
from nixfleet_core.job.events import (
    EVENT_LINE_LIMIT,
    Check,
    CopyHalt,
    Heartbeat,
    JobEnd,
    JobEvent,
    LineTime,
    Link,
    LogGrew,
    StepEnd,
    StepPlace,
    StepStart,
    Tick,
    read_event,
)
from nixfleet_core.job.frames import Frame, FrameError, FrameReader
from nixfleet_core.job.work import Work, WorkClock
from nixfleet_core.limits import EVENTS_LIMIT, LAST_SECOND
from nixfleet_core.log.plain_file import open_plain, reading
from nixfleet_core.log.text import LogText
from nixfleet_core.scripts.compose import compose
from nixfleet_core.session.link import AtOnce, finished, kept_up, portions, why_ended

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
    from pathlib import Path

    from nixfleet_core.job.copies import JobCopy
    from nixfleet_core.nix.log_state import Progress
    from nixfleet_core.transport.shell import Shell

CHANGED_DELAY: Final = 0.5
"""Seconds before we go on with a copy that somebody else has changed."""

HALT_DELAY: Final = 2.0
"""Seconds between two looks whether a copy that could not grow can grow again."""

HALT_LIMIT: Final = 600.0
"""Seconds after which we give up a copy that cannot grow."""

_KEPT: Final = frozenset({"plan.json", "before", "after", "latest", "changes", "result"})


class _Changed(Exception):  # noqa: N818
    """Somebody else has changed the copy, as another client does that follows the same job."""


class Follower:
    """Brings one job's log and events here. Use `events` once."""

    def __init__(
        self,
        shell: Shell,
        copy: JobCopy,
        job: str,
        lost: Callable[[], Awaitable[None]],
    ) -> None:
        """`lost` is called before each new try; it ends a connection that may be dead."""
        self._shell, self._copy, self._job, self._lost = shell, copy, job, lost
        self._torn = TornLine()
        self._ended = False
        self._clock = 0
        self._elevate = False
        self._progress: Progress | None = None
        self._work = Work()
        self._times = WorkClock()
        self._waiting: deque[JobEvent] = deque()
        """Events whose place in the log has not arrived yet, and all events after them."""
        self._files = copy.files
        self._log_size = self._events_size = 0
        """The bytes of the copy that we have read or written."""
        self._told = 0
        """The bytes of the events that were told; none is told twice."""
        self._halted: float | None = None
        """Since when the copy cannot grow."""

    async def events(self) -> AsyncGenerator[JobEvent, None]:
        """All events from the job's start, then live; ends when the job's last byte is here.

        While the copy cannot grow, it says so and tries again. Whatever was lost of the copy in
        between comes from the host again, and no event is told twice.

        Raises NoSuchJob if the host does not have the job; NeedsPassword or NotAllowed if only root
        can read it because it belongs to somebody else; BadAnswer if the host writes other things
        than follow.sh; ClientFailed if the copy cannot grow for long, or if one of its files is no
        file.
        """
        try:
            while True:
                try:
                    async with aclosing(self._continue()) as events:
                        async for event in events:
                            yield event
                except _Changed:
                    await asyncio.sleep(CHANGED_DELAY)
                except CopyStopped as error:
                    async with aclosing(self._wait_until_it_grows(error)) as halts:
                        async for halt in halts:
                            yield halt
                else:
                    return
        except NoSuchJob:
            self._copy.discard_empty()
            raise

    async def _wait_until_it_grows(self, error: CopyStopped) -> AsyncGenerator[CopyHalt, None]:
        """Raises the error when that takes too long."""
        began = self._halted = self._halted or time.monotonic()
        while True:
            if time.monotonic() - began >= HALT_LIMIT:
                raise error
            yield CopyHalt(str(error))
            await asyncio.sleep(HALT_DELAY)
            try:
                with _writing(self._files.log):
                    await asyncio.to_thread(self._copy.check_grows)
            except CopyStopped as still:
                error = still
            else:
                return

    async def _continue(self) -> AsyncGenerator[JobEvent, None]:
        """All that is told from the copy, then live, as long as the copy can grow."""
        with _writing(self._files.log):
            self._copy.prepare()
        with _writing(self._files.text):
            self._text = await finished(
                asyncio.to_thread(LogText, self._files.log, self._files.text)
            )
        try:
            for path in (self._files.log, self._files.events):
                with _writing(path):
                    os.close(open_plain(path, os.O_WRONLY | os.O_CREAT))
            for event in self._replay():
                yield event
            yield LogGrew(self._log_size, self._text.size)
            for news in self._news():
                yield news
            with _writing(self._files.log):
                is_over = self._copy.read("result") is not None
            if not is_over:
                async with aclosing(self._reach()) as live:
                    async for event in live:
                        yield event
            for event in self._rest():
                yield event
            with _writing(self._files.text):
                await finished(asyncio.to_thread(self._text.finish))
            yield LogGrew(self._log_size, self._text.size)
            built = self._times.build_times(self._text.running.built)
            if built.builds:
                self._copy.keep_built(built)
                yield built
        finally:
            self._text.close()

    def _reach(self) -> AsyncGenerator[JobEvent, None]:
        """One connection after the other, until the job's last byte is here."""
        return kept_up(self._attach, self._lost, lambda: self._ended, "the job")

    def _replay(self) -> list[JobEvent]:
        """The events in the copy that were not told yet; its ticks also give times to the lines of
        its log."""
        with _writing(self._files.events), reading(self._files.events) as file:
            data = file.read(EVENTS_LIMIT)
        self._log_size, self._events_size = _size(self._files.log), len(data)
        told = self._take_events(0, data)
        self._waiting.extend(told)
        times: list[JobEvent] = [
            LineTime(event.at, self._text.text_offset(event.log))
            for event in told
            if isinstance(event, Tick) and event.log <= self._log_size
        ]
        return self._due(self._log_size) + times

    async def _attach(self) -> AsyncGenerator[JobEvent, None]:
        """One connection: until the job's end, or until the link breaks."""
        script = compose(
            "follow",
            root=self._shell.root,
            values={
                "NF_ID": self._job,
                "NF_LOG_AT": str(self._log_size),
                "NF_EVENTS_AT": str(self._events_size),
            },
            call="follow",
        )
        talk = await self._shell.open(script, elevate=self._elevate)
        reader = FrameReader()
        self._sent: set[str] = set()
        try:
            async with aclosing(portions(talk)) as stream:
                async for portion in stream:
                    if isinstance(portion, Link):
                        yield portion
                        continue
                    for frame in _one_beat(reader.feed(portion)):
                        for event in await self._take(frame):
                            yield event
                    if self._ended:
                        return
            raise Unreachable(why_ended(await talk.close()))
        finally:
            await talk.close()

    async def _take(self, frame: Frame) -> list[JobEvent]:
        match frame.kind:
            case "log":
                return await self._take_log(frame)
            case "events":
                self._append_events(frame)
                self._waiting.extend(self._take_events(frame.offset, frame.data))
                return [*self._due(self._log_size), *self._news()]
            case "beat":
                heartbeat = _heartbeat(frame)
                self._clock = heartbeat.at
                self._times.add_time(heartbeat.at, heartbeat.log)
                return [heartbeat, *self._news()]
            case "gone":
                return self._take_gone(frame.data.decode("ascii", "replace"))
            case kind if kind in _KEPT:
                if kind in self._sent:
                    raise FrameError(f"the frame {kind!r} came twice")
                self._sent.add(kind)
                self._copy.write(kind, frame.data)
                self._ended = self._ended or kind == "result"
                return self._rest() if self._ended else []
        return []

    async def _take_log(self, frame: Frame) -> list[JobEvent]:
        """The log and the events in the order in which the host wrote them."""
        end = frame.offset + len(frame.data)
        places = {_log_offset(event) for event in self._waiting}
        stops = sorted(at for at in places if frame.offset < at < end)
        found: list[JobEvent] = []
        begin = frame.offset
        for stop in (*stops, end):
            found += await self._take_part(frame, begin, stop)
            begin = stop
        return found

    async def _take_part(self, frame: Frame, begin: int, end: int) -> list[JobEvent]:
        part = frame.data[begin - frame.offset : end - frame.offset]
        # in a thread: a flood must not stall the view
        text_size = await finished(asyncio.to_thread(self._append_log, begin, part))
        return [LogGrew(end, text_size), *self._news(), *self._due(end)]

    def _news(self) -> list[JobEvent]:
        """What the log says of Nix's progress and work, if it says something else than before."""
        progress, work = self._text.progress, self._times.now(self._text.running)
        news: list[JobEvent] = []
        if progress not in (None, self._progress):
            news.append(progress)
        if work != self._work:
            news.append(work)
        self._progress, self._work = progress, work
        return news

    def _append_log(self, offset: int, data: bytes) -> int:
        self._log_size = _append(self._files.log, Frame("log", offset, data), self._log_size)
        self._halted = None
        with _writing(self._files.text):
            return self._text.feed(data)

    def _append_events(self, frame: Frame) -> None:
        if frame.offset + len(frame.data) > EVENTS_LIMIT:
            raise BadAnswer(
                f"its events of this job are larger than {EVENTS_LIMIT // 2**20} MiB",
                "look at the job's directory on the host",
            )
        self._events_size = _append(self._files.events, frame, self._events_size)
        self._halted = None

    def _due(self, log_size: int) -> list[JobEvent]:
        """The events whose place in the log has arrived."""
        found: list[JobEvent] = []
        while self._waiting and _log_offset(self._waiting[0]) <= log_size:
            event = self._waiting.popleft()
            found.append(event)
            if isinstance(event, StepStart):
                found.append(StepPlace(event.step, self._text.text_offset(event.log)))
        return found

    def _rest(self) -> list[JobEvent]:
        """The events that are left at the end: on a full disk the log may lack their places."""
        found = list(self._waiting)
        self._waiting.clear()
        return found

    def _take_events(self, offset: int, data: bytes) -> list[JobEvent]:
        """The events in the part of the data that is new."""
        new = data[max(0, self._told - offset) :]
        self._told = max(self._told, offset + len(data))
        events = (read_event(line) for line in self._torn.feed(new))
        told: list[JobEvent] = [event for event in events if event is not None]
        for event in told:
            if isinstance(event, Tick):
                self._times.add_time(event.at, event.log)
        return told

    def _take_gone(self, why: str) -> list[JobEvent]:
        if why == "denied" and not self._elevate:
            self._elevate = True
            raise AtOnce
        if why != "interrupted":
            raise NoSuchJob(f"the host has no job {self._job}")
        # no process will write its result any more: the host rebooted, or the whole job was killed
        self._copy.write("result", b'{"outcome":"interrupted"}')
        self._ended = True
        return [*self._rest(), JobEnd(at=self._clock, outcome="interrupted")]


class TornLine:
    """The unfinished last line of events, which arrive in any portions. A line that is too long for
    an event is dropped, however much of it arrives."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._too_long = False

    def __len__(self) -> int:
        """Bytes that are kept of it."""
        return len(self._data)

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes."""
        first, newline, rest = data.partition(b"\n")
        self._keep(first)
        if not newline:
            return []
        *lines, last = rest.split(b"\n")
        whole = [] if self._too_long else [bytes(self._data)]
        self._data.clear()
        self._too_long = False
        self._keep(last)
        return whole + lines

    def _keep(self, part: bytes) -> None:
        if self._too_long or len(self) + len(part) > EVENT_LINE_LIMIT:
            self._data.clear()
            self._too_long = True
        else:
            self._data += part


def _one_beat(frames: list[Frame]) -> list[Frame]:
    """Keep only the last of the heartbeats that arrived at once; the others are out of date."""
    beats = [frame for frame in frames if frame.kind == "beat"]
    return [frame for frame in frames if frame.kind != "beat" or frame is beats[-1]]


def _log_offset(event: JobEvent) -> int:
    """The event's place in the log; 0 if it has none."""
    return event.log if isinstance(event, StepStart | StepEnd | Tick | Check) else 0


def read_events(path: Path) -> list[JobEvent]:
    """All events in a copy, in their order, without a torn last line."""
    try:
        with reading(path) as file:
            lines = file.read(EVENTS_LIMIT).split(b"\n")[:-1]
    except FileNotFoundError:
        return []
    events = (read_event(line) for line in lines)
    return [event for event in events if event is not None]


def _heartbeat(frame: Frame) -> Heartbeat:
    if frame.offset > LAST_SECOND or not re.fullmatch(rb"[0-9]{1,15}", frame.data):
        raise FrameError(f"an invalid heartbeat: {frame.offset} {frame.data[:40]!r}")
    return Heartbeat(at=frame.offset, log=int(frame.data))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _append(path: Path, frame: Frame, known: int) -> int:
    """Append the frame's bytes to the file; return its new size. Raises FrameError if they do not
    continue it, _Changed if its size is not the known one, and ClientFailed if they cannot be
    written."""
    with _writing(path):
        fd = open_plain(path, os.O_WRONLY | os.O_APPEND)
        try:
            if os.fstat(fd).st_size != known:
                raise _Changed
            if known != frame.offset:
                raise FrameError(f"{frame.kind} bytes at {frame.offset} do not continue the copy")
            check_room(path)
            rest = memoryview(frame.data)
            while rest:
                rest = rest[os.write(fd, rest) :]
        finally:
            os.close(fd)
    return frame.offset + len(frame.data)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn an error of our own disk into ClientFailed: it must not pass for a lost link."""
    try:
        yield
    except OSError as error:
        raise cannot_write(path, error) from error
