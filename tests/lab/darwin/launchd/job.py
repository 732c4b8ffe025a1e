"""A loaded job: its definition as it was when it was loaded, and the life of its process."""

from __future__ import annotations

import asyncio
import os
import plistlib
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pwd import struct_passwd

PATH: Final = "/usr/bin:/bin:/usr/sbin:/sbin"
BAD_CONFIG: Final = 78
"""The exit code of a program that could not be started."""

PENDS: Final = Path("/etc/lab-pends")
"""While this file exists, a bootstrap starts no job: macOS 26 can leave that to a kickstart."""

LOW_POWER: Final = Path("/etc/lab-low-power")
"""While this file exists, a job that has ended stays down until somebody kickstarts it."""

_GATE: Final = "/usr/local/libexec/lab/gate"
_GATED: Final = "com.nixfleet.agent"


@dataclass(frozen=True)
class Definition:
    """What a plist says."""

    path: str
    plist: dict[str, Any]

    @classmethod
    def read(cls, path: str) -> Definition:
        """Raises ValueError when it is no plist, OSError when it cannot be read."""
        try:
            plist = plistlib.loads(Path(path).read_bytes())
            definition = cls(path, plist)
            _ = definition.label, definition.program
        except OSError:
            raise
        except Exception as error:  # expat's errors have no class of their own here
            raise ValueError(path) from error
        return definition

    @property
    def label(self) -> str:
        return str(self.plist["Label"])

    @property
    def argv(self) -> list[str]:
        return [str(word) for word in self.plist.get("ProgramArguments") or [self.program]]

    @property
    def program(self) -> str:
        return str(self.plist.get("Program") or self.plist["ProgramArguments"][0])

    @property
    def throttle(self) -> float:
        """The fewest seconds from one start to the next."""
        return float(self.plist.get("ThrottleInterval", 10))

    @property
    def exit_timeout(self) -> float | None:
        """Seconds from SIGTERM to SIGKILL; None for ever."""
        return float(self.plist.get("ExitTimeOut", 20)) or None

    @property
    def at_load(self) -> bool:
        return bool(self.plist.get("RunAtLoad") or self.plist.get("KeepAlive"))

    def fits(self, kind: str) -> bool:
        """Whether a domain of that kind, `gui` or `user`, takes it."""
        types = self.plist.get("LimitLoadToSessionType", "Aqua")
        named = [types] if isinstance(types, str) else types
        return {"gui": "Aqua", "user": "Background"}[kind] in named

    def again(self, code: int) -> bool:
        """Whether a process that ended like this is started again."""
        keep = self.plist.get("KeepAlive", False)
        if not isinstance(keep, dict):
            return bool(keep)
        if "SuccessfulExit" in keep and keep["SuccessfulExit"] == (code == 0):
            return True
        return bool(keep.get("Crashed")) and code < 0


@dataclass(eq=False)
class Job:
    """`load` it, in the end `unload` it."""

    user: struct_passwd
    domain: str
    definition: Definition
    pid: int = 0
    runs: int = 0
    last: int | None = None
    """The last exit code, or minus the signal; None before the first end."""
    leaving: bool = False
    pended: str = ""
    """Why a start waits for a kickstart, in launchd's word; "" if none does."""
    _throttled_until: float = 0.0
    _wanted: asyncio.Event = field(default_factory=asyncio.Event)
    _at_once: asyncio.Event = field(default_factory=asyncio.Event)
    _spawned: asyncio.Event = field(default_factory=asyncio.Event)
    _ended: asyncio.Event = field(default_factory=asyncio.Event)
    _life: asyncio.Task[None] | None = None

    @property
    def label(self) -> str:
        return self.definition.label

    @property
    def state(self) -> str:
        if self.pid:
            return "running"
        return "spawn scheduled" if self._wanted.is_set() else "not running"

    def load(self) -> None:
        if self.definition.at_load:
            self._want(PENDS, "speculative")
        self._life = asyncio.create_task(self._live())

    async def spawned(self) -> None:
        """Wait until it has been started, or that has failed."""
        await self._spawned.wait()

    async def start(self) -> None:
        """Start now, in spite of the throttle."""
        if not self.pid:
            self.pended = ""
            self._spawned.clear()
            self._at_once.set()
            self._wanted.set()
            await self.spawned()

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL after ExitTimeOut. The plist decides whether it starts again."""
        if self.pid:
            await self._gate("stop")
        if self.pid:  # it may have ended meanwhile
            self._ended.clear()
            self.signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(self._ended.wait(), self.definition.exit_timeout)
            except TimeoutError:
                self.signal(signal.SIGKILL)
                await self._ended.wait()

    def _want(self, pends: Path, why: str) -> None:
        """A start that nobody demanded may pend."""
        if pends.exists():
            self.pended = why
        else:
            self._wanted.set()

    async def unload(self) -> None:
        await self.stop()
        if self._life:
            self._life.cancel()
        self._spawned.set()

    def signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    async def _live(self) -> None:
        while True:
            await self._wanted.wait()
            with suppress(TimeoutError):
                await asyncio.wait_for(
                    self._at_once.wait(), self._throttled_until - time.monotonic()
                )
            await self._gate("start")
            self._at_once.clear()
            self._throttled_until = time.monotonic() + self.definition.throttle
            self.last = await self._run()
            self._wanted.clear()
            if not self.leaving and self.definition.again(self.last):
                self._want(LOW_POWER, "inefficient")
            self._ended.set()

    async def _run(self) -> int:
        """Run the process to its end, and end what is left of its group."""
        self.runs += 1
        plist = self.definition.plist
        streams: list[int] = []
        try:
            for key in ("StandardOutPath", "StandardErrorPath"):
                streams.append(self._open(plist.get(key, "/dev/null")))  # noqa: PERF401 # may fail half-way
            process = await asyncio.create_subprocess_exec(
                *self.definition.argv,
                executable=self.definition.program,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=streams[0],
                stderr=streams[1],
                cwd=plist.get("WorkingDirectory", "/"),
                env=self._environment(),
                umask=int(plist.get("Umask", 0o22)),
                start_new_session=True,
                user=self.user.pw_uid,
                group=self.user.pw_gid,
                extra_groups=os.getgrouplist(self.user.pw_name, self.user.pw_gid),
            )
        except OSError:
            return BAD_CONFIG
        finally:
            for stream in streams:
                os.close(stream)
            self._spawned.set()
        self.pid = process.pid
        code = await process.wait()
        if not plist.get("AbandonProcessGroup"):
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        self.pid = 0
        return code

    def _environment(self) -> dict[str, str]:
        user = self.user
        environment = {
            "HOME": user.pw_dir,
            "LOGNAME": user.pw_name,
            "PATH": PATH,
            "SHELL": user.pw_shell,
            "TMPDIR": "/tmp/",
            "USER": user.pw_name,
            "XPC_FLAGS": "0x0",
            "XPC_SERVICE_NAME": self.label,
        }
        environment |= self.definition.plist.get("EnvironmentVariables", {})
        return environment

    def _open(self, path: str) -> int:
        """Run as the user: root must not own the files that a job writes."""
        os.setegid(self.user.pw_gid)
        os.seteuid(self.user.pw_uid)
        try:
            return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        finally:
            os.seteuid(0)
            os.setegid(0)

    async def _gate(self, point: str) -> None:
        if self.label == _GATED:
            await (await asyncio.create_subprocess_exec(_GATE, point)).wait()
