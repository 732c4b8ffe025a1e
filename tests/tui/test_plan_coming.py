"""The plan of an update names the commits of the input that come along."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from screen_text import screen_text, settle
from test_path import press

from nixfleet_core.judge.coming import Coming, InputCommit
from nixfleet_core.session.coming import InputCommits
from tui.plan_rows import host_rows

if TYPE_CHECKING:
    from fakes import FakeSession

    from conftest import MakeApp
    from nixfleet_core.facts.model import Facts
    from nixfleet_core.host import Host
    from nixfleet_core.nix.git_url import Latest
    from nixfleet_core.plan.model import Options
    from tui.widgets.fold_list import Fold


async def test_the_plan_shows_what_comes_and_asks_again_for_other_options(
    make_app: MakeApp, fleet: list[FakeSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, bool, Latest]] = []

    async def between(
        _: InputCommits,
        host: Host,
        facts: Facts,
        options: Options,
        latest: Latest,
        *,
        here: bool,
    ) -> Coming:
        assert here == app.fleet.latest_source.here
        asked.append((host.name, options.as_locked, latest))
        if options.as_locked:
            return Coming(running="1" * 40, target="1" * 40)
        commit = InputCommit("9f2c1ab" + "0" * 33, "[b]Fix\x1b[2J[/b]", 1_795_000_000, reverts=True)
        return Coming(running="1" * 40, target=commit.rev, count=12, commits=(commit,))

    monkeypatch.setattr(InputCommits, "between", between)
    async with (app := make_app()).run_test(size=(120, 60)) as pilot:
        await settle(pilot)
        await press(pilot, "enter")
        text = screen_text(app)
        assert "12 commits of nixfleet come along; 1 revert among the newest 1." in text
        assert "+ 9f2c1ab 2026-11-18 [b]Fix\ufffd[2J[/b] (a revert)" in text
        assert "+ and 11 more" in text
        await press(pilot, "b")  # what comes along does not depend on that
        await press(pilot, "f")
        text = screen_text(app)
        assert "No commit of nixfleet comes along." in text
        assert "9f2c1ab" not in text.partition("comes along")[2]
    entry = app.fleet.entries["csb0"]
    assert asked == [("csb0", False, entry.answer), ("csb0", True, entry.answer)]


async def test_the_plans_of_several_say_it_in_their_rows_and_open_to_all(
    make_app: MakeApp, fleet: list[FakeSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    answered, asked = asyncio.Event(), []
    commit = InputCommit("9f2c1ab" + "0" * 33, "[b]Fix\x1b[2J[/b]", 1_795_000_000, reverts=True)
    found = {
        "csb0": Coming(running="1" * 40, target="2" * 40, count=12, commits=(commit,) * 10),
        "csb1": Coming(running="2" * 40, target="1" * 40, lost=2, losses=(commit,)),
        "gpc0": Coming(unknown="its repository did not answer"),
    }

    async def between(
        self: InputCommits, host: Host, _: Facts, options: Options, *__: object, **___: object
    ) -> Coming:
        asked.append((self, host.name, options.as_locked))
        if options.as_locked:
            return Coming(running="1" * 40, target="1" * 40)
        await answered.wait()
        return found[host.name]

    monkeypatch.setattr(InputCommits, "between", between)
    drawn = 0

    def draw(*words: Any) -> list[Fold]:
        nonlocal drawn
        drawn += 1
        return host_rows(*words)

    monkeypatch.setattr("tui.screens.batch.host_rows", draw)
    async with (app := make_app()).run_test(size=(140, 70)) as pilot:
        text = await press(pilot, "ctrl+a", "u")
        assert text.count("7 steps, asking what comes along ...") == 3
        before = drawn
        answered.set()
        await settle(pilot)
        assert drawn == before + 1, "answers that come together are shown together"
        text = screen_text(app)
        assert "7 steps, 12 commits of nixfleet, at least 10 reverts, ops@" in text
        assert "7 steps, a downgrade by 2 commits of nixfleet, " in text
        assert "7 steps, commits of nixfleet not known, " in text
        assert "9f2c1ab" not in text
        text = await press(pilot, "space")
        assert text.count("+ 9f2c1ab 2026-11-18 [b]Fix\ufffd[2J[/b] (a revert)") == 10
        assert "+ and 2 more" in text
        text = await press(pilot, "b")  # what comes along does not depend on that
        assert "12 commits of nixfleet come along" in text
        assert "No commit of nixfleet comes along." in await press(pilot, "f")
    names = ["csb0", "csb1", "gpc0"]
    assert [(name, locked) for _, name, locked in asked] == [
        *((name, False) for name in names),
        *((name, True) for name in names),
    ]
    assert len({self for self, *_ in asked}) == 1, "equal questions are to be asked once"


async def test_the_plans_of_several_start_before_it_is_known_what_comes(
    make_app: MakeApp, fleet: list[FakeSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def between(*_: object, **__: object) -> Coming:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(InputCommits, "between", between)
    async with make_app().run_test(size=(120, 40)) as pilot:
        await press(pilot, "ctrl+a", "u", "enter")
    assert [len(session.launched) for session in fleet] == [1, 1, 1, 0]
