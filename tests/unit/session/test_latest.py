from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nixfleet_core.host import Host, SshAddress
from nixfleet_core.nix.git_url import NotKnown
from nixfleet_core.nix.lock import Source, parse_lock
from nixfleet_core.session import latest as module
from nixfleet_core.session.latest import GitLatest

if TYPE_CHECKING:
    from nixfleet_core.nix.git_url import Latest

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
    git.says(f"{REV}\t{asked}\n")
    assert await GitLatest().latest(Source("https://h/r", ref)) == REV
    peeled = f"{asked}^{{}}" + (" HEAD" if asked != "HEAD" else "")
    assert git.read("asked") == [f"ls-remote -- https://h/r {asked} {peeled}"]


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
    answer = await GitLatest().latest(Source("https://h/r", ref))
    assert isinstance(answer, NotKnown)
    assert answer.why == f"its repository has no branch {ref!r}"
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
        assert isinstance(latest, NotKnown)
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


@dataclass
class Repository:
    """A real repository with two commits on `main`, `first` and `head`."""

    folder: Path

    def git(self, *words: str) -> str:
        env = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "GIT_CONFIG_NOSYSTEM": "1"}
        argv = ["git", "-c", "user.name=t", "-c", "user.email=t@x", *words]
        done = subprocess.run(argv, cwd=self.folder, env=env, check=True, stdout=-1, text=True)
        return done.stdout.strip()

    def make(self) -> None:
        self.folder.mkdir()
        self.git("init", "-q", "-b", "main")
        for name in ("first", "second"):
            self.git("commit", "-q", "--allow-empty", "-m", name)

    @property
    def url(self) -> str:
        return f"file://{self.folder}"

    def rev(self, name: str) -> str:
        return self.git("rev-parse", name)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "r")
    made.make()
    return made


async def test_real_git_answers_for_a_branch_and_not_for_a_missing_one(
    repository: Repository,
) -> None:
    latest, url = GitLatest(), repository.url
    for ref in (None, "", "HEAD", "main", "refs/heads/main"):
        assert await latest.latest(Source(url, ref), HERE) == repository.rev("main")
    assert isinstance(await latest.latest(Source(url, "dev"), HERE), NotKnown)
    assert await latest.latest(Source(f"{url}-not-there"), HERE) is None


async def test_what_a_forge_calls_a_ref_is_a_branch_a_tag_or_a_ref_of_any_name(
    repository: Repository,
) -> None:
    first, head, url = repository.rev("main~1"), repository.rev("main"), repository.url
    repository.git("tag", "light", first)
    repository.git("tag", "-m", "two", "-a", "v2.0", first)
    repository.git("tag", "-m", "of a tag", "-a", "twice", "v2.0")
    repository.git("update-ref", "refs/pull/7/head", first)
    repository.git("branch", "both", head)
    repository.git("tag", "both", first)
    repository.git("branch", "same", first)
    repository.git("tag", "-m", "same", "-a", "same", first)

    async def ask(ref: str, *, any_kind: bool = True) -> Latest:
        return await GitLatest().latest(Source(url, ref, any_kind=any_kind), HERE)

    assert await ask("main") == head
    for ref in ("light", "v2.0", "twice", "pull/7/head", "refs/pull/7/head", "same"):
        assert await ask(ref) == first, ref
    for ref in ("tags/v2.0", "refs/tags/v2.0", "refs/tags/both"):
        assert await ask(ref) == first, ref
    assert await ask("heads/both") == await ask("refs/heads/both") == head
    both, none = await ask("both"), await ask("no-such")
    assert isinstance(both, NotKnown)
    assert "a branch and a tag 'both' at different commits" in both.why
    assert isinstance(none, NotKnown)
    assert none.why == "its repository has no branch, tag or commit 'no-such'"
    # an input of git is a branch
    assert await ask("both", any_kind=False) == head
    assert isinstance(await ask("v2.0", any_kind=False), NotKnown)
    assert await ask("refs/tags/v2.0", any_kind=False) == first


async def test_a_tags_object_in_flake_lock_is_the_tags_commit(repository: Repository) -> None:
    """Nix before 2.34 locks an annotated tag of a git input to the tag itself."""
    repository.git("tag", "-m", "two", "-a", "v2.0")
    commit, tag = repository.rev("v2.0^{commit}"), repository.rev("v2.0")
    latest = GitLatest()
    for locked, answer in ((tag, tag), (commit, commit), (OTHER, commit), (None, commit)):
        source = Source(repository.url, "refs/tags/v2.0", locked=locked)
        assert await latest.latest(source, HERE) == answer


@pytest.mark.parametrize("size", [4, 7, 39, 40])
async def test_a_commit_that_flake_lock_has_is_its_own_latest(
    repository: Repository, size: int
) -> None:
    first, url = repository.rev("main~1"), repository.url
    latest = GitLatest()
    source = Source(url, first[:size], any_kind=True, locked=first)
    assert await latest.latest(source, HERE) == first
    moved = Source(url, first[:size], any_kind=True, locked=repository.rev("main"))
    assert isinstance(await latest.latest(moved, HERE), NotKnown)


async def test_a_branch_that_looks_like_a_commit_is_a_branch(repository: Repository) -> None:
    first, head = repository.rev("main~1"), repository.rev("main")
    repository.git("branch", first[:7], head)
    source = Source(repository.url, first[:7], any_kind=True, locked=first)
    assert await GitLatest().latest(source, HERE) == head


@pytest.mark.parametrize("annotated", [False, True])
async def test_a_github_input_at_a_tag_has_a_latest_commit(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, annotated: bool
) -> None:
    repository.git("tag", *(("-m", "two", "-a") if annotated else ()), "v2.0")
    config = f'[url "{repository.url}"]\n\tinsteadOf = https://github.com/acme/nixfleet\n'
    (tmp_path / "config").write_text(config)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "config"))
    original = {"type": "github", "owner": "acme", "repo": "nixfleet", "ref": "v2.0"}
    nodes = {
        "root": {"inputs": {"nixfleet": "n"}},
        "n": {"locked": {"rev": OTHER}, "original": original},
    }
    lock = parse_lock(json.dumps({"nodes": nodes, "root": "root", "version": 7}))
    found = lock.find("nixfleet")
    assert found is not None
    assert await GitLatest().latest(found.source, AWAY) == repository.rev("main")


async def test_a_path_is_asked_only_for_this_machine(repository: Repository) -> None:
    url, rev = repository.url, repository.rev("main")
    path = url.removeprefix("file://")
    for place in (url, path):
        assert await GitLatest().latest(Source(place), HERE) == rev
        assert await GitLatest(here=True).latest(Source(place), AWAY) == rev
        answer = await GitLatest().latest(Source(place), AWAY)
        assert isinstance(answer, NotKnown)
        assert "flake.lock names a path" in answer.why


@pytest.mark.parametrize(
    "url",
    [
        *(
            "file:///r",
            "file://localhost/r",
            "file://h/r",
            "file:/r",
            "file:r",
            "/r",
            "./r",
            "../r",
        ),
        *("~/r", "r", "path:/r", "path:r", "git+file:///r", "FILE:///r"),
    ],
)
async def test_what_lies_on_another_hosts_disk_is_never_asked_of_the_client(
    git: Git, url: str
) -> None:
    for any_kind in (False, True):
        answer = await GitLatest().latest(Source(url, "main", any_kind=any_kind), AWAY)
        assert isinstance(answer, NotKnown)
    assert git.read("asked") == []
