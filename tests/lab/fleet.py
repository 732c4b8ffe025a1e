"""The fleet: three hosts with three Nix versions, their repositories, and the way there by ssh."""

from __future__ import annotations

import shutil
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from .host import CHECKOUT, LabHost
from .internet import NAMES, Internet
from .repos import Repos
from .rootfs import root_filesystem
from .run import claim, why_not

if TYPE_CHECKING:
    from collections.abc import Callable

    from .host import Suite

SUITES: Final[dict[str, Suite]] = {"csb0": "trixie", "csb1": "bookworm", "gpc0": "sid"}

_GUEST: Final = Path(__file__).parent / "guest"
_REBUILD: Final = "/usr/local/libexec/lab/nixos-rebuild"


class Fleet:
    """The lab, running: all hosts, or those named. Close it, or use it as a context."""

    def __init__(self, *names: str) -> None:
        """Boot everything; about 10 s once the root file systems are there."""
        self._suites = {name: SUITES[name] for name in names or SUITES}
        with ThreadPoolExecutor() as pool:
            found = pool.map(root_filesystem, self._suites.values())
            roots = dict(zip(self._suites, found, strict=True))
        self.run = claim()
        try:
            self._start(roots)
        except BaseException:
            self.close()
            raise

    def _start(self, roots: dict[str, Path]) -> None:
        self.ssh_config = self.run.dir / "ssh_config"
        self.hosts = {
            name: LabHost(name, suite, octet, self.run, roots[name], self.ssh_config)
            for octet, (name, suite) in enumerate(self._suites.items(), start=11)
        }
        self._make_keys()
        (self.run.dir / "git").mkdir()
        self.repos = Repos(self.run.dir / "git", self.run.gateway)
        self.internet = Internet(self.repos.path("nixfleet"), self.run.gateway, self.run.dir)
        self._each(self._install)
        self._each(LabHost.boot)
        self._lock_inputs()
        self.repos.mark_base()
        self._each(self._provision)
        self._each(LabHost.freeze)
        self._each(LabHost.boot)

    def __getitem__(self, name: str) -> LabHost:
        return self.hosts[name]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def reset(self, *names: str) -> None:
        """Repositories and hosts (all, or those named) back to the base: agent 2.1.0, clean
        checkouts, no faults. Takes about a second."""
        self.repos.reset()
        self.internet.reset()
        self._each(LabHost.reset, *names)

    def close(self) -> None:
        if hasattr(self, "repos"):
            self.repos.close()
        if hasattr(self, "internet"):
            self.internet.close()
        self.run.close()

    def _each(self, do: Callable[[LabHost], object], *names: str) -> None:
        """Do it to all hosts, or those named, at the same time."""
        with ThreadPoolExecutor() as pool:
            for done in [pool.submit(do, self[name]) for name in names or self.hosts]:
                done.result()

    def _make_keys(self) -> None:
        """A key for the operator and one for each host, known in advance: nothing is trusted on
        first use."""
        key = _new_key(self.run.dir / "id_ed25519", "lab")
        known = []
        for host in self.hosts.values():
            ssh = host.dir / "upper/etc/ssh"
            ssh.mkdir(parents=True)
            public = _new_key(ssh / "ssh_host_ed25519_key", host.name)
            known.append(f"{host.ip} {public}")
            (ssh / "lab_authorized_keys").write_text(key)
        (self.run.dir / "known_hosts").write_text("".join(known))
        names = "\n".join(f"Host {host.name}\n  HostName {host.ip}" for host in self.hosts.values())
        self.ssh_config.write_text(
            f"{names}\n"
            "Host *\n"
            "  User ops\n"
            f"  IdentityFile {self.run.dir}/id_ed25519\n"
            "  IdentitiesOnly yes\n"
            "  IdentityAgent none\n"
            f"  UserKnownHostsFile {self.run.dir}/known_hosts\n"
            "  StrictHostKeyChecking yes\n"
            "  BatchMode yes\n"
            "  ConnectTimeout 10\n"
            "  LogLevel ERROR\n"
        )

    def _install(self, host: LabHost) -> None:
        """Give the host its name and the stand-ins, on its disk before the first boot."""
        upper = host.dir / "upper"
        tools = upper / "usr/local/libexec/lab"
        tools.mkdir(parents=True)
        for name in ("gate", "nixos-rebuild"):
            shutil.copy(_GUEST / f"{name}.sh", tools / name)
        (upper / "usr/local/bin").mkdir()
        shutil.copy(_GUEST / "home-manager.sh", upper / "usr/local/bin/home-manager")
        wanted = upper / "etc/systemd/system/multi-user.target.wants"
        wanted.mkdir(parents=True)
        unit = "nixos-current-system.service"
        shutil.copy(_GUEST / unit, wanted.parent / unit)
        (wanted / unit).symlink_to(f"../{unit}")
        for name, text in {
            "hostname": f"{host.name}\n",
            "hosts": f"127.0.0.1 localhost\n127.0.1.1 {host.name}\n"
            f"{self.run.gateway} {' '.join(NAMES)}\n",
            "machine-id": f"{host.octet:032x}\n",
            # Nobody listens there, so every look-up fails at once instead of after 10 s.
            "resolv.conf": "nameserver 127.0.0.1\n",
        }.items():
            (upper / "etc" / name).write_text(text)
        trusted = "etc/ssl/certs/ca-certificates.crt"
        (upper / trusted).parent.mkdir(parents=True)
        known = (host.root_filesystem / trusted).read_text()
        (upper / trusted).write_text(known + self.internet.certificate.read_text())

    def _lock_inputs(self) -> None:
        """Let a host's Nix write nixcfg's flake.lock, and commit it."""
        host = next(iter(self.hosts.values()))
        url = self.repos.url("nixcfg")
        host.enter(f"git clone -q {url} lock; cd lock; nix flake lock", user="ops")
        lock = (host.root / "home/ops/lock/flake.lock").read_text()
        self.repos.commit("nixcfg", "Lock", {"flake.lock": lock})
        host.enter("rm -rf lock", user="ops")

    def _provision(self, host: LabHost) -> None:
        """The first rollout, as an operator would do it."""
        url = self.repos.url("nixcfg")
        host.enter(f"mkdir -p Code; git clone -q {url} {CHECKOUT}", user="ops")
        host.enter(
            f"SUDO_UID=1000 {_REBUILD} switch --no-reexec --flake {CHECKOUT}#{host.name}; "
            "systemctl is-system-running --wait"
        )


def _new_key(path: Path, comment: str) -> str:
    """Make an ssh key; return its public half, as a line."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)], check=True
    )
    return path.with_suffix(".pub").read_text()


def main() -> None:
    """Boot the lab and keep it until ctrl-c: for trying things out."""
    if reason := why_not():
        raise SystemExit(f"the lab cannot run: {reason}")
    with Fleet() as fleet:
        print(f"ssh -F {fleet.ssh_config} {'|'.join(fleet.hosts)}   (ctrl-c ends the lab)")  # noqa: T201
        signal.sigwait({signal.SIGINT, signal.SIGTERM})


if __name__ == "__main__":
    main()
