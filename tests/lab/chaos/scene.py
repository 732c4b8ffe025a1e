"""Where a case plays: one host of a lab of its own, an operator, and work that must not be lost."""

from __future__ import annotations

import json
import os
import select
import shlex
import shutil
import signal
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Final, TypeVar

from ..client import Answer, Client, Running, Terminal
from ..fleet import Fleet
from ..host import LabHost
from ..platforms import Mac

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..repos import Repos

_R = TypeVar("_R", bound=Running)

JOB: Final = "nixfleet-job.service"
JOB_LABEL: Final = "com.nixfleet.job"
NEW: Final = "2.2.0"
"""The release that every case brings, unless it says otherwise."""

_LONGEST: Final = 300
"""Seconds after which the cases give up; each has its own, stricter limit."""

_DETACHED: Final = 9

_QUICK: Final = (("--stable", "1"), ("--retry-after", "1"))
"""Shorter pauses: longer ones would show nothing more."""


class Bench:
    """A lab with one host; cases play there one after another."""

    def __init__(self, name: str) -> None:
        self.name: Final = name
        self.fleet: Final = Fleet(name)

    def close(self) -> None:
        self.fleet.close()

    def scene(self) -> Scene:
        """A fresh host, and the parts that all cases share."""
        self.fleet.reset()
        repos = self.fleet.repos
        scene = Scene(self.fleet[self.name], repos, self.new_client(), self)
        scene.as_owner("echo draft > notes.md; echo '# mine' >> home-path.sh")
        repos.release(NEW)
        repos.commit_nixcfg("Something else")
        return scene

    def new_client(self, user: str = "", **keys: str) -> Client:
        """An operator, by default the checkout's owner. The path is short: sockets lie in it."""
        client = self.fleet.client(Path(tempfile.mkdtemp(prefix="nf-")))
        host = self.fleet[self.name]
        client.write_inventory({host: user or host.user}, **keys)
        return client


@dataclass
class Scene:
    """The things that a case uses, and the results that it leaves for the checks."""

    host: LabHost
    repos: Repos
    client: Client
    bench: Bench
    clients: list[Client] = field(default_factory=list)
    proof: list[str] = field(default_factory=list)
    runs: list[Running] = field(default_factory=list)
    lock: bytes = b""
    """flake.lock before the update."""

    def __post_init__(self) -> None:
        self.clients.append(self.client)

    # --- the operator

    def update(self, *words: str, client: Client | None = None) -> Running:
        """Start an update; to be used as a context. What flake.lock is now must not get lost."""
        return self._kept((client or self.client).start(*self._update(words)))

    def update_at_terminal(self, *words: str, client: Client | None = None) -> Terminal:
        """The same, by somebody at a terminal."""
        return self._kept((client or self.client).at_terminal(*self._update(words)))

    def _update(self, words: tuple[str, ...]) -> tuple[str, ...]:
        self.lock = self.read_lock()
        quick = (w for pair in _QUICK if pair[0] not in words for w in pair)
        return ("update", self.host.name, "--force", "--yes", "--json", *quick, *words)

    def _kept(self, running: _R) -> _R:
        self.runs.append(running)
        return running

    def answer(self, running: Running) -> Answer:
        """The operator's final answer: from the update, or from `attach` if the update is gone."""
        code = running.wait(_LONGEST)
        if code >= 0 and code != _DETACHED:
            return read_answer(running.output)
        return self.attach()

    def attach(self, client: Client | None = None) -> Answer:
        attached = self._kept((client or self.client).start("attach", self.host.name, "--json"))
        with attached:
            attached.wait(_LONGEST)
        return read_answer(attached.output)

    def other_operator(self, user: str = "", **keys: str) -> Client:
        self.clients.append(self.bench.new_client(user, **keys))
        return self.clients[-1]

    # --- proof that the fault happened

    def prove(self, what: str, happened: object = True) -> None:
        """Note what shows that the fault happened. `{}` stands for `happened`, which must not be
        nothing."""
        assert happened, f"the fault did not happen: {what}"
        self.proof.append(what.format(happened))

    def prove_journal(self, unit: str, text: str) -> None:
        """The host's journal says so of a unit."""
        self._prove_journal(f"--unit={unit}", text)

    def prove_journal_of(self, program: str, text: str) -> None:
        """A program says so in the host's journal, once."""
        self._prove_journal(f"--identifier={program}", text)

    def _prove_journal(self, of: str, text: str) -> None:
        read = f"journalctl --quiet --output=cat {of}"
        # the entry comes a moment after the event
        self.host.enter(
            f"pipe=$(mktemp -u); mkfifo $pipe; timeout 20 {read} --lines=all --follow > $pipe & "
            f"grep -m 1 -F -e {shlex.quote(text)} < $pipe || true; kill $! || true; rm $pipe"
        )
        said = self.host.enter(read)
        assert said.count(text) == 1, f"{text!r} is not there once:\n{said[-2000:]}"
        self.proof.append(f"journal: {text}")

    # --- the host

    def as_owner(self, command: str) -> str:
        """Run a command in the checkout, as its owner."""
        return self.host.enter(f"cd {self.host.checkout}; {command}", user=self.host.user)

    def read_lock(self) -> bytes:
        return (self.host.root / self.host.checkout[1:] / "flake.lock").read_bytes()

    @property
    def jobs(self) -> Path:
        return self.host.root / self.host.platform.jobs

    def job_processes(self, *, main: bool = False) -> list[int]:
        """The job's processes, or the first of them, as this machine numbers them. On a Mac only
        those that run the job's script: the guard is the first."""
        if self.is_mac:
            pids = [pid for pid in self.host.processes() if b"/run.sh\0" in command(pid)]
        else:
            pids = self.host.processes(f"system.slice/{JOB}")
        assert pids, "no job is running"
        return pids[:1] if main else pids

    @property
    def is_mac(self) -> bool:
        return isinstance(self.host.platform, Mac)

    def launchctl(self, words: str) -> str:
        """What launchctl says to the Mac's user, whatever its exit code is."""
        return self.host.enter(f"/opt/mac/bin/launchctl {words} 2>&1 || true", self.host.user)

    def await_job(self) -> None:
        """Wait until no job runs on the host, and none is brought to its end."""
        if self.is_mac:
            for domain in ("gui", "user"):
                print_ = f"/opt/mac/bin/launchctl print {domain}/501/{JOB_LABEL}"
                self.host.enter(f"while {print_} >/dev/null 2>&1; do sleep 0.1; done")
            return
        units = "nixfleet-job nixfleet-finish"
        self.host.enter(f"while systemctl -q is-active {units}; do sleep 0.1; done")

    def describe(self) -> str:
        """For a case that failed: what everyone said."""
        said = {f"a client ({i})": run.output for i, run in enumerate(self.runs)}
        for name in ("events", "log", "result"):
            for path in self.jobs.glob(f"*/{name}"):
                said[f"{path.parent.name}/{name} on the host"] = path.read_text("utf-8", "replace")
        return "\n".join(f"--- {who}\n{text[-6000:]}" for who, text in said.items())

    def close(self) -> None:
        """End what the operators left behind."""
        for client in self.clients:
            for pid in client_processes(client):
                with Pidfds([pid]) as left:
                    left.kill()
            shutil.rmtree(client.folder, ignore_errors=True)


class Pidfds:
    """Waits for the end of processes; a number that is used again does not confuse it."""

    def __init__(self, pids: Iterable[int]) -> None:
        self._fds: dict[int, int] = {}
        for pid in pids:
            try:
                self._fds[pid] = os.pidfd_open(pid)
            except ProcessLookupError:
                continue

    def __enter__(self) -> Pidfds:
        return self

    def __exit__(self, *_: object) -> None:
        for fd in self._fds.values():
            os.close(fd)

    def kill(self) -> None:
        for fd in self._fds.values():
            try:
                signal.pidfd_send_signal(fd, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def wait(self, seconds: float) -> int:
        """Wait until they have ended; return how many did."""
        deadline = monotonic() + seconds
        alive = set(self._fds.values())
        while alive and (left := deadline - monotonic()) > 0:
            ended = select.select(list(alive), [], [], left)[0]
            alive.difference_update(ended)
        return len(self._fds) - len(alive)


def read_answer(output: str) -> Answer:
    """The last line, which is JSON."""
    lines = output.splitlines()
    assert lines, "the command printed nothing"
    assert lines[-1].startswith("{"), output
    answer: Answer = json.loads(lines[-1])
    return answer


def command(pid: int) -> bytes:
    """The command line of a process, as this machine numbers it; empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def client_processes(client: Client) -> list[int]:
    """Processes that were started by this operator's commands, by the home that they have."""
    mark = f"HOME={client.folder}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (path / "environ").read_bytes().split(b"\0"):
                found.append(int(path.name))
        except OSError:
            continue
    return found
