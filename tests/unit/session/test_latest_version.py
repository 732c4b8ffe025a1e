"""What version the latest commit is said to be, by real clones."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from a_history import History, lock_of
from seen_hosts import CHECKOUT, HEALTHY

from nixfleet_core.host import Host, parse_address
from nixfleet_core.nix.git_url import NotKnown
from nixfleet_core.session import clone_fetch
from nixfleet_core.session import repository as module
from nixfleet_core.session.latest_version import Versions, named_expectation
from nixfleet_core.session.repository import Repository, clear_repositories

if TYPE_CHECKING:
    from nixfleet_core.facts.model import Facts

HOST = Host("csb0")


def facts_of(history: History) -> Facts:
    """A host whose input comes from there."""
    lock = lock_of("1" * 40, type="git", url=history.url)
    return replace(HEALTHY, checkout=replace(CHECKOUT, lock=lock))


async def fetch(history: History) -> None:
    repository = Repository.of(history.question)
    if repository.exists:
        then = time.time() - 61
        os.utime(repository.folder / "nixfleet-fetched", (then, then))
    assert await repository.fetch() is None


async def said(history: History, commit: str) -> str | None:
    return await Versions().of(HOST, facts_of(history), commit)


async def test_a_tag_says_it_and_else_the_file(history: History) -> None:
    file = history.commit("Begin", "VERSION", "2.2.0\n")
    light = history.commit("Light")
    history.git("tag", "latest")
    history.git("tag", "v2.3.0")
    annotated = history.commit("Annotated")
    history.git("tag", "--annotate", "--message=x", "release/2.4.0")
    several = history.commit("Several")
    for tag in ("v2.9.0", "v2.10.0", "stable"):
        history.git("tag", tag)
    unnamed = history.commit("Unnamed", "VERSION", "2.11.0-dev\n")
    await fetch(history)
    assert await said(history, file) == "2.2.0"
    assert await said(history, light) == "2.3.0"
    assert await said(history, annotated) == "2.4.0"
    assert await said(history, several) == "2.10.0", "the newest of several"
    assert await said(history, unnamed) == "2.11.0-dev"


async def test_what_is_no_plain_version_is_not_said(history: History) -> None:
    files = {
        "long": "1" * 5000,
        "lines": "2.3.0\nmore\n",
        "escapes": "\x1b]0;x\x07 2.3.0\n",
    }
    commits = [history.commit(name, "VERSION", text) for name, text in files.items()]
    (history.folder / "VERSION").unlink()
    (history.folder / "VERSION").symlink_to("2.3.0")
    history.git("add", "--all")
    history.git("commit", "--quiet", "--message=link")
    commits.append(history.head)
    (history.folder / "VERSION").unlink()
    (history.folder / "VERSION").mkdir()
    commits.append(history.commit("folder", "VERSION/2.3.0", "x"))
    await fetch(history)
    assert [await said(history, commit) for commit in commits] == [None] * 5


async def test_without_a_clone_or_the_commit_nothing_is_asked_for(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.commit("Begin", "VERSION", "2.2.0\n")
    history.git("tag", "v2.2.0")
    assert await said(history, history.head) is None
    assert not Repository.of(history.question).folder.parent.exists()
    await fetch(history)
    new = history.commit("New", "VERSION", "2.3.0\n")

    async def contacted(*_: object) -> None:
        raise AssertionError("somebody was contacted")

    monkeypatch.setattr(module, "go_to_server", contacted)
    assert await said(history, new) is None
    assert await said(history, "--all") is None
    assert await Versions().of(HOST, facts_of(history), None) is None
    assert await Versions().of(HOST, facts_of(history), NotKnown("no", "")) is None
    assert await Versions().of(HOST, None, new) is None


async def test_a_file_that_was_left_out_is_not_fetched(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clone_fetch, "can_filter", lambda _: True)
    history.git("config", "uploadpack.allowFilter", "true")
    first = history.commit("Begin", "VERSION", "2.2.0\n")
    second = history.commit("Tagged", "VERSION", "2.3.0\n")
    history.git("tag", "v2.3.0")
    await fetch(history)
    assert (await said(history, first), await said(history, second)) == (None, "2.3.0")
    blobs = await Repository.of(history.question)._git(
        "cat-file", "--batch-check", "--batch-all-objects"
    )
    assert b"blob" not in blobs.stdout


async def test_a_clone_is_asked_once_until_it_is_fetched_again(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = history.commit("Begin", "VERSION", "2.2.0\n")
    await fetch(history)
    asked = []
    real = Repository.version

    async def version(self: Repository, commit: str) -> str | None:
        asked.append(commit)
        return await real(self, commit)

    monkeypatch.setattr(Repository, "version", version)
    versions, facts = Versions(), facts_of(history)
    assert [await versions.of(HOST, facts, commit) for _ in range(3)] == ["2.2.0"] * 3
    history.git("tag", "v2.3.0")
    assert await versions.of(HOST, facts, commit) == "2.2.0"
    assert asked == [commit]
    await fetch(history)
    assert await versions.of(HOST, facts, commit) == "2.3.0"
    assert asked == [commit] * 2
    clear_repositories()
    assert await versions.of(HOST, facts, commit) is None


async def test_a_clone_that_vanishes_meanwhile_does_no_harm(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = history.commit("Begin", "VERSION", "2.2.0\n")
    await fetch(history)
    folder = Repository.of(history.question).folder
    real = Repository.version

    async def version(self: Repository, commit: str) -> str | None:
        shutil.rmtree(folder.parent)
        return await real(self, commit)

    monkeypatch.setattr(Repository, "version", version)
    assert await said(history, commit) is None


async def test_a_hosts_folder_is_not_this_machines(history: History) -> None:
    commit = history.commit("Begin", "VERSION", "2.2.0\n")
    await fetch(history)
    away = Host("away", parse_address("ops@away"))
    assert await Versions().of(away, facts_of(history), commit) is None
    assert await Versions(here=True).of(away, facts_of(history), commit) == "2.2.0"


async def test_what_a_host_should_have_names_it(history: History) -> None:
    commit = history.commit("Begin", "VERSION", "2.2.0\n")
    await fetch(history)
    expect = await named_expectation(HOST, facts_of(history), commit)
    assert (expect.latest, expect.version) == (commit, "2.2.0")
