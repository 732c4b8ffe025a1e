"""What the look for restart debt costs a host (docs/debt.md), over a /proc of files."""

from __future__ import annotations

import random
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nixfleet_core.scripts.compose import question

from .figures import Row, Sample
from .terminal import environment

if TYPE_CHECKING:
    from collections.abc import Iterator

_CLOSURE: Final = 3000
"""Store paths of a usual server."""

_LIBRARIES: Final = 1000
"""So many of them have libraries that run."""

_MAPPED: Final = 60
"""Store files that a process has mapped, in four parts each, as the linker loads a library."""

_OLD: Final = 20
"""Of so many units one runs an older program."""

_ASKED: Final = frozenset({"systemctl", "nix-store", "ps", "cat", "nice", "ionice"})
"""What stands in for systemd, Nix and ps, or becomes it: what these need is not the look's."""

_PERIOD: Final = 0.002
"""Seconds from one count of processes and memory to the next."""

_PEER: Final = "awk '{ print $6 }' proc/[0-9]*/maps | sort -u"
"""What is mapped, without a question of whose it is and whether it is old."""
_PEER_NAME: Final = "`awk` and `sort -u` over what is mapped"


def rows(rounds: int, sizes: tuple[int, ...] = (10, 100, 300)) -> Iterator[Row]:
    for units in sizes:
        with tempfile.TemporaryDirectory() as folder:
            host = _Host(Path(folder), units)
            host.make()
            host.check()
            peer, own = [], []
            for _ in range(rounds):
                peer.append(_seconds(host.run(_PEER)))
                own.append(_seconds(host.look()))
            counted = [_watch(host.look()) for _ in range(rounds)]
        name = f"restart debt, {units} units"
        yield Row(f"{name}: the look", Sample(own), "s", 2.0)
        if units == sizes[-1]:
            yield Row(*(f"{name}: the look", Sample(own), "s", 8.0, Sample(peer)), _PEER_NAME)
        processes = Sample([used.processes for used in counted])
        yield Row(f"{name}: processes of its own at once", processes, "processes", 4.0)
        memory = Sample([used.memory / 2**20 for used in counted])
        yield Row(f"{name}: memory of its own", memory, "MiB", 5.0)


@dataclass(frozen=True)
class _Host:
    """A host of files, with programs that say what systemd and Nix would say of it."""

    root: Path
    units: int

    def make(self) -> None:
        dice = random.Random(self.units)
        closure = [_store(dice, f"package{n}-1.{n}") for n in range(_CLOSURE)]
        system, old = closure[0], [_store(dice, f"package{n}-1.0") for n in range(1, 50)]
        (self.root / "run/wrappers/bin").mkdir(parents=True)
        Path(f"{self.root}{system}").mkdir(parents=True)
        (self.root / "run/current-system").symlink_to(f"{self.root}{system}")
        blocks, words = [], ["1 0 /run/current-system/systemd/lib/systemd/systemd"]
        self._process(1, "/init.scope", [closure[1]])
        (self.root / "proc/stat").write_text("cpu  1 2 3 4\nbtime 1700000000\n")
        for unit in range(self.units):
            name = f"service-{unit}.service"
            group = f"/system.slice/{name}"
            # one process more for each second unit, as with workers
            for pid in range(1000 + 2 * unit, 1001 + 2 * unit + unit % 2):
                mapped = dice.sample(closure[:_LIBRARIES], _MAPPED)
                if unit % _OLD == 0:
                    mapped[0] = dice.choice(old)
                self._process(pid, group, mapped)
                words.append(f"{pid} 0 {mapped[0]}/bin/program --with some --usual options")
            started = f"{closure[2 + unit]}/bin/program"
            blocks.append(
                f"Type=simple\nMainPID={1000 + 2 * unit}\n"
                f"ExecStart={{ path={started} ; argv[]={started} --serve ; ignore_errors=no ; "
                "start_time=[n/a] ; stop_time=[n/a] ; pid=0 ; code=(null) ; status=0/0 }\n"
                f"ControlGroup={group}\nId={name}\nLoadState=loaded\nActiveState=active\n"
                f"FragmentPath=/etc/systemd/system/{name}\nDropInPaths=\nTransient=no\n"
                "NeedDaemonReload=no\nRefuseManualStop=no\n"
            )
        self._say("nix-store", "\n".join(closure))
        self._say("systemctl", "\n".join(blocks))
        self._say("ps", "\n".join(words))

    def _process(self, pid: int, group: str, mapped: list[str]) -> None:
        folder = self.root / f"proc/{pid}"
        folder.mkdir(parents=True)
        at = 0x55D000000000
        fields = ["S", "1", *["0"] * 17, "500", "0", "0", "0", str(at + 0x2000), "0"]
        (folder / "cgroup").write_text(f"0::{group}\n")
        (folder / "stat").write_text(f"{pid} (program) {' '.join(fields)}\n")
        lines = []
        for number, package in enumerate(mapped):
            file = f"{package}/bin/program" if number == 0 else f"{package}/lib/lib.so.1"
            for part in ("r--p", "r-xp", "r--p", "rw-p"):
                lines.append(
                    f"{at:x}-{at + 0x4000:x} {part} 00001000 00:1f {4000 + number:<27} "
                    f"{self.root}{file}\n"
                )
                at += 0x5000
            lines.append(f"{at:x}-{at + 0x1000:x} rw-p 00000000 00:00 0 \n")
            at += 0x2000
        (folder / "maps").write_text("".join(lines))

    def _say(self, tool: str, text: str) -> None:
        """Let that tool print that text."""
        said = self.root / f"{tool}.said"
        said.write_text(f"{text}\n")
        path = self.root / "run/wrappers/bin" / tool
        path.write_text(f"#!/bin/sh\nexec cat '{said}'\n")
        path.chmod(0o755)

    def look(self) -> subprocess.Popen[bytes]:
        """Ask for the restart debt, as the client does over ssh."""
        return self.run(self._question())

    def _question(self) -> str:
        return question("debt", str(self.root), {"NF_PLATFORM_GIVEN": "nixos"})

    def check(self) -> None:
        """Raises RuntimeError if the look does not name the old units."""
        said = self.run(self._question(), subprocess.PIPE).communicate()[0].decode()
        found = said.count("\nunit\t")
        if found != len(range(0, self.units, _OLD)):
            raise RuntimeError(f"the look names {found} old units")

    def run(self, script: str, stdout: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        """Run a script in the host's root."""
        path = f"{self.root}/run/wrappers/bin:{environment()['PATH']}"
        file = self.root / "script"
        file.write_text(script)
        with file.open("rb") as sent:
            return subprocess.Popen(
                ["sh", "-s"],
                stdin=sent,
                stdout=stdout,
                stderr=subprocess.DEVNULL,
                cwd=self.root,
                env={**environment(), "PATH": path},
            )


def _store(dice: random.Random, name: str) -> str:
    letters = dice.choices("0123456789abcdfghijklmnpqrsvwxyz", k=32)
    return f"/nix/store/{''.join(letters)}-{name}"


def _seconds(process: subprocess.Popen[bytes]) -> float:
    """Until it has ended."""
    begin = time.perf_counter()
    if process.wait() != 0:
        raise RuntimeError("the look failed")
    return time.perf_counter() - begin


@dataclass(frozen=True)
class _Used:
    """The most that a look had at once, beside the shell that each question needs."""

    processes: int = 0
    memory: int = 0
    """Bytes; what several processes share is counted once."""


def _watch(process: subprocess.Popen[bytes]) -> _Used:
    processes = memory = 0
    while process.poll() is None:
        found = [pid for child in _children(process.pid) for pid in _own(child)]
        processes = max(processes, len(found))
        memory = max(memory, sum(map(_memory, found)))
        time.sleep(_PERIOD)
    return _Used(processes, memory)


def _own(pid: int, above: str = "") -> Iterator[int]:
    """That process and what is below it, without what stands in for others."""
    name = _name(pid)
    if name in _ASKED or name == above == "timeout":  # its fork, which becomes what it starts
        return
    yield pid
    for child in _children(pid):
        yield from _own(child, name)


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
    return []  # it has ended


def _name(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return "cat"  # it has ended


def _memory(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0
