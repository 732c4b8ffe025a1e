"""Where a cure is named, its key stands beside it, and does it there."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from fakes import JOB, NOT_RESTARTED, OFFLINE, STALE, UPDATED
from screen_text import screen_text, settle
from test_path import press
from textual.binding import Binding
from textual.widgets import Static

from nixfleet_core.errors import ClientFailed, Unreachable
from nixfleet_core.job.events import JobEnd, JobStart
from nixfleet_core.judge.verdict import Verdict
from nixfleet_core.log.failure_table import FAILURES
from nixfleet_core.plan.model import Refusal
from nixfleet_core.vocabulary import CAUSES, KEYS, Remedy
from tui.glyphs import ASCII, UNICODE
from tui.keys import AS_BUILT
from tui.remedies import LABELS, remedy_keys
from tui.screens.fleet import FleetScreen
from tui.screens.generation import GenerationDialog
from tui.screens.many import ManyScreen
from tui.screens.options import OptionsDialog
from tui.screens.plan import PlanDialog
from tui.screens.remedy import RemedyNotice
from tui.screens.update import UpdateScreen

if TYPE_CHECKING:
    from fakes import FakeSession
    from textual.pilot import Pilot

    from conftest import MakeApp
    from tui.app import NixFleetApp

CRASHED = Verdict(
    kind="agent-down",
    cause="agent-crash-looping",
    sentence="it does not stay up",
    advice=CAUSES["agent-crash-looping"].cure,
    remedies=CAUSES["agent-crash-looping"].remedies,
    before=UPDATED.before,
    after=UPDATED.before,
)


def test_the_keys_of_remedies_are_those_of_the_fleet_screen() -> None:
    keys = {
        (binding.id or "").removeprefix("fleet."): binding.key
        for binding in FleetScreen.BINDINGS
        if isinstance(binding, Binding)
    }
    names = {**{remedy: remedy for remedy in KEYS}, "attach": "choose"}
    assert {remedy: keys[names[remedy]] for remedy in KEYS} == KEYS
    assert tuple(LABELS) == tuple(KEYS)


def test_remedies_are_said_once_each_and_in_ascii_where_asked() -> None:
    twice: tuple[Remedy, ...] = ("log", "update", "log", "attach")
    assert remedy_keys(twice, UNICODE).plain == "→ l log · u update · ⏎ show the job"
    assert remedy_keys(twice, ASCII).plain == "-> l log - u update - enter show the job"
    assert remedy_keys((), UNICODE).plain == ""


def test_an_advice_that_names_a_force_level_names_the_key_that_chooses_it() -> None:
    advice = [row.advice for row in FAILURES] + [words.cure for words in CAUSES.values()]
    found = [words for words in advice if re.search(r"force level [1-7]", words)]
    assert len(found) > 4
    key = AS_BUILT.shown(OptionsDialog, "plan.level", UNICODE)
    assert [words for words in found if f"(in the plan: {key})" not in words] == []


def panel_text(app: NixFleetApp) -> str:
    """The words in the box at the right, or in the only one."""
    lines = [line.rpartition("││")[2].strip("│ ") for line in screen_text(app).splitlines()]
    return " ".join(" ".join(lines).split())


def dialog_text(app: NixFleetApp) -> str:
    """The words of the dialog."""
    return " ".join(str(app.screen.query_one("#text", Static).content).split())


async def end_job(pilot: Pilot[None], session: FakeSession) -> str:
    """Start a job, and let it end."""
    await press(pilot, "enter", "enter")
    await session.run_job()
    await settle(pilot)
    return screen_text(pilot.app)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
async def test_the_end_of_a_job_offers_the_way_back_and_takes_its_key(
    make_app: MakeApp, fleet: list[FakeSession], size: tuple[int, int]
) -> None:
    fleet[0].says["verdict"] = CRASHED
    async with (app := make_app()).run_test(size=size) as pilot:
        text = await end_job(pilot, fleet[0])
        assert "→ b roll back" in " ".join(text.replace("│", " ").split())
        await press(pilot, "b")
        assert isinstance(app.screen, GenerationDialog)


async def test_keys_that_act_on_the_host_wait_for_the_end_of_its_job(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await press(pilot, "enter", "enter")
        for key in ("u", "b", "v", "R", "C"):
            await press(pilot, key)
            assert isinstance(app.screen, UpdateScreen), key
        await fleet[0].run_job()
        await settle(pilot)
        probes = fleet[0].calls.count("probe")
        await press(pilot, "R")
        assert fleet[0].calls.count("probe") == probes + 1
        await press(pilot, "u")
        assert isinstance(app.screen, PlanDialog)
    assert fleet[0].launched == [JOB]


async def test_the_verdict_of_one_of_many_has_its_keys(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    fleet[0].says["verdict"] = CRASHED
    async with (app := make_app(fleet[:3])).run_test(size=(120, 40)) as pilot:
        await press(pilot, "ctrl+a", "u", "enter")
        assert isinstance(app.screen, ManyScreen)
        await press(pilot, "b")
        assert isinstance(app.screen, ManyScreen)
        await fleet[0].say(JobStart(at=1), JobEnd(at=2, outcome="done"), None)
        await settle(pilot)
        assert "→ b roll back" in panel_text(app)
        await press(pilot, "b")
        assert isinstance(app.screen, GenerationDialog)


async def test_a_notice_does_what_its_key_says_and_knows_no_other(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    fleet[0].says["verify"] = CRASHED
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await press(pilot, "v")
        assert "→ b roll back" in dialog_text(app)
        for key in ("u", "l", "C", "R"):
            await press(pilot, key)
            assert isinstance(app.screen, RemedyNotice), key
        await press(pilot, "b")
        assert isinstance(app.screen, GenerationDialog)


async def test_a_notice_on_several_hosts_names_no_key(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    fleet[0].says["verify"] = CRASHED
    async with make_app(fleet[:2]).run_test(size=(120, 40)) as pilot:
        text = await press(pilot, "ctrl+a", "v")
        assert "nixfleet rollback" in text
        assert "roll back" not in text


async def test_a_refusal_offers_what_its_cause_names(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    idle = CAUSES["preflight-idle"]
    fleet[0].says["plan"] = [Refusal("idle", "busy", idle.cure), Refusal("idle", "busy", "by hand")]
    async with make_app().run_test(size=(120, 40)) as pilot:
        assert "wait for it, then try again → u update" in await press(pilot, "enter")
        text = await press(pilot, "u")
        assert "by hand" in text
        assert "→ u" not in text


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OFFLINE, "is the host up, and the VPN? → R look again"),
        (Unreachable("no key", "connect", at_terminal=True), "connect → C connect · R look again"),
        (ClientFailed("no room", "make room"), "make room → ⏎ show the job · R look again"),
    ],
)
async def test_a_host_that_cannot_be_reached_has_its_keys_in_panel_and_notice(
    make_app: MakeApp, fleet: list[FakeSession], error: Unreachable, says: str
) -> None:
    session = fleet[0]
    session.connect_argv = ("true",)
    session.says["probe"] = error
    async with (app := make_app(fleet[:1])).run_test(size=(200, 40)) as pilot:
        await settle(pilot)
        assert says in panel_text(app)
        assert says in await press(pilot, "enter")
        session.says["probe"] = STALE
        await press(pilot, "R")
        assert "stale" in screen_text(app)


async def test_the_job_of_somebody_else_is_one_key_away(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    fleet[0].says["probe"] = replace(NOT_RESTARTED, job_running=JOB)
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert "→ ⏎ show the job" in panel_text(app)
        await press(pilot, "enter")
        assert isinstance(app.screen, UpdateScreen)
