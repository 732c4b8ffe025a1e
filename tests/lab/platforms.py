"""The kinds of hosts: how each is made, gets its first generation, and runs the agent."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from .rootfs import mac_filesystem, root_filesystem

if TYPE_CHECKING:
    from .host import LabHost

Suite = Literal["bookworm", "trixie", "sid"]

GUEST: Final = Path(__file__).with_name("guest")
DARWIN: Final = Path(__file__).with_name("darwin")
TOOLS: Final = "usr/local/libexec/lab"
UNIT: Final = "nixfleet-agent.service"
LABEL: Final = "com.nixfleet.agent"


@dataclass(frozen=True)
class Platform(ABC):
    """A kind of host, on a Debian of that suite."""

    suite: Suite

    name: ClassVar[Literal["nixos", "home-manager"]] = "home-manager"
    """Its name in the inventory."""
    user: ClassVar[str] = "ops"
    home: ClassVar[str] = "/home/ops"

    @property
    def jobs(self) -> str:
        """The folder of the jobs, from the root of the host's file system."""
        return f"{self.home[1:]}/.local/state/nixfleet/jobs"

    def attribute(self, name: str) -> str:
        """The configuration of the host of that name in nixcfg."""
        return f"{self.user}@{name}"

    def root_filesystem(self) -> Path:
        """Built when missing."""
        return root_filesystem(self.suite)

    @abstractmethod
    def install(self, upper: Path) -> None:
        """Put the stand-ins on the host's disk, before its first boot."""

    @abstractmethod
    def provision(self, host: LabHost) -> None:
        """The first rollout, as an operator would do it. The checkout is there."""

    def settle(self, host: LabHost) -> None:  # noqa: B027 # most have nothing to wait for
        """Wait after a boot until the agent's service manager has started everything."""

    @abstractmethod
    def agent_pid(self, host: LabHost) -> int:
        """The agent's process id on the host; 0 when it does not run."""

    @abstractmethod
    def agent_state(self, host: LabHost) -> str:
        """What the service manager says of the agent."""


class Nixos(Platform):
    """The agent is a unit of the system; nixos-rebuild runs as root."""

    name = "nixos"

    @property
    def jobs(self) -> str:
        return "var/lib/nixfleet/jobs"

    def attribute(self, name: str) -> str:
        return name

    def install(self, upper: Path) -> None:
        put_tools(upper, "gate", "nixos-rebuild")
        unit = "nixos-current-system.service"
        wanted = upper / "etc/systemd/system/multi-user.target.wants"
        wanted.mkdir(parents=True)
        shutil.copy(GUEST / unit, wanted.parent / unit)
        (wanted / unit).symlink_to(f"../{unit}")

    def provision(self, host: LabHost) -> None:
        flake = f"{host.checkout}#{host.attribute}"
        host.enter(
            f"SUDO_UID=1000 /{TOOLS}/nixos-rebuild switch --no-reexec --flake {flake}; "
            "systemctl is-system-running --wait"
        )

    def agent_pid(self, host: LabHost) -> int:
        return int(host.enter(f"systemctl show --property=MainPID --value {UNIT}"))

    def agent_state(self, host: LabHost) -> str:
        return _state(host.enter(f"systemctl show --property=ActiveState,Result {UNIT}"))


class HomeManager(Platform):
    """A Debian without NixOS, and without sudo. The agent is a unit of the user, who lingers; the
    second user, eve, does not."""

    def install(self, upper: Path) -> None:
        put_tools(upper, "gate", "home-manager")
        # or the boot would end before logind starts the users who linger
        drop_in = upper / "etc/systemd/system/multi-user.target.d/linger.conf"
        drop_in.parent.mkdir(parents=True)
        manager = "user@1000.service"
        drop_in.write_text(f"[Unit]\nWants={manager}\nAfter={manager}\n")

    def provision(self, host: LabHost) -> None:
        host.enter(
            "useradd --uid 1002 --create-home --shell /bin/bash --groups nix-users eve; "
            "chmod 700 /home/eve; rm /etc/NIXOS /etc/sudoers.d/lab; "
            "ln -sf ../usr/lib/os-release /etc/os-release"
        )
        self._manage(host, f"/{TOOLS}/home-manager switch --flake {host.checkout}#{host.attribute}")

    def settle(self, host: LabHost) -> None:
        self._manage(host, "systemctl --user is-system-running --wait || true")

    def agent_pid(self, host: LabHost) -> int:
        return int(self._manage(host, f"systemctl --user show --property=MainPID --value {UNIT}"))

    def agent_state(self, host: LabHost) -> str:
        return _state(
            self._manage(host, f"systemctl --user show --property=ActiveState,Result {UNIT}")
        )

    def _manage(self, host: LabHost, command: str) -> str:
        """Run a command that can speak with the user's systemd."""
        return host.enter(
            f"export XDG_RUNTIME_DIR=/run/user/$(id -u) USER={self.user}; {command}", self.user
        )


class Mac(Platform):
    """A host that looks like a Mac after a login: its tools, launchd, no /proc. Below, systemd
    boots it; `enter` and the agent's methods see that side."""

    user = "markus"
    home = "/Users/markus"

    def root_filesystem(self) -> Path:
        return mac_filesystem(self.suite)

    def install(self, upper: Path) -> None:
        put_tools(upper, "gate", "home-manager")
        tools = upper / "opt/mac/bin"
        tools.mkdir(parents=True)
        for path in (DARWIN / "tools").iterdir():
            shutil.copy(path, tools / path.stem)
        for name in _BSD:
            (tools / name).symlink_to("bsd")
        (upper / "usr/libexec").mkdir()
        (upper / "usr/libexec/PlistBuddy").symlink_to("/usr/bin/plutil")
        shutil.copy(DARWIN / "view.sh", upper / "opt/mac")
        shutil.copytree(DARWIN / "launchd", upper / "opt/mac/launchd", ignore=_CACHES)
        units = upper / "etc/systemd/system"
        (units / "ssh.service.d").mkdir(parents=True)
        shutil.copy(DARWIN / "ssh.conf", units / "ssh.service.d/mac.conf")
        shutil.copy(DARWIN / "launchd@.service", units)
        (units / "multi-user.target.wants").mkdir()
        (units / "multi-user.target.wants/launchd@501.service").symlink_to("../launchd@.service")

    def provision(self, host: LabHost) -> None:
        name = host.name
        host.enter(
            f"echo {name} > /opt/mac/local-host-name; echo {name}.lan > /etc/hostname; "
            f"hostname {name}.lan; sed -i 's/^127.0.1.1 .*/127.0.1.1 {name}.lan {name}/' /etc/hosts"
        )
        done = host.run(
            ". /nix/var/nix/profiles/default/etc/profile.d/nix-daemon.sh; "
            f"/{TOOLS}/home-manager switch --flake {host.checkout}#{host.attribute}",
            self.user,
        )
        if done.returncode:
            raise RuntimeError(f"{name}: {done.stdout}{done.stderr}")

    def agent_pid(self, host: LabHost) -> int:
        return int(self._printed(host).get("pid", "0"))

    def agent_state(self, host: LabHost) -> str:
        return self._printed(host).get("state", "not loaded")

    def _printed(self, host: LabHost) -> dict[str, str]:
        """The agent's values in what `launchctl print` says, in whichever domain it is."""
        said = host.enter(
            f"for domain in gui user; do /opt/mac/bin/launchctl print $domain/501/{LABEL} || true; "
            "done 2> /dev/null",
            self.user,
        )
        own = (line[1:] for line in said.splitlines() if line[:1] == "\t" != line[1:2])
        pairs = (line.partition(" = ") for line in own)
        return {key: value for key, _, value in pairs}


_CACHES: Final = shutil.ignore_patterns("__pycache__")
_BSD: Final = (
    *("cat", "cp", "df", "du", "find", "grep", "head", "ln", "ls", "mkdir", "mktemp", "mv"),
    *("readlink", "rm", "sleep", "sort", "tail", "tee", "touch", "xargs"),
)
"""Tools that refuse options that only GNU has."""


def put_tools(upper: Path, *names: str) -> None:
    """Copy stand-ins from guest/ to where the flake and the units know them."""
    tools = upper / TOOLS
    tools.mkdir(parents=True)
    for name in names:
        shutil.copy(GUEST / f"{name}.sh", tools / name)


def _state(shown: str) -> str:
    values = dict(line.split("=", 1) for line in shown.splitlines())
    return f"{values['ActiveState']} {values['Result']}"
