"""The README's two commands on a machine with Python, git and make, and nothing else.

``cd tests && python3 -m fresh``, as root on Debian: a bare root file system, namespaces of its own,
a newcomer who is not root, HEAD as `git archive` has it. readme.py says what happens there. With
words, these are run there instead (``python3 -m fresh bash``). ``--passed-to FILE`` in front of
them keeps the list of the tests that passed there (passed_before.py).
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from lab.rootfs import bare_filesystem, cache_dir

from fresh.settings import machine_settings

HERE: Final = Path(__file__).parent
SUITE: Final = "trixie"
HOME: Final = "/home/newcomer"
NEWCOMER: Final = 1000
DIE_WITH_US: Final = ("setpriv", "--pdeathsig", "KILL", "--")


def main(words: list[str], passed: Path | None) -> int:
    """Run the words there and return their exit code."""
    if os.geteuid() != 0:
        sys.stderr.write("fresh: it needs root, for namespaces and mounts\n")
        return 1
    # an end by a signal ends what runs there, and removes the folder; a kill the former
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    root = bare_filesystem(SUITE)
    settings = machine_settings()
    with tempfile.TemporaryDirectory(prefix="nixfleet-fresh-") as name:
        folder = Path(name)
        (folder / "mnt").mkdir()
        with (folder / "tree.tar").open("wb") as tree:
            subprocess.run(["git", "archive", "HEAD"], cwd=HERE.parents[1], stdout=tree, check=True)
        binds = {path: path for path in settings.paths}
        binds |= {file: f"{HOME}/{name}" for name, file in settings.of_user.items()}
        binds[str(_packages())] = f"{HOME}/.cache/pip"
        environment = {"HOME": HOME, **settings.environment}
        if passed:
            (folder / "out").mkdir()
            os.chown(folder / "out", NEWCOMER, NEWCOMER)
            binds[str(folder / "out")] = f"{HOME}/out"
            environment["PYTEST_ADDOPTS"] = f"--passed-to={HOME}/out/passed"
        lines = (f"{outside}\t{inside}\n" for outside, inside in binds.items())
        (folder / "binds").write_text("".join(lines))
        code = subprocess.run(
            [
                *DIE_WITH_US,
                HERE / "enter.sh",
                root,
                folder,
                *(words or ["python3", "tests/fresh/readme.py"]),
            ],
            # no USER, no LANG, no TERM
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **environment},
            check=False,
        ).returncode
        if passed and not code:
            passed.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / "out/passed", passed)
        return code


def _packages() -> Path:
    """pip's downloads; they can be kept, because hashes prove each file."""
    folder = cache_dir() / "fresh-packages"
    folder.mkdir(exist_ok=True)
    os.chown(folder, NEWCOMER, NEWCOMER)
    return folder


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="fresh")
    parser.add_argument("--passed-to", type=Path)
    parser.add_argument("words", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    sys.exit(main(arguments.words, arguments.passed_to))
