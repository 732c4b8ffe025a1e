"""The project's flake and a user's configurations on a host, without nixpkgs (nixpkgs-stub/)."""

from __future__ import annotations

import json
import platform
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from .host import LabHost

PROJECT: Final = "/root/project"
STUB: Final = "/root/stub"
USER: Final = "/root/user"
SYSTEM: Final = f"{platform.machine()}-linux"
SW_BIN: Final = "/run/current-system/sw/bin"

_PROJECT: Final = Path(__file__).parents[2]
_STUB: Final = Path(__file__).with_name("nixpkgs-stub")


def put_flakes(host: LabHost) -> None:
    """Copy the project as it is now, the stand-in for nixpkgs, and the user's flake."""
    project = host.root / PROJECT[1:]
    project.mkdir()
    for name in ("flake.nix", "flake.lock", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(_PROJECT / name, project)
    for name in ("nix", "nixfleet_core", "tui"):
        shutil.copytree(_PROJECT / name, project / name, ignore=shutil.ignore_patterns("__pyc*"))
    shutil.copytree(_STUB, host.root / STUB[1:], ignore=shutil.ignore_patterns("user"))
    shutil.copytree(_STUB / "user", host.root / USER[1:])
    flake = host.root / USER[1:] / "flake.nix"
    text = flake.read_text()
    values = {"stub": STUB, "project": PROJECT, "system": SYSTEM, "agent": host.agent_exe() or ""}
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    flake.write_text(text)


def evaluate(host: LabHost, what: str) -> object:
    """An attribute of the user's flake. Raises RuntimeError with what Nix said."""
    value: object = json.loads(host.enter(f"cd {USER}; nix eval --json .#{what}"))
    return value


def build_path(host: LabHost, kind: Literal["nixos", "home"], name: str) -> str:
    """Build the packages that a configuration puts in PATH; the store path, with bin/."""
    link = f"/root/path-{kind}-{name}"
    return host.enter(
        f"cd {USER}; nix build --out-link {link} .#path.{kind}.{name}; readlink {link}"
    )


def activate(host: LabHost, name: str) -> None:
    """Install as NixOS would: the commands in PATH, setuid sudo, and sudo's rules."""
    path = build_path(host, "nixos", name)
    host.enter(
        f"ln -sf {path}/bin/* {SW_BIN}; mkdir -p /run/wrappers/bin; "
        "ln -sf /usr/bin/sudo /run/wrappers/bin/sudo"
    )
    rules = host.root / "etc/sudoers.d/nixfleet"
    rules.write_text(str(evaluate(host, f"seen.nixos.{name}.sudo.text")))
    rules.chmod(0o440)
    host.enter("visudo -cq")


def at(value: object, *path: str | int) -> object:
    """The value at that path of decoded JSON. Raises LookupError."""
    for key in path:
        match value, key:
            case (dict(), str()) | (list(), int()):
                value = value[key]  # type: ignore[index]
            case _:
                raise LookupError(key)
    return value
