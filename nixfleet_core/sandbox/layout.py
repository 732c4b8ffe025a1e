"""What lies in the fleet's folder before anything runs: the tools' code, and each host's files."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Final

from nixfleet_core.sandbox import store
from nixfleet_core.sandbox.machine import NIX_VERSION

if TYPE_CHECKING:
    from nixfleet_core.sandbox.machine import Machine

_PACKAGE: Final = Path(__file__).resolve().parents[1]

_FOLDERS: Final = (
    "etc/systemd/system",
    "home/ops/Code",
    "nix/store",
    "nix/var/nix/profiles",
    "run/systemd/system",
    "tmp",
    "var/lib",
    "var/log/journal",
)


def write_tools(fleet: Path, speed: float, path: str) -> None:
    """The code of manager and shims, and the fleet's settings.

    A copy, so that Python writes its bytecode there and not next to the installed package.
    """
    library = fleet / "lib" / _PACKAGE.name
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(_PACKAGE / "sandbox", library / "sandbox", ignore=ignored)
    (library / "__init__.py").touch()
    (fleet / "speed").write_text(repr(speed))
    (fleet / "path").write_text(path)
    (fleet / "hosts").mkdir()
    _write_shims(fleet, path)


def python(fleet: Path, script: str) -> list[str]:
    """Python for one of our scripts, without site-packages: a shim has no time for them."""
    return [sys.executable, "-S", "-E", str(fleet / "lib" / _PACKAGE.name / "sandbox" / script)]


def write_base(machine: Machine) -> None:
    """The folders and files by which a host is known as NixOS."""
    root = machine.root
    for folder in _FOLDERS:
        (root / folder).mkdir(parents=True)
    version, code_name = store.NIXOS_VERSION, store.CODE_NAME
    release = {
        "BUILD_ID": version,
        "ID": "nixos",
        "NAME": "NixOS",
        "PRETTY_NAME": f"NixOS {version[:5]} ({code_name})",
        "VERSION": f"{version[:5]} ({code_name})",
        "VERSION_CODENAME": code_name.lower(),
        "VERSION_ID": version[:5],
    }
    lines = (f'{key}="{value}"\n' for key, value in release.items())
    (root / "etc/os-release").write_text("".join(lines))
    (root / "shims").symlink_to(machine.fleet / "shims")
    (root / "etc/NIXOS").touch()
    (root / "etc/hostname").write_text(f"{machine.name}\n")
    (root / "proc").mkdir()  # the manager adds the units' processes
    for name in ("meminfo", "sys"):
        if Path("/proc", name).exists():
            (root / "proc" / name).symlink_to(f"/proc/{name}")


def _write_shims(fleet: Path, path: str) -> None:
    """The tools that all hosts have; by the path of its call a tool knows whose it is.

    Where a few lines of sh do, no Python is started. `path` is where the hosts' other tools are:
    of what scripts use there, only ps can be missing beside git and sh.
    """
    nix, manager = _python_shim(fleet, "entry.py"), _python_shim(fleet, "client.py")
    version = f"if [ \"$*\" = --version ]; then echo 'nix (Nix) {NIX_VERSION}'; exit 0; fi\n"
    texts = {
        "nix": version + nix,
        "nix-env": nix,
        "nix-store": nix,
        "nixos-rebuild": nix,
        "systemctl": manager,
        "systemd-run": manager,
        "hostname": 'echo "${root##*/}"\n',
        "nixos-version": _nixos_version(),
        "uname": _UNAME,
        "ssh": _SSH,
    }
    if shutil.which("ps", path=path) is None:
        texts["ps"] = nix
    (fleet / "shims").mkdir()
    for name, text in texts.items():
        shim = fleet / "shims" / name
        shim.write_text(f"#!/bin/sh\nroot=${{0%/shims/*}}\n{text}")
        shim.chmod(0o755)


def _python_shim(fleet: Path, script: str) -> str:
    words = " ".join(map(quote, python(fleet, script)))
    return f'exec {words} "$root" "${{0##*/}}" "$@"\n'


def _nixos_version() -> str:
    facts = {"nixosVersion": store.NIXOS_VERSION, "nixpkgsRevision": store.NIXPKGS_REV}
    return f"""\
case ${{1:-}} in
  '') echo '{store.NIXOS_VERSION} ({store.CODE_NAME})' ;;
  --json) echo '{json.dumps(facts)}' ;;
  --hash | --revision) echo {store.NIXPKGS_REV} ;;
  *) echo "nixos-version: unknown option $1" >&2; exit 1 ;;
esac
"""


_UNAME: Final = """\
case ${1:--s} in
  -s) echo Linux ;;
  -n) echo "${root##*/}" ;;
  -m) echo x86_64 ;;
  -r) echo 6.12.41 ;;
  -sr) echo Linux 6.12.41 ;;
  -snm) echo Linux {name} x86_64 ;;
  *) echo "uname: invalid option $1" >&2; exit 1 ;;
esac
"""
"""The host is Linux, also when this machine is a Mac."""

_SSH: Final = """\
echo 'git@git.example.org: Permission denied (publickey).' >&2
exit 255
"""
"""No host of the fleet may ever reach the network; hsb1's deploy key was taken back."""
