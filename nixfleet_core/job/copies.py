"""The client's copies of jobs, which are also the history: one directory a job, for us only.

`log` is a byte-exact prefix of the host's log at all times. Its size is the offset to go on from.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import platformdirs
from humanize import naturalsize

from nixfleet_core.errors import ClientFailed
from nixfleet_core.facts.origins import merge, read_origins
from nixfleet_core.facts.proofs import newest_first, read_kept
from nixfleet_core.host import check_host_name, is_host_name
from nixfleet_core.ids import check_job_id, is_job_id
from nixfleet_core.job.frames import SMALL_LIMIT
from nixfleet_core.job.work import BuildTimes
from nixfleet_core.limits import PLAN_LIMIT, ExitCode, Second, UserId, Word
from nixfleet_core.log.plain_file import OddFileError, open_plain, read_plain
from nixfleet_core.plan.model import Plan
from nixfleet_core.vocabulary import TITLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from io import FileIO

    from nixfleet_core.facts.origins import Origin
    from nixfleet_core.facts.proofs import Proven


class JobFiles(msgspec.Struct, frozen=True):
    """The client's copy of a job: raw log, readable text, events."""

    log: Path
    text: Path
    events: Path


FLOOR: Final = 256 * 1024 * 1024
"""Bytes that must stay free on this machine's disk; on a small disk a fiftieth of it. A host's log
may be endless, and must not take the space that everything else here needs."""


ORIGINS_LIMIT: Final = 4 * 1024 * 1024
"""Bytes of what is remembered of one host's origins."""

_BUILDS: Final = "builds.json"
_TOLD: Final = "told"

_PIECE: Final = 64 * 1024
"""Bytes that a directory must take before the copy goes on."""


class Asked(msgspec.Struct, frozen=True):
    """plan.json: the plan, when somebody asked for it, which user of the host, and from where."""

    plan: Plan
    at: Second = 0
    uid: UserId | None = None
    user: Word = ""
    from_: Word = msgspec.field(default="", name="from")


class Result(msgspec.Struct, frozen=True):
    """What the runner wrote at the job's end: facts only."""

    outcome: Word
    failed: Word = ""
    rc: ExitCode = 0
    ended: Second = 0
    reason: Word = ""


def read_asked(data: bytes) -> Asked | None:
    """Read plan.json; None if it is damaged. Of a later version's plan we keep the steps that we
    know, as we do with its events."""
    if len(data) > PLAN_LIMIT:
        return None
    try:
        told = msgspec.json.decode(data)
        match told:
            case {"plan": {"steps": list(steps)} as plan}:
                plan["steps"] = [step for step in steps if _is_known(step)]
        return msgspec.convert(told, Asked)
    except _UNREADABLE:
        return None


def _is_known(step: object) -> bool:
    """Whether we know the step. A step without an id counts as known: it is damaged, not newer."""
    match step:
        case {"id": str(name)}:
            return name in TITLES
        case _:
            return True


def read_result(data: bytes) -> Result | None:
    """Read the file `result`; None if it is damaged."""
    try:
        return msgspec.json.decode(data, type=Result)
    except _UNREADABLE:
        return None


_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


@dataclass(frozen=True, slots=True)
class JobCopy:
    """One job's directory on the client, which may not be there. What lies in it may be odd: what
    reads it raises OddFileError then, and OSError."""

    path: Path

    def prepare(self) -> None:
        """Create the directory."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)

    def check_grows(self) -> None:
        """Raise OSError or CopyStopped if the directory does not take another piece of a copy."""
        self.prepare()
        check_room(self.files.log)
        with tempfile.TemporaryFile(dir=self.path, buffering=0) as piece:
            _write_all(piece, bytes(_PIECE))

    @property
    def files(self) -> JobFiles:
        return JobFiles(
            log=self.path / "log", text=self.path / "log.txt", events=self.path / "events"
        )

    def asked(self) -> Asked | None:
        """The plan as the host keeps it; None when it is not here, or damaged."""
        return read_asked(self.read("plan.json") or b"")

    def result(self) -> Result | None:
        """The runner's result; None before it is written, and if it is damaged."""
        return read_result(self.read("result") or b"")

    def read(self, name: str) -> bytes | None:
        """One of the job's small files; None when it is not here."""
        try:
            return read_plain(self.path / name, SMALL_LIMIT)
        except FileNotFoundError:
            return None

    def built(self) -> BuildTimes:
        """What the job has built, if somebody here has followed it to its end. It only makes an
        estimate, so whatever is odd counts as nothing."""
        try:
            return msgspec.json.decode(self.read(_BUILDS) or b"{}", type=BuildTimes)
        except (*_UNREADABLE, OSError):
            return BuildTimes()

    def keep_built(self, built: BuildTimes) -> None:
        """Keep it for the next job's estimates, if there is room for it."""
        data = msgspec.json.encode(built)
        with suppress(OSError):
            if self.read(_BUILDS) != data:
                write_whole(self.path / _BUILDS, data)

    def discard_empty(self) -> None:
        """Remove the directory of a job of which nothing has ever arrived."""
        with suppress(OSError):
            files = list(self.path.iterdir())
            if not any(file.lstat().st_size for file in files):
                for file in files:
                    file.unlink()
                self.path.rmdir()

    def write(self, name: str, data: bytes) -> None:
        """Write one of the job's small files, whole or not at all. Raises ClientFailed."""
        path = self.path / name
        try:
            self.prepare()
            write_whole(path, data)
        except OSError as error:
            raise cannot_write(path, error) from error


@dataclass(frozen=True, slots=True)
class Copies:
    """All copies, in one directory."""

    root: Path

    def job(self, host: str, job: str) -> JobCopy:
        """The directory of one job. Raises ValueError for odd names."""
        return JobCopy(self.root / "hosts" / check_host_name(host) / "jobs" / check_job_id(job))

    def jobs(self, host: str) -> tuple[str, ...]:
        """The ids of the jobs known here, oldest first. Raises ValueError for an odd name."""
        jobs = self.root / "hosts" / check_host_name(host) / "jobs"
        names = (entry.name for entry in jobs.iterdir()) if jobs.is_dir() else ()
        return tuple(sorted(name for name in names if is_job_id(name)))

    def proofs(self, host: str) -> tuple[Proven, ...]:
        """The proofs that verifications from here have left, newest first; none if they cannot be
        read: a proof can be had again."""
        try:
            return read_kept(read_plain(self._proofs(host), SMALL_LIMIT))
        except OSError:
            return ()

    def keep_proof(self, host: str, proof: Proven) -> None:
        """Keep the proof if there is room for it, and drop the oldest ones."""
        path = self._proofs(host)
        kept = newest_first((proof, *self.proofs(host)))
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_whole(path, msgspec.json.encode(kept))

    def _proofs(self, host: str) -> Path:
        return self.root / "hosts" / check_host_name(host) / "proofs.json"

    def origins(self, host: str) -> tuple[Origin, ...]:
        """What is remembered of which commits built which programs, newest first; none if it cannot
        be read: a proof can be had again."""
        try:
            return read_origins(read_plain(self._origins(host), ORIGINS_LIMIT))
        except OSError:
            return ()

    def all_origins(self) -> dict[str, tuple[Origin, ...]]:
        """The same of every host that is remembered here."""
        hosts = self.root / "hosts"
        names = [entry.name for entry in hosts.iterdir()] if hosts.is_dir() else []
        return {name: self.origins(name) for name in sorted(names) if is_host_name(name)}

    def learn_origins(self, host: str, found: tuple[Origin, ...]) -> None:
        """Remember these, too. If there is no room for them, or if another program is writing, the
        next look brings them again."""
        path = self._origins(host)
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with _alone(path.with_suffix(".lock")):
                write_whole(path, msgspec.json.encode(merge((*found, *self.origins(host)))))

    def _origins(self, host: str) -> Path:
        return self.root / "hosts" / check_host_name(host) / "origins.json"


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Only one program at a time. Raises OSError at once if another one is there."""
    with os.fdopen(open_plain(lock, os.O_WRONLY | os.O_CREAT), "wb", 0) as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # it ends with the file
        yield


def write_whole(path: Path, data: bytes) -> None:
    """Write a file for us only, whole or not at all."""
    new = path.with_name(f".{path.name}.new")
    with os.fdopen(open_plain(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb", 0) as file:
        try:
            _write_all(file, data)
        except OSError:
            new.unlink(missing_ok=True)
            raise
    new.replace(path)


def _write_all(file: FileIO, data: bytes) -> None:
    """Write all of it: one write may take a part, and says so only without a buffer."""
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]


def claim_end(files: JobFiles) -> bool:
    """Whether the job's end is news on this machine. It is not from now on, for any program here.
    If the copy cannot keep that, the end is news."""
    try:
        os.close(open_plain(files.log.with_name(_TOLD), os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    except OSError:
        return True
    return True


class CopyStopped(ClientFailed):
    """The copy of a job cannot grow at the moment: its disk is full, or its folder is gone."""


def cannot_write(path: Path, error: OSError) -> ClientFailed:
    """The error if a file of the copy cannot be written. A later client goes on from the end of the
    copy."""
    if isinstance(error, OddFileError):
        return odd_file(error)
    what = _lost_folder(path) or f"{path} cannot be written here: {error.strerror}"
    return CopyStopped(f"{what}; the job goes on", f"make room in {path.parent}, then attach again")


def _lost_folder(path: Path) -> str:
    """The first folder on the way that is none any more; "" if all are there."""
    with suppress(OSError):
        for folder in reversed(path.parents):
            if not folder.is_dir():
                return f"{folder} {'is no folder' if os.path.lexists(folder) else 'is gone'}"
    return ""


def odd_file(error: OddFileError) -> ClientFailed:
    """The error if a file of the copy is none."""
    return ClientFailed(
        f"{error.filename} cannot be read: {error.strerror}",
        "move it away, then ask again: the host has the job, too",
    )


def check_room(path: Path) -> None:
    """Raise CopyStopped unless the disk of `path` has room for another piece of a copy."""
    disk = os.statvfs(path.parent)
    floor = min(FLOOR, disk.f_blocks * disk.f_frsize // 50)
    if disk.f_bavail * disk.f_frsize < floor:
        size = path.stat().st_size if path.exists() else 0
        raise CopyStopped(
            f"this machine's disk has less than {_size(floor)} free: the copy of the job's "
            f"{path.name} stops at {size} bytes ({path}); the job goes on",
            f"make room in {path.parent}, then attach again: the copy goes on from there",
        )


def _size(count: int) -> str:
    return naturalsize(count, binary=True, format="%.0f")


_spare: list[tempfile.TemporaryDirectory[str]] = []
"""Folders that are gone at the program's end."""


def default_copies(warn: Callable[[str], None]) -> Copies:
    """Those in the user's state directory, which is closed to others. If that cannot be used, they
    go to a folder that is gone with this program, and `warn` is told so. Raises OSError if there is
    no place for that either."""
    root = platformdirs.user_state_path("nixfleet")
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        root.chmod(0o700)
        with tempfile.TemporaryFile(dir=root):
            pass
    except OSError as error:
        _spare.append(tempfile.TemporaryDirectory(prefix="nixfleet-"))
        warn(
            f"{root} cannot be used ({error.strerror}): jobs and their logs are remembered only as "
            "long as this program runs; XDG_STATE_HOME names another place"
        )
        return Copies(Path(_spare[-1].name))
    return Copies(root)
