"""The product as an operator has it: commands with an inventory and directories of their own."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import subprocess
import sys
import termios
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Final, Self, TypedDict

from .host import LabHost

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

_BIN: Final = Path(sys.executable).parent
SECONDS: Final = 120
"""How long a command may take; a whole update takes about 15."""


QUICK: Final = ("--yes", "--stable", "1")
"""Options of an update that asks nobody and watches the agent as briefly as possible."""


class Side(TypedDict):
    version: str | None
    commit: str | None
    store_path: str | None
    sha256: str | None
    system: str | None
    generation: int | None


class Step(TypedDict):
    id: str
    title: str
    status: str
    seconds: int | None
    attempts: int


class Change(TypedDict):
    name: str
    before: str | None
    after: str | None
    size: int | None


class Left(TypedDict):
    """What a job has left behind."""

    what: str
    help: str
    key: str


class Answer(TypedDict):
    """The JSON of `nixfleet update` for one host."""

    host: str
    verdict: str | None
    cause: str
    advice: str
    before: Side
    after: Side
    notes: list[str]
    left: list[Left]
    changes: list[Change]
    steps: list[Step]
    job: str | None
    log: str | None


@dataclass
class Client:
    """One operator. `write_inventory` first; then commands. They run in a cgroup of the lab's,
    which always ends with it."""

    folder: Path
    ssh_config: Path
    cgroup: Path
    path: str = os.environ["PATH"]
    hosts_file: Path | None = None
    """What its commands see as /etc/hosts."""

    @property
    def env(self) -> dict[str, str]:
        """An environment without the developer's own settings."""
        keep = {key: os.environ[key] for key in ("TERM", "LANG") if key in os.environ}
        return keep | {
            "PATH": self.path,
            "HOME": str(self.folder),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "XDG_CONFIG_DIRS": str(self.folder / "etc/xdg"),
            "XDG_STATE_HOME": str(self.folder / "state"),
            "XDG_RUNTIME_DIR": str(self.folder),
            "NIXFLEET_SSH_CONFIG": str(self.ssh_config),
            "GIT_CONFIG_GLOBAL": "/dev/null",
        }

    def write_inventory(
        self, hosts: Mapping[LabHost, str], told: bool = False, /, **keys: str
    ) -> None:
        """These hosts, each with the user to log in as, and keys for all of them. If `told`, their
        platforms and attributes need not be found out."""
        path = self.folder / "config/nixfleet/hosts.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        tables = []
        for host, user in hosts.items():
            lines = {"ssh": host.ssh_address(user), "checkout": host.checkout}
            if told:
                lines |= {"platform": host.platform.name, "attribute": host.attribute}
            text = (f"{key} = {json.dumps(value)}\n" for key, value in (lines | keys).items())
            tables.append(f"[hosts.{host.name}]\n{''.join(text)}")
        path.write_text("\n".join(tables))

    def command(self, *words: str) -> list[str]:
        """`nixfleet WORDS`, which joins the cgroup first."""
        join = 'echo $$ > "$0"; exec "$@"'
        procs = str(self.cgroup / "cgroup.procs")
        joined = ["/bin/sh", "-c", join, procs, str(_BIN / "nixfleet"), *words]
        if self.hosts_file is None:
            return joined
        bind = 'mount --bind "$0" /etc/hosts; exec "$@"'
        return ["unshare", "--mount", "/bin/sh", "-ec", bind, str(self.hosts_file), *joined]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `nixfleet WORDS` to its end."""
        return subprocess.run(
            self.command(*words),
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )

    def update(self, *words: str, code: int = 0) -> Answer:
        """`nixfleet update WORDS --yes --json` of one host, which must end with `code`."""
        done = self.run("update", *words, *QUICK, "--json")
        assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        answer: Answer = json.loads(done.stdout)
        return answer

    def start(self, *words: str) -> Running:
        """Start `nixfleet WORDS`, and read its output as it comes."""
        return Running(self.command(*words), self.env)

    def at_terminal(self, *words: str) -> Terminal:
        """Start `nixfleet WORDS` with a terminal of its own."""
        return Terminal(self.command(*words), self.env)

    def log_of(self, host: LabHost, job: str) -> Path:
        """The client's raw copy of a job's log."""
        return self.folder / "state/nixfleet/hosts" / host.name / "jobs" / job / "log"


class Running:
    """A running command; it is killed when the context is left."""

    def __init__(self, argv: list[str], env: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            argv,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self._fd = self._process.stdout.fileno()
        self.output = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()

    def wait_for(self, text: str, seconds: float = SECONDS, *, after: int = 0) -> None:
        """Read on until `text` has been printed, behind `after` characters of what was printed so
        far. Raises AssertionError with what was printed."""
        deadline = monotonic() + seconds
        while text not in self.output[after:]:
            assert self._read(deadline - monotonic()), f"no {text!r} in:\n{self.output}"

    def watch(self, seconds: float) -> float:
        """Read on for that long; return the seconds of the longest silence."""
        begun = heard = monotonic()
        longest = 0.0
        while (left := begun + seconds - monotonic()) > 0:
            spoke = self._read(left)
            now = monotonic()
            longest = max(longest, now - heard)
            if spoke:
                heard = now
        return longest

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def wait(self, seconds: float = SECONDS) -> int:
        """Read to the end; the exit code."""
        deadline = monotonic() + seconds
        while self._read(deadline - monotonic()):
            pass
        return self._process.wait(max(1.0, deadline - monotonic()))

    def _read(self, seconds: float) -> bool:
        if not select.select([self._fd], [], [], max(0.0, seconds))[0]:
            return False
        data = os.read(self._fd, 65536)
        self.output += data.decode("utf-8", "replace")
        return bool(data)


class Terminal(Running):
    """A command at a terminal that a test can type at."""

    def __init__(self, argv: list[str], env: Mapping[str, str]) -> None:
        self._fd, theirs = pty.openpty()
        self._process = subprocess.Popen(
            argv,
            env={**env, "TERM": "xterm"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=_take_terminal,
        )
        os.close(theirs)
        self.output = ""

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def _read(self, seconds: float) -> bool:
        try:
            return super()._read(seconds)
        except OSError:  # Linux's end of file at a terminal
            return False


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
