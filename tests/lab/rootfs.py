"""The hosts' root file systems: built once a suite and template, then kept."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

TEMPLATE: Final = Path(__file__).with_name("template.sh")
BARE_TEMPLATE: Final = Path(__file__).parents[1] / "fresh" / "bare.sh"
MAC_TEMPLATE: Final = Path(__file__).with_name("darwin") / "template.sh"


def cache_dir() -> Path:
    """The folder for all that takes long to make: $NIXFLEET_LAB, or /var/tmp/nixfleet-lab."""
    folder = Path(os.environ.get("NIXFLEET_LAB") or "/var/tmp/nixfleet-lab")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def root_filesystem(suite: str) -> Path:
    """The root file system of a Debian suite, built when missing. Raises RuntimeError."""
    return _kept(
        f"rootfs-{suite}", TEMPLATE, lambda folder: _run(TEMPLATE, suite, folder, _mirror())
    )


def bare_filesystem(suite: str) -> Path:
    """One with Python, git and make alone, built when missing. Raises RuntimeError."""
    return _kept(
        f"bare-{suite}", BARE_TEMPLATE, lambda folder: _run(BARE_TEMPLATE, suite, folder, _mirror())
    )


def mac_filesystem(suite: str) -> Path:
    """One that looks like a Mac, made of the above when missing. Raises RuntimeError."""
    base = root_filesystem(suite)

    def build(folder: Path) -> None:
        subprocess.run(["cp", "-a", base, folder], check=True)
        _run(MAC_TEMPLATE, folder)

    return _kept(f"mac-{base.name}", MAC_TEMPLATE, build)


def _kept(name: str, template: Path, build: Callable[[Path], None]) -> Path:
    """The folder of that name, made by `build` once for each text of the template."""
    key = hashlib.sha256(template.read_bytes()).hexdigest()[:12]
    final = cache_dir() / f"{name}-{key}"
    with (cache_dir() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not final.exists():
            unfinished = final.with_suffix(".new")
            if unfinished.exists():
                shutil.rmtree(unfinished)
            build(unfinished)
            unfinished.rename(final)
    return final


def _run(*words: str | Path) -> None:
    built = subprocess.run(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if built.returncode:
        raise RuntimeError(f"{words[0]} failed ({built.returncode}):\n{built.stdout}")


def _mirror() -> str:
    """The Debian mirror that this machine uses, whichever format its list of sources has."""
    codename = subprocess.run(
        ["sh", "-c", '. /etc/os-release; echo "$VERSION_CODENAME"'],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    targets = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(RELEASE) $(COMPONENT) $(REPO_URI)"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for line in targets.splitlines():
        release, component, uri = line.split()
        if (release, component) == (codename, "main"):
            return uri
    raise RuntimeError(f"no source for {codename} main in /etc/apt")
