"""Which hosts run a fix: from their proofs and a real repository."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from a_history import History, lock_of
from seen_hosts import BUILT, CHECKOUT, MADE, NEW_AGENT, NOT_BUILT, OLD_AGENT

from nixfleet_core.facts.origins import Origin
from nixfleet_core.host import Host, parse_address
from nixfleet_core.session.has import Answers, SeenHost, Unclear, which_have
from nixfleet_core.session.repository import repositories_path

if TYPE_CHECKING:
    from pathlib import Path


def seen(commit: str, history: History, name: str = "csb0", **original: Any) -> SeenHost:
    """A host of this machine that runs the old agent, built from that commit."""
    original = original or {"type": "git", "url": history.url}
    facts = replace(
        NOT_BUILT,
        proofs=(msgspec.structs.replace(BUILT, commit=commit),),
        checkout=replace(CHECKOUT, lock=lock_of(commit, **original)),
    )
    return SeenHost(Host(name), facts)


async def ask(word: str, *hosts: SeenHost, **known: tuple[Origin, ...]) -> Answers:
    found = await which_have(hosts, word, known)
    assert isinstance(found, Answers), found
    return found


async def test_each_host_gets_its_answer(history: History) -> None:
    old = history.commit("Begin")
    fix = history.commit("Fix the reconnect")
    new = history.commit("Later")
    away = SeenHost(Host("away"), None, "no route", "ping it")
    origin = Origin(commit=fix, programs=(NEW_AGENT.identity,), at=MADE)
    found = await ask(
        "reconnect", seen(old, history, "csb0"), seen(new, history, "csb1"), away, csb2=(origin,)
    )
    assert found.fix.rev == fix
    assert {name: one.answer for name, one in found.hosts.items()} == {
        "csb0": "no",
        "csb1": "yes",
        "away": "unreachable",
    }
    assert (found.hosts["away"].why, found.hosts["away"].advice) == ("no route", "ping it")


async def test_a_word_of_several_titles_lists_them(history: History) -> None:
    one, other = history.commit("Fix a"), history.commit("Fix b")
    found = await which_have([seen(one, history)], "fix", {})
    assert isinstance(found, Unclear)
    assert [change.rev for change in found.found] == [other, one]


async def test_a_word_of_no_title_says_so(history: History) -> None:
    found = await which_have([seen(history.commit("Fix"), history)], "none", {})
    assert found == Unclear("no commit is named 'none', nor has it in its title")


async def test_a_repository_that_only_the_host_can_read_proves_nothing(history: History) -> None:
    commit = history.commit("Fix")
    host = Host("csb0", address=parse_address("ops@csb0"))
    one = replace(seen(commit, history), host=host)
    other = "1" * 40
    assert "a path on the host" in (await ask(other, one)).hosts["csb0"].why
    # what it is built from is itself, whoever can read the repository
    assert (await ask(commit, one)).hosts["csb0"].answer == "yes"
    assert not repositories_path().exists()


async def test_an_input_that_is_no_repository_proves_nothing(history: History) -> None:
    commit = history.commit("Fix")
    one = seen(commit, history, type="path", path="/x")
    assert "no repository" in (await ask("1" * 40, one)).hosts["csb0"].why


async def test_without_flake_lock_the_remembered_url_is_asked(history: History) -> None:
    fix = history.commit("Fix")
    new = history.commit("Later")
    one = seen(new, history)
    assert one.facts is not None
    origin = Origin(commit=new, programs=(OLD_AGENT.identity,), at=MADE, url=history.url)
    hidden = replace(one.facts, proofs=(), origins=(origin,), checkout=replace(CHECKOUT, lock=None))
    assert (await ask(fix, replace(one, facts=hidden))).hosts["csb0"].answer == "yes"


@pytest.mark.parametrize("more", [{"ref": "main"}, {"ref": "v1"}, {"dir": "agent"}])
async def test_branches_tags_and_folders_of_one_repository_are_one_clone(
    history: History, more: dict[str, str]
) -> None:
    fix = history.commit("Fix")
    history.git("tag", "--annotate", "--message=x", "v1")
    hosts = seen(fix, history), seen(fix, history, "csb1", type="git", url=history.url, **more)
    found = await ask(fix, *hosts)
    assert {one.answer for one in found.hosts.values()} == {"yes"}
    assert len(list(repositories_path().glob("*.git"))) == 1


async def test_offline_the_clone_of_before_answers_and_it_is_said(history: History) -> None:
    fix = history.commit("Fix")
    one = seen(history.commit("Later"), history)
    await ask(fix, one)
    for marker in repositories_path().glob("*.git/nixfleet-fetched"):
        os.utime(marker, (time.time() - 61,) * 2)
    shutil.rmtree(history.folder)
    found = await ask(fix, one)
    assert found.hosts["csb0"].answer == "yes"
    assert found.notes == (
        "its repository did not answer: it is as it was when it was fetched last",
    )


async def test_a_commit_that_was_pushed_away_is_still_asked_for(history: History) -> None:
    fix = history.commit("Fix")
    lost = history.commit("Lost")
    history.git("reset", "--quiet", "--hard", fix)
    history.git("config", "uploadpack.allowAnySHA1InWant", "true")
    why = (await ask(fix, seen(lost, history))).hosts["csb0"]
    assert (why.answer, "force-pushed" in why.why) == ("yes", True)


async def test_where_no_repository_can_be_asked_no_word_is_wrong(history: History) -> None:
    one = seen(history.commit("Fix"), history)
    shutil.rmtree(history.folder)
    found = await ask("fix", one, SeenHost(Host("away"), None, "no route"))
    assert {name: answer.answer for name, answer in found.hosts.items()} == {
        "csb0": "not proven",
        "away": "unreachable",
    }
    assert "did not answer" in found.hosts["csb0"].why


async def test_a_shallow_repository_is_named_as_the_reason(
    history: History, tmp_path: Path
) -> None:
    fix = history.commit("Fix")
    new = history.commit("New")
    one = seen(new, history)
    shallow = tmp_path / "shallow"
    history.git("clone", "--quiet", "--depth=1", history.url, str(shallow))
    shutil.rmtree(history.folder)
    shallow.rename(history.folder)
    found = await ask(fix, one)
    assert found.hosts["csb0"].answer == "not proven"
    assert "no commit" in found.hosts["csb0"].why
    assert "the repository is shallow" in found.hosts["csb0"].why
    unclear = await which_have([one], "fix", {})
    assert isinstance(unclear, Unclear)
    assert "the repository is shallow" in unclear.why


async def test_more_commits_than_are_listed_are_said_to_be_more(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("has", "repository"):
        monkeypatch.setattr(f"nixfleet_core.session.{place}.MOST_FOUND", 2)
    commits = [history.commit(f"Fix {number}") for number in range(3)]
    one = seen(commits[0], history)
    unclear = await which_have([one], "fix", {})
    assert isinstance(unclear, Unclear)
    assert unclear.why == "'fix' names 2 commits or more"
    assert [change.rev for change in unclear.found] == [commits[2], commits[1]]
