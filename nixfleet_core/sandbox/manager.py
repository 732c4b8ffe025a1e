"""The sandbox's service manager: starts, watches, restarts and ends the units of all hosts.

A unit's processes are found as `nixfleet_core.sandbox.processes` says, so ending a unit ends what
it left behind, as systemd does with a control group.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import time
import uuid
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from nixfleet_core.sandbox import processes
from nixfleet_core.sandbox.units import UNIT_FOLDERS, Definition, UnitError, expand, read_unit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nixfleet_core.sandbox.machine import Machine

EXEC_FAILED: Final = 203
"""The exit status that systemd gives to a program that could not be executed."""

_CLEAN_SIGNALS: Final = {signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE}
_SWEEP_SECONDS: Final = 0.02

LoadState = Literal["loaded", "not-found", "masked", "bad-setting"]
Streams = tuple[int, int, int]


class ManagerError(Exception):
    """A refusal. `str()` is systemd's text, `code` the exit code that goes with it."""

    def __init__(self, text: str, code: int = 1) -> None:
        super().__init__(text)
        self.code = code


@dataclass(slots=True)
class Main:
    """The main process of a unit's current or last run; times in seconds."""

    pid: int = 0
    argv: tuple[str, ...] = ()
    started: float = 0.0
    started_monotonic: float = 0.0
    ended: float = 0.0
    ended_monotonic: float = 0.0
    status: int | None = None
    """As Popen says it: negative for a signal."""


@dataclass(slots=True)
class Unit:
    """A loaded unit and its state."""

    definition: Definition
    active: str = "inactive"
    sub: str = "dead"
    result: str = "success"
    restarts: int = 0
    invocation: str = ""
    session: int = -1
    """The session of the current or last run; the main process leads it."""
    main: Main = field(default_factory=Main)
    since: float = 0.0
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    life: asyncio.Task[None] | None = None
    starts: list[float] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.definition.name

    @property
    def lives(self) -> bool:
        return self.active not in ("inactive", "failed")

    def enter(self, active: str, sub: str) -> None:
        if active != self.active:
            self.since = time.time()
        self.active, self.sub = active, sub


class Reaper:
    """Collects the exit of every child, also of orphans that the manager has adopted."""

    def __init__(self) -> None:
        self._waiting: dict[int, asyncio.Future[int]] = {}

    def watch(self, pid: int) -> asyncio.Future[int]:
        """The exit status of a child that was started just now."""
        future = asyncio.get_running_loop().create_future()
        self._waiting[pid] = future
        return future

    def reap(self) -> None:
        """Called on SIGCHLD."""
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                future = self._waiting.pop(pid, None)
                if future is not None and not future.done():
                    future.set_result(os.waitstatus_to_exitcode(status))


class Manager:
    """The units of one host."""

    def __init__(self, machine: Machine, reaper: Reaper, path: str) -> None:
        self.machine = machine
        self._reaper = reaper
        self._path = path
        self._units: dict[str, Unit] = {}
        self._followers: set[asyncio.Task[None]] = set()

    # -- looking ---------------------------------------------------------------------------

    def units(self, pattern: str = "*") -> Iterator[Unit]:
        """The loaded units whose names match."""
        return (u for name, u in sorted(self._units.items()) if fnmatchcase(name, pattern))

    def find(self, name: str) -> tuple[LoadState, Unit | None]:
        """A unit, loaded from its file when it is not yet."""
        if name in self._units:
            return "loaded", self._units[name]
        path = self._file(name)
        if path is None:
            return "not-found", None
        if path.resolve() == Path("/dev/null"):
            return "masked", None
        try:
            return "loaded", self._load(name, path)
        except UnitError:
            return "bad-setting", None

    def _file(self, name: str) -> Path | None:
        candidates = (self.machine.root / folder / name for folder in UNIT_FOLDERS)
        return next((path for path in candidates if path.exists()), None)

    def _load(self, name: str, path: Path) -> Unit:
        definition = read_unit(name, path.read_text(), self.machine.shown(path))
        unit = Unit(definition)
        if self._is_wanted(definition):
            self._units[name] = unit
        return unit

    @staticmethod
    def _is_wanted(definition: Definition) -> bool:
        """Whether something refers to the unit, so that it stays loaded while it does not run."""
        return definition.fragment.startswith("/etc/")

    def _usable(self, verb: str, name: str) -> Unit:
        state, unit = self.find(name)
        if unit is not None:
            return unit
        if state == "masked":
            raise ManagerError(f"Failed to {verb} {name}: Unit {name} is masked.")
        if state == "bad-setting":
            raise ManagerError(
                f"Failed to {verb} {name}: Unit {name} has a bad unit file setting.\n"
                f"See system logs and 'systemctl status {name}' for details."
            )
        raise ManagerError(f"Failed to {verb} {name}: Unit {name} not found.", code=5)

    def _loaded(self, verb: str, name: str, code: int) -> Unit:
        unit = self._units.get(name)
        if unit is None and self._file(name) is None:
            raise ManagerError(f"Failed to {verb} {name}: Unit {name} not loaded.", code)
        return unit or self._usable(verb, name)

    # -- changing --------------------------------------------------------------------------

    def reload(self) -> None:
        """Read all unit files again; what runs goes on as it is."""
        for name, unit in list(self._units.items()):
            path = self._file(name)
            if path is not None and not unit.definition.transient:
                with contextlib.suppress(UnitError):
                    unit.definition = read_unit(name, path.read_text(), self.machine.shown(path))

    def run_transient(self, definition: Definition, streams: Streams | None) -> Unit:
        """Start a unit that has no file; refused while the name is taken."""
        if definition.name in self._units or self._file(definition.name) is not None:
            raise ManagerError(
                f"Failed to start transient service unit: Unit {definition.name} was already "
                "loaded or has a fragment file."
            )
        unit = Unit(definition)
        self._begin(unit, streams)
        return unit

    async def start(self, name: str) -> None:
        """Start a unit; a oneshot has ended when this returns. Raises ManagerError."""
        unit = self._usable("start", name)
        while unit.active == "deactivating" and unit.life is not None:
            await asyncio.shield(unit.life)
        if not unit.lives:
            self._begin(unit, None)
        await self.settle(unit)

    async def settle(self, unit: Unit) -> None:
        """Until a start job is over, which the unit's Type decides. Raises ManagerError."""
        not_executed = unit.definition.kind == "exec" and not unit.main.pid
        if unit.life is not None and (unit.definition.kind == "oneshot" or not_executed):
            await asyncio.shield(unit.life)
        if unit.active == "failed":
            raise ManagerError(start_failure(unit))

    async def stop(self, name: str) -> None:
        """End a unit with all its processes. Raises ManagerError."""
        unit = self._loaded("stop", name, code=5)
        await self._end(unit)

    async def restart(self, name: str) -> None:
        """Stop, then start. Raises ManagerError."""
        await self._end(self._usable("restart", name))
        await self.start(name)

    async def kill(self, name: str, signum: signal.Signals, *, main_only: bool) -> None:
        """Signal a unit's processes. Raises ManagerError."""
        unit = self._loaded("kill unit", name, code=1)
        targets = {unit.main.pid} if main_only else self._members(unit)
        processes.send(targets - {0}, signum)

    def reset_failed(self, name: str) -> None:
        """Forget a failure, and how often the unit was started. Raises ManagerError."""
        unit = self._loaded("reset failed state of unit", name, code=1)
        unit.starts.clear()
        unit.restarts = 0
        unit.result = "success"
        if unit.active == "failed":
            unit.enter("inactive", "dead")
            self._forget(unit)

    async def wait(self, unit: Unit) -> None:
        """Until the unit has ended."""
        if unit.life is not None:
            await asyncio.shield(unit.life)

    # -- a unit's life ---------------------------------------------------------------------

    def _begin(self, unit: Unit, streams: Streams | None) -> None:
        if not self._may_start(unit):
            unit.enter("failed", "failed")
            return
        self._units[unit.name] = unit
        unit.restarts = 0
        unit.stopping = asyncio.Event()
        unit.enter("activating", "start")
        first = self._spawn(unit, 0, streams)
        unit.life = asyncio.create_task(self._live(unit, first, streams))

    async def _live(self, unit: Unit, first: asyncio.Future[int], streams: Streams | None) -> None:
        exit_status = first
        while True:
            clean = await self._run(unit, exit_status, streams)
            if unit.stopping.is_set() or not self._restarts(unit, clean):
                break
            unit.enter("activating", "auto-restart")
            with contextlib.suppress(TimeoutError):
                pause = unit.definition.restart_after / self.machine.speed
                await asyncio.wait_for(unit.stopping.wait(), pause)
            if unit.stopping.is_set():
                unit.result = "success"
                break
            if not self._may_start(unit):
                break
            unit.restarts += 1
            exit_status = self._spawn(unit, 0, streams)
        failed = unit.result != "success"
        unit.enter("failed" if failed else "inactive", "failed" if failed else "dead")
        unit.life = None
        self._forget(unit)
        followers = unit.definition.on_failure if failed else unit.definition.on_success
        for name in followers:
            follower = asyncio.create_task(self._follow(name))
            self._followers.add(follower)
            follower.add_done_callback(self._followers.discard)

    async def _follow(self, name: str) -> None:
        with contextlib.suppress(ManagerError):
            await self.start(name)

    def _may_start(self, unit: Unit) -> bool:
        """Count a start; False, with the result that says so, when there were too many."""
        now = time.monotonic()
        interval = unit.definition.start_interval / self.machine.speed
        unit.starts = [at for at in unit.starts if now - at < interval]
        if interval and len(unit.starts) >= unit.definition.start_burst:
            unit.result = "start-limit-hit"
            return False
        unit.starts.append(now)
        return True

    async def _run(self, unit: Unit, first: asyncio.Future[int], streams: Streams | None) -> bool:
        """All commands of one run, then the end of what they left; whether it went well."""
        exit_status = first
        clean = True
        for index, command in enumerate(unit.definition.commands):
            if index:
                exit_status = self._spawn(unit, index, streams)
            timed_out = not await self._watch(unit, exit_status)
            self._hide_process(unit.main.pid)
            status = exit_status.result()
            unit.main.status = status
            unit.main.ended, unit.main.ended_monotonic = time.time(), time.monotonic()
            clean = self._judge(unit, status, timed_out=timed_out) or command.ignore
            if not clean or unit.stopping.is_set():
                break
        if clean:
            unit.result = "success"
        unit.enter("deactivating", "final-sigterm")
        unit.main.pid = 0
        await self._sweep(unit)
        return clean

    async def _watch(self, unit: Unit, exit_status: asyncio.Future[int]) -> bool:
        """Until the main process has ended; False when a time limit had to end it."""
        stop: asyncio.Future[object] = asyncio.ensure_future(unit.stopping.wait())
        limit = unit.definition.run_limit
        await asyncio.wait(
            (exit_status, stop),
            timeout=None if limit is None else limit / self.machine.speed,
            return_when=asyncio.FIRST_COMPLETED,
        )
        in_time = exit_status.done() or stop.done()
        stop.cancel()
        if exit_status.done():
            return True
        unit.enter("deactivating", "stop-sigterm")
        processes.send(self._members(unit), signal.SIGTERM)
        patience = unit.definition.stop_limit / self.machine.speed
        await asyncio.wait({exit_status}, timeout=patience)
        if not exit_status.done():
            in_time = False
            unit.enter("deactivating", "stop-sigkill")
            processes.send(self._members(unit), signal.SIGKILL)
            await exit_status
        return in_time

    @staticmethod
    def _judge(unit: Unit, status: int, *, timed_out: bool) -> bool:
        daemon = unit.definition.kind != "oneshot"
        if timed_out:
            unit.result = "timeout"
        elif status == 0 or (daemon and status < 0 and -status in _CLEAN_SIGNALS):
            return True
        else:
            unit.result = "exit-code" if status > 0 else "signal"
        return False

    @staticmethod
    def _restarts(unit: Unit, clean: bool) -> bool:
        match unit.definition.restart:
            case "always":
                return True
            case "on-success":
                return clean
            case "on-failure":
                return not clean
            case _:
                return False

    async def _sweep(self, unit: Unit) -> None:
        """End what the main process left behind: TERM, and KILL when that is ignored."""
        deadline = time.monotonic() + unit.definition.stop_limit / self.machine.speed
        signum = signal.SIGTERM
        told: set[int] = set()
        while left := self._members(unit):
            if time.monotonic() > deadline and signum is signal.SIGTERM:
                signum, told = signal.SIGKILL, set()
            processes.send(left - told, signum)
            told |= left
            await asyncio.sleep(_SWEEP_SECONDS)

    async def _end(self, unit: Unit) -> None:
        if unit.life is not None:
            unit.stopping.set()
            await asyncio.shield(unit.life)
        elif unit.active == "failed":
            unit.enter("inactive", "dead")
            unit.result = "success"
            self._forget(unit)

    def _forget(self, unit: Unit) -> None:
        """Unload a unit that nothing refers to, unless it failed and is kept to be looked at."""
        kept = unit.active == "failed" and not unit.definition.collect
        if not kept and not self._is_wanted(unit.definition):
            self._units.pop(unit.name, None)

    def _members(self, unit: Unit) -> set[int]:
        mark = f"INVOCATION_ID={unit.invocation}".encode()
        return processes.members(processes.snapshot(), unit.session, mark)

    def _spawn(self, unit: Unit, index: int, streams: Streams | None) -> asyncio.Future[int]:
        """Start one of the unit's commands in a session of its own."""
        definition = unit.definition
        unit.invocation = uuid.uuid4().hex
        environment = {
            **self.machine.environment(self._path),
            **definition.environment,
            "INVOCATION_ID": unit.invocation,
        }
        words = definition.commands[index].argv
        argv = (self._program(words[0]), *expand(words[1:], environment))
        unit.main = Main(argv=words, started=time.time(), started_monotonic=time.monotonic())
        with contextlib.ExitStack() as files:
            stdin, stdout, stderr = streams or (
                subprocess.DEVNULL,
                *self._outputs(definition, files),
            )
            try:
                child = subprocess.Popen(
                    argv,
                    stdin=stdin,
                    stdout=stdout,
                    stderr=stderr,
                    cwd=definition.directory or self.machine.root,
                    env=environment,
                    start_new_session=True,
                )
            except OSError:
                failed = asyncio.get_running_loop().create_future()
                failed.set_result(EXEC_FAILED)
                return failed
        unit.main.pid = unit.session = child.pid
        self._show_process(child.pid, argv[0])
        # The reaper collects it: Popen must not.
        child.returncode = 0
        if definition.kind != "oneshot":
            unit.enter("active", "running")
        return self._reaper.watch(child.pid)

    def _show_process(self, pid: int, program: str) -> None:
        """The host's own /proc has it. Its exe is what was started: a real agent is a program, here
        it is a script, which runs as its interpreter."""
        shown = self.machine.root / "proc" / str(pid)
        shown.mkdir(exist_ok=True)
        for name in ("cmdline", "environ", "status"):
            if Path("/proc", str(pid), name).exists():
                (shown / name).symlink_to(f"/proc/{pid}/{name}")
        (shown / "exe").symlink_to(os.path.realpath(program))

    def _hide_process(self, pid: int) -> None:
        shutil.rmtree(self.machine.root / "proc" / str(pid), ignore_errors=True)

    def _program(self, path: str) -> str:
        """Where a program really is: the store is the host's, /bin/sh is this machine's."""
        inside = self.machine.real(path)
        return str(inside) if inside.exists() else path

    def _outputs(self, definition: Definition, files: contextlib.ExitStack) -> tuple[int, int]:
        stdout = self._output(definition, definition.stdout, files)
        if definition.stderr == "inherit":
            return stdout, stdout
        return stdout, self._output(definition, definition.stderr, files)

    def _output(self, definition: Definition, kind: str, files: contextlib.ExitStack) -> int:
        if kind == "null":
            return subprocess.DEVNULL
        how, _, path = kind.partition(":")
        target = self.machine.root / "var/log/journal" / f"{definition.name}.log"
        if path:
            target = self.machine.real(path)
        mode = "wb" if how == "truncate" else "ab"
        return files.enter_context(target.open(mode)).fileno()

    def find_program(self, name: str) -> str | None:
        """A program as systemd-run finds it: a path as it is, a name along PATH."""
        if "/" in name:
            return name if os.access(self._program(name), os.X_OK) else None
        return shutil.which(name, path=self.machine.environment(self._path)["PATH"])


def start_failure(unit: Unit) -> str:
    """What systemctl and systemd-run say when a start did not succeed."""
    see = f'See "systemctl status {unit.name}" and "journalctl -xeu {unit.name}" for details.'
    if unit.result == "start-limit-hit":
        return (
            f"Job for {unit.name} failed because start of the service was attempted too often.\n"
            f'{see}\nTo force a start use "systemctl reset-failed {unit.name}"\n'
            f'followed by "systemctl start {unit.name}" again.'
        )
    how = {
        "timeout": "a timeout was exceeded",
        "signal": "a fatal signal was delivered to the control process",
    }.get(unit.result, "the control process exited with error code")
    return f"Job for {unit.name} failed because {how}.\n{see}"
