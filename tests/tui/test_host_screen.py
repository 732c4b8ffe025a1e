"""The host's own screen: everything that is known, whole, with its age; and the keys that act."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from fakes import (
    CURRENT,
    JOB,
    NEW,
    NEW_PATH,
    NEW_SYSTEM,
    NOT_RESTARTED,
    NOW,
    OFFLINE,
    OLD_PATH,
    FakeSession,
)
from screen_text import screen_text, settle
from test_details import make_entry
from test_path import press

from nixfleet_core.errors import NeedsPassword
from nixfleet_core.facts.model import Binary, Facts, LastJob
from nixfleet_core.job.history import JobLine
from nixfleet_core.nix.git_url import NotKnown
from tui.glyphs import ASCII, UNICODE
from tui.host_facts import Jobs, host_sections, sections_text
from tui.screens.fleet import FleetScreen
from tui.screens.generation import GenerationDialog
from tui.screens.history import HistoryScreen
from tui.screens.host import HostScreen
from tui.screens.plan import PlanDialog
from tui.screens.remedy import RemedyNotice
from tui.screens.update import UpdateScreen
from tui.widgets.fact_list import FactList

if TYPE_CHECKING:
    from pathlib import Path

    from textual.pilot import Pilot

    from conftest import MakeApp
    from nixfleet_core.nix.git_url import Latest
    from tui.app import NixFleetApp
    from tui.fleet import HostEntry

HEAD, SHA = "4" * 40, "c0ff1e" * 10 + "abcd"
LINES = tuple(
    JobLine(f"202611{day}-004101-cd34", NOW - 3600 * (24 - day), "uid 0", "update", "done")
    for day in range(22, 15, -1)
)


def whole() -> Facts:
    """A host of which much is known."""
    assert NOT_RESTARTED.checkout is not None
    assert NOT_RESTARTED.running is not None
    checkout = replace(
        NOT_RESTARTED.checkout,
        owner="ops",
        head=HEAD,
        upstream="origin/main",
        ahead=1,
        dirty=("flake.nix", "hosts/a/very/deep/file.nix"),  # type: ignore[arg-type]
    )
    return replace(
        NOT_RESTARTED,
        user="ops",
        checkout=checkout,
        running=replace(NOT_RESTARTED.running, binary=Binary(OLD_PATH, "2.1.0", SHA)),
        installed_at=NOW - 90000,
        disk_free_kib=2048 * 1024,
        journal="connection refused",
        last_job=LastJob("failed", "rebuild", rc=1, said="error: no room"),
    )


def facts_of(
    entry: HostEntry, jobs: Jobs | None = None, now: float = NOW
) -> dict[tuple[str, str], str]:
    """The values by section and label; of several with one label, the last."""
    sections = host_sections(entry, jobs or Jobs(LINES, NOW - 5), NOW - 7200, UNICODE, now)
    return {(one.title, fact.label): fact.value for one in sections for fact in one.facts}


def test_every_value_is_whole(tmp_path: Path) -> None:
    found = facts_of(make_entry(whole(), tmp_path, NEW))
    assert found["Agent that runs", "path"] == OLD_PATH
    assert found["Agent that runs", "sha256"] == SHA
    assert found["Agent that runs", "built from"] == "not known: nobody has proven it"
    assert found["Agent that runs", "process"] == "42"
    assert found["Agent that runs", "runs since"] == "2026-11-23 00:13, 2 hours ago"
    assert found["Agent that runs", "it said last"] == "connection refused"
    assert found["Agent that is installed", "path"] == NEW_PATH
    assert found["Agent that is installed", "here since"].endswith(", a day ago")
    assert found["Agent that should be there", "latest commit"] == NEW
    assert found["Agent that should be there", "locked commit"] == NEW
    assert found["Agent that should be there", "lock made"].endswith(", 3 hours ago")
    assert found["Agent that should be there", "flake builds"] == NEW_PATH
    assert found["Agent that should be there", "known by"] == "a proof of this very state"
    assert found["Checkout", "HEAD"] == HEAD
    assert found["Checkout", "apart"] == "1 ahead, 0 behind, as last fetched"
    assert found["Checkout", "uncommitted"] == "hosts/a/very/deep/file.nix"
    assert found["System", "profile"] == NEW_SYSTEM
    assert found["Last jobs", "the last one said"] == "error: no room"
    assert found["Host", "disk free"] == "2,048 MiB"


def test_the_commit_that_the_running_agent_was_built_from_is_there(tmp_path: Path) -> None:
    found = facts_of(make_entry(CURRENT, tmp_path, NEW))
    assert found["Agent that runs", "built from"] == NEW
    assert found["Agent that runs", "commit made"].endswith(", 3 hours ago")


def test_what_a_fact_rests_on_has_its_age(tmp_path: Path) -> None:
    entry = make_entry(whole(), tmp_path, NEW)
    sections = host_sections(entry, Jobs(LINES, NOW - 5), None, UNICODE, NOW + 40)
    rests = {section.title: section.rests for section in sections}
    assert rests["Host"] == "look of 02:13:20, 40 seconds ago"
    assert rests["Last jobs"] == "asked at 02:13:15, 45 seconds ago"
    found = facts_of(entry, now=NOW + 40)
    assert found["Agent that runs", "known by"] == "only claimed by the process"
    assert "in a proof of this process" in found["Agent that runs", "proven by"]
    (proof,) = (value for (title, _), value in found.items() if title == "Proofs")
    assert proof.startswith("4 minutes ago, a verification, runs /nix/store/")


def test_the_newest_jobs_are_listed_with_who_asked(tmp_path: Path) -> None:
    found = facts_of(make_entry(CURRENT, tmp_path, NEW))
    jobs = [value for (title, _), value in found.items() if title == "Last jobs"]
    assert len(jobs) == 5
    assert jobs[0] == "✔ done, update, by uid 0, 2 hours ago, job 20261122-004101-cd34"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (None, "its repository did not say it"),
        (NotKnown("the client may not ask h", "list it"), "the client may not ask h"),
    ],
)
def test_what_is_not_known_says_why(tmp_path: Path, answer: Latest, why: str) -> None:
    found = facts_of(make_entry(CURRENT, tmp_path, answer), Jobs(why="no route"))
    assert found["Agent that should be there", "latest commit"] == f"not known: {why}"
    assert found["Last jobs", "jobs"] == "not known: no route"
    assert found["Agent that runs", "sha256"] == "not known: only a look with proof reads the file"
    assert found["Checkout", "upstream"] == "none: the branch follows no remote one"
    assert all(found.values()), "no row is blank"


def test_the_text_for_the_clipboard_has_every_row(tmp_path: Path) -> None:
    sections = host_sections(make_entry(whole(), tmp_path, NEW), Jobs(), None, ASCII, NOW)
    text = sections_text("csb0", sections)
    assert text.startswith("csb0\n\nFinding (look of 02:13:20, now)\n  state             ! stale\n")
    for section in sections:
        for fact in section.facts:
            assert f"  {fact.label:<18}{fact.value}" in text.split("\n")


async def open_host(pilot: Pilot[None], session: FakeSession, *keys: str) -> FactList:
    session.says["jobs"] = LINES
    session.says["probe"] = whole()
    await settle(pilot)
    await press(pilot, "R", "d", *keys)
    assert isinstance(pilot.app.screen, HostScreen)
    return pilot.app.screen.query_one(FactList)


@pytest.mark.parametrize("size", [(200, 60), (120, 40), (80, 24), (60, 15)])
async def test_long_values_wrap_and_nothing_is_cut(
    make_app: MakeApp, fleet: list[FakeSession], size: tuple[int, int]
) -> None:
    async with (app := make_app()).run_test(size=size) as pilot:
        facts = await open_host(pilot, fleet[0])
        drawn = "".join(text for row in facts._rows for text, look in row.parts[1:])
        squeezed = drawn.replace(" ", "")
        for path in (OLD_PATH, NEW_PATH, NEW_SYSTEM, SHA, "hosts/a/very/deep/file.nix"):
            assert path in squeezed
        assert "…" not in drawn.replace("k3vdk3vd…", "").replace("9x4k9x4k…", "")
        text = await press(pilot, "G")
        assert "Proofs" in text or "builds" in text
        assert facts.selected is not None
        assert "verification" in facts.selected.value
        assert app.focused is facts


async def test_the_screen_is_there_before_the_jobs_are(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    async with (app := make_app()).run_test(size=(200, 80)) as pilot:
        await settle(pilot)
        calls = list(fleet[0].calls)
        assert "jobs" not in calls
        await press(pilot, "d")
        assert isinstance(app.screen, HostScreen)
        assert fleet[0].calls[len(calls) :] == ["jobs"], "one question, and no look"
        assert "this host has had none" in screen_text(app)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OFFLINE, "not known: No route to host"),
        (NeedsPassword("csb0"), "not known: only root can list the jobs: H asks for the password"),
    ],
)
async def test_an_ask_that_fails_says_one_line_and_opens_nothing(
    make_app: MakeApp, fleet: list[FakeSession], error: Exception, says: str
) -> None:
    fleet[0].says["jobs"] = error
    async with (app := make_app()).run_test(size=(200, 80)) as pilot:
        await settle(pilot)
        assert says in await press(pilot, "d")
        assert isinstance(app.screen, HostScreen)
        fleet[0].says["jobs"] = LINES
        assert "by uid 0" in await press(pilot, "R")


async def test_the_screen_shows_what_changes_and_the_cursor_stays(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        facts = await open_host(pilot, fleet[0], "j", "j", "j", "j", "j", "j", "j")
        assert facts.selected is not None
        label = facts.selected.label
        fleet[0].says["probe"] = replace(CURRENT, job_last=JOB)
        text = await press(pilot, "R")
        assert "✔ current" in text
        assert facts.selected.label == label
        assert fleet[0].calls.count("jobs") == 3, "at first, by the key, and after a new job"
        assert app.fleet.entries["csb1"].session.calls.count("probe") == 2  # type: ignore[attr-defined]


async def test_a_host_without_answer_says_why(make_app: MakeApp, fleet: list[FakeSession]) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        text = await press(pilot, "end", "d")
        assert "not known: No route to host" in text
        assert "is the host up, and the VPN? → R look again" in text


def copied(app: NixFleetApp) -> str:
    return app.clipboard


async def test_y_copies_the_value_and_says_so(make_app: MakeApp, fleet: list[FakeSession]) -> None:
    async with (app := make_app()).run_test(size=(80, 24), notifications=True) as pilot:
        facts = await open_host(pilot, fleet[0])
        while facts.selected is not None and facts.selected.value != OLD_PATH:
            await press(pilot, "down")
        text = await press(pilot, "y")
        assert copied(app) == OLD_PATH
        assert "path sent to the clipboard" in text
        await press(pilot, "Y")
        assert copied(app).startswith("csb0\n")
        assert HEAD in copied(app)


async def test_y_copies_what_the_cursor_is_on_everywhere(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    fleet[0].says["jobs"] = LINES
    async with (app := make_app()).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "y")
        assert copied(app).startswith("csb0\n\nFinding (")
        assert OLD_PATH in copied(app)
        await press(pilot, "H", "down", "y")
        assert isinstance(app.screen, HistoryScreen)
        assert copied(app).endswith(LINES[1].job)
        await press(pilot, "escape", "b", "y")
        assert isinstance(app.screen, GenerationDialog)
        assert copied(app).startswith("411  /nix/store/")
        await press(pilot, "escape", "enter", "enter", "Y")
        assert isinstance(app.screen, UpdateScreen)
        assert f"before store_path: {OLD_PATH}" in copied(app)


async def test_no_credential_is_copied(make_app: MakeApp, fleet: list[FakeSession]) -> None:
    secret = "ghp_" + "a" * 36
    fleet[0].says["probe"] = replace(CURRENT, journal=f"token {secret}")
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        text = await press(pilot, "y", "d", "Y")
        assert secret not in copied(app) + text


@pytest.mark.parametrize(
    ("key", "screen"),
    [
        ("u", PlanDialog),
        ("enter", PlanDialog),
        ("v", RemedyNotice),
        ("l", UpdateScreen),
        ("H", HistoryScreen),
        ("b", GenerationDialog),
        ("escape", FleetScreen),
    ],
)
async def test_keys_act_on_this_host_whatever_is_marked(
    make_app: MakeApp, fleet: list[FakeSession], key: str, screen: type
) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await press(pilot, "down", "space", "home")
        await open_host(pilot, fleet[0])
        before = [len(session.calls) for session in fleet[1:]]
        await press(pilot, key)
        assert isinstance(app.screen, screen)
        assert [len(session.calls) for session in fleet[1:]] == before


async def test_c_connects_from_here(
    make_app: MakeApp, fleet: list[FakeSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[object] = []

    async def connected(app: object, title: str, argv: object, least_failure: int) -> int:
        ran.append(argv)
        return 0

    monkeypatch.setattr("tui.terminal.run_at_terminal", connected)
    fleet[0].connect_argv = ("ssh", "csb0")
    async with make_app().run_test(size=(120, 40)) as pilot:
        await open_host(pilot, fleet[0], "C")
    assert ran == [("ssh", "csb0")]


async def test_the_list_asks_and_makes_nothing_new(
    make_app: MakeApp, fleet: list[FakeSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opening and refreshing the list asks each host what it always did; the host's screen is made
    by its key alone."""
    made: list[int] = []
    monkeypatch.setattr("tui.screens.fleet.host_sections", lambda *_: made.append(1) or ())
    async with make_app().run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "R", "down", "up")
        assert [session.calls for session in fleet[:3]] == [["probe", "probe"]] * 3
        assert made == []
        await press(pilot, "y")
        assert made == [1]


def test_a_host_that_cannot_be_drawn_says_so(tmp_path: Path, faults: list[Exception]) -> None:
    bad = replace(CURRENT, system=None)  # type: ignore[arg-type]
    (section,) = host_sections(make_entry(bad, tmp_path, NEW), Jobs(), None, UNICODE, NOW)
    assert section.facts[0].label == "error"
    assert faults
