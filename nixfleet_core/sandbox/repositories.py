"""The fleet's git repositories: NixFleet itself, and nixcfg, the configuration of the hosts.

They are real repositories. `history/` has them as `git fast-import` reads them, except for values
that differ from fleet to fleet: ages are hours, and words in capitals stand for values.
"""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BRANCH: Final = "main"
_HISTORY: Final = Path(__file__).with_name("history")
_OWNER: Final = ("-c", "user.name=Mara Lind", "-c", "user.email=mara@example.org")


class GitError(Exception):
    """git refused; `str()` is its message."""


def init_bare(path: Path, environment: Mapping[str, str]) -> None:
    """Make an empty repository for others to pull from."""
    git(["init", "-q", "--bare", "--template=", "-b", BRANCH, str(path)], environment)


def add_commits(
    path: Path, history: str, environment: Mapping[str, str], **values: object
) -> list[str]:
    """Add commits on top of the branch, and return the ids that the history asks for."""
    now = int(time.time())
    stream = (_HISTORY / history).read_text()
    stream = re.sub(r"AGE-(\d+)-HOURS", lambda age: str(now - 3600 * int(age[1])), stream)
    for word, value in values.items():
        stream = re.sub(rf"\b{word}\b", str(value), stream)
    command = [f"--git-dir={path}", "fast-import", "--quiet", "--done"]
    return git(command, environment, stream.encode()).decode().split()


def clone(source: str, target: Path, environment: Mapping[str, str]) -> None:
    """Clone over git's own protocol, as a host does; commits there get an author's name."""
    git(["clone", "-q", "--template=", *_OWNER, source, str(target)], environment)


def git(argv: Sequence[str], environment: Mapping[str, str], stdin: bytes = b"") -> bytes:
    """Run git and return its answer. Raises GitError."""
    done = subprocess.run(["git", *argv], env=environment, input=stdin, capture_output=True)
    if done.returncode:
        raise GitError(done.stderr.decode("utf-8", "replace").strip())
    return done.stdout
