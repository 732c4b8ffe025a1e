"""What Nix does now, line by line, and the slowest builds at the end."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from rich.cells import cell_len
from textual.content import Content

from tui.text import byte_size, counted, duration, plain, shorten
from tui.words import STYLES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nixfleet_core.job.durations import Usual
    from nixfleet_core.job.work import BuildNow, BuildTime, DownloadNow, RetryNow, WordsNow, Work
    from nixfleet_core.nix.activity import Tally
    from tui.glyphs import Glyphs
    from tui.words import Tone

SLOWEST: Final = 5
_WIDEST: Final = 120
"""Cells of a line: an eye must find the time that belongs to a name."""
_NOTHING: Final = "nothing runs in Nix"

_STORE: Final = re.compile(r"/nix/store/[0-9a-z]{32}-")
_URL: Final = re.compile(r"'[a-z0-9]+://([^/']+)[^']*'")
_PREFIXES: Final = re.compile(r"(?:(?:warning|error): )+")


class _Row(NamedTuple):
    """A line: `name` stands in a column of its own if there is something else to say."""

    sign: str
    tone: Tone
    name: str
    what: str = ""
    time: str = ""


def work_lines(
    work: Work, usual: Usual, now: int | None, glyphs: Glyphs, width: int, count: int
) -> list[Content]:
    """At most `count` lines of `width` cells. What holds the work up comes first, then what has
    taken longest. `now` is the host's clock."""
    lines = _lines(_rows(work, usual, now, glyphs), glyphs, width)
    if len(lines) <= count:
        return lines
    more = len(lines) - count + 1
    return [*lines[: count - 1], Content.styled(f"  and {more} more", STYLES["faint"])]


def work_in_one_line(
    work: Work, usual: Usual, now: int | None, glyphs: Glyphs, width: int
) -> Content:
    """The first of these lines, and how much there is in all."""
    row = _rows(work, usual, now, glyphs)[0]
    head = " ".join(part for part in (row.name, row.what, row.time) if part)
    parts = [head, *work_parts(work, alone=True)]
    while len(parts) > 1 and cell_len(f" {glyphs.dot} ".join(parts)) > width - 2:
        parts.pop()
    said = shorten(f" {glyphs.dot} ".join(parts), width - 2, glyphs)
    return Content.assemble((f"{row.sign} ", STYLES[row.tone]), said)


def work_parts(work: Work, *, alone: bool = False) -> list[str]:
    """How many builds and downloads there are. `alone`: what one line tells anyhow is left out."""
    parts = []
    builds = [counted(work.building, "build")] if work.building > alone else []
    if builds or work.waiting:
        parts.append(", ".join((*builds, *([f"{work.waiting} wait"] if work.waiting else []))))
    if work.downloading and not (alone and work.downloading == 1 and not work.building):
        rate = f" at {byte_size(work.rate)}/s" if work.rate is not None else ""
        parts.append(f"{counted(work.downloading, 'download')} {_bytes(work.fetched)}{rate}")
    return parts


def slowest_lines(built: Sequence[BuildTime], glyphs: Glyphs, width: int) -> list[Content]:
    """The builds that took longest, a line each."""
    rows = [
        _Row(glyphs.pending, "normal", plain(build.name), time=duration(build.seconds))
        for build in built[:SLOWEST]
    ]
    return _lines(rows, glyphs, width)


def slowest_in_one_line(built: Sequence[BuildTime], glyphs: Glyphs, width: int) -> Content:
    builds = [f"{plain(build.name)} {duration(build.seconds)}" for build in built[:SLOWEST]]
    return Content(shorten(f"slowest: {', '.join(builds)}", width, glyphs))


def _rows(work: Work, usual: Usual, now: int | None, glyphs: Glyphs) -> list[_Row]:
    nothing = _Row(glyphs.pending, "faint", _NOTHING)
    return list(_work_rows(work, usual, now, glyphs)) or [nothing]


def _work_rows(work: Work, usual: Usual, now: int | None, glyphs: Glyphs) -> Iterator[_Row]:
    for retry in work.retries:
        if (left := _left(retry, now)) is not None:
            when = f"again in {left} s"
            yield _Row(glyphs.again, "warning", _words(retry.why), time=when)
    for wait in work.waits:
        yield _Row(glyphs.again, "warning", _words(wait.text), time=_since(wait, now))
    for build in work.builds:
        yield _build(build, usual, now, glyphs)
    for download in work.downloads:
        yield _download(download, now, glyphs)
    for doing in work.others:
        yield _Row(glyphs.running, "busy", _words(doing.text), time=_since(doing, now))
    if work.queries:
        paths = counted(work.queries, "path")
        yield _Row(glyphs.running, "busy", f"asks the caches about {paths}")
    if work.names and work.waiting:
        names = ", ".join(map(plain, work.names[: work.waiting]))
        yield _Row(glyphs.pending, "faint", f"wait: {names}")


def _build(build: BuildNow, usual: Usual, now: int | None, glyphs: Glyphs) -> _Row:
    machine = f" on {plain(build.machine)}" if build.machine else ""
    time, last = _since(build, now), usual.builds.get(build.package)
    if last is not None:
        time += f" of ~{duration(last)}" if time else f"~{duration(last)}"
    return _Row(glyphs.running, "busy", f"{plain(build.name)}{machine}", plain(build.phase), time)


def _download(download: DownloadNow, now: int | None, glyphs: Glyphs) -> _Row:
    """The rate is the mean since its start."""
    seconds = now - download.since if now is not None and download.since is not None else 0
    rate = f" at {byte_size(download.done // seconds)}/s" if seconds > 0 and download.done else ""
    what = f"{_bytes(download)}{rate}"
    return _Row(glyphs.down, "busy", plain(download.name), what, _since(download, now))


def _left(retry: RetryNow, now: int | None) -> int | None:
    """Seconds until it is tried again; None once it was."""
    if retry.at is None or now is None:
        return None
    left = math.ceil(retry.at + retry.wait - now)
    return left if left > 0 else None


def _since(what: BuildNow | DownloadNow | WordsNow, now: int | None) -> str:
    return "" if now is None or what.since is None else duration(now - what.since)


def _words(text: str) -> str:
    """Nix's words, with names for store paths and hosts for addresses."""
    said = _PREFIXES.sub("", plain(text), count=1)
    return _URL.sub(r"\1", _STORE.sub("", said))


def _bytes(size: Tally | DownloadNow) -> str:
    """`3.1 MiB of 12.4 MiB`; without what is not known."""
    done = byte_size(size.done)
    return f"{done} of {byte_size(size.expected)}" if size.expected else done


def _lines(rows: list[_Row], glyphs: Glyphs, width: int) -> list[Content]:
    width = min(width, _WIDEST)
    named = [cell_len(row.name) for row in rows if row.what]
    column = min(max(named, default=0), width // 2)
    return [_line(row, column, glyphs, width) for row in rows]


def _line(row: _Row, column: int, glyphs: Glyphs, width: int) -> Content:
    room = max(0, width - 2 - (cell_len(row.time) + 1 if row.time else 0))
    left = row.name
    if row.what:
        name = shorten(row.name, column, glyphs)
        left = f"{name}{' ' * (column - cell_len(name))}  {row.what}"
    left = shorten(left, room, glyphs)
    gap = " " * (width - 2 - cell_len(left) - cell_len(row.time))
    said = (left, STYLES["faint"] if row.tone == "faint" else "")
    return Content.assemble((f"{row.sign} ", STYLES[row.tone]), said, gap, row.time)
