"""Write run.txt, dev.txt and lock.txt again: every installed package, at one version, with the hash
of each of its wheels. `make lock` runs this; with UPGRADE=1 it takes the newest versions that fit.

run.txt has the packages that the program needs and is built with; dev.txt has these and those of
the tests; lock.txt has those of this script. All are wheels: a source package would run code, and
fetch unpinned build tools. The index is the one that pip uses here; no file names it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
PROJECT: Final = HERE.parent / "pyproject.toml"

HEAD: Final = "# Made by `make lock` from pyproject.toml.\n"
PYTHONS: Final = ("3.11", "3.12", "3.13", "3.14")
PLATFORMS: Final = (
    "x86_64-unknown-linux-gnu",
    "aarch64-unknown-linux-gnu",
    "x86_64-apple-darwin",
    "aarch64-apple-darwin",
)


def wanted() -> dict[str, list[str]]:
    """The requirements of each file, from pyproject.toml."""
    data = tomllib.loads(PROJECT.read_text())
    project = data["project"]
    extras = project["optional-dependencies"]
    run = [*project["dependencies"], *data["build-system"]["requires"]]
    return {"dev": [*run, *extras["dev"]], "run": run, "lock": extras["lock"]}


def lock(name: str, requirements: list[str], constraints: list[str], *, upgrade: bool) -> None:
    """Write one file; a package in it keeps its version unless that no longer fits."""
    path = HERE / f"{name}.txt"
    options = ["--universal", "--python-version", PYTHONS[0], "--generate-hashes"]
    options += ["--no-header", "--no-annotate", "--emit-build-options"]
    options += [f"--constraint={file}" for file in constraints] + ["--upgrade"] * upgrade
    uv(["--output-file", str(path), *options], requirements)
    path.write_text(HEAD + path.read_text())


def check(name: str) -> None:
    """Prove that each platform and Python has a wheel for each line. Raises SystemExit."""
    pinned = [line for line in (HERE / f"{name}.txt").read_text().splitlines() if "==" in line]
    lines = [line.removesuffix("\\").strip() for line in pinned]
    for python in PYTHONS:
        for platform in PLATFORMS:
            uv(["--python-version", python, "--python-platform", platform, "--no-deps"], lines)


def uv(options: list[str], requirements: list[str]) -> None:
    """`uv pip compile` with only wheels. Raises SystemExit."""
    command = [str(Path(sys.executable).with_name("uv")), "pip", "compile", "--quiet"]
    command += ["--only-binary", ":all:", "--no-python-downloads", *options, "-"]
    done = subprocess.run(
        command,
        input="\n".join(requirements),
        stdout=subprocess.DEVNULL,
        text=True,
        check=False,
        cwd=PROJECT.parent,
        env=os.environ | index(),
    )
    if done.returncode:
        raise SystemExit(f"make lock: {' '.join(options)}: uv ended with {done.returncode}")


@cache
def index() -> dict[str, str]:
    """uv's variables for the index that pip uses here."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "get"]
    found = {}
    for key, variable in {
        "index-url": "UV_DEFAULT_INDEX",
        "extra-index-url": "UV_INDEX",
        "cert": "SSL_CERT_FILE",
    }.items():
        for section in ("global", "install", ":env:"):
            said = subprocess.run(
                [*pip, f"{section}.{key}"], capture_output=True, text=True, check=False
            )
            if said.returncode == 0:
                found[variable] = said.stdout.strip()
    return found


def main() -> None:
    upgrade = bool(os.environ.get("UPGRADE"))
    files = wanted()
    lock("dev", files["dev"], [], upgrade=upgrade)
    # the program is tested with its own packages
    lock("run", files["run"], [str(HERE / "dev.txt")], upgrade=upgrade)
    lock("lock", files["lock"], [], upgrade=upgrade)
    for name in files:
        check(name)


if __name__ == "__main__":
    main()
