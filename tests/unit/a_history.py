"""A repository of an input, for tests: commits, branches, reverts and cherry-picks by real git."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pytest

from nixfleet_core.host import DEFAULT_FORGES
from nixfleet_core.nix.git_url import GitUrl
from nixfleet_core.nix.lock import parse_lock
from nixfleet_core.session.latest import Question

if TYPE_CHECKING:
    from pathlib import Path

    from nixfleet_core.nix.lock import FlakeLock

_ENV: Final = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    **{f"GIT_{who}_NAME": "lab" for who in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{who}_EMAIL": "lab@example.invalid" for who in ("AUTHOR", "COMMITTER")},
}


@dataclass
class History:
    """The repository in `folder`; each commit has its own time."""

    folder: Path
    _now: int = field(default=1_795_000_000)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *words: str) -> str:
        self._now += 60
        dates = {f"GIT_{who}_DATE": f"@{self._now} +0000" for who in ("AUTHOR", "COMMITTER")}
        return subprocess.run(
            ("git", "-C", str(self.folder), *words),
            check=True,
            capture_output=True,
            text=True,
            env=os.environ | _ENV | dates,
        ).stdout.strip()

    def commit(self, title: str, file: str = "", content: str = "", body: str = "") -> str:
        path = self.folder / (file or "file")
        path.write_text(content or f"{title}\n")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", f"--message={title}\n\n{body}")
        return self.head

    @property
    def head(self) -> str:
        return self.git("rev-parse", "HEAD")

    @property
    def url(self) -> str:
        return f"file://{self.folder}"

    @property
    def question(self) -> Question:
        return Question(GitUrl(self.url, "file"), None, False, None, DEFAULT_FORGES)

    def revert(self, rev: str, *more: str) -> str:
        self.git("revert", "--no-edit", *more, rev)
        return self.head

    def pick(self, rev: str, *more: str) -> str:
        self.git("cherry-pick", *more, rev)
        return self.head


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's clones lie in a folder of the test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def history(own_cache: None, tmp_path: Path) -> History:
    """An empty repository."""
    return History(tmp_path / "origin")


def lock_of(rev: str, **original: Any) -> FlakeLock:
    """A flake.lock with the input at that commit, from there."""
    nodes = {
        "root": {"inputs": {"nixfleet": "n"}},
        "n": {"locked": {"rev": rev}, "original": original},
    }
    return parse_lock(json.dumps({"nodes": nodes, "root": "root", "version": 7}))
