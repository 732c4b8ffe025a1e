"""The fleet's git repositories: NixFleet itself, and nixcfg, the configuration of the hosts.

They are real repositories with a believable history, written by `git fast-import`: one process
for all commits of a repository.
"""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

BRANCH: Final = "main"
OLD, NEW = "2.1.0", "2.2.0"
_HOUR: Final = 3600
_OPS: Final = "Mara Lind <mara@example.org>"
_DEV: Final = "Jonas Weber <jonas@example.org>"
_UTC: Final = "+0000"


class Change(NamedTuple):
    """A commit to be: its age in hours, who made it, what it says, and the files it writes."""

    age: float
    author: str
    message: str
    files: Mapping[str, str]


_AGENT_GO: Final = """\
package main

import "time"

const version = "{version}"

// reconnect waits between two tries, at most a minute.
const reconnect = {wait} * time.Second

func main() {{
	run(version, reconnect)
}}
"""

NIXFLEET: Final = (
    Change(
        2200,
        _DEV,
        "agent 2.1.0",
        {
            "VERSION": f"{OLD}\n",
            "flake.nix": '{\n  description = "NixFleet";\n  # …\n}\n',
            "README.md": "# NixFleet\n\nAn agent on every host, one dashboard.\n",
            "src/main.go": _AGENT_GO.format(version=OLD, wait=60),
            "src/go.mod": "module example.org/nixfleet\n\ngo 1.23\n",
        },
    ),
    Change(
        52,
        _DEV,
        "agent: reconnect after 5 s when the dashboard restarts",
        {"src/main.go": _AGENT_GO.format(version=OLD, wait=5)},
    ),
    Change(
        3,
        _DEV,
        "agent 2.2.0",
        {"VERSION": f"{NEW}\n", "src/main.go": _AGENT_GO.format(version=NEW, wait=5)},
    ),
)
"""NixFleet's history: the first commit is 2.1.0, the last 2.2.0."""

_FLAKE_NIX: Final = """\
{{
  description = "The configuration of all hosts";

  inputs = {{
    nixpkgs.url = "github:nixos/nixpkgs/nixos-unstable";
    nixfleet.url = "git+{nixfleet}?ref=main";
    nixfleet.inputs.nixpkgs.follows = "nixpkgs";
  }};

  outputs = {{ nixpkgs, nixfleet, ... }}: {{
    nixosConfigurations = builtins.mapAttrs (name: _: nixpkgs.lib.nixosSystem {{
      system = "x86_64-linux";
      modules = [ nixfleet.nixosModules.agent ./modules/common.nix ./hosts/${{name}} ];
    }}) (builtins.readDir ./hosts);
  }};
}}
"""

_COMMON: Final = """\
{{ pkgs, ... }}: {{
  services.nixfleet-agent.enable = true;
  services.openssh.enable = true;
  services.journald.extraConfig = "MaxRetentionSec={days}day";
  environment.systemPackages = with pkgs; [ git htop restic tmux ];
}}
"""

_HOST: Final = """\
{{ ... }}: {{
  networking.hostName = "{name}";
  networking.firewall.allowedTCPPorts = [ 22 443 ];
{extra}  system.stateVersion = "24.05";
}}
"""

_BACKUP: Final = """\
  services.restic.backups.srv = {
    paths = [ "/srv" "/var/lib/vaultwarden" ];
    repository = "sftp:backup@box.example.org:csb0";
    timerConfig.OnCalendar = "03:30";
  };
"""


def nixcfg_history(
    hosts: Sequence[str], nixfleet_url: str, lock: str
) -> tuple[list[Change], list[Change]]:
    """nixcfg's commits: those that every host has, and two that csb0 has not pulled."""

    def host(name: str, extra: str = "") -> dict[str, str]:
        return {f"hosts/{name}/default.nix": _HOST.format(name=name, extra=extra)}

    first = {
        "flake.nix": _FLAKE_NIX.format(nixfleet=nixfleet_url),
        "flake.lock": lock,
        "modules/common.nix": _COMMON.format(days=14),
        "README.md": "# nixcfg\n\n`nixos-rebuild switch --flake .#HOST`\n",
    }
    for name in hosts:
        first.update(host(name))
    https = '  services.nginx.virtualHosts."status.example.org".forceSSL = true;\n'
    known = [
        Change(900, _OPS, "All hosts in one flake", first),
        Change(171, _OPS, "csb1: status page over https only", host("csb1", https)),
    ]
    new = [
        Change(20, _OPS, "csb0: back up /srv every night", host("csb0", _BACKUP)),
        Change(
            5,
            _DEV,
            "all: keep the journal for 30 days",
            {"modules/common.nix": _COMMON.format(days=30)},
        ),
    ]
    return known, new


def init_bare(path: Path, environment: Mapping[str, str]) -> None:
    """Make an empty repository for others to pull from."""
    git(["init", "-q", "--bare", "--template=", "-b", BRANCH, str(path)], environment)


def add_commits(path: Path, changes: Sequence[Change], environment: Mapping[str, str]) -> list[str]:
    """Add commits on top of the branch and return their ids."""
    now = int(time.time())
    stream: list[bytes] = []
    for mark, change in enumerate(changes, 1):
        when = f"{change.author} {now - int(change.age * _HOUR)} {_UTC}"
        stream.append(
            f"commit refs/heads/{BRANCH}\nmark :{mark}\nauthor {when}\ncommitter {when}\n".encode()
        )
        stream.append(_data(change.message))
        if mark == 1 and _has_branch(path):
            stream.append(f"from refs/heads/{BRANCH}^0\n".encode())
        for name, text in sorted(change.files.items()):
            stream.append(f"M 100644 inline {name}\n".encode() + _data(text))
        stream.append(f"\nget-mark :{mark}\n".encode())
    command = [f"--git-dir={path}", "fast-import", "--quiet", "--done"]
    return git(command, environment, b"".join(stream) + b"done\n").decode().split()


def clone(source: str, target: Path, environment: Mapping[str, str]) -> None:
    """Clone over git's own protocol, as a host does; whoever commits there has a name."""
    name, _, address = _OPS.removesuffix(">").partition(" <")
    who = ("-c", f"user.name={name}", "-c", f"user.email={address}")
    git(["clone", "-q", "--template=", *who, source, str(target)], environment)


def git(argv: Sequence[str], environment: Mapping[str, str], stdin: bytes = b"") -> bytes:
    """Run git; raises CalledProcessError."""
    return subprocess.run(
        ["git", *argv], env=environment, input=stdin, capture_output=True, check=True
    ).stdout


def _data(text: str) -> bytes:
    raw = text.encode()
    return f"data {len(raw)}\n".encode() + raw + b"\n"


def _has_branch(path: Path) -> bool:
    return (path / "refs/heads" / BRANCH).exists()
