"""The fleet: hosts with three Nix versions, their repositories, and the way there by ssh."""

from __future__ import annotations

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from .client import Client
from .host import LabHost
from .internet import NAMES, Internet
from .platforms import HomeManager, Mac, Nixos
from .repos import Repos
from .run import claim, why_not

if TYPE_CHECKING:
    from collections.abc import Callable

    from .platforms import Platform, Suite

SUITES: Final[dict[str, Suite]] = {"csb0": "trixie", "csb1": "bookworm", "gpc0": "sid"}
"""The hosts with NixOS."""
HOMES: Final[dict[str, Platform]] = {
    "hsb1": HomeManager("trixie"),
    "imac0": Mac("trixie"),
}
"""The hosts with Home Manager."""


class Fleet:
    """The lab, running: the hosts with NixOS, or those named. Close it, or use it as a context."""

    def __init__(self, *names: str) -> None:
        """Boot everything; about 10 s once the root file systems are there."""
        known = HOMES | {name: Nixos(suite) for name, suite in SUITES.items()}
        self._platforms = {name: known[name] for name in names or SUITES}
        with ThreadPoolExecutor() as pool:
            found = pool.map(lambda platform: platform.root_filesystem(), self._platforms.values())
            roots = dict(zip(self._platforms, found, strict=True))
        self.run = claim()
        try:
            self._start(roots)
        except BaseException:
            self.close()
            raise

    def _start(self, roots: dict[str, Path]) -> None:
        self.ssh_config = self.run.dir / "ssh_config"
        self.hosts = {
            name: LabHost(name, platform, octet, self.run, roots[name], self.ssh_config)
            for octet, (name, platform) in enumerate(self._platforms.items(), start=11)
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

    def client(self, folder: Path) -> Client:
        """An operator who has that folder as home."""
        return Client(folder, self.ssh_config, self.run.clients)

    def reset(self, *names: str) -> None:
        """Reset repositories and hosts (all, or those named): agent 2.1.0, clean
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
        """A key for the operator and one for each host, known in advance, so that no key is trusted
        on first use."""
        key = _new_key(self.run.dir / "id_ed25519", "lab")
        known = []
        for host in self.hosts.values():
            ssh = host.dir / "upper/etc/ssh"
            ssh.mkdir(parents=True)
            public = _new_key(ssh / "ssh_host_ed25519_key", host.name)
            known.append(f"{host.ip} {public}")
            (ssh / "lab_authorized_keys").write_text(key)
        (self.run.dir / "known_hosts").write_text("".join(known))
        names = "\n".join(
            f"Host {host.name}\n  HostName {host.ip}\n  User {host.user}"
            for host in self.hosts.values()
        )
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
        host.platform.install(upper)
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
        host.enter(f"git clone -q {url} lock; cd lock; nix flake lock", host.user)
        self.repos.commit(
            "nixcfg", "Lock", {"flake.lock": host.enter("cat lock/flake.lock", host.user) + "\n"}
        )
        host.enter("rm -rf lock", host.user)

    def _provision(self, host: LabHost) -> None:
        """The checkout and the first rollout."""
        url = self.repos.url("nixcfg")
        host.enter(f"mkdir -p Code; git clone -q {url} {host.checkout}", host.user)
        host.platform.provision(host)


def _new_key(path: Path, comment: str) -> str:
    """Make an ssh key; return its public half, as a line."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)], check=True
    )
    return path.with_suffix(".pub").read_text()


def main() -> None:
    """Boot the lab, or the hosts named, and keep it until ctrl-c: for trying things out."""
    if reason := why_not():
        raise SystemExit(f"the lab cannot run: {reason}")
    with Fleet(*sys.argv[1:]) as fleet:
        print(f"ssh -F {fleet.ssh_config} {'|'.join(fleet.hosts)}   (ctrl-c ends the lab)")  # noqa: T201
        signal.sigwait({signal.SIGINT, signal.SIGTERM})


if __name__ == "__main__":
    main()
