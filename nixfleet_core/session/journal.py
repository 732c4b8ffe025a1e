"""Follow the agent's own log on a host: the copy grows, and lost links are made again.

With systemd, what the host sends is journalctl's own output, byte by byte. The last entry that we
have is asked for again with each connection: if it comes first, nothing is missing and nothing is
double. (`--after-cursor` cannot tell: before systemd 255 it skips an entry that it should show.)
"""

from __future__ import annotations

import asyncio
import re
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, Literal, get_args

from nixfleet_core.errors import NoLog, NoTimes, Unreachable
from nixfleet_core.job.events import Link
from nixfleet_core.job.frames import Frame, FrameError, FrameReader, StreamError
from nixfleet_core.journal.export import FIELDS, ExportReader
from nixfleet_core.journal.text import SIGNS, FileText, Stream, remark
from nixfleet_core.journal.wanted import Grew, JournalEvent, Opened
from nixfleet_core.limits import SAID_LIMIT, TEXT_LIMIT
from nixfleet_core.log.characters import one_line
from nixfleet_core.session.link import AtOnce, finished, kept_up, portions, why_ended

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from nixfleet_core.journal.copy import JournalCopy
    from nixfleet_core.journal.wanted import Wanted
    from nixfleet_core.transport.shell import Shell

_GREETING: Final = re.compile(
    rb"nixfleet-journal 1 (systemd|user|launchd|denied-systemd|denied-user|none)"
    rb" ([0-9]{1,10}) ([0-9]{1,10})"
)
_GREETING_LIMIT: Final = 256
_NOTE: Final = re.compile(rb"(first|again|shorter|gone|refused) ([0-9]{1,20}) ?(.*)", re.DOTALL)
_WORDS: Final[dict[bytes, str]] = {
    b"first": "{sign}{said}",
    b"again": "{said} is another file now: what was written last to the old one may be missing",
    b"shorter": "{said} was emptied, or written anew",
    b"gone": "{said} is not there",
    b"refused": "{said}",
}
"""What the log says of a note on a file."""

JOURNAL: Final = "journal"
"""The name of the raw copy of a journal; launchd's files have the names of their streams."""


class JournalFollower:
    """Brings the log of one host's agent here. Use `events` once; what it has reached stands in
    the copy, so another one goes on."""

    def __init__(
        self,
        shell: Shell,
        copy: JournalCopy,
        wanted: Wanted,
        script: Callable[[dict[str, str]], str],
        lost: Callable[[], Awaitable[None]],
    ) -> None:
        """`script` is journal.sh with these values. `lost` is called before each new try; it ends a
        connection that may be dead."""
        self._shell, self._copy, self._wanted, self._lost = shell, copy, wanted, lost
        self._compose = script
        self._reached = copy.reached
        self._answered = self._over = False

    def events(self) -> AsyncGenerator[JournalEvent, None]:
        """What is there, then what comes; it ends only if nobody wants to follow.

        Raises Unreachable at a lost link if the log is not followed, or nobody wants to wait for
        the host's first answer; NeedsPassword or NotAllowed if only root can read the log; NoLog;
        BadAnswer if the host writes other things than journal.sh; ClientFailed if the copy cannot
        grow.
        """
        wanted = self._wanted

        def gives_up() -> bool:
            return not wanted.follow or not (wanted.patient or self._answered)

        return kept_up(
            *(self._attach, self._lost, lambda: self._over, "the agent's log"), gives_up=gives_up
        )

    async def _attach(self) -> AsyncGenerator[JournalEvent, None]:
        """One connection: until the end of what is wanted, or until the link breaks."""
        talk = await self._shell.open(self._script(), elevate=self._reached.as_root)
        head = bytearray()
        reader: _Entries | _Files | None = None
        try:
            async with aclosing(portions(talk)) as stream:
                async for portion in stream:
                    if isinstance(portion, Link):
                        yield portion
                        continue
                    if reader is None:
                        head += portion
                        greeting, newline, portion = bytes(head).partition(b"\n")
                        if not newline and len(head) < _GREETING_LIMIT:
                            continue
                        manager = self._greeted(greeting)
                        reader = (_Files if manager == "launchd" else _Entries)(self._copy)
                        self._answered = True
                        yield Opened(manager)
                    # in a thread: a flood must not stall the view
                    grew = await finished(asyncio.to_thread(reader.take, portion))
                    if grew:
                        yield Grew()
            answer = await talk.close()
            if self._wanted.follow or answer.end != "whole" or reader is None:
                raise Unreachable(_last_words(answer.stderr) or why_ended(answer))
            if await finished(asyncio.to_thread(reader.end)):
                yield Grew()
            self._over = True
        finally:
            await talk.close()

    def _script(self) -> str:
        reached, wanted = self._reached, self._wanted
        lines, since = "" if wanted.lines is None else str(wanted.lines), wanted.since
        if lines == "0" and reached.began:
            lines, since = "", f"@{reached.began}"  # the link broke before the first entry
        reached.awaited = reached.last.cursor if reached.last else ""
        return self._compose(
            {
                "NF_FIELDS": ",".join(FIELDS),
                "NF_LINES": lines,
                "NF_SINCE": since,
                "NF_FOLLOW": "1" if wanted.follow else "",
                "NF_CURSOR": reached.awaited,
                "NF_UNIT_UID": "" if reached.uid is None else str(reached.uid),
                **{
                    f"NF_AT_{stream.upper()}": " ".join(map(str, reached.files.get(stream, ())))
                    for stream in get_args(Stream)
                },
            }
        )

    def _greeted(self, line: bytes) -> Literal["systemd", "user", "launchd"]:
        match = _GREETING.fullmatch(line)
        if match is None:
            raise StreamError(f"another program answers: {line[:80]!r}")
        self._reached.began = self._reached.began or int(match[2])
        match match[1].decode():
            case "denied-systemd" | "denied-user" if self._reached.as_root:
                raise NoLog("the journal there is closed to root, too")
            case "denied-systemd" | "denied-user" as why:
                self._reached.as_root = True
                self._reached.uid = int(match[3]) if why == "denied-user" else None
                raise AtOnce
            case "none":
                raise NoLog("nothing there keeps a log of the agent")
            case "launchd" if self._wanted.since:
                raise NoTimes
            case "systemd" | "user" | "launchd" as manager:
                return manager
        raise AssertionError(match[1])


class _Entries:
    """Takes journalctl's output into the copy."""

    def __init__(self, copy: JournalCopy) -> None:
        self._copy, self._reader = copy, ExportReader()

    def take(self, data: bytes) -> bool:
        """Whether there is more text now. Raises ExportError and ClientFailed."""
        reached, raw, text = self._copy.reached, bytearray(), bytearray()
        for entry in self._reader.feed(data):
            if reached.misses(entry):
                reached.awaited = ""
                text += remark("the journal there has dropped older entries: some are missing here")
            if reached.take(entry):
                raw += entry.raw
                text += reached.entries.feed(entry)
        if text:
            self._copy.append(JOURNAL, bytes(raw), bytes(text))
        return bool(text)

    def end(self) -> bool:
        """At the end of what is wanted."""
        return False


class _Files:
    """Takes frames with the parts of launchd's files into the copy."""

    def __init__(self, copy: JournalCopy) -> None:
        self._copy, self._reached = copy, copy.reached
        self._reader = FrameReader(b"", frozenset(get_args(Stream)))
        self._at = {stream: at for stream, (_, at) in copy.reached.files.items()}
        """So much of each file has come, shown or not."""
        for lines in copy.reached.lines.values():
            lines.forget()

    def take(self, data: bytes) -> bool:
        """Whether there is more text now. Raises FrameError and ClientFailed."""
        return sum(self._take_frame(frame) for frame in self._reader.feed(data)) > 0

    def end(self) -> bool:
        """At the end of what is wanted: show last lines that have no newline."""
        return sum(self._end(stream) for stream in self._reached.lines) > 0

    def _take_frame(self, frame: Frame) -> bool:
        name, _, note = frame.kind.partition(".")
        stream = next((one for one in get_args(Stream) if one == name), None)
        if stream is None:
            return False  # a sign of life
        if note:
            return self._take_note(stream, frame)
        if frame.offset != self._at.get(stream, 0):
            raise FrameError(f"{stream} bytes at {frame.offset} do not continue the copy")
        self._at[stream] = frame.offset + len(frame.data)
        return self._show(stream, *self._lines(stream).feed(frame.data))

    def _take_note(self, stream: Stream, frame: Frame) -> bool:
        """The file's bytes go on at another place, or in another file."""
        match = _NOTE.fullmatch(frame.data)
        if match is None:
            raise FrameError(f"an invalid note: {frame.data[:80]!r}")
        self._end(stream)
        what = match[2] if match[1] in (b"first", b"again", b"shorter") else match[1]
        self._reached.files[stream] = what.decode(), frame.offset
        self._at[stream] = frame.offset
        said = match[3][:TEXT_LIMIT].decode("utf-8", "replace")
        words = _WORDS[match[1]].format(sign=SIGNS[stream], said=said)
        self._copy.append(stream, b"", remark(words))
        return True

    def _lines(self, stream: Stream) -> FileText:
        return self._reached.lines.setdefault(stream, FileText(stream))

    def _end(self, stream: Stream) -> bool:
        return self._show(stream, *self._lines(stream).end())

    def _show(self, stream: Stream, raw: bytes, text: bytes) -> bool:
        if raw:
            inode, at = self._reached.files.get(stream, ("0", 0))
            self._copy.append(stream, raw, text)
            self._reached.files[stream] = inode, at + len(raw)
        return bool(raw)


def _last_words(stderr: str) -> str:
    """What journalctl, or ssh, said last."""
    lines = (line.strip() for line in reversed(stderr.splitlines()))
    return one_line(next((line for line in lines if line), ""))[:SAID_LIMIT]
