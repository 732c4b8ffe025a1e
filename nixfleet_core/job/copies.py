"""The client's copies of jobs, which are also the history: one directory a job, for us only.

`log` is a byte-exact prefix of the host's log at all times. Its size is the offset to go on from.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import platformdirs

from nixfleet_core.errors import ClientFailed
from nixfleet_core.facts.proofs import newest_first, read_kept
from nixfleet_core.host import check_host_name
from nixfleet_core.ids import check_job_id, is_job_id
from nixfleet_core.limits import PLAN_LIMIT, ExitCode, Second, UserId, Word
from nixfleet_core.plan.model import Plan
from nixfleet_core.vocabulary import TITLES

if TYPE_CHECKING:
    from collections.abc import Callable

    from nixfleet_core.facts.proofs import Proven


class JobFiles(msgspec.Struct, frozen=True):
    """The client's copy of a job: raw log, readable text, events."""

    log: Path
    text: Path
    events: Path


FLOOR: Final = 256 * 1024 * 1024
"""Bytes that must stay free on this machine's disk; on a small disk a fiftieth of it. A host's log
may be endless, and must not take the space that everything else here needs."""


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
    """One job's directory on the client."""

    path: Path

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
            return (self.path / name).read_bytes()
        except FileNotFoundError:
            return None

    def discard_empty(self) -> None:
        """Remove the directory of a job of which nothing has ever arrived."""
        files = list(self.path.iterdir()) if self.path.is_dir() else []
        if not any(file.stat().st_size for file in files):
            for file in files:
                file.unlink()
            self.path.rmdir()

    def write(self, name: str, data: bytes) -> None:
        """Write one of the job's small files, whole or not at all."""
        write_whole(self.path / name, data)


@dataclass(frozen=True, slots=True)
class Copies:
    """All copies, in one directory."""

    root: Path

    def job(self, host: str, job: str) -> JobCopy:
        """The directory of one job; creates it. Raises ValueError for odd names."""
        path = self.root / "hosts" / check_host_name(host) / "jobs" / check_job_id(job)
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        return JobCopy(path)

    def jobs(self, host: str) -> tuple[str, ...]:
        """The ids of the jobs known here, oldest first. Raises ValueError for an odd name."""
        jobs = self.root / "hosts" / check_host_name(host) / "jobs"
        names = (entry.name for entry in jobs.iterdir()) if jobs.is_dir() else ()
        return tuple(sorted(name for name in names if is_job_id(name)))

    def proofs(self, host: str) -> tuple[Proven, ...]:
        """The proofs that verifications from here have left, newest first."""
        try:
            return read_kept(self._proofs(host).read_bytes())
        except FileNotFoundError:
            return ()

    def keep_proof(self, host: str, proof: Proven) -> None:
        """Keep the proof, and drop the oldest ones."""
        path = self._proofs(host)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        kept = newest_first((proof, *self.proofs(host)))
        write_whole(path, msgspec.json.encode(kept))

    def _proofs(self, host: str) -> Path:
        return self.root / "hosts" / check_host_name(host) / "proofs.json"


def write_whole(path: Path, data: bytes) -> None:
    """Write a file for us only, whole or not at all."""
    new = path.with_name(f".{path.name}.new")
    new.touch(mode=0o600)
    new.write_bytes(data)
    new.replace(path)


def check_room(path: Path) -> None:
    """Raise ClientFailed unless the disk of `path` has room for another piece of a copy."""
    disk = os.statvfs(path.parent)
    floor = min(FLOOR, disk.f_blocks * disk.f_frsize // 50)
    if disk.f_bavail * disk.f_frsize < floor:
        size = path.stat().st_size if path.exists() else 0
        raise ClientFailed(
            f"this machine's disk has less than {floor // 2**20} MiB free: the copy of the job's "
            f"{path.name} stops at {size} bytes; the job goes on",
            f"make room in {path.parent}, then attach again: the copy goes on from there",
        )


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
