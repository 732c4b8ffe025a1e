"""One run of the lab: a number that names its subnet, bridge, cgroup and folder, and their end.

A run holds the lock of its number as long as it lives, and the kernel frees the lock however it
dies. A janitor, another process, waits for that and removes what the run left; so does the next
run. Only things that carry the run's number are ever touched: no process is looked for by name.
"""

from __future__ import annotations

import fcntl
import ipaddress
import json
import os
import select
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

STATE: Final = Path("/run/nixfleet-lab")
NEEDED_TOOLS: Final = (
    "apt-get", "cc", "git", "ip", "mmdebstrap", "mount", "nsenter", "openssl", "setpriv", "ss",
    "ssh", "ssh-keygen", "unshare",
)  # fmt: skip


def why_not() -> str | None:
    """Why the lab cannot run on this machine; None if it can."""
    if not sys.platform.startswith("linux") or shutil.which("apt-get") is None:
        return "it needs Debian (or a relative with apt-get) on Linux"
    if os.geteuid() != 0:
        return "it needs root, for namespaces, mounts and a bridge"
    missing = [tool for tool in NEEDED_TOOLS if shutil.which(tool) is None]
    if missing:
        return f"{', '.join(missing)} not found; `make lab` installs what is missing"
    if cgroup_root() is None:
        return "it needs cgroup v2, alone or beside v1 (no cgroup2 in /proc/self/mounts)"
    tried = subprocess.run(
        ["unshare", "--pid", "--fork", "--mount", "--uts", "--ipc", "--net", "--cgroup", "true"],
        capture_output=True,
        text=True,
    )
    return f"no new namespaces here: {tried.stderr.strip()}" if tried.returncode else None


def cgroup_root() -> Path | None:
    """Where cgroup v2 is mounted: alone, or as `unified` beside v1."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(where)
    return None


@dataclass(frozen=True)
class Run:
    """A claimed number and all that carries it. `close` removes everything."""

    number: int
    lock: int
    janitor: subprocess.Popen[bytes]

    @property
    def dir(self) -> Path:
        """A tmpfs: the hosts' disks, the repositories, keys. Nothing of a run is on a real disk."""
        return STATE / str(self.number)

    @property
    def bridge(self) -> str:
        return _bridge(self.number)

    @property
    def cgroup(self) -> Path:
        return _cgroup(self.number)

    @property
    def clients(self) -> Path:
        """The cgroup of what operators run on this machine."""
        return self.cgroup / "clients"

    def address(self, octet: int) -> str:
        return f"10.231.{self.number}.{octet}"

    @property
    def gateway(self) -> str:
        """This machine, as the hosts see it."""
        return self.address(1)

    def close(self) -> None:
        self.janitor.kill()
        self.janitor.wait()
        remove(self.number)
        os.close(self.lock)


def claim() -> Run:
    """Take the first free number, set up its bridge, cgroup and folder, after removing dead runs.

    Raises RuntimeError when none of 254 is free.
    """
    STATE.mkdir(exist_ok=True)
    for path in STATE.glob("*.lock"):
        if (lock := _try_lock(path)) is not None:
            remove(int(path.stem))
            os.close(lock)
    for number in range(1, 255):
        lock = _try_lock(STATE / f"{number}.lock")
        if lock is None:
            continue
        if _is_free(number):
            janitor = subprocess.Popen(
                [sys.executable, __file__, str(number)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            run = Run(number, lock, janitor)
            _set_up(run)
            return run
        os.close(lock)
    raise RuntimeError("no free subnet 10.231.N.0/24 with a free bridge name")


def remove(number: int) -> None:
    """End the run's processes and remove what it made. The caller holds its lock."""
    kill_cgroup(_cgroup(number))
    for path in Path("/run/netns").glob(f"{_bridge(number)}-*"):
        ip("netns", "del", path.name)
    if Path("/sys/class/net", _bridge(number)).exists():
        ip("link", "del", _bridge(number))
    folder = STATE / str(number)
    while folder.is_mount():
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
    if folder.exists():
        folder.rmdir()


def kill_cgroup(cgroup: Path) -> None:
    """Kill every process in the cgroup and below, wait until they are gone, remove the cgroup."""
    if not cgroup.exists():
        return
    (cgroup / "cgroup.kill").write_text("1")
    with (cgroup / "cgroup.events").open() as events:
        poller = select.poll()
        poller.register(events, select.POLLPRI)
        while "populated 1" in events.read():
            if not poller.poll(30_000):
                raise TimeoutError(f"processes in {cgroup} survived SIGKILL for 30 s")
            events.seek(0)
    for folder, _, _ in os.walk(cgroup, topdown=False):
        Path(folder).rmdir()


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def _bridge(number: int) -> str:
    return f"nfl{number}"


def _cgroup(number: int) -> Path:
    root = cgroup_root()
    if root is None:
        raise RuntimeError("cgroup v2 is not mounted")
    return root / f"nixfleet-lab-{number}"


def _try_lock(path: Path) -> int | None:
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def _is_free(number: int) -> bool:
    """Whether no link or route of this machine uses that number."""
    if Path("/sys/class/net", _bridge(number)).exists() or _cgroup(number).exists():
        return False
    ours = ipaddress.ip_network(f"10.231.{number}.0/24")
    routes = subprocess.run(
        ["ip", "-json", "-4", "route", "show", "table", "all"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    others = (route["dst"] for route in json.loads(routes) if route["dst"] != "default")
    return not any(ours.overlaps(ipaddress.ip_network(other)) for other in others)


def _set_up(run: Run) -> None:
    run.dir.mkdir(mode=0o755)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "mode=755,size=4g", "nixfleet-lab", str(run.dir)], check=True
    )
    run.clients.mkdir(parents=True)
    # An address of its own: else it takes the lowest of its ports', which changes when a host is
    # reset, and the others go on sending to the one before for minutes.
    mac = f"02:00:00:01:{run.number:02x}:01"
    ip("link", "add", run.bridge, "address", mac, "type", "bridge")
    ip("address", "add", f"{run.gateway}/24", "dev", run.bridge)
    ip("link", "set", run.bridge, "up")


def _clean_up_after(number: int) -> None:
    """The janitor: wait for the run's end, then remove the rest."""
    lock = os.open(STATE / f"{number}.lock", os.O_RDWR | os.O_CLOEXEC)
    fcntl.flock(lock, fcntl.LOCK_EX)
    remove(number)


if __name__ == "__main__":
    _clean_up_after(int(sys.argv[1]))
