"""What Nix does at one place of its log: all that has begun and has not ended.

Places are bytes of the raw log. Whoever has the host's times can turn them into seconds.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from nixfleet_core.nix.activity import (
    Counts,
    DownloadSize,
    Message,
    Phase,
    StartActivity,
    StartBuild,
    StartCopy,
    StartCounter,
    StartQuery,
    StartTransfer,
    StartWait,
    StopActivity,
    Tally,
)

if TYPE_CHECKING:
    from nixfleet_core.nix.activity import Activity

_LIMIT: Final = 4096
"""So many activities of a kind are kept. No Nix runs as many; a host that is hostile may say so."""
_BUILT_LIMIT: Final = 8192
_RETRIES: Final = 16
_NAME_LIMIT: Final = 211
"""Characters; the longest name that Nix allows in the store."""
_TEXT_LIMIT: Final = 512
"""Characters that are kept of any other text."""

_HASH: Final = re.compile(r"^[0-9a-z]{32}-")
_VERSION: Final = re.compile(r"-[^A-Za-z]")
"""Where Nix cuts a name (DrvName): a dash that no letter follows."""
_NAMED: Final = re.compile(r"  (/\S+/[0-9a-z]{32}-[^\s/]+\.drv)")
"""A line of the list of what will be built, as Nix prints it (printMissing)."""
_RETRY: Final = re.compile(r"; retrying (?:from offset \d+ )?in (\d{1,9}) ms(?: \([^()]*\))?\Z")
"""How Nix ends what it says of a download that it tries again (filetransfer.cc)."""
_QUERY_URL: Final = re.compile(r"/(?:[0-9a-z]{32}\.narinfo|nix-cache-info)\Z")
"""What is asked of a binary cache before a path is downloaded."""

_NOTHING: Final = Tally(0, 0)

_T = TypeVar("_T")


@dataclass(slots=True)
class Build:
    """A derivation that is being built. `machine` is empty if the host itself builds it."""

    drv_path: str
    machine: str
    since: int
    label: bytes
    """Nix's name for it, which stands before its lines."""
    phase: str = ""


@dataclass(slots=True)
class Transfer:
    """Bytes on their way: a file, or the contents of a store path. `expected` is 0 if it is not
    known."""

    what: str
    source: str
    since: int
    done: int = 0
    expected: int = 0
    file: Transfer | None = None
    """The file that a store path comes in, compressed as a rule."""

    @property
    def bytes(self) -> Tally:
        """Bytes over the network, as far as Nix says them."""
        shown = self.file if self.file is not None else self
        return Tally(shown.done, shown.expected)


@dataclass(frozen=True, slots=True)
class Doing:
    """Something else that Nix does, in its own words."""

    text: str
    since: int


@dataclass(frozen=True, slots=True)
class Retry:
    """A download failed; Nix tries it again `wait` milliseconds later."""

    why: str
    wait: int
    since: int


@dataclass(frozen=True, slots=True)
class Built:
    """A derivation whose builder has ended, well or not, and where in the log."""

    package: str
    """The name without the version."""
    name: str
    begin: int
    end: int


@dataclass(slots=True)
class Running:
    """Takes one activity after the other and changes in place: a log has a million activities."""

    builds: dict[int, Build] = field(default_factory=dict)
    downloads: dict[int, Transfer] = field(default_factory=dict)
    """Store paths, and files that belong to none."""
    waits: dict[int, Doing] = field(default_factory=dict)
    """Builds that could begin, but for something outside this Nix."""
    queries: set[int] = field(default_factory=set)
    others: dict[int, Doing] = field(default_factory=dict)
    """The first one that runs contains the others, as a rule."""
    announced: dict[str, None] = field(default_factory=dict)
    """Derivations that will be built, and have not begun."""
    retries: deque[Retry] = field(default_factory=lambda: deque(maxlen=_RETRIES))
    counted: Tally = _NOTHING
    """How many builds of this worker are done, and how many are expected."""
    built: deque[Built] = field(default_factory=lambda: deque(maxlen=_BUILT_LIMIT))
    _named: bool = False
    """Whether all builds of this worker were announced. Nix 2.8 names none."""
    _files: dict[int, Transfer] = field(default_factory=dict)
    """All files on their way, those of store paths too."""
    _counter: int | None = None
    """The activity that counts the worker's builds; it lasts as long as the worker."""
    _fetched: int = 0
    _size: int = 0

    @property
    def fetched(self) -> Tally:
        """Bytes of all downloads of this worker."""
        tallies = [transfer.bytes for transfer in self.downloads.values()]
        done = self._fetched + sum(tally.done for tally in tallies)
        left = sum(max(0, tally.expected - tally.done) for tally in tallies)
        return Tally(done, max(self._size, done + left))

    @property
    def waiting(self) -> int:
        """How many builds have not begun. Nix's count also has derivations that it will download,
        its names also those that another process has built meanwhile."""
        counted = max(0, self.counted.expected - self.counted.done - len(self.builds))
        return min(counted, len(self.announced)) if self._named else counted

    def forget(self) -> None:
        """Another process of Nix begins: nothing of the one before runs any more."""
        self._end_worker()
        self.others.clear()
        self.queries.clear()
        self.retries.clear()

    def take(self, activity: Activity, at: int) -> None:
        """`at` is the place behind the activity's line."""
        if type(activity) is Message:
            self._hear(activity, at)
        elif type(activity) is Counts:
            self._count(activity)
        elif type(activity) is StopActivity:
            self._stop(activity.id, at)
        elif type(activity) is Phase:
            if (build := self.builds.get(activity.id)) is not None:
                build.phase = _short(activity.name)
        elif type(activity) is DownloadSize:
            self._size = activity.size
        elif isinstance(activity, StartActivity):
            self._start(activity, at)

    def _start(self, activity: StartActivity, at: int) -> None:
        if type(activity) is StartBuild:
            path = _short(activity.drv_path)
            self.announced.pop(path, None)
            build = Build(path, _short(activity.machine), at, package_name(activity.drv_path))
            _keep(self.builds, activity.id, build)
        elif type(activity) is StartCopy and "://" in activity.source:  # else it is sent from here
            copied = Transfer(_short(activity.path), _short(activity.source), at)
            _keep(self.downloads, activity.id, copied)
        elif type(activity) is StartTransfer:
            self._start_transfer(activity, at)
        elif type(activity) is StartQuery:
            if len(self.queries) < _LIMIT:
                self.queries.add(activity.id)
        elif type(activity) is StartWait:
            _keep(self.waits, activity.id, Doing(_short(activity.text), at))
        elif type(activity) is StartCounter:
            if activity.kind == "builds":
                announced, named = self.announced.copy(), self._named
                self._end_worker()
                self._counter, self.announced, self._named = activity.id, announced, named
        elif activity.text:
            _keep(self.others, activity.id, Doing(_short(activity.text), at))

    def _start_transfer(self, activity: StartTransfer, at: int) -> None:
        if activity.parent in self.queries or _QUERY_URL.search(activity.url):
            return
        transfer = Transfer(_short(activity.url), "", at)
        _keep(self._files, activity.id, transfer)
        copy = self.downloads.get(activity.parent)
        if copy is None and not activity.parent:  # Nix 2.8 names no parents
            waiting = (one for one in self.downloads.values() if one.source and one.file is None)
            copy = next(waiting, None)
        if copy is not None:
            copy.file = transfer
        else:
            _keep(self.downloads, activity.id, transfer)

    def _end_worker(self) -> None:
        self._counter, self.counted = None, _NOTHING
        self.builds.clear()
        self.downloads.clear()
        self.waits.clear()
        self.announced.clear()
        self._named = False
        self._files.clear()
        self._fetched = self._size = 0

    def _stop(self, activity: int, at: int) -> None:
        if (build := self.builds.pop(activity, None)) is not None:
            name = derivation_name(build.drv_path)
            self.built.append(Built(build.label.decode("utf-8", "replace"), name, build.since, at))
        elif (download := self.downloads.pop(activity, None)) is not None:
            self._fetched += download.bytes.done
            self._files.pop(activity, None)
        elif activity == self._counter:
            self._end_worker()
        else:
            self._files.pop(activity, None)
            self.waits.pop(activity, None)
            self.others.pop(activity, None)
            self.queries.discard(activity)

    def _count(self, counts: Counts) -> None:
        if counts.id == self._counter:
            self.counted = counts
        transfer = self._files.get(counts.id) or self.downloads.get(counts.id)
        if transfer is not None:
            transfer.done, transfer.expected = counts.done, counts.expected

    def _hear(self, message: Message, at: int) -> None:
        if message.text.startswith("  /") and (named := _NAMED.fullmatch(message.text)):
            self._named = len(self.announced) < _LIMIT
            if self._named:
                self.announced[_short(named[1])] = None
        elif "; retrying " in message.text and (retry := _RETRY.search(message.text)):
            why = _short(message.text[: retry.start()].partition("\n")[0])
            self.retries.append(Retry(why, int(retry[1]), at))


def _keep(kept: dict[int, _T], activity: int, one: _T) -> None:
    kept[activity] = one
    if len(kept) > _LIMIT:
        del kept[next(iter(kept))]


def _short(text: str) -> str:
    return text[:_TEXT_LIMIT]


def derivation_name(drv_path: str) -> str:
    """`/nix/store/HASH-git-2.47.drv` is `git-2.47`; also for the path of an output."""
    base = drv_path.rpartition("/")[2].removesuffix(".drv")
    return _HASH.sub("", base)[:_NAME_LIMIT] or "unnamed"


def package_name(drv_path: str) -> bytes:
    """Nix's name for a build: the package's name without the version."""
    name = derivation_name(drv_path)
    version = _VERSION.search(name)
    return name[: version.start() if version else None].encode("utf-8", "replace")
