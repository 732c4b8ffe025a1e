"""The files in the fleet's folder before anything runs: the tools' code, and each host's files."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Final

from nixfleet_core.sandbox import processes
from nixfleet_core.sandbox.machine import NIX_VERSION
from nixfleet_core.sandbox.units import UNIT_MARK

if TYPE_CHECKING:
    from nixfleet_core.sandbox.machine import Machine

_PACKAGE: Final = Path(__file__).resolve().parents[1]
TOOLS: Final = Path(__file__).with_name("tools")

_FOLDERS: Final = (
    *("home/ops/Code", "nix/store", "nix/var/nix/profiles", "etc/systemd/system", "proc", "tmp"),
    *("run/systemd/locks", "run/systemd/system", "run/systemd/transient", "run/systemd/units"),
    *("var/lib", "var/log/journal"),
)


def write_tools(fleet: Path, speed: float, path: str) -> None:
    """The code of the tools, and the fleet's settings.

    A copy, so that Python writes its bytecode there and not next to the installed package.
    """
    library = fleet / "lib" / _PACKAGE.name
    ignored = shutil.ignore_patterns("__pycache__", "*.sh")
    shutil.copytree(_PACKAGE / "sandbox", library / "sandbox", ignore=ignored)
    (library / "__init__.py").touch()
    (fleet / "speed").write_text(repr(speed))
    (fleet / "path").write_text(path)
    (fleet / "hosts").mkdir()
    _write_shims(fleet, path)


def python(fleet: Path) -> list[str]:
    """Python for our tools, without site-packages, which would slow down the shims."""
    return [sys.executable, "-S", "-E", str(fleet / "lib" / _PACKAGE.name / "sandbox/entry.py")]


def write_base(machine: Machine) -> None:
    """The folders and files by which a host is known as NixOS."""
    root = machine.root
    for folder in _FOLDERS:
        (root / folder).mkdir(parents=True)
    (root / "shims").symlink_to(machine.fleet / "shims")
    (root / "etc/NIXOS").touch()
    (root / "proc/meminfo").symlink_to("/proc/meminfo")
    (root / "proc/stat").write_text(f"btime {processes.boot_time():.0f}\n")


def _write_shims(fleet: Path, path: str) -> None:
    """The tools that all hosts have; a tool knows its host by the path of its call.

    No Python is started where sh is enough. `path` is where the hosts' other tools are. It has git
    and sh; of the other tools that scripts use, only ps can be missing there.
    """
    python_tool = f'exec {" ".join(map(quote, python(fleet)))} "$root" "${{0##*/}}" "$@"'
    texts = {
        **{file.stem: file.read_text() for file in TOOLS.glob("*.sh")},
        "nix": f"if [ \"$*\" = --version ]; then echo 'nix (Nix) {NIX_VERSION}'; exit; fi\n"
        + python_tool,
        # its processes belong to their own unit, not to the calling one
        "systemd": f"unset {UNIT_MARK}\n{python_tool}",
    }
    if shutil.which("ps", path=path):
        del texts["ps"]
    (fleet / "shims").mkdir()
    for name, text in texts.items():
        shim = fleet / "shims" / name
        shim.write_text(f"#!/bin/sh\nroot=${{0%/shims/*}}\n{text}\n")
        shim.chmod(0o755)
