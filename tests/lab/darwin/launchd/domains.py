"""The domains gui/UID and user/UID of one user: what launchctl's verbs do there."""

from __future__ import annotations

import asyncio
import json
import pwd
import signal
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from . import text
from .job import Definition, Job

NO_GUI: Final = Path("/etc/lab-no-gui")
"""While this file exists, nobody has logged in at the screen."""

NO_USER: Final = Path("/etc/lab-no-user")
"""While this file exists, there is no domain user/UID."""

TAKEN: Final = Path("/etc/lab-taken-label")
"""The number of bootstraps that still find their label taken."""

VERSION: Final = Path("/etc/lab-macos")
"""The version of macOS that this host plays; 26.1 without this file."""

_LATE: Final = 1
"""The seconds for which a label stays taken after its process has ended."""

_NO_DOMAIN: Final = (125, "Domain does not support specified action")
_IO_ERROR: Final = (5, "Input/output error")
_BAD_OWNER: Final = (122, "Path had bad ownership/permissions")
_NO_PROCESS: Final = (3, "No such process")
_IN_PROGRESS: Final = (36, "Operation now in progress")


@dataclass(frozen=True)
class Answer:
    """What launchctl prints, and its exit code."""

    code: int = 0
    out: str = ""
    err: str = ""


class Domains:
    """All loaded jobs of one user."""

    def __init__(self, uid: int) -> None:
        self._user = pwd.getpwuid(uid)
        self._jobs: dict[tuple[str, str], Job] = {}
        self._taken: set[tuple[str, str]] = set()
        self._removals: set[asyncio.Task[None]] = set()
        self._overrides = Path(f"/var/db/launchd-disabled-{uid}.json")

    async def log_in(self) -> None:
        """Load and start the user's agents, each into the domain that takes it."""
        for path in self._agents():
            for kind in ("gui", "user"):
                self._bootstrap(f"{kind}/{self._user.pw_uid}", path)
        for job in self._jobs.values():
            if job.definition.at_load and not job.pended:
                await job.spawned()

    async def ask(self, words: list[str]) -> Answer:
        """Do what launchctl asks for."""
        match words:
            case ["bootstrap", domain, path]:
                return self._bootstrap(domain, path)
            case ["bootout", "--wait", target] if _macos() >= 26:
                said = self._bootout(target)
                await asyncio.gather(*self._removals)
                return said
            case ["bootout", domain, path] if not domain.startswith("-"):
                return self._bootout(f"{domain}/{_label_in(path)}")
            case ["bootout", target]:
                return self._bootout(target)
            case ["kickstart", *options, target]:
                return await self._kickstart("".join(options), target)
            case ["kill", name, target]:
                return self._kill(name, target)
            case ["print", target]:
                return self._print(target)
            case ["print-disabled", _]:
                return Answer(out=text.disabled(self._disabled()))
            case ["list"]:
                return Answer(out=text.table(self._jobs.values()))
            case ["list", label]:
                return self._list(label)
            case ["remove", label]:
                return self._remove(label)
            case [("enable" | "disable") as verb, target]:
                return self._override(target, verb == "disable")
            case ["managername"]:
                return Answer(out="Background\n" if NO_GUI.exists() else "Aqua\n")
            case ["limit", "maxfiles"]:
                return Answer(out=f"\t{'maxfiles':<11} {256:<14} {'unlimited':<14} \n")
            case ["manageruid"]:
                return Answer(out=f"{self._user.pw_uid}\n")
            case _:
                return Answer(64, err="Usage: launchctl <subcommand> ... | help [subcommand]\n")

    # --- the verbs

    def _bootstrap(self, domain: str, path: str) -> Answer:
        if not self._knows(domain):
            return _failed("Bootstrap", _NO_DOMAIN)
        try:
            status = Path(path).stat()
            definition = Definition.read(path)
        except (OSError, ValueError):
            return _failed("Bootstrap", _IO_ERROR)
        foreign = status.st_uid not in (0, self._user.pw_uid)
        if foreign or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return _failed("Bootstrap", _BAD_OWNER)
        label = definition.label
        is_taken = (domain, label) in self._jobs or (domain, label) in self._taken
        if is_taken or _is_still_taken() or label in self._disabled():
            return _failed("Bootstrap", _IO_ERROR)
        if not definition.fits(domain.partition("/")[0]):
            return _failed("Bootstrap", _IO_ERROR)
        job = self._jobs[domain, label] = Job(self._user, domain, definition)
        job.load()
        return Answer()

    def _bootout(self, target: str) -> Answer:
        """It returns before the process has ended; then the label stays taken for some time."""
        domain, label = _split(target)
        if not self._knows(domain):
            return _failed("Boot-out", _NO_DOMAIN)
        job = self._jobs.get((domain, label))
        if job is None:
            return _failed("Boot-out", _NO_PROCESS)
        if job.leaving:
            return _failed("Boot-out", _IN_PROGRESS)
        job.leaving = True
        removal = asyncio.create_task(self._unload(job))
        self._removals.add(removal)
        removal.add_done_callback(self._removals.discard)
        return Answer()

    async def _unload(self, job: Job) -> None:
        await job.unload()
        name = job.domain, job.label
        self._taken.add(name)
        del self._jobs[name]
        await asyncio.sleep(_LATE)
        self._taken.remove(name)

    async def _kickstart(self, options: str, target: str) -> Answer:
        domain, label = _split(target)
        if not self._knows(domain):
            return _failed(f'Could not kickstart service "{label}"', _NO_DOMAIN)
        job = self._jobs.get((domain, label))
        if job is None:
            said = self._not_found(target).err.removeprefix("Bad request.\n")
            return Answer(113, err=said)
        if "k" in options:
            await job.stop()
        await job.start()
        return Answer()

    def _kill(self, name: str, target: str) -> Answer:
        job = self._jobs.get(_split(target))
        if job is None:
            return self._not_found(target)
        if not job.pid:
            return Answer(3, err="No process to signal.\n")
        name = f"SIG{name.removeprefix('SIG')}"
        if name not in signal.Signals.__members__:
            return Answer(64, err=f"Unknown signal: {name}\n")
        job.signal(signal.Signals[name])
        return Answer()

    def _print(self, target: str) -> Answer:
        domain, label = _split(target)
        if label:
            job = self._jobs.get((domain, label))
            return Answer(out=text.service(job)) if job else self._not_found(target)
        if not self._knows(domain):
            return _failed("Could not print domain", _NO_DOMAIN)
        jobs = [job for job in self._jobs.values() if job.domain == domain]
        return Answer(out=text.domain(domain, jobs, self._disabled()))

    def _list(self, label: str) -> Answer:
        job = self._named(label)
        if job:
            return Answer(out=text.listed(job))
        return Answer(113, err=f'Could not find service "{label}" in domain for port\n')

    def _remove(self, label: str) -> Answer:
        """As bootout, but returns at once."""
        job = self._named(label)
        if job is None:
            return Answer(3, err="No such process\n")
        return self._bootout(f"{job.domain}/{job.label}")

    def _override(self, target: str, disable: bool) -> Answer:
        _, label = _split(target)
        labels = set(self._disabled()) - {label} | ({label} if disable else set())
        self._overrides.parent.mkdir(exist_ok=True)
        self._overrides.write_text(json.dumps(sorted(labels)))
        return Answer()

    # --- inside

    def _agents(self) -> list[str]:
        return sorted(map(str, Path(self._user.pw_dir, "Library/LaunchAgents").glob("*.plist")))

    def _knows(self, domain: str) -> bool:
        missing = {f"gui/{self._user.pw_uid}": NO_GUI, f"user/{self._user.pw_uid}": NO_USER}
        return domain in missing and not missing[domain].exists()

    def _named(self, label: str) -> Job | None:
        return next((job for job in self._jobs.values() if job.label == label), None)

    def _disabled(self) -> list[str]:
        """Kept over reboots."""
        return json.loads(self._overrides.read_text()) if self._overrides.exists() else []

    def _not_found(self, target: str) -> Answer:
        domain, label = _split(target)
        kind, _, uid = domain.partition("/")
        where = f"user gui: {uid}" if kind == "gui" else f"uid: {uid}"
        said = f'Bad request.\nCould not find service "{label}" in domain for {where}\n'
        return Answer(113, err=said)


def _is_still_taken() -> bool:
    left = int(TAKEN.read_text()) if TAKEN.exists() else 0
    if left:
        TAKEN.write_text(str(left - 1))
    return left > 0


def _macos() -> int:
    """The major version of macOS that this host plays."""
    return int(VERSION.read_text().partition(".")[0]) if VERSION.exists() else 26


def _failed(what: str, error: tuple[int, str]) -> Answer:
    code, words = error
    hint = "Try re-running the command as root for richer errors.\n" if code == 5 else ""
    what = what if " " in what else f"{what} failed"
    return Answer(code, err=f"{what}: {code}: {words}\n{hint}")


def _split(target: str) -> tuple[str, str]:
    """gui/501/label → gui/501, label"""
    kind, _, rest = target.partition("/")
    uid, _, label = rest.partition("/")
    return f"{kind}/{uid}", label


def _label_in(path: str) -> str:
    try:
        return Definition.read(path).label
    except (OSError, ValueError):
        return Path(path).stem
