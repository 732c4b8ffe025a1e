"""The hosts' root file systems: built once a suite and template, then kept."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

TEMPLATE: Final = Path(__file__).with_name("template.sh")


def cache_dir() -> Path:
    """Where what takes long to make is kept: $NIXFLEET_LAB, or /var/tmp/nixfleet-lab."""
    folder = Path(os.environ.get("NIXFLEET_LAB") or "/var/tmp/nixfleet-lab")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def root_filesystem(suite: str) -> Path:
    """The root file system of a Debian suite, built when missing. Raises RuntimeError."""
    key = hashlib.sha256(TEMPLATE.read_bytes()).hexdigest()[:12]
    final = cache_dir() / f"rootfs-{suite}-{key}"
    with (cache_dir() / f"rootfs-{suite}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not final.exists():
            _build(suite, final)
    return final


def _build(suite: str, final: Path) -> None:
    unfinished = final.with_suffix(".new")
    if unfinished.exists():
        shutil.rmtree(unfinished)
    built = subprocess.run(
        [TEMPLATE, suite, unfinished, _mirror()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if built.returncode:
        raise RuntimeError(f"template.sh {suite} failed ({built.returncode}):\n{built.stdout}")
    unfinished.rename(final)


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
