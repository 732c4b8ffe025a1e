"""One host of the sandbox as its own tools see it: a folder that stands for `/`."""

from __future__ import annotations

import os
import time
from functools import cached_property
from pathlib import Path
from typing import Final

NIX_VERSION: Final = "2.34.8"
MARK: Final = "NIXFLEET_SANDBOX"
"""Environment variable that every process of a fleet carries; its value is the fleet's folder."""
QUIET: Final = {
    "LC_ALL": "C",
    "LANGUAGE": "",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
}
"""It makes git speak English, ask nobody, and ignore the developer's own settings."""


def write_whole(path: Path, text: str) -> None:
    """Write a file whole, or not at all: its writer can be killed."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.write_text(text)
    new.replace(path)


class Machine:
    """A host's folder, `FLEET/hosts/NAME`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.name = root.name
        self.fleet = root.parents[1]
        self.profile = root / "nix/var/nix/profiles/system"
        self.home = root / "home/ops"
        self.checkout = self.home / "Code/nixcfg"

    @cached_property
    def speed(self) -> float:
        """How many times faster than life the fleet is."""
        return float((self.fleet / "speed").read_text())

    def pause(self, seconds: float) -> None:
        """Wait as long as the real tool would, `seconds` at speed 1."""
        time.sleep(seconds / self.speed)

    def shown(self, path: Path | str) -> str:
        """A path as the host names it, or a text with all such paths in it."""
        return str(path).replace(str(self.root), "")

    def real(self, path: str) -> Path:
        """Where a path that the host names really is."""
        inside = Path(path).is_relative_to(self.root)
        return Path(path) if inside else Path(f"{self.root}{path}")

    def environment(self) -> dict[str, str]:
        """The whole environment of a process here; nothing of the developer's own gets in."""
        return {
            "PATH": f"{self.root}/shims:{(self.fleet / 'path').read_text()}",
            "HOME": str(self.home),
            "USER": "ops",
            "LOGNAME": "ops",
            "SHELL": "/bin/sh",
            "TMPDIR": f"{self.root}/tmp",
            **QUIET,
            MARK: str(self.fleet),
        }
