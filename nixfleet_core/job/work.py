"""What Nix does on a host right now, and what it has built: `nix.running` with the host's times.

Times are the host's clock, in seconds since the epoch; None while we know none. All text is Nix's
or a builder's own, and foreign.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from nixfleet_core.limits import LONGEST, Second, Seconds, Size
from nixfleet_core.log.characters import without_colours
from nixfleet_core.log.line_times import LineTimes
from nixfleet_core.nix.activity import Tally
from nixfleet_core.nix.running import derivation_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nixfleet_core.nix.running import Build, Built, Doing, Retry, Running, Transfer

MOST_SHOWN: Final = 64
"""So many of a kind are told one by one; no screen has more lines."""

_WINDOW: Final = 10
"""Seconds over which the rate of all downloads is taken."""

_KEPT_BUILDS: Final = 1024
"""So many build times are kept of one job."""


class BuildNow(msgspec.Struct, frozen=True):
    """A build under way. `package` is its name without the version; `machine` is empty on the host
    itself, `phase` until the builder names one."""

    name: str
    package: str
    since: int | None = None
    phase: str = ""
    machine: str = ""


class DownloadNow(msgspec.Struct, frozen=True):
    """A download under way, in bytes; `expected` is 0 while nobody knows its size."""

    name: str
    source: str
    done: int
    expected: int
    since: int | None = None


class WordsNow(msgspec.Struct, frozen=True):
    """Something else that goes on, in Nix's words."""

    text: str
    since: int | None = None


class RetryNow(msgspec.Struct, frozen=True):
    """A download that failed, and is tried again `wait` seconds after `at`."""

    why: str
    wait: float
    at: int | None = None


class Work(msgspec.Struct, frozen=True):
    """What runs now. The longest-running come first."""

    builds: tuple[BuildNow, ...] = ()
    building: int = 0
    """How many builds run: `builds` may not have all."""
    downloads: tuple[DownloadNow, ...] = ()
    downloading: int = 0
    fetched: Tally = Tally(0, 0)
    """Bytes of all downloads."""
    rate: int | None = None
    """Bytes per second of all downloads, over the last seconds."""
    waiting: int = 0
    """How many builds have not begun."""
    names: tuple[str, ...] = ()
    """Those of them whose names we know."""
    waits: tuple[WordsNow, ...] = ()
    retries: tuple[RetryNow, ...] = ()
    queries: int = 0
    """How many questions to caches are open."""
    others: tuple[WordsNow, ...] = ()
    """What else Nix does, such as an evaluation; the first one contains the last one."""


class BuildTime(msgspec.Struct, frozen=True):
    """How long a build took, until its builder ended, well or not. `package` is its name without
    the version."""

    name: str
    package: str
    seconds: Seconds


class BuildTimes(msgspec.Struct, frozen=True):
    """What a job has built for a second or longer, the slowest first."""

    builds: tuple[BuildTime, ...] = ()


class WorkClock:
    """Puts the host's times to what a log says. The log's bytes come before the tick that gives
    them their time; until then they have the last time that we know."""

    def __init__(self) -> None:
        self._times = LineTimes()
        self._now: int | None = None
        self._fetched: deque[_Fetched] = deque()

    def add_time(self, at: Second, log: Size) -> None:
        """The host's log had that size at that time."""
        self._times.add_time(at, log)
        self._now = max(at, self._now or at)

    def now(self, running: Running) -> Work:
        """What runs at the end of the log."""
        others = list(running.others.values())
        inner = others[:1] + others[1:][-1:]
        fetched = running.fetched
        return Work(
            builds=tuple(map(self._build, islice(running.builds.values(), MOST_SHOWN))),
            building=len(running.builds),
            downloads=tuple(map(self._download, islice(running.downloads.values(), MOST_SHOWN))),
            downloading=len(running.downloads),
            fetched=fetched,
            rate=self._rate(running, fetched.done),
            waiting=running.waiting,
            names=tuple(map(derivation_name, islice(running.announced, MOST_SHOWN))),
            waits=tuple(map(self._words, islice(running.waits.values(), MOST_SHOWN))),
            retries=tuple(map(self._retry, running.retries)),
            queries=len(running.queries),
            others=tuple(map(self._words, inner)),
        )

    def build_times(self, built: Iterable[Built]) -> BuildTimes:
        """How long these builds took."""
        times = [time for build in built if (time := self._taken(build)).seconds]
        times.sort(key=lambda time: (-time.seconds, time.name))
        return BuildTimes(tuple(times[:_KEPT_BUILDS]))

    def _taken(self, build: Built) -> BuildTime:
        begin, end = self._at(build.begin), self._at(build.end)
        seconds = end - begin if begin is not None and end is not None else 0
        return BuildTime(build.name, build.package, min(LONGEST, max(0, seconds)))

    def _at(self, place: int) -> int | None:
        """When the byte before that place was there."""
        known = self._times.time_of(max(0, place - 1))
        return self._now if known is None else known

    def _build(self, build: Build) -> BuildNow:
        name, package = derivation_name(build.drv_path), build.label.decode("utf-8", "replace")
        return BuildNow(name, package, self._at(build.since), build.phase, build.machine)

    def _download(self, download: Transfer) -> DownloadNow:
        name = derivation_name(download.what) if download.source else download.what
        sizes = download.bytes
        at = self._at(download.since)
        return DownloadNow(name, download.source, sizes.done, sizes.expected, at)

    def _words(self, doing: Doing) -> WordsNow:
        return WordsNow(without_colours(doing.text), self._at(doing.since))

    def _retry(self, retry: Retry) -> RetryNow:
        return RetryNow(without_colours(retry.why), retry.wait / 1000, self._at(retry.since))

    def _rate(self, running: Running, done: int) -> int | None:
        """A pause does not count, and another worker counts anew."""
        samples = self._fetched
        if not running.downloads or (samples and done < samples[-1].done):
            samples.clear()
        if not running.downloads or self._now is None:
            return None
        if samples and samples[-1].at == self._now and len(samples) > 1:
            samples.pop()
        samples.append(_Fetched(self._now, done))
        while len(samples) > 2 and samples[1].at <= self._now - _WINDOW:
            samples.popleft()
        seconds = samples[-1].at - samples[0].at
        return (samples[-1].done - samples[0].done) // seconds if seconds > 0 else None


class _Fetched(NamedTuple):
    at: int
    done: int
