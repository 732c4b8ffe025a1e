"""What comes along of the input, by a real repository."""

from __future__ import annotations

import asyncio
import os
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import pytest
from a_history import History, lock_of
from seen_hosts import BUILT, CHECKOUT, NOT_BUILT

from nixfleet_core.host import Host
from nixfleet_core.nix.git_url import NotKnown
from nixfleet_core.plan.model import Options
from nixfleet_core.session.coming import InputCommits
from nixfleet_core.session.repository import Repository

if TYPE_CHECKING:
    from pathlib import Path

    from nixfleet_core.facts.model import Facts
    from nixfleet_core.judge.coming import Coming, Side

HOST = Host("csb0")


def built(commit: str, history: History) -> Facts:
    """A host that is proven to run what this commit builds."""
    return replace(
        NOT_BUILT,
        proofs=(msgspec.structs.replace(BUILT, commit=commit),),
        checkout=replace(CHECKOUT, lock=lock_of(commit, type="git", url=history.url)),
    )


async def what_comes(facts: Facts, options: Options, latest: str | None) -> Coming:
    return await InputCommits().between(HOST, facts, options, latest)


async def test_the_commits_between_are_named_newest_first(history: History) -> None:
    old = history.commit("Begin")
    fix = history.commit("Fix")
    new = history.revert(fix)
    found = await what_comes(built(old, history), Options(), new)
    assert (found.running, found.target, found.count, found.lost) == (old, new, 2, 0)
    assert [(one.rev, one.reverts) for one in found.commits] == [(new, True), (fix, False)]
    assert all(one.made for one in found.commits)


async def test_a_downgrade_names_what_goes(history: History) -> None:
    old = history.commit("Begin")
    new = history.commit("Fix")
    found = await what_comes(built(new, history), Options(input_rev=old), new)
    assert (found.count, found.lost) == (0, 1)
    assert [one.title for one in found.losses] == ["Fix"]


async def test_branches_that_parted_have_both(history: History) -> None:
    history.commit("Begin")
    history.git("branch", "other")
    old = history.commit("Here")
    history.git("checkout", "--quiet", "other")
    new = history.commit("There")
    found = await what_comes(built(old, history), Options(), new)
    assert [one.title for one in found.commits] == ["There"]
    assert [one.title for one in found.losses] == ["Here"]


async def test_nothing_is_asked_where_the_commit_stays(history: History) -> None:
    commit = history.commit("Begin")
    shutil.rmtree(history.folder)
    found = await what_comes(built(commit, history), Options(as_locked=True), None)
    assert (found.running, found.target, found.unknown) == (commit, commit, "")


async def test_what_is_not_known_is_said(history: History) -> None:
    commit = history.commit("Begin")
    facts = built(commit, history)
    unproven = await what_comes(replace(facts, proofs=()), Options(), "1" * 40)
    assert unproven.unknown.startswith("nobody has proven which commit")
    unreachable = await what_comes(facts, Options(), "1" * 40)
    assert unreachable.unknown == "its repository has no commit 1111111"
    assert "latest" in (await what_comes(facts, Options(), None)).unknown
    path = replace(facts, checkout=replace(CHECKOUT, lock=lock_of(commit, type="path", path="/x")))
    assert "no repository" in (await what_comes(path, Options(), "1" * 40)).unknown


async def test_a_repository_that_is_gone_is_said(history: History) -> None:
    facts = built(history.commit("Begin"), history)
    shutil.rmtree(history.folder)
    assert (await what_comes(facts, Options(), "1" * 40)).unknown


async def test_a_plan_does_not_wait_long(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fetch(_: Repository) -> None:
        await asyncio.Event().wait()

    facts = built(history.commit("Begin"), history)
    monkeypatch.setattr(Repository, "fetch", fetch)
    monkeypatch.setattr("nixfleet_core.session.coming.PATIENCE", 0.0)
    found = await what_comes(facts, Options(), "1" * 40)
    assert found.unknown == "its repository did not answer within 0 s"


async def test_what_a_broken_off_fetch_has_left_is_removed(history: History) -> None:
    old = history.commit("Begin")
    facts = built(old, history)
    repository = Repository.of(replace(history.question, ref=None, any_kind=False))
    await repository.fetch()
    left = repository.folder / "objects" / "pack" / "tmp_pack_1"
    left.write_bytes(b"half")
    os.utime(repository.folder / "nixfleet-fetched", (1.0, 1.0))
    found = await what_comes(facts, Options(), history.commit("Fix"))
    assert (found.count, left.exists()) == (1, False)


async def test_a_history_that_is_cut_off_counts_nothing(history: History, tmp_path: Path) -> None:
    history.commit("Begin")
    old, new = history.commit("Middle"), history.commit("End")
    shallow = tmp_path / "shallow"
    history.git("clone", "--quiet", "--bare", "--depth=1", history.url, str(shallow))
    history.git("--git-dir", str(shallow), "branch", "--force", "main", new)
    history.git("--git-dir", str(shallow), "fetch", "--quiet", "--depth=1", history.url, old)
    history.git("--git-dir", str(shallow), "branch", "old", old)
    lock = lock_of(old, type="git", url=f"file://{shallow}")
    facts = replace(built(old, history), checkout=replace(CHECKOUT, lock=lock))
    found = await what_comes(facts, Options(), new)
    assert found.unknown == "its repository has too little history"


async def test_hosts_with_the_same_two_ends_share_one_question(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, middle, new = (history.commit(title) for title in ("Begin", "Middle", "End"))
    fetched: list[Repository] = []
    asked: list[tuple[str, str]] = []
    fetch, apart = Repository.fetch, Repository.apart

    async def fetch_it(self: Repository) -> NotKnown | None:
        fetched.append(self)
        return await fetch(self)

    async def ask(self: Repository, commit: str, other: str, most: int) -> tuple[Side, Side] | None:
        asked.append((commit, other))
        return await apart(self, commit, other, most)

    monkeypatch.setattr(Repository, "fetch", fetch_it)
    monkeypatch.setattr(Repository, "apart", ask)
    commits, runs = InputCommits(), (old, old, middle, old)
    found = await asyncio.gather(
        *(
            commits.between(Host(f"csb{at}"), built(commit, history), Options(), new)
            for at, commit in enumerate(runs)
        )
    )
    assert [one.count for one in found] == [2, 2, 1, 2]
    assert found[0] is found[1] is found[3]
    assert sorted(asked) == sorted([(new, old), (new, middle)])
    assert len(fetched) == 1


async def test_a_host_that_stops_to_wait_takes_nobody_s_answer(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = history.commit("Begin"), history.commit("Fix")
    goes_on, begun = asyncio.Event(), asyncio.Event()
    fetch = Repository.fetch

    async def wait(self: Repository) -> NotKnown | None:
        begun.set()
        await goes_on.wait()
        return await fetch(self)

    monkeypatch.setattr(Repository, "fetch", wait)
    commits, facts = InputCommits(), built(old, history)
    first = asyncio.create_task(commits.between(HOST, facts, Options(), new))
    await begun.wait()
    other = asyncio.create_task(commits.between(Host("csb1"), facts, Options(), new))
    first.cancel()
    goes_on.set()
    assert (await other).count == 1
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_server_that_refuses_is_asked_once_for_all_hosts(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = 0

    async def refuse(_: Repository) -> NotKnown:
        nonlocal begun
        begun += 1
        return NotKnown("it wants credentials", "")

    monkeypatch.setattr(Repository, "fetch", refuse)
    commits, facts = InputCommits(), built(history.commit("Begin"), history)
    found = await asyncio.gather(
        *(commits.between(HOST, facts, Options(), f"{at}" * 40) for at in range(1, 6))
    )
    assert [one.unknown for one in found] == ["it wants credentials"] * 5
    assert begun == 1


async def test_a_fault_costs_the_commits_and_not_the_plan(
    history: History, monkeypatch: pytest.MonkeyPatch, faults: list[Exception]
) -> None:
    async def fail(_: Repository) -> NotKnown:
        raise RuntimeError("nobody foresaw it")

    monkeypatch.setattr(Repository, "fetch", fail)
    found = await what_comes(built(history.commit("Begin"), history), Options(), "1" * 40)
    assert "nobody foresaw it" in found.unknown
    assert len(faults) == 1


async def test_a_host_of_which_nothing_can_be_made_costs_its_own_answer(
    history: History, monkeypatch: pytest.MonkeyPatch, faults: list[Exception]
) -> None:
    def fail(facts: Facts, _: str) -> None:
        raise RecursionError(facts.hostname)

    monkeypatch.setattr("nixfleet_core.session.coming.running_commit", fail)
    found = await what_comes(built(history.commit("Begin"), history), Options(), "1" * 40)
    assert "RecursionError" in found.unknown
    assert len(faults) == 1
