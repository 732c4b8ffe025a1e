"""The client's clone of an input's repository: real git, folders of this machine."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from typing import TYPE_CHECKING

import pytest
from a_history import History

from nixfleet_core.judge.fix import Change, standing
from nixfleet_core.nix.git_url import NotKnown
from nixfleet_core.session import clone_fetch
from nixfleet_core.session.repository import (
    Repository,
    clear_repositories,
    kept_repositories,
    repositories_path,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def history(history: History) -> History:
    history.git("config", "uploadpack.allowFilter", "true")
    return history


@pytest.fixture
def partial(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is as a server that can leave out files."""
    monkeypatch.setattr(clone_fetch, "can_filter", lambda _: True)


async def fetched(history: History) -> Repository:
    repository = Repository.of(history.question)
    assert await repository.fetch() is None
    return repository


async def words(repository: Repository, fix: str, commit: str) -> tuple[bool | None, str]:
    """Whether the commit has the fix, and why."""
    (found,) = await repository.find(fix)
    stands = standing(found, await repository.past(found, commit))
    return stands.has, stands.words


def age(repository: Repository) -> None:
    """Let its last fetch be a minute ago."""
    then = time.time() - 61
    os.utime(repository.folder / "nixfleet-fetched", (then, then))


async def test_ancestors_have_it_and_earlier_commits_do_not(history: History) -> None:
    old = history.commit("Begin")
    history.commit("Between")
    fix = history.commit("Fix the reconnect")
    new = history.commit("Later")
    repository = await fetched(history)
    assert await words(repository, fix, fix) == (True, "the commit itself")
    assert await words(repository, fix, new) == (True, "which contains it")
    assert await words(repository, fix, old) == (False, "2 commits before the fix")


async def test_a_server_that_can_filter_sends_no_files(history: History, partial: None) -> None:
    history.commit("Begin", content="x" * 100)
    repository = await fetched(history)
    blob = history.git("rev-parse", "HEAD:file")
    assert not await repository.has(blob)
    objects = await repository._git("cat-file", "--batch-check", "--batch-all-objects")
    assert blob.encode() not in objects.stdout


async def test_a_server_that_cannot_filter_sends_everything(
    history: History, partial: None
) -> None:
    history.git("config", "uploadpack.allowFilter", "false")
    history.commit("Begin")
    repository = await fetched(history)
    objects = await repository._git("cat-file", "--batch-check", "--batch-all-objects")
    assert history.git("rev-parse", "HEAD:file").encode() in objects.stdout


async def test_a_commit_is_found_by_hash_tag_and_words_of_its_title(history: History) -> None:
    first = history.commit("Fix the reconnect", body="of agents")
    history.git("tag", "--annotate", "--message=x", "v1")
    second = history.commit("Fix the pulse")
    repository = await fetched(history)

    async def revs(word: str) -> list[str]:
        return [one.rev for one in await repository.find(word)]

    assert await revs(first) == await revs(first[:7].upper()) == await revs("v1") == [first]
    assert await revs("RECONNECT") == [first]
    assert await revs("fix") == [second, first]
    assert await revs("agents") == [], "it is no word of a title"
    assert await revs("no such") == []


@pytest.mark.parametrize("word", ["--all", "-n1", "--output=/tmp/x", "main..", "@{-1}", "a^"])
async def test_no_word_is_an_option_or_a_range(history: History, word: str) -> None:
    history.commit("Begin")
    assert await (await fetched(history)).find(word) == ()


async def test_a_title_that_is_a_hash_of_nothing_is_still_found(history: History) -> None:
    rev = history.commit("cafe is open")
    assert [one.rev for one in await (await fetched(history)).find("cafe")] == [rev]


async def test_a_revert_counts_until_it_is_reverted(history: History) -> None:
    history.commit("Begin")
    fix = history.commit("Fix", "a")
    revert = history.revert(fix)
    between = history.commit("Between", "b")
    again = history.revert(revert)
    repository = await fetched(history)
    assert await words(repository, fix, between) == (
        *(False, f"which contains it, and its revert {revert[:7]}"),
    )
    assert (await words(repository, fix, again))[0] is True


async def test_the_revert_of_a_merge_reverts_what_it_brought(history: History) -> None:
    history.commit("Begin")
    history.git("checkout", "--quiet", "-b", "side")
    fix = history.commit("Fix", "a")
    history.git("checkout", "--quiet", "main")
    before = history.commit("Beside", "b")
    history.git("merge", "--quiet", "--no-ff", "--no-edit", "side")
    merge = history.head
    after = history.commit("Later", "c")
    reverted = history.revert(merge, "--mainline=1")
    repository = await fetched(history)
    assert (await words(repository, fix, merge))[0] is True
    assert (await words(repository, fix, after))[0] is True
    assert (await words(repository, fix, before))[0] is False
    assert (await words(repository, fix, reverted))[0] is False
    assert (await words(repository, before, reverted))[0] is True, "it was there before the merge"


async def test_a_cherry_pick_is_the_fix_once_more(history: History, partial: None) -> None:
    begin = history.commit("Begin")
    history.commit("Beside", "b")
    fix = history.commit("Fix", "a")
    history.git("checkout", "--quiet", "-b", "stable", begin)
    history.commit("Stable", "c")
    named = history.pick(fix, "-x")
    undone = history.revert(named)
    history.git("checkout", "--quiet", "-b", "quiet", begin)
    history.commit("Quiet", "d")
    unnamed = history.pick(fix)
    without = history.git("rev-parse", "HEAD^")
    repository = await fetched(history)
    assert await words(repository, fix, named) == (
        *(True, f"which has it as the cherry-pick {named[:7]} (the same patch)"),
    )
    assert await words(repository, fix, unnamed) == (
        *(True, f"which has it as {unnamed[:7]}, which has the same patch"),
    )
    assert (await words(repository, fix, undone))[0] is False
    assert (await words(repository, fix, without))[0] is False
    assert await words(repository, named, fix) == (
        *(True, f"which has it as {fix[:7]}, which has the same patch"),
    )


async def test_what_has_the_title_of_the_fix_need_not_be_it(history: History) -> None:
    begin = history.commit("Begin")
    fix = history.commit("Fix", "a", "one\n")
    history.git("checkout", "--quiet", "-b", "stable", begin)
    other = history.commit("Fix", "a", "two\n")
    has, why = await words(await fetched(history), fix, other)
    assert (has, "not compared" in why) == (False, False)


async def test_what_cannot_be_compared_is_said(history: History, partial: None) -> None:
    begin = history.commit("Begin")
    fix = history.commit("Fix", "a")
    history.git("checkout", "--quiet", "-b", "stable", begin)
    history.commit("Stable", "c")
    copy = history.pick(fix)
    repository = await fetched(history)
    history.folder.rename(history.folder.with_name("gone"))
    has, why = await words(repository, fix, copy)
    assert (has, why.endswith("were not compared (patch ids)")) == (None, True)


async def test_a_force_push_leaves_what_was_fetched_and_says_so(history: History) -> None:
    fix = history.commit("Fix")
    lost = history.commit("Lost", "a")
    repository = await fetched(history)
    history.git("reset", "--quiet", "--hard", fix)
    kept = history.commit("Kept", "b")
    age(repository)
    assert await repository.fetch() is None
    assert await words(repository, fix, kept) == (True, "which contains it")
    has, why = await words(repository, fix, lost)
    assert (has, "force-pushed" in why) == (True, True)


async def test_a_commit_that_nothing_leads_to_is_asked_for(history: History) -> None:
    fix = history.commit("Fix")
    lost = history.commit("Lost", "a")
    history.git("reset", "--quiet", "--hard", fix)
    repository = await fetched(history)
    assert (await words(repository, fix, lost))[0] is None
    history.git("config", "uploadpack.allowAnySHA1InWant", "true")
    await repository.bring([lost])
    assert (await words(repository, fix, lost))[0] is True


def shallow_copy(history: History, depth: int) -> History:
    """A repository that has only the newest commits of this one, and can leave out files."""
    copy = History(history.folder.with_name("empty"))
    copy.folder = history.folder.with_name("shallow")
    history.git("clone", "--quiet", f"--depth={depth}", history.url, str(copy.folder))
    copy.git("config", "uploadpack.allowFilter", "true")
    return copy


@pytest.fixture(params=[False, True], ids=["whole", "filtered"])
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that sends everything, or leaves out files."""
    monkeypatch.setattr(clone_fetch, "can_filter", lambda _: request.param)


async def test_a_shallow_repository_proves_no_absence(history: History, server: None) -> None:
    fix = history.commit("Fix")
    history.commit("Later", "a")
    new = history.commit("Last", "b")
    async with asyncio.timeout(30):  # git would fetch the edge of the history without end
        repository = await fetched(shallow_copy(history, depth=2))
    assert repository.is_shallow
    assert await repository.find(fix) == ()
    stands = standing(Change(fix, "Fix"), await repository.past(Change(fix, "Fix"), new))
    assert (stands.has, "its repository is shallow" in stands.words) == (None, True)


async def test_what_a_shallow_repository_has_whole_is_decided(
    history: History, server: None
) -> None:
    lost = history.commit("Lost")
    old = history.commit("Edge", "a")
    fix = history.commit("Fix", "b")
    new = history.commit("Last", "c")
    undone = history.revert(fix)
    repository = await fetched(shallow_copy(history, depth=4))
    assert await words(repository, fix, new) == (True, "which contains it")
    assert await words(repository, fix, undone) == (
        *(False, f"which contains it, and its revert {undone[:7]}"),
    )
    assert await words(repository, fix, old) == (False, "1 commit before the fix")
    assert (await words(repository, fix, lost))[0] is None
    assert await words(repository, old, undone) == (True, "which contains it"), "the edge itself"


async def test_what_is_cut_off_beside_the_fix_decides_nothing(
    history: History, server: None
) -> None:
    begin = history.commit("Begin")
    fix = history.commit("Fix", "a")
    history.git("checkout", "--quiet", "-b", "side", begin)
    history.revert(history.pick(fix))
    history.commit("Side", "b")
    side = history.commit("Beside", "c")
    history.git("checkout", "--quiet", "main")
    history.git("merge", "--quiet", "--no-ff", "--no-edit", "side")
    merge = history.head
    repository = await fetched(shallow_copy(history, depth=3))
    for commit, how in ((merge, "contains it"), (side, "is known only in part")):
        has, why = await words(repository, fix, commit)
        assert (has, how in why, "shallow" in why) == (None, True, True)


async def test_a_shallow_repository_grows(history: History, server: None) -> None:
    history.commit("Begin")
    fix = history.commit("Fix", "a")
    shallow = shallow_copy(history, depth=1)
    repository = await fetched(shallow)
    new = history.commit("New", "b")
    shallow.git("pull", "--quiet", "--depth=2")
    age(repository)
    assert await repository.fetch() is None
    assert await words(repository, fix, new) == (True, "which contains it")
    shallow.git("fetch", "--quiet", "--unshallow")
    age(repository)
    assert await repository.fetch() is None
    assert (await words(repository, fix, new))[0] is True


async def test_a_cherry_pick_in_a_shallow_repository_is_compared(
    history: History, server: None
) -> None:
    begin = history.commit("Begin")
    fix = history.commit("Fix", "a")
    history.git("checkout", "--quiet", "-b", "stable", begin)
    history.commit("Stable", "c")
    copy = history.pick(fix)
    shallow = History(history.folder.with_name("empty"))
    shallow.folder = history.folder.with_name("shallow")
    options = ("--no-single-branch", "--depth=3")
    history.git("clone", "--quiet", "--bare", *options, history.url, str(shallow.folder))
    shallow.git("config", "uploadpack.allowFilter", "true")
    assert await words(await fetched(shallow), fix, copy) == (
        *(True, f"which has it as {copy[:7]}, which has the same patch"),
    )


def copied(history: History, content: str = "") -> tuple[str, str]:
    """A fix, and its cherry-pick on another branch."""
    begin = history.commit("Begin")
    fix = history.commit("Fix", "a", content)
    history.git("checkout", "--quiet", "-b", "stable", begin)
    history.commit("Stable", "c")
    return fix, history.pick(fix)


async def test_git_fetches_nothing_by_itself(
    history: History, partial: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fix, copy = copied(history)
    git = shutil.which("git")
    spy, said = tmp_path / "bin" / "git", tmp_path / "said"
    spy.parent.mkdir()
    spy.write_text(f'#!/bin/sh\necho "$*" >>{said}\nexec {git} "$@"\n')
    spy.chmod(0o755)
    monkeypatch.setenv("PATH", f"{spy.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("GIT_EXEC_PATH", str(spy.parent))
    assert "the same patch" in (await words(await fetched(history), fix, copy))[1]
    fetches = [line for line in said.read_text().splitlines() if " fetch " in line]
    assert ["--filter=tree:0" in line for line in fetches] == [True, False, True]
    assert not [line for line in fetches if "negotiationAlgorithm" in line]


@pytest.mark.parametrize(
    ("name", "limit"), [("clone_fetch.SIZE_LIMIT", 200_000), ("repository.MOST_OBJECTS", 1)]
)
async def test_what_is_fetched_to_compare_has_limits(
    history: History, partial: None, monkeypatch: pytest.MonkeyPatch, name: str, limit: int
) -> None:
    fix, copy = copied(history, os.urandom(300_000).hex())
    repository = await fetched(history)
    monkeypatch.setattr(f"nixfleet_core.session.{name}", limit)
    has, why = await words(repository, fix, copy)
    assert (has, why.endswith("were not compared (patch ids)")) == (None, True)


async def test_many_files_of_a_partial_clone_are_compared(history: History, partial: None) -> None:
    for number in range(30):
        (history.folder / f"folder-{number}").mkdir()
        (history.folder / f"folder-{number}/file").write_text(f"{number}\n" * 9)
    begin = history.commit("Begin")
    for number in range(30):
        (history.folder / f"folder-{number}/file").write_text(f"{number}\n" * 8)
    fix = history.commit("Fix", "a")
    history.git("checkout", "--quiet", "-b", "stable", begin)
    history.commit("Stable", "c")
    copy = history.pick(fix)
    repository = await fetched(history)
    assert "the same patch" in (await words(repository, fix, copy))[1]
    blobs = await repository._git("cat-file", "--batch-check", "--batch-all-objects")
    stable = history.git("rev-parse", "stable:c")
    assert stable.encode() not in blobs.stdout, "only what the patches change was fetched"


async def test_a_git_that_cannot_be_kept_from_fetching_gets_everything(
    history: History, partial: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.commit("Begin")
    fix = history.commit("Fix", "a")
    git = shutil.which("git")
    old = tmp_path / "bin" / "git"
    old.parent.mkdir()
    old.write_text(f"""#!/bin/sh
case " $* " in *" --no-lazy-fetch "*) echo 'unknown option: --no-lazy-fetch' >&2; exit 129 ;; esac
unset GIT_NO_LAZY_FETCH
exec {git} "$@"
""")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{old.parent}:{os.environ['PATH']}")
    repository = await fetched(shallow_copy(history, depth=1))
    assert [one.rev for one in await repository.find(fix)] == [fix]
    assert await repository.has(fix)
    objects = await repository._git("cat-file", "--batch-check", "--batch-all-objects")
    assert history.git("rev-parse", "HEAD:a").encode() in objects.stdout


async def test_tags_of_other_things_than_commits_do_no_harm(
    history: History, partial: None
) -> None:
    fix = history.commit("Fix")
    history.git("tag", "key", "HEAD:file")
    history.git("tag", "--annotate", "--message=x", "tree", "HEAD^{tree}")
    history.git("tag", "--annotate", "--message=x", "blob", "HEAD:file")
    repository = await fetched(history)
    assert [one.rev for one in await repository.find(fix)] == [fix]


async def test_a_minute_is_not_over_and_nobody_is_asked(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.commit("Begin")
    repository = await fetched(history)
    new = history.commit("New")
    assert await repository.fetch() is None
    assert not await repository.has(new)
    age(repository)
    assert await repository.fetch() is None
    assert await repository.has(new)


async def test_without_its_server_the_clone_says_what_it_knows(history: History) -> None:
    old = history.commit("Begin")
    fix = history.commit("Fix")
    repository = await fetched(history)
    age(repository)
    shutil.rmtree(history.folder)
    failed = await repository.fetch()
    assert isinstance(failed, NotKnown)
    assert await words(repository, fix, old) == (False, "1 commit before the fix")


async def test_a_repository_that_never_answered_leaves_nothing(history: History) -> None:
    shutil.rmtree(history.folder)
    repository = Repository.of(history.question)
    assert isinstance(await repository.fetch(), NotKnown)
    assert not repository.exists
    assert kept_repositories() == ()


async def test_a_repository_beyond_the_limit_is_not_kept(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.git("config", "uploadpack.allowFilter", "false")
    (history.folder / "large").write_bytes(os.urandom(300_000))
    history.commit("Begin")
    monkeypatch.setattr(clone_fetch, "SIZE_LIMIT", 100_000)
    repository = Repository.of(history.question)
    failed = await repository.fetch()
    assert isinstance(failed, NotKnown)
    assert "larger than" in failed.why
    assert not repository.exists


async def test_the_cache_is_the_users_alone_shows_its_size_and_goes(history: History) -> None:
    history.commit("Begin")
    await fetched(history)
    (kept,) = kept_repositories()
    assert (kept.url, kept.size > 0, kept.fetched > 0) == (history.url, True, True)
    assert repositories_path().stat().st_mode & 0o777 == 0o700
    clear_repositories()
    assert kept_repositories() == ()
    clear_repositories()


async def test_no_hook_and_no_program_of_a_repository_runs(
    history: History, tmp_path: Path
) -> None:
    history.commit(".gitattributes", ".gitattributes", "* diff=evil filter=evil\n")
    begin = history.head
    fix = history.commit("Fix", "a")
    history.git("checkout", "--quiet", "-b", "stable", begin)
    copy = history.pick(fix, "--no-commit") and history.commit("Fix", "b")
    history.git("config", "diff.evil.textconv", f"touch {tmp_path}/ran")
    history.git("config", "diff.evil.command", f"touch {tmp_path}/ran")
    repository = await fetched(history)
    await words(repository, fix, copy or history.head)
    assert not (tmp_path / "ran").exists()
