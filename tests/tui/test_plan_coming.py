"""The plan of an update names the commits of the input that come along."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from screen_text import screen_text, settle
from test_path import press

import tui.screens.plan as plan_module
from nixfleet_core.judge.coming import Coming, InputCommit

if TYPE_CHECKING:
    from fakes import FakeSession

    from conftest import MakeApp
    from nixfleet_core.facts.model import Facts
    from nixfleet_core.host import Host
    from nixfleet_core.plan.model import Options


async def test_the_plan_shows_what_comes_and_asks_again_for_other_options(
    make_app: MakeApp, fleet: list[FakeSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, bool, str | None]] = []

    async def what_comes(
        host: Host, facts: Facts, options: Options, latest: str | None, *, here: bool
    ) -> Coming:
        assert here == app.fleet.latest_source.here
        asked.append((host.name, options.as_locked, latest))
        if options.as_locked:
            return Coming(running="1" * 40, target="1" * 40)
        commit = InputCommit("9f2c1ab" + "0" * 33, "[b]Fix\x1b[2J[/b]", 1_795_000_000, reverts=True)
        return Coming(running="1" * 40, target=commit.rev, count=12, commits=(commit,))

    monkeypatch.setattr(plan_module, "what_comes", what_comes)
    async with (app := make_app()).run_test(size=(120, 60)) as pilot:
        await settle(pilot)
        await press(pilot, "enter")
        text = screen_text(app)
        assert "12 commits of nixfleet come along; 1 revert among them." in text
        assert "+ 9f2c1ab 2026-11-18 [b]Fix\ufffd[2J[/b] (a revert)" in text
        assert "+ and 11 more" in text
        await press(pilot, "b")  # what comes along does not depend on that
        await press(pilot, "f")
        text = screen_text(app)
        assert "No commit of nixfleet comes along." in text
        assert "9f2c1ab" not in text.partition("comes along")[2]
    entry = app.fleet.entries["csb0"]
    assert asked == [("csb0", False, entry.latest), ("csb0", True, entry.latest)]
