"""Once a job has ended, its verdict is the centre of the picture, and names the next key."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from fakes import NOW, UPDATED
from msgspec.structs import replace as changed
from screen_text import screen_text, settle
from test_path import press

from nixfleet_core.facts.model import Snapshot
from nixfleet_core.facts.package_changes import Change
from nixfleet_core.job.events import JobStart
from nixfleet_core.judge.left_behind import Left
from nixfleet_core.judge.verdict import Verdict
from tui.widgets.log_view import LogView
from tui.widgets.verdict_panel import VerdictPanel

if TYPE_CHECKING:
    from fakes import FakeSession
    from textual.pilot import Pilot

    from conftest import MakeApp

FAILED = Verdict(
    kind="failed",
    cause="build-failed",
    sentence="the rebuild failed",
    advice="mend nixcfg",
    before=UPDATED.before,
    after=UPDATED.before,
)
LEFT = changed(FAILED, left=(Left("flake.lock names 2222222", "update goes on", "u"),))


async def end_with(pilot: Pilot[None], session: FakeSession, verdict: Verdict) -> str:
    """The text of the screen after a job has ended so."""
    session.says["verdict"] = verdict
    await press(pilot, "enter", "enter")
    await session.run_job()
    await settle(pilot)
    return screen_text(pilot.app)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(200, 60), (120, 40), (80, 24), (60, 15)])
@pytest.mark.parametrize(
    ("verdict", "tone", "said", "key"),
    [
        (UPDATED, "-good", "✔ updated", "esc goes back to the fleet"),
        (FAILED, "-bad", "✖ failed", "e goes to the error in the log"),
        (LEFT, "-bad", "✖ failed", "u update goes on"),
    ],
)
async def test_the_verdict_stands_below_the_title_with_its_key(
    make_app: MakeApp,
    fleet: list[FakeSession],
    size: tuple[int, int],
    verdict: Verdict,
    tone: str,
    said: str,
    key: str,
) -> None:
    async with (app := make_app()).run_test(size=size) as pilot:
        text = await end_with(pilot, fleet[0], verdict)
        panel = app.screen.query_one(VerdictPanel)
        assert panel.region.y == 1
        assert panel.region.width == size[0]
        assert panel.has_class(tone)
        assert said in "\n".join(text.splitlines()[1:3])
        assert text.count(key) == 1


async def test_there_is_no_verdict_while_the_job_runs(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await press(pilot, "enter", "enter")
        await fleet[0].say(JobStart(at=NOW))
        await settle(pilot)
        assert not app.screen.query_one(VerdictPanel).display
        log_was = app.screen.query_one(LogView).size.height
        await fleet[0].run_job()
        await settle(pilot)
        assert app.screen.query_one(VerdictPanel).display
        assert app.screen.query_one(LogView).size.height < log_was, "the log makes room"
        await press(pilot, "z")
        assert app.screen.query_one(LogView).size.height > log_was
        assert app.screen.query_one(VerdictPanel).display, "z folds the panels only"


@pytest.mark.parametrize("plain", [False, True])
async def test_what_has_changed_is_marked_and_what_has_not_is_not(
    make_app: MakeApp, fleet: list[FakeSession], plain: bool
) -> None:
    after = changed(UPDATED.after, commit=UPDATED.before.commit)
    async with make_app(plain=plain).run_test(size=(120, 40)) as pilot:
        text = await end_with(pilot, fleet[0], changed(UPDATED, after=after))
        arrow = "->" if plain else "→"
        rows = {line.split()[0]: line for line in agent_part(text)}
        assert rows["version"].split()[1:4] == ["2.1.0", arrow, "2.2.0"]
        assert arrow not in rows["commit"]


async def test_a_large_screen_shows_paths_and_packages_whole(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    names = [f"package-{number}" for number in range(9)]
    changes = tuple(Change(name=name, before="1", after="2", size=None) for name in names)
    store = UPDATED.after.store_path
    assert store is not None
    async with (app := make_app()).run_test(size=(200, 60)) as pilot:
        text = await end_with(pilot, fleet[0], changed(UPDATED, changes=changes))
        for value in (store, UPDATED.after.commit, *names):
            assert value is not None
            assert value in text
        await pilot.resize_terminal(120, 40)
        await settle(pilot)
        assert store not in screen_text(app)
        await pilot.resize_terminal(200, 60)
        await settle(pilot)
        assert store in screen_text(app)


async def test_a_side_that_nobody_saw_is_a_dash(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    unseen = changed(UPDATED, before=Snapshot(), after=Snapshot())
    async with make_app().run_test(size=(200, 60)) as pilot:
        text = await end_with(pilot, fleet[0], unseen)
        assert ["version", "–"] in [line.split() for line in agent_part(text)]


@pytest.mark.parametrize("size", [(200, 60), (120, 40), (80, 24)])
async def test_a_host_that_nobody_saw_after_the_job_is_not_called_unchanged(
    make_app: MakeApp, fleet: list[FakeSession], size: tuple[int, int]
) -> None:
    killed = changed(UPDATED, kind="interrupted", cause="killed", after=Snapshot())
    async with make_app().run_test(size=size) as pilot:
        text = await end_with(pilot, fleet[0], killed)
        assert "2.1.0" in text
        assert "unchanged" not in text
        assert ("not seen: nobody has looked since the job" in text) == (size > (100, 0))
        if size == (120, 40):
            rows = {line.split()[0]: line.split()[1:] for line in agent_part(text)}
            assert rows["version"] == ["2.1.0", "–"]


def agent_part(text: str) -> list[str]:
    """The rows of the agent's panel, which stands to the right of the steps."""
    lines = (re.split(r"││|\|\|", line)[1:] for line in text.splitlines())
    rows = (part[0].strip(" │|") for part in lines if part)
    return [row for row in rows if row]
