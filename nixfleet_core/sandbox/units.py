"""`systemd` on a sandbox host: what starts, watches, restarts and ends the processes of units.

Each unit that lives has a keeper, a process that holds the lock on the unit's name. The kernel
frees the lock with the keeper, however that ends: so of two callers at once one gets it, and the
other sees that it is held. Who holds it alone writes the unit's state, for `tools/systemctl.sh`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import shlex
import shutil
import signal
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from nixfleet_core.sandbox import processes

if TYPE_CHECKING:
    from nixfleet_core.sandbox.machine import Machine

UNIT_FOLDERS: Final = ("etc/systemd/system", "run/systemd/system")

UNIT_MARK: Final = "NIXFLEET_SANDBOX_UNIT"
"""Environment variable that every process of a unit carries."""

_NOT_EXECUTED: Final = 203
"""The exit status that systemd gives to a program that could not be executed."""
_KILLED: Final = 255
"""What systemd-run answers for a unit that a signal ended."""
_CLEAN_SIGNALS: Final = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE)
_MOST_STARTS: Final = 5
"""More starts than this within an interval are refused, as systemd does by default."""
_PAUSE: Final = 0.02


class State(NamedTuple):
    """What systemctl shows; a unit that is inactive has no file for it."""

    active: str = "inactive"
    sub: str = "dead"
    pid: int = 0
    result: str = "success"
    restarts: int = 0


class Unit:
    """A unit by its name, and the lock on it once this process has taken that."""

    def __init__(self, machine: Machine, name: str) -> None:
        self.machine, self.name = machine, name
        self.transient = machine.root / "run/systemd/transient" / name
        self._state = machine.root / "run/systemd/units" / name
        self._lock = os.open(
            machine.root / "run/systemd/locks" / name, os.O_RDWR | os.O_CREAT, 0o600
        )

    @property
    def mark(self) -> str:
        return f"{UNIT_MARK}={self.machine.root}/{self.name}"

    @property
    def file(self) -> Path | None:
        """Its unit file; a link to /dev/null is none."""
        paths = (self.machine.root / folder / self.name for folder in UNIT_FOLDERS)
        return next((path for path in paths if path.is_file()), None)

    def settings(self) -> dict[str, list[str]]:
        """What its file, or whoever runs it, tells it: each key's values in order."""
        found = defaultdict(list)
        for line in (self.file or self.transient).read_text().splitlines():
            key, _, value = line.partition("=")
            found[key].append(value)
        return found

    @property
    def command(self) -> list[str]:
        """What its file starts."""
        return shlex.split(self.settings()["ExecStart"][-1])

    def take(self) -> bool:
        """Get the lock, unless another process holds it."""
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        os.ftruncate(self._lock, 0)
        return True

    def let_go(self) -> None:
        """Free the lock, also for those that it was left to."""
        fcntl.flock(self._lock, fcntl.LOCK_UN)

    def close(self) -> None:
        """Keep no hold of the lock: whoever it was left to has it."""
        os.close(self._lock)

    def keep(self) -> None:
        """From here on this process is told what is to become of the unit."""
        os.pwrite(self._lock, b"%d" % os.getpid(), 0)

    def tell_keeper(self, signum: signal.Signals) -> None:
        """Send a signal to whoever keeps the unit now, if that listens already."""
        with contextlib.suppress(ValueError, ProcessLookupError):
            os.kill(int(os.pread(self._lock, 20, 0)), signum)

    def read(self) -> State:
        """Its state now."""
        try:
            active, sub, pid, result, restarts = self._state.read_text().split()
        except OSError:
            return State()
        return State(active, sub, int(pid), result, int(restarts))

    def write(self, state: State) -> None:
        """Note its state, whole; an inactive unit has none."""
        if state.active == "inactive":
            self._state.unlink(missing_ok=True)
            return
        new = self._state.with_name(f".{self.name}")
        new.write_text(" ".join(map(str, state)) + "\n")
        new.replace(self._state)


def systemd(machine: Machine, verb: str, name: str, *rest: str) -> int:
    """Do to a unit what systemctl or systemd-run asks for; return their exit code."""
    unit = Unit(machine, name)
    match verb:
        case "start":
            return start(unit)
        case "stop":
            _stop(unit)
        case "restart":
            _stop(unit)
            return start(Unit(machine, name))
        case "kill":
            processes.send(processes.marked(unit.mark), signal.Signals[f"SIG{rest[0]}"])
        case "reset-failed":
            if unit.take():
                unit.write(State())
        case _:
            return _run(unit, rest[0], rest[1:], is_awaited=verb == "wait")
    return 0


def start(unit: Unit) -> int:
    """Start a unit; a oneshot has ended when this returns."""
    while not unit.take():
        if unit.read().sub in ("running", "auto-restart"):
            return 0
        time.sleep(_PAUSE)
    result = unit.read().result
    if result != "start-limit-hit":
        result = _begin(unit, unit.command, is_awaited=False)
    return _report(unit.name, result)


def _stop(unit: Unit) -> None:
    """End a unit with all its processes; one that has failed is forgotten."""
    if unit.take():
        unit.write(State())
        unit.let_go()
    while not unit.take():
        unit.tell_keeper(signal.SIGTERM)
        time.sleep(_PAUSE)
    unit.let_go()


def _run(unit: Unit, settings: str, argv: tuple[str, ...], *, is_awaited: bool) -> int:
    """Start a unit that has no file; refused while the name is taken."""
    if not unit.take() or unit.file is not None:
        sys.stderr.write(
            f"Failed to start transient service unit: Unit {unit.name} was already loaded or has "
            "a fragment file.\n"
        )
        return 1
    unit.transient.write_text(f"{settings}\n")
    result = _begin(unit, list(argv), is_awaited=is_awaited)
    return int(result or 1) if is_awaited else _report(unit.name, result)


def _report(name: str, result: str) -> int:
    """The exit code of a start, and what systemctl and systemd-run say of one without success."""
    if result == "success":
        return 0
    how = {
        "start-limit-hit": "start of the service was attempted too often",
        "signal": "a fatal signal was delivered to the control process",
    }.get(result, "the control process exited with error code")
    sys.stderr.write(
        f"Job for {name} failed because {how}.\n"
        f'See "systemctl status {name}" and "journalctl -xeu {name}" for details.\n'
    )
    return 1


def _begin(unit: Unit, argv: list[str], *, is_awaited: bool) -> str:
    """Leave a unit whose lock is ours to a keeper; return what that tells, once it does."""
    with os.fdopen(_leave_to_keeper(unit, argv, is_awaited=is_awaited), "rb", 0) as told:
        return told.read(64).decode()


def _leave_to_keeper(unit: Unit, argv: list[str], *, is_awaited: bool) -> int:
    """Make the keeper, a grandchild, so that nobody's end is its end; it tells by this pipe."""
    unit.write(State("activating", "start"))
    # who wants to stop the unit waits until its keeper listens
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    told, tell = os.pipe()
    between = os.fork()
    if between == 0:
        if os.fork() == 0:
            os.close(told)
            _Keeper(unit, argv, tell, is_awaited=is_awaited).run()
        os._exit(0)
    os.close(tell)
    os.waitpid(between, 0)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    unit.close()
    return told


class _Keeper:
    """The process that looks after one unit."""

    def __init__(self, unit: Unit, argv: list[str], tell: int, *, is_awaited: bool) -> None:
        self._unit, self._machine, self._tell = unit, unit.machine, tell
        self._is_awaited = is_awaited
        self._argv = [word.replace("$$", "$") for word in argv]
        self._settings = unit.settings()
        self._is_oneshot = self._last("Type") == "oneshot"
        self._is_mixed = self._last("KillMode") == "mixed"
        self._patience = float(self._last("TimeoutStopSec", "90")) / self._machine.speed
        self._is_stopping = False
        self._restarts = 0
        self._starts: list[float] = []
        self._awake = -1

    def run(self) -> None:
        """Keep the unit until it is over. Does not return."""
        try:
            os.setsid()
            if not self._is_awaited:
                self._redirect()
            self._listen()
            status, result = self._live()
            self._end(result)
            codes = {"success": 0, "exit-code": status, "signal": _KILLED}
            self._say(str(codes.get(result, 1)) if self._is_awaited else result)
        except Exception:
            sys.excepthook(*sys.exc_info())  # into the journal
        finally:
            os._exit(0)

    def _redirect(self) -> None:
        """What it prints goes to the journal."""
        journal = self._machine.root / "var/log/journal" / f"{self._unit.name}.log"
        nowhere = os.open(os.devnull, os.O_RDWR)
        log = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for number, target in ((0, nowhere), (1, log), (2, log)):
            os.dup2(target, number)

    def _listen(self) -> None:
        """Be told of signals by a pipe, so that none is missed, and tell others who listens."""
        self._awake, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake)
        for signum in (signal.SIGTERM, signal.SIGCHLD):
            signal.signal(signum, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        self._unit.keep()

    def _sleep(self, seconds: float | None) -> None:
        """Until then, or a signal."""
        if select.select([self._awake], [], [], seconds)[0]:
            self._is_stopping |= signal.SIGTERM in os.read(self._awake, 64)

    def _live(self) -> tuple[int, str]:
        """All runs of the unit; how the last one ended."""
        restart = self._last("Restart")
        while self._may_start():
            status = self._run_once()
            clean = status == 0 or (not self._is_oneshot and -status in _CLEAN_SIGNALS)
            result = "success" if clean else "exit-code" if status > 0 else "signal"
            if self._is_stopping or not (
                restart == "always" or (restart == "on-failure" and not clean)
            ):
                return status, result
            self._enter("activating", "auto-restart", result=result)
            if self._is_stopped_within(float(self._last("RestartSec", "0.1"))):
                return 0, "success"
            self._restarts += 1
        return 1, "start-limit-hit"

    def _is_stopped_within(self, seconds: float) -> bool:
        until = time.monotonic() + seconds / self._machine.speed
        while not self._is_stopping and (left := until - time.monotonic()) > 0:
            self._sleep(left)
        return self._is_stopping

    def _may_start(self) -> bool:
        """Count a start; False when there were too many."""
        now = time.monotonic()
        interval = float(self._last("StartLimitIntervalSec", "10")) / self._machine.speed
        self._starts = [at for at in self._starts if now - at < interval] + [now]
        return not interval or len(self._starts) <= _MOST_STARTS

    def _run_once(self) -> int:
        """Run the program, end what it left, and return how it ended, negative for a signal."""
        pid, is_executed = self._spawn()
        shown = self._machine.root / "proc" / str(pid)
        self._show_process(shown)
        if self._is_oneshot:
            self._enter("activating", "start", pid)
        else:
            self._enter("active", "running", pid)
        if is_executed and not self._is_oneshot and not self._is_awaited:
            self._say("success")
        status = self._watch(pid)
        shutil.rmtree(shown)
        self._enter("deactivating", "final-sigterm")
        self._sweep()
        return status

    def _spawn(self) -> tuple[int, bool]:
        """Start the program in a session of its own: its pid, and whether it could be executed."""
        environment = self._machine.environment((self._machine.fleet / "path").read_text())
        for line in self._settings["Environment"]:
            for word in shlex.split(line):
                name, _, environment[name] = word.partition("=")
        environment[UNIT_MARK] = self._unit.mark.partition("=")[2]
        told, tell = os.pipe()  # an execution closes it
        pid = os.fork()
        if pid == 0:
            try:
                os.setsid()
                os.chdir(self._last("WorkingDirectory", str(self._machine.root)))
                os.execve(self._program(), self._argv, environment)
            except OSError:
                os.write(tell, b"x")
            finally:
                os._exit(_NOT_EXECUTED)
        os.close(tell)
        with os.fdopen(told, "rb") as answer:
            return pid, not answer.read()

    def _program(self) -> str:
        """Where it really is: the store is the host's, /bin/sh is this machine's."""
        inside = self._machine.real(self._argv[0])
        return str(inside) if inside.exists() else self._argv[0]

    def _show_process(self, shown: Path) -> None:
        """The host's own /proc has it. Its exe is what was started: a real agent is a program, here
        it is a script, which runs as its interpreter."""
        shown.mkdir(exist_ok=True)
        for name in ("cmdline", "environ", "status"):
            if Path("/proc", shown.name, name).exists():
                (shown / name).symlink_to(f"/proc/{shown.name}/{name}")
        (shown / "exe").symlink_to(os.path.realpath(self._program()))

    def _watch(self, pid: int) -> int:
        """Until the program has ended; when the unit is to stop, first TERM, in the end KILL."""
        until: float | None = None
        while True:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
            if self._is_stopping and until is None:
                until = time.monotonic() + self._patience
                self._enter("deactivating", "stop-sigterm", pid)
                told = {pid} if self._is_mixed else processes.marked(self._unit.mark)
                processes.send(told, signal.SIGTERM)
            if until is not None and time.monotonic() >= until:
                processes.send(processes.marked(self._unit.mark), signal.SIGKILL)
            self._sleep(None if until is None else max(until - time.monotonic(), _PAUSE))

    def _sweep(self) -> None:
        """End what the program left behind: TERM, and KILL when that is ignored."""
        until = time.monotonic() + self._patience
        told: set[int] = set()
        while left := processes.marked(self._unit.mark):
            if time.monotonic() > until:
                processes.send(left, signal.SIGKILL)
            else:
                processes.send(left - told, signal.SIGTERM)
            told |= left
            self._sleep(_PAUSE)

    def _end(self, result: str) -> None:
        """Note the end, free the unit's name, and start what comes afterwards; its start is noted
        first, so that there is always something that lives."""
        names = self._settings["OnSuccess" if result == "success" else "OnFailure"]
        followers = [unit for name in names if (unit := Unit(self._machine, name)).take()]
        for unit in followers:
            unit.write(State("activating", "start"))
        is_kept = result != "success" and not self._unit.transient.exists()
        self._unit.transient.unlink(missing_ok=True)
        self._enter(*(("failed", "failed") if is_kept else ("inactive", "dead")), result=result)
        self._unit.let_go()
        for unit in followers:
            os.close(_leave_to_keeper(unit, unit.command, is_awaited=False))

    def _enter(self, active: str, sub: str, pid: int = 0, result: str = "success") -> None:
        self._unit.write(State(active, sub, pid, result, self._restarts))

    def _say(self, text: str) -> None:
        """What whoever started the unit waits for; there may be nobody any more."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._tell, text.encode())

    def _last(self, key: str, default: str = "") -> str:
        return (self._settings.get(key) or [default])[-1]
