from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from nixfleet_core.host import Host, SshAddress
from nixfleet_core.nix.git_url import NotAsked
from nixfleet_core.nix.lock import Source
from nixfleet_core.session import latest as module
from nixfleet_core.session.latest import GitLatest

HERE, AWAY = Host("here"), Host("away", SshAddress("away"))
REV, OTHER = "1" * 40, "2" * 40

GIT = f"""#!/bin/sh
case "$*" in config* | *--get-url*) exec {shutil.which("git")} "$@" ;; esac
"""
ASKED = """printf '%s\\n' "$*" >>"${0%/*}/asked"
printf '%s\\n' "$GIT_TERMINAL_PROMPT" "$LC_ALL" "$LANGUAGE" "$GIT_SSH_COMMAND" >"${0%/*}/env"
cat "${0%/*}/says"
exit "$(cat "${0%/*}/code")"
"""


class Git:
    """A git that answers as the test says, and records its calls."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "git").write_text(GIT + ASKED)
        (folder / "git").chmod(0o755)
        self.says(f"{REV}\tHEAD\n")

    def says(self, text: str, code: int = 0) -> None:
        (self._folder / "says").write_text(text)
        (self._folder / "code").write_text(str(code))

    def read(self, name: str) -> list[str]:
        path = self._folder / name
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Git:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("LANGUAGE", "de")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for name in ("XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL", "GIT_SSH_COMMAND"):
        monkeypatch.delenv(name, raising=False)
    return Git(tmp_path)


@pytest.mark.parametrize(
    ("ref", "asked"),
    [
        (None, "HEAD"),
        ("main", "refs/heads/main"),
        ("refs/tags/v1", "refs/tags/v1"),
        ("--upload-pack=x", "refs/heads/--upload-pack=x"),
    ],
)
async def test_asks_for_the_ref_that_the_input_follows(
    git: Git, ref: str | None, asked: str
) -> None:
    assert await GitLatest().latest(Source("https://h/r", ref)) == REV
    assert git.read("asked") == [f"ls-remote -- https://h/r {asked}"]


async def test_never_prompts_and_never_translates(git: Git) -> None:
    await GitLatest().latest(Source("https://h/r"))
    prompt, locale, language, ssh = git.read("env")
    assert (prompt, locale, language) == ("0", "C", "")
    assert "BatchMode=yes" in ssh


async def test_a_source_is_asked_once_for_many_callers(git: Git) -> None:
    latest = GitLatest()
    source = Source("https://h/r")
    assert await asyncio.gather(*(latest.latest(source) for _ in range(5))) == [REV] * 5
    await latest.latest(Source("https://h/r", "dev"))
    await latest.latest(source)
    assert len(git.read("asked")) == 2
    git.says(f"{OTHER}\tHEAD\n")
    assert await latest.latest(source) == REV
    assert await latest.latest(source, since=time.monotonic()) == OTHER
    assert await latest.latest(source) == OTHER


async def test_a_caller_gets_no_answer_older_than_its_look(git: Git) -> None:
    """Callers who look at the same time share one answer."""
    latest, source = GitLatest(), Source("https://h/r")
    assert await latest.latest(source) == REV
    git.says(f"{OTHER}\tHEAD\n")
    since = time.monotonic()
    answers = await asyncio.gather(*(latest.latest(source, since=since) for _ in range(5)))
    assert answers == [OTHER] * 5
    assert len(git.read("asked")) == 2


async def test_a_question_that_failed_is_asked_again(git: Git) -> None:
    latest, source = GitLatest(), Source("https://h/r")
    git.says("", 128)
    assert await latest.latest(source) is None
    git.says(f"{REV}\tHEAD\n")
    assert await latest.latest(source) == REV


async def test_a_cancelled_caller_does_not_stop_the_others(git: Git) -> None:
    latest = GitLatest()
    first = asyncio.create_task(latest.latest(Source("https://h/r")))
    await asyncio.sleep(0)
    first.cancel()
    assert await latest.latest(Source("https://h/r")) == REV
    assert len(git.read("asked")) == 1


@pytest.mark.parametrize(
    ("says", "code"),
    [
        ("", 0),
        ("", 128),
        (f"{REV}\tHEAD\n", 128),
        ("<html>Please log in</html>\n", 0),
        (f"{REV[:39]}\tHEAD\n", 0),
        (f"{REV}0\tHEAD\n", 0),
        (f"warning\n{REV}\tHEAD\n", 0),
        (f"{'G' * 40}\tHEAD\n", 0),
        (f"{REV} HEAD\n", 0),
    ],
)
async def test_output_without_a_commit_is_no_answer(git: Git, says: str, code: int) -> None:
    git.says(says, code)
    assert await GitLatest().latest(Source("https://h/r")) is None


async def test_a_pinned_source_is_its_own_answer_and_a_tarball_has_none(git: Git) -> None:
    latest = GitLatest()
    assert await latest.latest(Source("https://h/r", pinned=OTHER)) == OTHER
    assert await latest.latest(Source(None)) is None
    assert git.read("asked") == []


@pytest.mark.parametrize("ref", ["a b", "a\0b", "a\nb", "refs/heads/*", "a..\x7f"])
async def test_an_impossible_ref_is_not_asked_for(git: Git, ref: str) -> None:
    assert await GitLatest().latest(Source("https://h/r", ref)) is None
    assert git.read("asked") == []


@pytest.mark.parametrize(
    ("system", "where", "code", "asked"),
    [
        ("Darwin", "/usr/bin/git", 2, False),
        ("Darwin", "/usr/bin/git", 0, True),
        ("Darwin", "/nix/store/x-git/bin/git", 2, True),
        ("Linux", "/usr/bin/git", 2, True),
    ],
)
async def test_a_macs_git_is_not_run_while_apples_tools_are_missing(
    git: Git, monkeypatch: pytest.MonkeyPatch, system: str, where: str, code: int, asked: bool
) -> None:
    tool = Path(os.environ["PATH"].partition(os.pathsep)[0]) / "xcode-select"
    tool.write_text(f"#!/bin/sh\nexit {code}\n")
    tool.chmod(0o755)
    monkeypatch.setattr("platform.system", lambda: system)
    monkeypatch.setattr("shutil.which", lambda _: where)
    latest = await GitLatest().latest(Source("https://h/r", None), AWAY)
    assert bool(git.read("asked")) == asked
    if not asked:
        assert isinstance(latest, NotAsked)
        assert "xcode-select --install" in latest.advice


async def test_the_answer_without_git_is_unknown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert await GitLatest().latest(Source("https://h/r")) is None


async def test_a_silent_repository_is_given_up(
    git: Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "git").write_text(f"{GIT}exec sleep 60\n")
    monkeypatch.setattr(module, "ASK_SECONDS", 0.5)
    assert await GitLatest().latest(Source("https://h/r")) is None


@pytest.fixture
def repository(tmp_path: Path) -> tuple[str, str]:
    """The URL of a real repository with one branch, `main`, and that branch's commit."""
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}

    def git(*words: str) -> str:
        argv = ["git", "-c", "user.name=t", "-c", "user.email=t@x", *words]
        return subprocess.run(argv, cwd=tmp_path, env=env, check=True, stdout=-1, text=True).stdout

    git("init", "-q", "-b", "main", "r")
    git("-C", "r", "commit", "-q", "--allow-empty", "-m", "x")
    return f"file://{tmp_path}/r", git("-C", "r", "rev-parse", "HEAD").strip()


async def test_real_git_answers_for_a_branch_and_not_for_a_missing_one(
    repository: tuple[str, str],
) -> None:
    latest, (url, rev) = GitLatest(), repository
    for ref in (None, "main", "refs/heads/main"):
        assert await latest.latest(Source(url, ref), HERE) == rev
    assert await latest.latest(Source(url, "dev"), HERE) is None
    assert await latest.latest(Source(f"{url}-not-there"), HERE) is None


async def test_a_path_is_asked_only_for_this_machine(
    repository: tuple[str, str],
) -> None:
    url, rev = repository
    path = url.removeprefix("file://")
    for place in (url, path):
        assert await GitLatest().latest(Source(place), HERE) == rev
        assert await GitLatest(here=True).latest(Source(place), AWAY) == rev
        answer = await GitLatest().latest(Source(place), AWAY)
        assert isinstance(answer, NotAsked)
        assert "flake.lock names a path" in answer.why
