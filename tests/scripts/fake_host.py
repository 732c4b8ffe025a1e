"""A host for scripts: a folder as its file system, real git, the sandbox's systemctl and
nixos-rebuild, and stubs for Nix and for what systemd would run.

The stubs do as files in `state/` say, and all write down how they were called; nothing needs root.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Final

from left_out import OLD_BASH, OLD_BASH_ARGV

from nixfleet_core.facts.parse import parse_probe
from nixfleet_core.job.compile import compile_plan
from nixfleet_core.job.events import HostEvent, StepEnd, read_event
from nixfleet_core.job.frames import Frame, FrameReader
from nixfleet_core.plan.model import Options, Plan, Step
from nixfleet_core.sandbox.layout import TOOLS
from nixfleet_core.scripts.compose import question
from nixfleet_core.vocabulary import StepId

if TYPE_CHECKING:
    from nixfleet_core.facts.model import Facts

SHELLS: Final = {
    "dash": ("dash",),
    "bash": ("bash", "--posix"),
    "busybox": ("busybox", "ash"),
    "mksh": ("mksh",),
    "zsh": ("zsh", "--emulate", "sh"),
    OLD_BASH: OLD_BASH_ARGV,
}
JOB: Final = "20261123-004101-ab12"
CHECKOUT: Final = "/home/ops/nixcfg"
UNIT: Final = "nixfleet-agent.service"
STORE: Final = "/nix/store"
AGENTS: Final = {v: f"{STORE}/{v[0] * 32}-nixfleet-agent-{v}/bin/agent" for v in ("1.0", "2.0")}
SYSTEMS: Final = {v: f"{STORE}/{v[0] * 32}-nixos-system-h-{v}" for v in ("1.0", "2.0")}
CHAIN: Final[tuple[StepId, ...]] = (
    *("preflight", "stop", "pull", "update", "rebuild", "start", "verify"),
)

DERIVATION: Final = f"{STORE}/{'2' * 32}-nixfleet-agent-2.0.drv"

DARWIN: Final = 'case "$*" in -s) echo Darwin ;; *) echo Darwin the-host arm64 ;; esac'
"""`uname` of a Mac."""

_STUBS: Final = {
    "sleep": f"exec {shutil.which('sleep')} 0.05",
    "df": "echo header; echo fs 9 9 99999999 1% /",
    "journalctl": ":",
    "uname": "echo Linux the-host x86_64",
    "systemd": r"""
state=$root/run/systemd/units/$2
case $1 in
  start | restart)
    if [ -e "$s/refuses" ]; then rm -f "$state"; echo 'Job failed.' >&2; exit 1; fi
    if [ "$1" = start ] && [ -e "$state" ]; then exit; fi
    pid=$(($(cat "$s/pid") + 1))
    echo "$pid" >"$s/pid"
    mkdir -p "$root/proc/$pid"
    program=$(sed -n 's/^ExecStart=\([^ ]*\).*/\1/p' "$root/etc/systemd/system/$2")
    ln -sfn "$root$program" "$root/proc/$pid/exe"
    echo "active running $pid success 0" >"$s/new-state"
    mv "$s/new-state" "$state"
    ;;
  stop) rm -f "$state" ;;
  wait) shift 3; exec "$@" ;;
esac
""",
    **{
        tool: (TOOLS / f"{tool}.sh").read_text()
        for tool in ("systemctl", "systemd-run", "nixos-rebuild", "nix-env")
    },
    "nix": r"""
case "$*" in
  --version) echo 'nix (Nix) 2.34.8' ;;
  *" fields") cat "$s/lock-values" ;;
  *" given") cat "$s/given" ;;
  *getContext*) cat "$s/refers" ;;
  *"store verify"*) [ ! -e "$s/damaged" ] ;;
  *" build --print-out-paths "*) cp "$s/new-installed" "$s/expected"; cat "$s/new-system" ;;
  *" eval --raw "*) cat "$s/expected" ;;
  *--apply*) [ ! -e "$s/no-attribute" ] ;;
  *" lock "* | *" update "*)
    cp "$s/new-lock" flake.lock
    cp "$s/new-values" "$s/lock-values"
    ;;
esac
""",
    "nix-store": r"""
case "$*" in
  "--query --requisites "*) cat "$s/requisites" ;;
  "--query --references "*) cat "$s/references" ;;
  "--query --outputs "*)
    shift 2
    for drv; do echo "${drv%.drv}"; done
    ;;
  "--check-validity "*)
    shift
    for path; do grep -qxF "$path" "$s/valid" || exit 1; done
    ;;
  *--check*)
    if [ -e "$s/differs" ]; then echo "error: derivation 'x' may not be deterministic"; exit 104; fi
    ;;
  "--repair-path "*) if [ -e "$s/beyond-repair" ]; then exit 1; fi; rm -f "$s/damaged" ;;
esac
""",
}
"""What each tool does; `$s` is the folder `state`. What asks systemd, and rebuilds, is the
sandbox's; systemd itself pretends to run what a unit starts."""


@dataclass(frozen=True)
class Upstream:
    """The repositories that a host pulls from; shared, so nobody may write to them."""

    nixcfg: Path
    nixfleet: str
    old: str
    new: str


def git(folder: Path, *words: str) -> str:
    """Run git without the developer's own configuration."""
    done = subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *words],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
        },
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def lock_text(rev: str, nixpkgs: str = "0" * 40) -> str:
    """A flake.lock with nixfleet at `rev`."""
    nodes = {
        "root": {"inputs": {"nixfleet": "n", "nixpkgs": "p"}},
        "n": {"locked": {"rev": rev}, "original": {"type": "git", "url": "https://h/nixfleet"}},
        "p": {"locked": {"rev": nixpkgs}},
    }
    return json.dumps({"nodes": nodes, "root": "root", "version": 7}, indent=2) + "\n"


def unit_text(program: str) -> str:
    """The agent's unit, which starts that program."""
    return f"[Unit]\nDescription=NixFleet agent\n[Service]\nExecStart={program} --serve\n"


def make_upstream(folder: Path) -> Upstream:
    """nixfleet with an old and a new commit; nixcfg whose newest commit changes flake.lock."""
    for name in ("nixfleet", "nixcfg"):
        git(folder, "init", "-q", "-b", "main", name)
    nixfleet, nixcfg = folder / "nixfleet", folder / "nixcfg"
    revs = []
    for version in ("1.0", "2.0"):
        (nixfleet / "version").write_text(version)
        git(nixfleet, "add", ".")
        git(nixfleet, "commit", "-q", "-m", version)
        revs.append(git(nixfleet, "rev-parse", "HEAD"))
    for title, files in {
        "First": {"flake.nix": "{}\n", "flake.lock": lock_text(revs[0]), "README": "one\n"},
        "Fix the disk": {"README": "two\n", "flake.lock": lock_text(revs[0], "5" * 40)},
    }.items():
        for name, text in files.items():
            (nixcfg / name).write_text(text)
        git(nixcfg, "add", ".")
        git(nixcfg, "commit", "-q", "-m", title)
    return Upstream(nixcfg, f"file://{nixfleet}", revs[0], revs[1])


@dataclass(frozen=True)
class FakeHost:
    """The agent 1.0 runs, 2.0 is what an update brings; nixcfg is one commit behind."""

    root: Path
    shell: tuple[str, ...]
    upstream: Upstream

    @property
    def state(self) -> Path:
        return self.root / "state"

    @property
    def checkout(self) -> Path:
        return Path(f"{self.root}{CHECKOUT}")

    @property
    def lock(self) -> Path:
        return self.checkout / "flake.lock"

    @property
    def jobs(self) -> Path:
        return self.root / "var/lib/nixfleet/jobs"

    @property
    def job(self) -> Path:
        return self.jobs / JOB

    @property
    def run_state(self) -> Path:
        return self.root / "run/nixfleet"

    @cached_property
    def env(self) -> dict[str, str]:
        return {
            "PATH": f"{self.root}/run/wrappers/bin:{os.environ['PATH']}",
            "HOME": f"{self.root}/home/ops",
            "USER": "ops",
            "TMPDIR": f"{self.root}/tmp",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
        }

    def set(self, name: str, text: str) -> None:
        """Write a file that the stubs act by; they see the old text or the new, whole."""
        new = self.state / f"{name}.new"
        new.write_text(f"{text}\n" if text else "")
        new.replace(self.state / name)

    @property
    def _unit_file(self) -> Path:
        return self.root / "etc/systemd/system" / UNIT

    def install(self, program: str) -> None:
        """Let the agent's unit name that program."""
        self._unit_file.write_text(unit_text(program))

    def mask(self) -> None:
        """Forbid the agent's unit to start."""
        self._unit_file.unlink()
        self._unit_file.symlink_to("/dev/null")

    def let_live(self, unit: str, state: str = "active running", pid: int = 9) -> None:
        """Let systemd say of a unit that it is in that state."""
        (self.root / "run/systemd/units" / unit).write_text(f"{state} {pid} success 0\n")

    def let_have(self, unit: str, *pids: int) -> None:
        """Let systemd say of a unit that these processes are in its cgroup."""
        group = self.root / "sys/fs/cgroup" / unit
        group.mkdir(parents=True, exist_ok=True)
        (group / "cgroup.procs").write_text("".join(f"{pid}\n" for pid in pids))
        self.on(
            "systemctl",
            """case "$*" in *"-p ControlGroup"*) ;; *) default "$@"; exit ;; esac
            default "$@" | while IFS= read -r line; do
              printf '%s\\n' "$line"
              if [ -d "$root/sys/fs/cgroup/${line#Id=}" ]; then echo "ControlGroup=/${line#Id=}"; fi
            done""",
        )

    def let_run(self, pid: int, exe: str | None, *words: str, uid: int | None = None) -> None:
        """Let a process run that file of the host, with this command line; None if only root may
        see which file. Without `uid` it belongs to root, who is ourselves."""
        if exe is not None and not Path(f"{self.root}{exe}").exists():
            self.put(exe)
        folder = self.root / f"proc/{pid}"
        folder.mkdir()
        if exe is not None:
            (folder / "exe").symlink_to(f"{self.root}{exe}")
        (folder / "cmdline").write_bytes(b"".join(os.fsencode(word) + b"\0" for word in words))
        listed = self.state / "ps"
        line = f"{pid} {os.getuid() if uid is None else uid} {' '.join(words)} {self.root}\n"
        listed.write_text((listed.read_text() if listed.exists() else "") + line)
        real = shutil.which("ps")
        self.on(
            "ps",
            f'case "$*" in *"-o uid= -o args="*) cat "$s/ps" ;; *) exec {real} "$@" ;; esac',
        )

    def put(self, path: str, text: str | bytes = b"\x7fELF\0\0") -> str:
        """A file of the host; by default a program. Returns where this machine has it."""
        file = Path(f"{self.root}{path}")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        file.chmod(0o755)
        return str(file)

    def let_end(self, unit: str) -> None:
        """Let systemd say of a unit that it is over."""
        (self.root / "run/systemd/units" / unit).unlink()

    def on(self, tool: str, script: str) -> None:
        """Let a stub do this instead; `default` in it is what it does otherwise."""
        text = f"default() (\n{_STUBS.get(tool, ':')}\n)\n{script}\n"
        self._write_tool(tool, text)

    def _write_tool(self, name: str, body: str) -> None:
        path = self.root / "run/wrappers/bin" / name
        # a quoted word a line, so that a call can be compared
        head = f"#!/bin/sh\nroot={quote(str(self.root))}\ns=$root/state\n"
        told = f'echo {name} "$*" >>"$s/calls"\n' if name not in ("sleep", "systemd") else ""
        if name == "systemd-run":
            told += """for word; do printf '%s\\0' "$word"; done >"$s/systemd-run.argv"\n"""
        new = path.with_suffix(".new")
        new.write_text(head + told + body)
        new.chmod(0o755)
        new.replace(path)

    def make(self) -> None:
        """Lay the host out."""
        root = self.root
        for folder in (
            *("home/ops", "nix/var/nix/profiles", "proc", "run/wrappers/bin", "run/systemd/system"),
            *("run/systemd/units", "etc/systemd/system", "state", "tmp", "var/lib"),
        ):
            (root / folder).mkdir(parents=True)
        (root / "etc/NIXOS").touch()
        for version, path in AGENTS.items():
            agent = Path(f"{root}{path}")
            agent.parent.mkdir(parents=True)
            agent.write_text(f"#!/bin/sh\necho nixfleet-agent {version}\n")
            agent.chmod(0o755)
            system = Path(f"{root}{SYSTEMS[version]}")
            (system / "bin").mkdir(parents=True)
            (system / "nixos-version").write_text("25.11")
            switch = system / "bin/switch-to-configuration"
            switch.write_text(
                f"#!/bin/sh\ncat >{quote(str(self._unit_file))} <<'EOF'\n{unit_text(path)}EOF\n"
                f"ln -sfn {quote(str(system))} {quote(str(root))}/run/current-system\n"
            )
            switch.chmod(0o755)
        profiles = root / "nix/var/nix/profiles"
        (profiles / "system-1-link").symlink_to(f"{root}{SYSTEMS['1.0']}")
        (profiles / "system").symlink_to("system-1-link")
        (root / "run/current-system").symlink_to(f"{root}{SYSTEMS['1.0']}")
        git(root, "clone", "-q", str(self.upstream.nixcfg), str(self.checkout))
        git(self.checkout, "reset", "-q", "--hard", "HEAD~1")
        for name, text in {
            "pid": "4000",
            "expected": AGENTS["1.0"],
            "new-installed": AGENTS["2.0"],
            "new-system": f"{root}{SYSTEMS['2.0']}",
            "lock-values": self.lock_values(self.upstream.old),
            "new-values": self.lock_values(self.upstream.new),
            "new-lock": lock_text(self.upstream.new).rstrip(),
            "refers": DERIVATION,
            "requisites": DERIVATION,
            "references": "",
            "valid": "",
        }.items():
            self.set(name, text)
        for name, body in _STUBS.items():
            self._write_tool(name, body)
        if self.shell == OLD_BASH_ARGV:  # a Mac has no other sh
            (root / "run/wrappers/bin/sh").symlink_to(self.shell[0])
        self.install(AGENTS["1.0"])
        self.tool("systemctl", "start", UNIT)
        (self.state / "calls").unlink()

    def lock_values(self, rev: str, kind: str = "git") -> str:
        """What Nix says of the input in flake.lock."""
        url = self.upstream.nixfleet if kind == "git" else ""
        return f"{kind}\t{url}\t\t{rev}\t\tgit+{url}?rev=\t"

    def tool(self, *argv: str) -> str:
        """Run one of the host's tools."""
        path = f"{self.root}/run/wrappers/bin/{argv[0]}"
        return subprocess.run(
            [path, *argv[1:]], env=self.env, check=True, capture_output=True, text=True
        ).stdout

    def calls(self, *of: str) -> list[str]:
        """How the stubs were called, in order; only those that begin with one of these words."""
        path = self.state / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in lines if not of or line.startswith(of)]

    # Scripts.

    def send(self, script: str, **env: str) -> subprocess.CompletedProcess[bytes]:
        """Send a script to the shell, as a transport does."""
        return subprocess.run(
            [*self.shell, "-s"],
            input=script.encode("utf-8", "surrogateescape"),
            env={**self.env, **env},
            cwd=self.root,
            capture_output=True,
            timeout=60,
            check=False,
        )

    def script(self, name: str, **values: str) -> str:
        given = {"NF_EVALUATION": "300", "NF_NIX_STAMP": "", **values}
        return question(name, str(self.root), given)

    def ask(self, name: str, **values: str) -> subprocess.CompletedProcess[bytes]:
        """Run one of the scripts with these values."""
        return self.send(self.script(name, **values))

    def plan(
        self,
        *,
        lines: dict[StepId, tuple[str, ...]] | None = None,
        tries: int = 3,
        more: tuple[StepId, ...] = (),
        **changes: object,
    ) -> Plan:
        """A plan of the whole chain, with other commands for some steps, and more before the
        rebuild."""
        argv: dict[StepId, tuple[str, ...]] = {
            "preflight": ("check",),
            "stop": ("systemctl", "stop", UNIT),
            "pull": ("git", "merge", "--quiet", "--ff-only", "FETCH_HEAD"),
            "update": ("nix", "flake", "update", "nixfleet"),
            "repair": ("repair-agent",),
            "build": ("build-agent",),
            "rebuild": ("nixos-rebuild", "switch", "--flake", f"{CHECKOUT}#h"),
            "start": ("systemctl", "start", UNIT),
            "verify": ("prove",),
        }
        argv.update(lines or {})
        steps = tuple(
            Step(
                id=step,
                title=step,
                argv=argv[step],
                run_as="owner" if step in ("pull", "update") else "root",
                limit=30,
                tries=tries if step in ("pull", "update") else 1,
            )
            for step in (*CHAIN[:4], *more, *CHAIN[4:])
            if step != "pull" or changes.get("pull", True)
        )
        options = Options(stable=1, **changes)  # type: ignore[arg-type]
        return Plan(
            host="h",
            attribute="h",
            checkout=CHECKOUT,
            owner="ops",
            input="nixfleet",
            options=options,
            steps=steps,
            tools=("git", "nix", "nixos-rebuild", "systemctl"),
        )

    def write_job(self, plan: Plan | None = None) -> None:
        """The job's directory, as launch leaves it."""
        (self.job / "ctl").mkdir(parents=True)
        text = compile_plan(plan or self.plan(), JOB, str(self.root))
        # how often an agent is looked at before it is given up: here a look takes no second
        assert text.count("30 + NF_STABLE") == 1
        text = text.replace("30 + NF_STABLE", "5 + NF_STABLE")
        (self.job / "run.sh").write_text(text)
        (self.job / "plan.json").write_text("{}\n")
        self.run_state.mkdir(parents=True, exist_ok=True)

    def start_job(self, command: str = "main") -> subprocess.Popen[bytes]:
        """Start the runner in a session of its own, as a unit is."""
        return subprocess.Popen(
            [*self.shell, str(self.job / "run.sh"), command],
            env=self.env,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def run_job(self, plan: Plan | None = None, command: str = "main") -> None:
        """Run a whole job; what it prints besides its log is a fault."""
        if plan is not None or not self.job.exists():
            self.write_job(plan)
        said, _ = self.start_job(command).communicate(timeout=60)
        assert said == b"", said.decode()

    @property
    def events(self) -> list[HostEvent]:
        """The job's events; a line that is none is a fault."""
        found = []
        for line in (self.job / "events").read_bytes().splitlines():
            event = read_event(line)
            assert event is not None, line
            found.append(event)
        return found

    @property
    def steps(self) -> dict[str, str]:
        """How each step ended, in order."""
        return {event.step: event.status for event in self.events if isinstance(event, StepEnd)}

    def step(self, step: str) -> StepEnd:
        return next(e for e in self.events if isinstance(e, StepEnd) and e.step == step)

    @property
    def result(self) -> dict[str, object]:
        found: dict[str, object] = json.loads((self.job / "result").read_text())
        return found

    @property
    def log(self) -> str:
        return (self.job / "log").read_text()

    @property
    def agent(self) -> str:
        """What systemd says of the agent; empty where it does not run."""
        state = self.root / "run/systemd/units" / UNIT
        return state.read_text() if state.exists() else ""

    def agent_runs(self) -> bool:
        return self.agent.startswith("active")


def read_frames(data: bytes) -> list[Frame]:
    return FrameReader().feed(data)


def tree(folder: Path) -> dict[str, object]:
    """Everything below a folder, comparable: names, kinds, contents, modes."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        status = path.lstat()
        if path.is_symlink():
            found[name] = path.readlink()
        elif path.is_file():
            found[name] = (path.read_bytes(), status.st_mode, status.st_mtime_ns)
        else:
            found[name] = status.st_mode
    return found


def look(host: FakeHost, installed: str = AGENTS["1.0"], **values: str) -> Facts:
    """Look at a host whose unit names that program."""
    host.install(installed)
    known = {
        "NF_PLATFORM_GIVEN": "nixos",
        "NF_CHECKOUT": CHECKOUT,
        "NF_INPUT": "nixfleet",
        "NF_ATTRIBUTE": "",
        "NF_DEEP": "",
        "NF_CHOSEN": "",
    }
    done = host.ask("probe", **{**known, **values})
    assert done.returncode == 0, done.stderr
    return parse_probe(done.stdout)


def runs(host: FakeHost, exe: str | None, *words: str) -> None:
    """Let the agent's process run that file of the host, with this command line."""
    folder = host.root / "proc/4001"
    (folder / "exe").unlink(missing_ok=True)
    if exe is not None:
        (folder / "exe").symlink_to(f"{host.root}{exe}")
    (folder / "cmdline").write_bytes(b"".join(os.fsencode(word) + b"\0" for word in words))
