"""The version that the latest commit is said to be: where it is shown, and whose word it is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from a_history import History, lock_of
from fakes import CURRENT, OFFLINE
from screen_text import screen_text, settle
from test_path import press

from nixfleet_core.session.repository import Repository

if TYPE_CHECKING:
    from pathlib import Path

    from fakes import FakeSession

    from conftest import MakeApp
    from nixfleet_core.facts.model import Facts


def follows(history: History, commit: str) -> Facts:
    """A host whose flake.lock names that commit of that repository, and which has built nothing."""
    assert CURRENT.checkout is not None
    lock = lock_of(commit, type="git", url=history.url)
    return replace(CURRENT, proofs=(), proof=None, checkout=replace(CURRENT.checkout, lock=lock))


def row(text: str, name: str) -> str:
    return next(line for line in text.splitlines() if line[1:].strip(" ▸").startswith(f"{name} "))


async def test_the_latest_commit_has_its_version_in_the_list_and_on_the_hosts_screen(
    make_app: MakeApp, fleet: list[FakeSession], history: History
) -> None:
    old = history.commit("Begin")
    new = history.commit("Release")
    history.git("tag", "v7.3.0")
    fleet[0].says["probe"] = follows(history, old)
    fleet[1].says["probe"] = OFFLINE
    app = make_app(fleet[:2])
    app.fleet.latest_source.rev = new  # type: ignore[attr-defined]
    async with app.run_test(size=(160, 50)) as pilot:
        await settle(pilot)
        text = await press(pilot, "R")
        assert new[:7] in row(text, "csb0")
        assert "7.3.0" not in text

        # whoever asks for a fix or a plan has the repository fetched; the next look knows it
        assert await Repository.of(history.question).fetch() is None
        entry = app.fleet.entries["csb0"]
        await app.fleet.look(entry, app.tick)
        await settle(pilot)
        text = screen_text(app)
        assert new[:7] not in row(text, "csb0")
        assert "7.3.0" in row(text, "csb1"), "it follows the same commit as all others"
        assert entry.assessment is not None
        assert f"latest is {new[:7]} (7.3.0)" in entry.assessment.why
        text = await press(pilot, "d")
        assert "latest version    7.3.0, as its repository says" in text
        assert new in text


async def test_no_hosts_repository_names_the_latest_of_another_host(
    make_app: MakeApp, fleet: list[FakeSession], history: History, tmp_path: Path
) -> None:
    commit = history.commit("Begin")
    fork = History(tmp_path / "fork")
    fork.git("pull", "--quiet", history.url, "main")
    fork.git("tag", "v99")
    assert fork.head == commit
    for one, session in zip((history, fork), fleet, strict=False):
        session.says["probe"] = follows(one, commit)
        assert await Repository.of(one.question).fetch() is None
    app = make_app(fleet[:2])
    app.fleet.latest_source.rev = commit  # type: ignore[attr-defined]
    async with app.run_test(size=(160, 50)) as pilot:
        await settle(pilot)
        for entry in app.fleet.entries.values():
            await app.fleet.look(entry, app.tick)
        latest = app.fleet.overview.latest
        assert latest == {"csb0": commit[:7], "csb1": "99"}
