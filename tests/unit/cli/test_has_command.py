"""`nixfleet has` and `nixfleet cache`: what they print, and how they end."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from a_history import History, lock_of
from fakes import CURRENT, NEW_PATH, OLD_PATH

from nixfleet_core.errors import Unreachable
from nixfleet_core.facts.model import Running
from nixfleet_core.facts.origins import Origin
from nixfleet_core.host import Host
from nixfleet_core.nix.refs import Found
from nixfleet_core.session import latest
from nixfleet_core.session.repository import repositories_path

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result
    from fake_fleet import Fleet

    from nixfleet_core.facts.model import Facts


@pytest.fixture
def history(tmp_path: Path, fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> History:
    """The hosts are this machine, and the input's repository a folder here."""
    monkeypatch.setattr("nixfleet_core.session.repository.go_to_server", latest.go_to_server)
    for name, session in fleet.sessions.items():
        session.host = Host(name)
    return History(tmp_path / "origin")


def built_from(commit: str, history: History, path: str = OLD_PATH) -> Facts:
    """A host that runs that path, which is proven to be built from the commit."""
    assert CURRENT.running is not None
    assert CURRENT.checkout is not None
    program = path.removesuffix("/bin/nixfleet-agent")
    lock = lock_of(commit, type="git", url=history.url)
    binary = replace(CURRENT.running.binary, path=path)
    return replace(
        CURRENT,
        running=Running(binary, "exe", 42),
        proofs=(),
        origins=(Origin(commit=commit, programs=(program,), at=1, machine="x86_64"),),
        checkout=replace(CURRENT.checkout, lock=lock),
    )


def lines(result: Result) -> dict[str, dict[str, Any]]:
    return {line["host"]: line for line in map(json.loads, result.stdout.splitlines())}


def test_it_ends_with_0_when_all_have_it(fleet: Fleet, history: History) -> None:
    fix = history.commit("Fix the reconnect")
    new = history.commit("Later")
    fleet.sessions["csb0"].says["probe"] = built_from(fix, history)
    fleet.sessions["csb1"].says["probe"] = built_from(new, history)
    result = fleet.run("has", "reconnect")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        f"fix {fix[:12]} Fix the reconnect",
        f"csb0: yes: built from {fix[:7]}, the commit itself",
        f"csb1: yes: built from {new[:7]}, which contains it",
    ]


def test_the_latest_commit_has_its_version_once_the_repository_is_here(
    fleet: Fleet, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = history.commit("Begin")
    new = history.commit("Release")
    history.git("tag", "--annotate", "--message=x", "v2.3.0")
    fleet.sessions["csb0"].says["probe"] = built_from(old, history)
    fleet.sessions["csb1"].says["probe"] = Unreachable("no route")

    async def newest(_: object) -> Found:
        return Found(new, frozenset({new}))

    monkeypatch.setattr("nixfleet_core.session.latest._ask", newest)
    assert lines(fleet.run("hosts", "--json"))["csb0"]["latest_version"] is None
    assert new[:7] in fleet.run("hosts").stdout
    fleet.run("has", "Release")
    told = lines(fleet.run("hosts", "--json"))
    assert (told["csb0"]["latest"], told["csb0"]["latest_version"]) == (new, "2.3.0")
    assert told["csb1"]["latest_version"] is None
    row = next(line for line in fleet.run("hosts").stdout.splitlines() if "csb0" in line)
    assert row.split()[4] == "2.3.0"


def test_it_ends_with_3_when_one_has_it_not(fleet: Fleet, history: History) -> None:
    old = history.commit("Begin")
    fix = history.commit("Fix")
    fleet.sessions["csb0"].says["probe"] = built_from(old, history)
    fleet.sessions["csb1"].says["probe"] = built_from(fix, history, NEW_PATH)
    result = fleet.run("has", fix[:10], "--json")
    assert result.exit_code == 3
    told = lines(result)
    assert [told[name]["answer"] for name in ("csb0", "csb1")] == ["not proven", "yes"]
    assert told["csb0"] == {
        "host": "csb0",
        "answer": "not proven",
        "fix": fix,
        "title": "Fix",
        "running_commit": old,
        "why": f"built from {old[:7]}, 1 commit before the fix",
        "evidence": [],
        "advice": "",
    }


def test_what_another_host_has_proven_of_the_fix_makes_a_no(fleet: Fleet, history: History) -> None:
    old = history.commit("Begin")
    fix = history.commit("Fix")
    fleet.sessions["csb0"].says["probe"] = built_from(old, history)
    fleet.sessions["csb0"].copies.learn_origins("gpc0", built_from(fix, history, NEW_PATH).origins)
    result = fleet.run("has", fix, "csb0")
    assert result.exit_code == 3
    assert "csb0: no: built from" in result.stdout


def test_it_ends_with_5_when_only_an_answer_is_missing(fleet: Fleet, history: History) -> None:
    fix = history.commit("Fix")
    fleet.sessions["csb0"].says["probe"] = built_from(fix, history)
    fleet.sessions["csb1"].says["probe"] = Unreachable("no route", "ping it")
    result = fleet.run("has", fix)
    assert result.exit_code == 5
    assert "csb1: unreachable: no route\n  → ping it\n" in result.stdout


def test_a_word_of_several_commits_lists_them_and_ends_with_2(
    fleet: Fleet, history: History
) -> None:
    one, other = history.commit("Fix a"), history.commit("Fix b")
    fleet.sessions["csb0"].says["probe"] = built_from(one, history)
    result = fleet.run("has", "fix", "csb0")
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"{one[:12]}  Fix a" in result.stderr
    assert f"{other[:12]}  Fix b" in result.stderr
    assert "names 2 commits; name one" in result.stderr


def test_a_title_obeys_no_terminal(fleet: Fleet, history: History) -> None:
    fix = history.commit("Fix \x1b]0;evil\x07")
    fleet.sessions["csb0"].says["probe"] = built_from(fix, history)
    result = fleet.run("has", fix, "csb0")
    assert "\x1b" not in result.output
    assert "\x07" not in result.output


def test_the_cache_is_listed_with_sizes_and_cleared(fleet: Fleet, history: History) -> None:
    fix = history.commit("Fix")
    fleet.sessions["csb0"].says["probe"] = built_from(fix, history)
    fleet.run("has", fix, "csb0")
    (line,) = fleet.run("cache", "--json").stdout.splitlines()
    told = json.loads(line)
    assert (told["url"], told["size"] > 0, told["fetched"] > 0) == (history.url, True, True)
    assert history.url in fleet.run("cache").stdout
    cleared = fleet.run("cache", "clear")
    assert (cleared.exit_code, cleared.stdout[:8]) == (0, "removed:")
    assert not repositories_path().exists()
    assert fleet.run("cache").stdout == ""
