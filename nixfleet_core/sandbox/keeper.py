"""The keeper of a unit: the process that starts, watches, restarts and ends the unit's program."""

from __future__ import annotations

import contextlib
import os
import select
import shlex
import signal
import sys
import time
from pathlib import Path
from typing import Final

from nixfleet_core.sandbox import processes
from nixfleet_core.sandbox.units import UNIT_MARK, State, Unit

_NOT_EXECUTED: Final = 203
"""The exit status that systemd gives to a program that could not be executed."""
_KILLED: Final = 255
"""The exit status of systemd-run for a unit that a signal ended."""
_CLEAN_SIGNALS: Final = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE)
_CODE: Final = 0x55D0_0000_1000
"""Where a shown process has its program's code in its memory."""
PAUSE: Final = 0.02  # seconds between two looks at what cannot be awaited


def leave_to_keeper(unit: Unit, argv: list[str], *, is_awaited: bool) -> int:
    """Make the keeper, a grandchild that outlives its caller; return the pipe for its answer."""
    unit.write(State("activating", "start"))
    # a caller that wants to stop the unit waits until its keeper listens
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    told, tell = os.pipe()
    between = os.fork()
    if between == 0:
        try:
            if os.fork() == 0:
                os.close(told)
                _Keeper(unit, argv, tell, is_awaited=is_awaited).run()
        except Exception:
            sys.excepthook(*sys.exc_info())  # into the journal
        finally:
            os._exit(0)
    os.close(tell)
    os.waitpid(between, 0)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    os.close(unit.lock)  # the keeper has it
    return told


class _Keeper:
    """The process that looks after one unit."""

    def __init__(self, unit: Unit, argv: list[str], tell: int, *, is_awaited: bool) -> None:
        self._unit, self._machine, self._given = unit, unit.machine, argv
        self._tell, self._is_awaited = tell, is_awaited
        self._settings = unit.settings()
        self._is_oneshot = self._last("Type") == "oneshot"
        self._is_mixed = self._last("KillMode") == "mixed"
        self._patience = float(self._last("TimeoutStopSec", "90")) / self._machine.speed
        self._is_stopping = False
        self._restarts = 0
        self._awake = self._session = -1

    def run(self) -> None:
        """Keep the unit until it is over."""
        os.setsid()
        if not self._is_awaited:
            self._redirect()
        self._listen()
        status, result = self._live()
        self._end(result)
        codes = {"success": 0, "exit-code": status, "signal": _KILLED}
        self._say(str(codes[result]) if self._is_awaited else result)

    def _redirect(self) -> None:
        """Send its output to the journal."""
        journal = self._machine.root / "var/log/journal" / f"{self._unit.name}.log"
        nowhere = os.open(os.devnull, os.O_RDWR)
        log = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for number, target in ((0, nowhere), (1, log), (2, log)):
            os.dup2(target, number)

    def _listen(self) -> None:
        """Get signals by a pipe, so that none is missed; tell others that this keeper listens."""
        self._awake, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake)
        for signum in (signal.SIGTERM, signal.SIGCHLD, signal.SIGPIPE):
            signal.signal(signum, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        self._unit.keep()

    def _sleep(self, seconds: float | None) -> None:
        """Sleep until then, or until a signal."""
        if select.select([self._awake], [], [], seconds)[0]:
            self._is_stopping |= signal.SIGTERM in os.read(self._awake, 64)

    def _live(self) -> tuple[int, str]:
        """Do all runs of the unit; return how the last one ended."""
        while True:
            status = self._run_once()
            clean = status == 0 or (not self._is_oneshot and -status in _CLEAN_SIGNALS)
            result = "success" if clean else "exit-code" if status > 0 else "signal"
            again = self._last("Restart") in (("always",) if clean else ("always", "on-failure"))
            if self._is_stopping or not again:
                return status, result
            self._enter("activating", "auto-restart", result=result)
            if self._is_stopped_within(float(self._last("RestartSec", "0.1"))):
                return 0, "success"
            self._restarts += 1

    def _is_stopped_within(self, seconds: float) -> bool:
        until = time.monotonic() + seconds / self._machine.speed
        while not self._is_stopping and (left := until - time.monotonic()) > 0:
            self._sleep(left)
        return self._is_stopping

    def _run_once(self) -> int:
        """Run the program, end its leftovers, and return its exit code, negative for a signal."""
        # read again: a switch may have changed it
        words = self._given or shlex.split(self._unit.settings()["ExecStart"][-1])
        argv = [word.replace("$$", "$") for word in words]
        inside = self._machine.real(argv[0])  # the store is the host's, /bin/sh is this machine's
        program = str(inside) if inside.exists() else argv[0]
        ready, let_go = os.pipe()
        told, tell = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(let_go)
            os.read(ready, 1)
            self._execute(program, argv, tell)
        self._session = pid
        os.close(ready)
        os.close(tell)
        shown = self._machine.root / "proc" / str(pid)
        self._show_process(shown, program, self._unit.name)
        if self._is_oneshot:
            self._enter("activating", "start", pid)
        else:
            self._enter("active", "running", pid)
        os.close(let_go)  # the program acts only after systemctl shows it as the main process
        with os.fdopen(told, "rb") as answer:
            is_executed = not answer.read()
        if not self._is_oneshot and not self._is_awaited:
            self._say("success" if is_executed else "exit-code")
        status = self._watch(pid)
        for link in shown.iterdir():
            link.unlink()
        shown.rmdir()
        self._enter("deactivating", "final-sigkill")
        self._sweep()
        return status

    def _execute(self, program: str, argv: list[str], tell: int) -> None:
        """Become the program, in a session of its own; a successful execution closes the pipe."""
        try:
            environment = self._machine.environment()
            for line in self._settings["Environment"]:
                for word in shlex.split(line):
                    name, _, environment[name] = word.partition("=")
            environment[UNIT_MARK] = self._unit.mark.partition("=")[2]
            os.setsid()
            os.chdir(self._last("WorkingDirectory", str(self._machine.root)))
            os.execve(program, argv, environment)
        except OSError:
            os.write(tell, b"x")
        finally:
            os._exit(_NOT_EXECUTED)

    @staticmethod
    def _show_process(shown: Path, program: str, unit: str) -> None:
        """Put it into the host's own /proc, with the started file as its exe and as what it has
        mapped: a real agent is a program, but here it is a script, which runs as its interpreter.
        """
        shown.mkdir(exist_ok=True)
        for name in ("cmdline", "environ", "status"):
            if Path("/proc", shown.name, name).exists():
                (shown / name).symlink_to(f"/proc/{shown.name}/{name}")
        real = os.path.realpath(program)
        (shown / "exe").symlink_to(real)
        (shown / "cgroup").write_text(f"0::/system.slice/{unit}\n")
        fields = processes.stat_fields(int(shown.name))
        fields[-1] = str(_CODE)
        (shown / "stat").write_text(f"{shown.name} ({Path(real).name[:15]}) {' '.join(fields)}\n")
        parts = ((_CODE - 4096, "r--p", 0), (_CODE, "r-xp", 4096), (_CODE + 4096, "rw-p", 8192))
        maps = (
            f"{at:012x}-{at + 4096:012x} {mode} {offset:08x} 00:1f 77 {' ' * 25}{real}\n"
            for at, mode, offset in parts
        )
        (shown / "maps").write_text("".join(maps))

    def _watch(self, pid: int) -> int:
        """Wait for the program's end. To stop the unit, send first TERM, in the end KILL."""
        until: float | None = None
        while True:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
            if self._is_stopping and until is None:
                until = time.monotonic() + self._patience
                self._enter("deactivating", "stop-sigterm", pid)
                told = {pid} if self._is_mixed else self._members()
                processes.send(told, signal.SIGTERM)
            if until is not None and time.monotonic() >= until:
                processes.send(self._members(), signal.SIGKILL)
            self._sleep(None if until is None else max(until - time.monotonic(), PAUSE))

    def _members(self) -> set[int]:
        return processes.marked(self._unit.mark, self._session)

    def _sweep(self) -> None:
        """End the processes that the program left behind."""
        while left := self._members():
            processes.send(left, signal.SIGKILL)
            self._sleep(PAUSE)

    def _end(self, result: str) -> None:
        """Note the end, free the unit's name, and start the next units. Their start is noted first,
        so that there is always a living unit."""
        names = self._settings["OnSuccess" if result == "success" else "OnFailure"]
        followers = [unit for name in names if (unit := Unit(self._machine, name)).take()]
        for unit in followers:
            unit.write(State("activating", "start"))
        is_kept = result != "success" and not self._unit.transient.exists()
        self._unit.transient.unlink(missing_ok=True)
        self._enter(*(("failed", "failed") if is_kept else ("inactive", "dead")), result=result)
        self._unit.let_go()
        for unit in followers:
            os.close(leave_to_keeper(unit, [], is_awaited=False))

    def _enter(self, active: str, sub: str, pid: int = 0, result: str = "success") -> None:
        self._unit.write(State(active, sub, pid, result, self._restarts))

    def _say(self, text: str) -> None:
        """Answer the unit's starter once; the starter may wait for this, or be gone."""
        tell, self._tell = self._tell, -1
        if tell >= 0:
            with contextlib.suppress(BrokenPipeError):
                os.write(tell, text.encode())
            os.close(tell)

    def _last(self, key: str, default: str = "") -> str:
        return (self._settings.get(key) or [default])[-1]
