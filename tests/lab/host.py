"""One host of the lab: booting, asking, cutting its link, holding it at a gate, resetting it."""

from __future__ import annotations

import os
import select
import shutil
import socket
import subprocess
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Final, Literal, Self

from .run import ip, kill_cgroup

if TYPE_CHECKING:
    from .platforms import Platform, Suite
    from .run import Run

Point = Literal["stop", "pull", "build", "switch", "start"]

CHECKOUT: Final = "/home/ops/Code/nixcfg"
PASSWORD: Final = "lab-secret"
"""Of user pw, for sudo."""

_HERE: Final = Path(__file__).parent
_PATH: Final = (
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/nix/var/nix/profiles/default/bin"
)
_BOOT_SECONDS: Final = 60


@dataclass(eq=False)
class LabHost:
    """A host. `octet` is the last of its address.

    Its disk is an overlay: what this test wrote, over the base that `freeze` kept, over the root
    file system of its suite.
    """

    name: str
    platform: Platform
    octet: int
    lab: Run
    root_filesystem: Path
    ssh_config: Path
    boots: int = field(default=0, init=False)
    """How often it has booted."""
    _unshare: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _init: int = field(default=0, init=False)
    _touched: bool = field(default=True, init=False)
    """Whether a test got at its files or processes since it booted from its base."""

    # --- what it is

    @property
    def suite(self) -> Suite:
        return self.platform.suite

    @property
    def user(self) -> str:
        """Who owns the checkout."""
        return self.platform.user

    @property
    def checkout(self) -> str:
        return f"{self.platform.home}/Code/nixcfg"

    @property
    def attribute(self) -> str:
        """Its configuration's name in nixcfg."""
        return self.platform.attribute(self.name)

    @property
    def ip(self) -> str:
        return self.lab.address(self.octet)

    @property
    def dir(self) -> Path:
        return self.lab.dir / self.name

    @property
    def root(self) -> Path:
        """Its running file system, as this machine's root sees it."""
        self._touched = True
        return Path(f"/proc/{self._init}/root")

    def ssh_address(self, user: str = "") -> str:
        """For ssh and hosts.toml; resolved without the lab's ssh config, too. By default of the
        checkout's owner."""
        return f"{user or self.user}@{self.ip}"

    # --- asking it

    def run(
        self, command: str, user: str = "root", *, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command over ssh."""
        return subprocess.run(
            ["ssh", "-F", str(self.ssh_config), self.ssh_address(user), command],
            input=stdin or "",
            capture_output=True,
            text=True,
        )

    def enter(self, command: str, user: str = "root") -> str:
        """Run a command in the host's namespaces, without the network; return its stdout, stripped.

        Raises RuntimeError with what it printed if it fails.
        """
        self._touched = True
        done = subprocess.run(
            ["nsenter", f"--target={self._init}", "--all", "env", "-i", f"PATH={_PATH}",
             "runuser", "-u", user, "--", "sh", "-euc", f"cd; {command}"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{self.name}: {command}\n{done.stdout}{done.stderr}")
        return done.stdout.strip()

    def agent_pid(self) -> int:
        """The agent's process id on the host; 0 when it does not run."""
        return self.platform.agent_pid(self)

    def agent_exe(self) -> str | None:
        """The program that the agent's process runs; None when it does not run. On a Mac it is a
        shell at first."""
        pid = self.agent_pid()
        link = f"readlink /proc/{pid}/exe"
        awaited = (
            f"for i in $(seq 50); do {link} | grep /nix/store && exit; sleep 0.1; done; {link}"
        )
        return self.enter(awaited) if pid else None

    def agent_version(self) -> str | None:
        """What the running agent's program says it is: `2.1.0`."""
        exe = self.agent_exe()
        return self.enter(f"{exe} --version").split()[-1] if exe else None

    def agent_state(self) -> str:
        """What the service manager says. systemd's ActiveState and Result: `active success`,
        `failed start-limit-hit`; launchd's state: `running`, `not loaded`."""
        return self.platform.agent_state(self)

    def processes(self, cgroup: str = "") -> list[int]:
        """The processes in a cgroup of the host and below, as this machine numbers them, oldest
        first. What `enter` runs is not in it."""
        self._touched = True
        found: list[int] = []
        with suppress(FileNotFoundError):  # the cgroup has just ended
            for path in (self._cgroup / cgroup).rglob("cgroup.procs"):
                with suppress(OSError):  # the process has just ended
                    found += [int(pid) for pid in path.read_text().split()]
        return sorted(found)

    # --- doing things to it

    def cut_link(self) -> None:
        """Drop every packet silently."""
        self._touched = True
        ip("link", "set", self._veth, "nomaster")

    def restore_link(self) -> None:
        ip("link", "set", self._veth, "master", self.lab.bridge)

    def packets_sent(self) -> int:
        """Packets that have left the host. While its link is cut, they are lost."""
        return int(Path("/sys/class/net", self._veth, "statistics/rx_packets").read_text())

    def drop_ssh_connections(self) -> int:
        """Reset every established ssh connection; return how many there were."""
        ssh = ["ss", "-Htn", "state", "established", "sport", "=", ":22"]
        in_host = ["nsenter", f"--net=/run/netns/{self._namespace}"]
        before = subprocess.run([*in_host, *ssh], check=True, capture_output=True).stdout
        subprocess.run([*in_host, *ssh, "--kill"], check=True, capture_output=True)
        after = subprocess.run([*in_host, *ssh], check=True, capture_output=True).stdout
        # a client may be back already; the two ends identify a connection
        if _ends(before) & _ends(after):
            raise RuntimeError("the kernel cannot reset connections (CONFIG_INET_DIAG_DESTROY)")
        return len(before.splitlines())

    def set_language(self, locale: str = "de_DE.UTF-8") -> None:
        """Give logins, sudo and units a locale; `reset` takes it back."""
        language = f"LANG={locale} LANGUAGE={locale.partition('_')[0]}"
        files = "/etc/environment /etc/locale.conf /etc/default/locale"
        self.enter(f"printf '%s\\n' {language} | tee {files}; systemctl set-environment {language}")

    def gate(self, point: Point) -> Gate:
        """A gate to hold the host at; open until entered."""
        return Gate(self, point)

    # --- its life

    def boot(self) -> None:
        """Boot, and return when systemd has started everything. Raises RuntimeError."""
        self._make_network()
        cgroup = self._cgroup
        cgroup.mkdir()
        for name in ("upper", "work", "root"):
            (self.dir / name).mkdir(parents=True, exist_ok=True)
        notify = self.dir / "notify"
        notify.unlink(missing_ok=True)
        base = [str(self.dir / "base")] if (self.dir / "base").exists() else []
        layers = ":".join([*base, str(self.root_filesystem)])
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready,
            (self.dir / "boot.log").open("ab") as log,
        ):
            ready.bind(str(notify))
            self._unshare = subprocess.Popen(
                ["nsenter", f"--net=/run/netns/{self._namespace}",
                 "unshare", "--pid", "--fork", "--kill-child", "--mount", "--uts", "--ipc",
                 str(_HERE / "boot.sh"), self.name, str(self.dir), layers, str(cgroup)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )  # fmt: skip
            self._await_ready(ready, self._unshare)
        self.boots += 1
        self._init = int((cgroup / "init.scope" / "cgroup.procs").read_text().split()[0])
        self.platform.settle(self)

    def reboot(self) -> None:
        """Reboot in good order; the disk stays."""
        with suppress(RuntimeError):  # the command dies with the host
            self.enter("systemctl reboot")
        self._await_end()
        self.boot()

    def reset(self) -> None:
        """Go back to the base: power off, drop the disk's changes, boot. A host that no test has
        touched and nobody has connected to is there already."""
        if not self._touched and self._connections() == 0:
            return
        self.power_off()
        for name in ("upper", "work"):
            shutil.rmtree(self.dir / name)
        self.boot()
        self._touched = False

    def power_off(self) -> None:
        """Power off at once, as if somebody pulled the plug."""
        self._touched = True
        kill_cgroup(self._cgroup)
        self._await_end()

    def freeze(self) -> None:
        """Power off, and make the disk's state the base of `reset`."""
        self.power_off()
        (self.dir / "upper").rename(self.dir / "base")

    # --- inside

    @property
    def _cgroup(self) -> Path:
        return self.lab.cgroup / self.name

    @property
    def _namespace(self) -> str:
        return f"{self.lab.bridge}-{self.name}"

    @property
    def _veth(self) -> str:
        return f"{self.lab.bridge}.{self.name}"

    def _connections(self) -> int:
        """How many it has accepted since it booted."""
        snmp = Path(f"/proc/{self._init}/net/snmp").read_text().splitlines()
        names, values = (line.split() for line in snmp if line.startswith("Tcp: "))
        return int(values[names.index("PassiveOpens")])

    def _make_network(self) -> None:
        """A fresh network namespace, linked to the bridge."""
        # In this order: a namespace takes its links with it, but some time later.
        if Path("/sys/class/net", self._veth).exists():
            ip("link", "delete", self._veth)
        if Path("/run/netns", self._namespace).exists():
            ip("netns", "delete", self._namespace)
        ip("netns", "add", self._namespace)
        # A fixed hardware address, or this machine would go on sending to the last one.
        mac = f"02:00:00:00:{self.lab.number:02x}:{self.octet:02x}"
        ip("link", "add", self._veth, "type", "veth",
           "peer", "name", "eth0", "address", mac, "netns", self._namespace)  # fmt: skip
        ip("link", "set", self._veth, "master", self.lab.bridge, "up")
        inside = ("-n", self._namespace)
        ip(*inside, "link", "set", "lo", "up")
        ip(*inside, "address", "add", f"{self.ip}/24", "dev", "eth0")
        ip(*inside, "link", "set", "eth0", "up")
        ip(*inside, "route", "add", "default", "via", self.lab.gateway)

    def _await_ready(self, ready: socket.socket, unshare: subprocess.Popen[bytes]) -> None:
        """Wait for systemd's READY=1, as systemd-nspawn does, or for its death."""
        deadline = monotonic() + _BOOT_SECONDS
        death = os.pidfd_open(unshare.pid)
        try:
            while (left := deadline - monotonic()) > 0:
                readable, _, _ = select.select([ready.fileno(), death], [], [], left)
                if death in readable:
                    break
                if readable and b"READY=1" in ready.recv(4096).splitlines():
                    return
        finally:
            os.close(death)
        log = (self.dir / "boot.log").read_text(errors="replace")
        raise RuntimeError(f"{self.name} did not boot (boot.log follows)\n{log}")

    def _await_end(self) -> None:
        if self._unshare is not None:
            self._unshare.wait(30)
        self._unshare = None
        kill_cgroup(self._cgroup)


class Gate:
    """Holds a host at a point: the agent's stop or start, the middle of a pull (places.py) or of a
    build, an activation.

        with host.gate("build") as gate:
            ...                 # start an update
            gate.wait_reached()
            ...                 # the update is held here; leaving opens the gate

    Two fifos on the host: the guest's `gate` says that it is there through one, and reads the
    other until the end of file, which comes when no one has it open for writing.
    """

    def __init__(self, host: LabHost, point: Point) -> None:
        self.point: Final = point
        self._gate = host.root / "run/lab" / point
        self._reached = host.root / "run/lab" / f"{point}.reached"
        self._fds: list[int] = []

    def __enter__(self) -> Self:
        for path in (self._reached, self._gate):
            os.mkfifo(path)
            path.chmod(0o666)
            # Read-write never blocks, and keeps the fifo open as long as we want.
            self._fds.append(os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC))
        return self

    def wait_reached(self, seconds: float = 60) -> None:
        """Wait until the host stands at the gate. Raises TimeoutError."""
        if not select.select([self._fds[0]], [], [], seconds)[0]:
            raise TimeoutError(f"nothing reached the gate {self.point!r} in {seconds:g} s")
        os.read(self._fds[0], 4096)

    def open(self) -> None:
        """Let the waiting go on, and hold nobody any more."""
        for path in (self._gate, self._reached):
            with suppress(OSError):  # the host may be gone
                path.unlink()
        for fd in self._fds:
            os.close(fd)
        self._fds.clear()

    def __exit__(self, *_: object) -> None:
        self.open()


def _ends(listed: bytes) -> set[tuple[bytes, ...]]:
    """Of each connection that ss lists: this end's address and the other's."""
    return {tuple(line.split()[2:4]) for line in listed.splitlines()}
