"""No screen, dialog, message, clipboard or saved file holds a secret that a host let slip."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import pytest
from fakes import (
    CURRENT,
    JOB,
    NEW_PATH,
    NOW,
    OLD_PATH,
    FakeSession,
    make_commit,
    make_facts,
    make_host,
    make_restart,
    make_rollback,
    ways_of,
)
from marked import MARKS, SECRET, leaked, marked
from owing import debt_of
from screen_text import press_key, screen_text, settle
from test_commit_key import uncommitted
from test_markup import evil_work
from test_path import press
from textual.content import Content
from textual.widgets import Static
from without_hosts import SEARCHED

import tui.screens
from nixfleet_core.errors import LaunchFailed, NotAllowed, Unreachable
from nixfleet_core.facts.model import Snapshot
from nixfleet_core.facts.package_changes import Change
from nixfleet_core.host import Host, SshAddress
from nixfleet_core.job.events import Check, JobEnd, JobStart, Link, StepEnd, StepStart, Waiting
from nixfleet_core.job.history import JobLine
from nixfleet_core.job.work import BuildTime, BuildTimes
from nixfleet_core.judge import fix
from nixfleet_core.judge.verdict import Verdict
from nixfleet_core.log.characters import FORBIDDEN
from nixfleet_core.log.text import TextDecoder
from nixfleet_core.nix.lock import parse_lock
from nixfleet_core.plan.model import Refusal
from nixfleet_core.session.has import Unclear
from nixfleet_core.session.protocol import Busy, Commit
from nixfleet_core.vocabulary import KEYS, Remedy
from tui.app import NixFleetApp
from tui.glyphs import UNICODE
from tui.jobs import JobWatcher
from tui.screen_filter import ScreenFilter
from tui.screens.base import Dialog, Page
from tui.screens.fix import FoundDialog
from tui.text import plain, short_commit, short_hash, short_store_path
from tui.widgets.log_panel import save_plain
from tui.widgets.row_table import Cell

if TYPE_CHECKING:
    from pathlib import Path

    from without_hosts import Looks

    from conftest import MakeApp, MakeFirstRun

MARK = pytest.mark.parametrize("mark", MARKS.values(), ids=MARKS)
NAME = f"ghp_{SECRET}"
"""A host may be called so."""


@pytest.fixture
def unfiltered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every widget cleans its text: the check of the finished row is only the second one."""
    monkeypatch.setattr(ScreenFilter, "apply", lambda self, segments, background: segments)


def marked_session(mark: str, folder: Path, running: str | None = None) -> FakeSession:
    """A host that tells a secret in each of its texts."""
    facts = make_facts(running=OLD_PATH, installed=NEW_PATH)
    assert facts.checkout is not None
    lock = parse_lock(
        '{"version":7,"root":"r","nodes":{"r":{"inputs":{"nixfleet":"n"}},"n":{"locked":'
        f'{{"type":"git","rev":"{mark}"}},"original":{{"type":"git","url":"{mark}"}}}}}}}}'
    )
    checkout = replace(facts.checkout, lock=lock)
    facts = marked(replace(facts, checkout=checkout, other=checkout), mark)
    host = replace(marked(Host(NAME), mark), name=NAME, platform=None, address=SshAddress(mark))
    line = marked(JobLine(JOB, NOW, "a", "g", "o", "f", 5), mark)
    side = Snapshot(version="2", commit="1" * 40, store_path=NEW_PATH, sha256="c" * 64, system="/s")
    verdict = marked(
        Verdict(
            kind="failed",
            cause="c",
            sentence="s",
            advice="a",
            before=Snapshot(),
            after=side,
            notes=("n",),
            changes=(Change(name="p", before="1", after="2", size=1),),
        ),
        mark,
    )
    session = FakeSession(
        *(host, folder),
        probe=replace(facts, job_last=JOB, job_running=running),
        incoming=(marked(Commit("1" * 40, "Fix it"), mark), Commit(mark, mark)),
        debt=debt_of(mark),
        ways_back=ways_of(mark),
        plan_rollback=make_rollback(NAME, lock_from=mark),
        jobs=(replace_job(line, JOB), replace_job(line, mark)),
        verdict=verdict,
        verify=verdict,
    )
    session.warnings = (mark,)
    session.connect_argv = ("ssh", mark)
    return session


def replace_job(line: JobLine, job: str) -> JobLine:
    return JobLine(job, *(getattr(line, name) for name in line.__struct_fields__[1:]))


WALKED = {
    *("CommandPalette", "Confirm", "FleetScreen", "HelpDialog", "HistoryScreen", "HostScreen"),
    *("LevelDialog", "GenerationDialog", "Notice", "PathDialog", "RemedyNotice", "RollbackDialog"),
    *("FixDialog", "UpdateDialog", "UpdateScreen", "JournalScreen", "HostMenu", "DebtScreen"),
}
"""The screens that one host's walk goes through."""
WALKED_OF_MANY = {"ManyPlansDialog", "ManyRollbacksDialog", "ManyScreen", "PasswordDialog"}
WALKED_TO_COMMIT = {"CommitDialog"}
WALKED_TO_RESTART = {"RestartDialog"}
WALKED_OF_NONE = {"FirstRunScreen"}
WALKED_TO_FIX = {"FoundDialog"}


def test_the_tests_walk_every_screen() -> None:
    for module in pkgutil.iter_modules(tui.screens.__path__, "tui.screens."):
        importlib.import_module(module.name)

    def leaves(kind: type) -> set[str]:
        below = kind.__subclasses__()
        return set().union(*map(leaves, below)) if below else {kind.__name__}

    app_screens = leaves(Page) | leaves(Dialog)
    others = WALKED_OF_MANY | WALKED_TO_COMMIT | WALKED_TO_RESTART | WALKED_OF_NONE | WALKED_TO_FIX
    assert app_screens == WALKED - {"CommandPalette"} | others


def assert_no_secret(app: NixFleetApp) -> None:
    text = screen_text(app)
    assert leaked(text) is None, text
    assert FORBIDDEN.search(text.replace("\n", "")) is None


@MARK
@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
async def test_no_screen_shows_a_secret(
    make_app: MakeApp, tmp_path: Path, mark: str, busy: bool, unfiltered: None
) -> None:
    session = marked_session(mark, tmp_path, running=mark if busy else None)
    app = make_app([session])
    seen: set[str] = set()
    async with app.run_test(size=(160, 60), notifications=True) as pilot:

        async def look(*keys: str) -> None:
            await settle(pilot)
            assert_no_secret(app)
            for key in keys:
                press_key(pilot, key)
                await settle(pilot)
                assert_no_secret(app)
                seen.add(type(app.screen).__name__)

        await look(
            "v",
            "escape",
            "H",
            "down",
            "up",
            "W",
            "escape",
            "enter",
            "escape",
            "escape",
            "b",
            "down",
        )
        await look(
            "enter", "f", "escape", "question_mark", "escape", "colon", "escape", "i", "escape"
        )
        await look("full_stop", "end", "escape", "x")
        await look("y", "d", "y", "Y", "end", "escape")
        await look("D", "y", "Y", "escape")
        session.says["journal"] = ("Started", f"fetching {mark}")
        await look("a")
        assert "fetching " in screen_text(app)
        await session.tell(Link(up=False, seconds=12, why=mark))
        await look("y", "ctrl+s", "escape")
        await session.tell(NotAllowed(mark))
        await look("escape")
        await look("enter", "down", "down", "space", "L", "escape", "c", "p", "b", "enter")
        await session.say(
            JobStart(at=NOW),
            StepStart(step="preflight", at=NOW, log=0),
            Check(check=mark, at=NOW, ok=False, reason=mark),
            Waiting(reason=mark, at=NOW, limit=9),
        )
        await session.log(TextDecoder().feed(f"fetching {mark}\n".encode()).decode())
        await settle(pilot)
        assert "fetching " in screen_text(app)
        await look("ctrl+s", "escape", "W", "escape")
        await look("c", "escape")
        await session.say(Link(up=False, seconds=12, why=mark), evil_work(mark))
        await look()
        await session.say(
            StepEnd(step="preflight", at=NOW, status="failed", log=0, reason=mark),
            JobEnd(at=NOW, outcome=mark),
            BuildTimes((BuildTime(mark, mark, 7),)),
            None,
        )
        await look("p", "escape", "R", "escape", "l", "escape", "q", "escape", "R")
        session.says["probe"] = Unreachable(mark, mark)
        await look("R", "enter", "escape", "u")
    assert busy or seen == WALKED


@MARK
@pytest.mark.parametrize("kind", ["offline", "refused", "not allowed", "launch failed", "busy"])
async def test_no_dialog_shows_a_secret(
    make_app: MakeApp, tmp_path: Path, mark: str, kind: str, unfiltered: None
) -> None:
    session = marked_session(mark, tmp_path)
    away, refusal = Unreachable(mark, mark), Refusal("disk", mark, mark)
    session.says |= {
        "offline": {"probe": away, "jobs": away},
        "refused": {"plan": refusal, "plan_rollback": refusal},
        "not allowed": {"launch": NotAllowed(mark)},
        "launch failed": {"launch": LaunchFailed(mark)},
        "busy": {"launch": Busy(mark)},
    }[kind]
    async with (app := make_app([session])).run_test(size=(160, 60), notifications=True) as pilot:
        await settle(pilot)
        for key in ("enter", "enter", "escape", "escape", "v", "escape", "H"):
            await press(pilot, key)
            assert_no_secret(app)


@MARK
async def test_password_dialog_and_list_of_many_show_no_secret(
    make_app: MakeApp, tmp_path: Path, mark: str, unfiltered: None
) -> None:
    sessions = [marked_session(mark, tmp_path / "1"), marked_session(mark, tmp_path / "2")]
    sessions[1].host = replace(sessions[1].host, name=f"{NAME}-2")
    sessions[0].password = "right"
    sessions[1].says["launch"] = Busy(mark)
    async with (app := make_app(sessions)).run_test(size=(160, 60), notifications=True) as pilot:
        await settle(pilot)
        seen = set()
        for key in ("ctrl+a", "u", "space", "down", "space", "enter", *"right", "enter", "up"):
            await press(pilot, key)
            assert_no_secret(app)
            seen.add(type(app.screen).__name__)
        await sessions[0].say(JobEnd(at=NOW, outcome="failed"), None)
        for key in ("down", "up", "escape", "v", "escape", "b", "space", "escape", "q"):
            await press(pilot, key)
            assert_no_secret(app)
            seen.add(type(app.screen).__name__)
        assert seen >= WALKED_OF_MANY


@MARK
async def test_the_commit_of_flake_lock_shows_no_secret(
    make_app: MakeApp, tmp_path: Path, mark: str, unfiltered: None
) -> None:
    facts, plan = uncommitted(), make_commit(NAME)
    assert facts.checkout is not None
    checkout = replace(facts.checkout, path=mark)
    session = FakeSession(make_host(NAME), tmp_path, probe=replace(facts, checkout=checkout))
    session.says["plan_commit"] = msgspec.structs.replace(marked(plan, mark), steps=plan.steps)
    assert await dialog_of(make_app([session]), "commit") == WALKED_TO_COMMIT


@MARK
async def test_the_restart_of_an_agent_shows_no_secret(
    make_app: MakeApp, tmp_path: Path, mark: str, unfiltered: None
) -> None:
    session, plan = FakeSession(make_host(NAME), tmp_path, probe=CURRENT), make_restart(NAME)
    session.says["plan_restart"] = msgspec.structs.replace(marked(plan, mark), steps=plan.steps)
    assert await dialog_of(make_app([session]), "restart") == WALKED_TO_RESTART


@MARK
async def test_the_choice_of_a_commit_shows_no_secret(
    make_app: MakeApp, mark: str, unfiltered: None
) -> None:
    async with (app := make_app()).run_test(size=(160, 60)) as pilot:
        await settle(pilot)
        found = (fix.Change("1" * 40, mark), fix.Change(mark, mark))
        app.push_screen(FoundDialog(Unclear(mark, found)))
        await settle(pilot)
        assert_no_secret(app)
        assert {type(app.screen).__name__} == WALKED_TO_FIX


async def dialog_of(app: NixFleetApp, remedy: Remedy) -> set[str]:
    """The screen that the remedy's key opens, which shows no secret."""
    async with app.run_test(size=(160, 60)) as pilot:
        await settle(pilot)
        await press(pilot, KEYS[remedy])
        assert_no_secret(app)
        return {type(app.screen).__name__}


@MARK
async def test_the_screen_without_hosts_shows_no_secret(
    make_first_run: MakeFirstRun, looks: Looks, mark: str, unfiltered: None
) -> None:
    searched = replace(
        SEARCHED, flake="not-read", problems=(mark,), here=mark, user=mark, checkout=f"~/{mark}"
    )
    looks.finds = [mark]
    async with (app := make_first_run(searched)).run_test(size=(160, 60)) as pilot:
        for key in ("y", "R", "question_mark", "escape"):
            await press(pilot, key)
            assert_no_secret(app)
        assert {type(app.screen).__name__} == WALKED_OF_NONE
        assert leaked(app.clipboard) is None


async def test_the_row_hides_a_secret_that_its_widget_shows(make_app: MakeApp) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        forgotten = Static(Content(f"see ghp_{SECRET} and \u202e\x9b2J more"), markup=False)
        await app.screen.mount(forgotten, before=0)
        await settle(pilot)
        text = screen_text(app)
    assert leaked(text) is None
    assert FORBIDDEN.search(text.replace("\n", "")) is None
    assert "see ‹redacted› and" in text


@MARK
async def test_clipboard_messages_and_window_title_show_no_secret(
    make_app: MakeApp,
    mark: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    unfiltered: None,
) -> None:
    async with (app := make_app()).run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        app.copy_to_clipboard(f"one {mark}\ntwo\x1b[31m {mark}")
        assert leaked(app.clipboard) is None
        assert app.clipboard.count("\n") == 1
        assert FORBIDDEN.search(app.clipboard.replace("\n", "")) is None
        app.notify(mark, title=mark)
        await settle(pilot)
        assert_no_secret(app)
        assert app._driver is not None
        written: list[str] = []
        monkeypatch.setattr(app._driver, "write", written.append)
        app._set_window_title(mark)
        monkeypatch.setenv("TERM", "foot")
        watcher = JobWatcher(marked_session(mark, tmp_path), JOB, clock=lambda: NOW, changed=int)
        app._announce(watcher, Verdict(kind="failed", sentence=mark))
        assert "777;notify;" in "".join(written)
        assert leaked("".join(written)) is None
        try:
            raise RuntimeError(mark)
        except RuntimeError:
            app._fatal_error()
        shown = "".join(
            segment.text
            for renderable in app._exit_renderables
            for segment in app.console.render(renderable)
        )
        app._exit_renderables.clear()
    assert "RuntimeError" in shown
    assert leaked(shown) is None


@MARK
def test_a_saved_log_holds_no_secret(tmp_path: Path, mark: str) -> None:
    """Also where log.txt was written by an older program, which knew less."""
    source, target = tmp_path / "log.txt", tmp_path / "saved.log"
    key = "-----BEGIN PRIVATE KEY-----\n" + "b3BlbnNzaC1rZXktdjEA" * 2 + "\n"
    source.write_text(f"one \x1b[31m{mark[:8]}\x1b[0m{mark[8:]}\n{key}")
    assert save_plain(source, target) == (f"saved to {target}", False)
    saved = target.read_text()
    assert leaked(saved) is None
    assert "b3Blb" not in saved


@MARK
def test_foreign_text_is_redacted_before_it_is_shortened(mark: str) -> None:
    for text in (
        short_commit(f"{mark}", UNICODE),
        short_hash(f"{mark}", UNICODE),
        Cell(mark).text,
        # everybody can read a store path, so its name holds no secret; this is none
        short_store_path(f"/srv/store/{'a' * 32}-x-{mark}", UNICODE),
        *(plain(f"{'x ' * (count // 2)}{mark}") for count in range(900, 1000)),
    ):
        assert SECRET[:3] not in text
