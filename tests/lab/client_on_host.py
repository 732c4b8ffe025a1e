"""The client on a lab host, for `nixfleet-update`, which runs on the host itself."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .rootfs import cache_dir

if TYPE_CHECKING:
    from .host import LabHost

_PROJECT: Final = Path(__file__).parents[2]
_PLACE: Final = "opt/nixfleet"


def install_client(host: LabHost) -> None:
    """Put the project's commands, as they are now, into the host's /usr/local/bin.

    Only csb1 has the Python for it. Raises CalledProcessError when pip fails.
    """
    project = tomllib.loads((_PROJECT / "pyproject.toml").read_text())["project"]
    place = host.root / _PLACE
    shutil.copytree(_libraries(), place)
    for package in ("nixfleet_core", "tui"):
        shutil.copytree(_PROJECT / package, place / package)
    for command, entry in project["scripts"].items():
        module, _, function = entry.partition(":")
        program = host.root / "usr/local/bin" / command
        program.write_text(
            "#!/usr/bin/python3\n"
            "import sys\n"
            f"sys.path.insert(0, '/{_PLACE}')\n"
            f"from {module} import {function}\n"
            f"sys.exit({function}())\n"
        )
        program.chmod(0o755)


def _libraries() -> Path:
    """The packages that the client imports, for csb1's Python 3.11; kept in the cache."""
    pinned = _PROJECT / "requirements/run.txt"
    key = hashlib.sha256(pinned.read_bytes()).hexdigest()[:12]
    final = cache_dir() / f"client-{key}"
    if not final.exists():
        unfinished = final.with_suffix(f".{os.getpid()}")
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
             "--target", str(unfinished), "--python-version", "3.11", "--only-binary", ":all:",
             "--require-hashes", "--requirement", str(pinned)],
            check=True,
        )  # fmt: skip
        unfinished.rename(final)
    return final
