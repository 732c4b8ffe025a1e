"""Keys that the operator has chosen: they work, and nothing names those that they replace."""

from __future__ import annotations

import re
from itertools import combinations, product
from typing import TYPE_CHECKING, Final

import pytest
from fakes import JOB, NOW, STALE, UPDATED, FakeLatest
from msgspec.structs import replace as changed
from owing import DEBT
from screen_text import press_key, screen_text, settle
from textual.command import CommandPalette
from textual.widgets import Input
from without_hosts import SEARCHED, Looks

from nixfleet_core.errors import NeedsPassword, Unreachable
from nixfleet_core.judge.left_behind import Left
from nixfleet_core.judge.verdict import Verdict
from nixfleet_core.vocabulary import CAUSES
from tui.app import FirstRun, NixFleetApp
from tui.bindings import app_keys
from tui.glyphs import UNICODE
from tui.key_rules import AppKeyRules, with_partners
from tui.keys import shown_key
from tui.screens.base import Confirm
from tui.screens.batch import ManyPlansDialog
from tui.screens.debt import DebtScreen
from tui.screens.fleet import FleetScreen
from tui.screens.generation import GenerationDialog
from tui.screens.help import HelpDialog
from tui.screens.host import HostScreen
from tui.screens.host_menu import HostMenu
from tui.screens.level import LevelDialog
from tui.screens.many import ManyScreen
from tui.screens.password import PasswordDialog
from tui.screens.path import PathDialog
from tui.screens.plan import RestartDialog, RollbackDialog, UpdateDialog
from tui.screens.remedy import RemedyNotice
from tui.screens.update import UpdateScreen
from tui.settings import AppSettings
from tui.widgets.fact_list import FactList
from tui.widgets.key_bar import KeyBar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from fakes import FakeSession
    from textual.pilot import Pilot

    from nixfleet_core.job.events import Event

    Keys = tuple[str, ...]

DEFAULTS: Final = {key.id: key.keys for key in app_keys()}

_HELD: Final = ("alt", "ctrl", "shift")
OTHERS: Final[Mapping[str, Keys]] = {
    name: ("+".join((*modifiers, f"f{number}")),)
    for name, (modifiers, number) in zip(
        DEFAULTS,
        product(((), *((one,) for one in _HELD), *combinations(_HELD, 2)), range(1, 36)),
        strict=False,
    )
}
"""Another key for each action, and none for two."""

FAILED: Final = Verdict(
    kind="agent-down",
    cause="agent-crash-looping",
    sentence="it does not stay up",
    advice=CAUSES["agent-crash-looping"].cure,
    remedies=CAUSES["agent-crash-looping"].remedies,
    before=UPDATED.before,
    after=UPDATED.before,
)
LEFT: Final = changed(
    FAILED, remedies=(), left=(Left("the lock is new", "goes on from there", "u"),)
)


def default_hints() -> re.Pattern[str]:
    """A default key, and behind it what some text says that it does."""
    names = {
        name
        for keys in DEFAULTS.values()
        for key in keys
        for name in (shown_key(key, UNICODE), shown_key(key, UNICODE).replace("ctrl+", "^"))
        if not name.isalnum() or (len(name) == 1 and name.isalpha()) or name in ("esc", "space")
    } - {"a"}  # an article; its key stands before these words alone
    words = {key.description.split()[0].casefold() for key in app_keys()} | {
        *("asks", "back", "cancel", "cancels", "choose", "copies", "details", "goes", "history"),
        *("job", "leaves", "log", "look", "marks", "opens", "plan", "proves", "quit", "quits"),
        *("roll", "saves", "show", "start", "then", "to follow", "why", "update", "verify"),
        *("begin", "level", "at most", "prove", "☐", "flake.lock goes", "commits"),
    }
    return re.compile(
        rf"(?<![\w^+'’-])(?:(?:{'|'.join(map(re.escape, sorted(names)))})\s+(?:{'|'.join(words)})"
        rf"|a\s+(?:agent's log|what the agent))\b",
        re.IGNORECASE,
    )


HINTS: Final = default_hints()


AS_BUILT: Final[Mapping[str, Keys]] = {}
BOTH: Final = pytest.mark.parametrize(
    "chosen", [pytest.param(AS_BUILT, id="as built"), pytest.param(OTHERS, id="others")]
)


def app_with(
    chosen: Mapping[str, Keys], fleet: list[FakeSession], *, first_run: bool = False
) -> NixFleetApp:
    return NixFleetApp(
        [] if first_run else fleet,
        FakeLatest(),
        settings=AppSettings(keys=with_partners(chosen)),
        first_run=FirstRun(SEARCHED, Looks()) if first_run else None,
        clock=lambda: NOW,
        new_job_id=lambda: JOB,
    )


async def do(pilot: Pilot[None], *names: str) -> str:
    """Press the keys that these actions have, and read the screen."""
    app = pilot.app
    assert isinstance(app, NixFleetApp)
    for name in names:
        press_key(pilot, app.keys.chosen.get(name, DEFAULTS[name])[0])
        await settle(pilot)
    return screen_text(app)


def check(text: str, chosen: Mapping[str, Keys]) -> None:
    """A screen names keys: those that are chosen, or the default ones."""
    text = re.sub(r"\[[ ✔]\]", "☐", text)
    found = HINTS.findall(text)
    assert bool(found) != bool(chosen), (found, text)
    if chosen:
        assert re.search(r"[\^+ ]f\d+ ", text), text


def names(text: str, chosen: Mapping[str, Keys], **hints: str) -> None:
    """A text says of each binding's own key what it does. The names have `_` for the dot."""
    squeezed = " ".join(re.sub(r"[│┃]", " ", text).split())
    for name, does in hints.items():
        action = name.replace("__", "-").replace("_", ".", 1).replace("_", "-")
        key = shown_key(chosen.get(action, DEFAULTS[action])[0], UNICODE)
        assert f"{key} {does}" in squeezed, (action, squeezed)


@BOTH
async def test_the_fleet_its_help_and_its_palette(
    fleet: list[FakeSession], chosen: Mapping[str, Keys]
) -> None:
    async with (app := app_with(chosen, fleet)).run_test(size=(200, 50)) as pilot:
        await settle(pilot)
        check(screen_text(app), chosen)
        names(screen_text(app), chosen, fleet_restart="restart", fleet_choose="plan")
        _, _, cure = screen_text(app).partition("→")
        names(cure, chosen, fleet_restart="restart", fleet_update="update")
        check(await do(pilot, "fleet.mark"), chosen)
        await do(pilot, "app.help")
        assert isinstance(app.screen, HelpDialog)
        said = str(app.screen._body)
        check(said, chosen)
        names(said, chosen, fleet_verify="proves it", fleet_update="updates it")
        names(said, chosen, fleet_choose="shows it")
        await do(pilot, "dialog.leave")
        assert isinstance(app.screen, FleetScreen)
        await do(pilot, "fleet.copy")
        (line,) = [line for line in app.clipboard.splitlines() if "asks for them" in line]
        check(line, chosen)
        names(line, chosen, fleet_details="asks for them")
        text = await do(pilot, "app.commands")
        assert isinstance(app.screen, CommandPalette)
        assert bool(re.search(r" (?:[A-Za-z?]|⏎|space) +(?:│|▍|$)", text, re.M)) != bool(chosen)


@BOTH
async def test_the_menu_of_a_host(fleet: list[FakeSession], chosen: Mapping[str, Keys]) -> None:
    async with (app := app_with(chosen, fleet)).run_test(size=(140, 50)) as pilot:
        text = await do(pilot, "fleet.menu")
        assert isinstance(app.screen, HostMenu)
        check(text, chosen)
        names(text, chosen, fleet_update="Force-update this host", fleet_details="Everything")
        names(text, chosen, dialog_accept="do it", dialog_leave="back")
        await do(pilot, "menu.down", "menu.up", "fleet.restart")
        assert isinstance(app.screen, RestartDialog)
        await do(pilot, "dialog.leave", "fleet.menu", "menu.down", "dialog.accept")
        assert isinstance(app.screen, HostScreen)


@BOTH
async def test_the_restart_debt_of_a_host(
    fleet: list[FakeSession], chosen: Mapping[str, Keys]
) -> None:
    fleet[0].says["debt"] = DEBT
    async with (app := app_with(chosen, fleet)).run_test(size=(140, 50)) as pilot:
        await do(pilot, "fleet.debt")
        assert isinstance(app.screen, DebtScreen)
        check(await do(pilot, "debt.again"), chosen)
        names(screen_text(app), chosen, debt_restart="restart")
        await do(pilot, "debt.copy")
        assert app.clipboard.startswith("nginx-1.26.1")
        names(await do(pilot, "debt.leave"), chosen, fleet_debt="list all")
        await do(pilot, "fleet.details")
        app.screen.query_one(FactList).scroll_end(animate=False)
        await settle(pilot)
        names(screen_text(app), chosen, host_debt="list all")


async def test_a_key_of_an_action_comes_before_a_key_of_the_menu(fleet: list[FakeSession]) -> None:
    chosen: Mapping[str, Keys] = {"fleet.restart": ("k",), "table.up": ("up",)}
    async with (app := app_with(chosen, fleet)).run_test(size=(140, 50)) as pilot:
        await do(pilot, "fleet.menu", "fleet.restart")
        assert isinstance(app.screen, RestartDialog)


@BOTH
async def test_a_plan_its_level_and_the_update(
    fleet: list[FakeSession], chosen: Mapping[str, Keys]
) -> None:
    fleet[0].says["verdict"] = FAILED
    async with (app := app_with(chosen, fleet)).run_test(size=(140, 50)) as pilot:
        text = await do(pilot, "fleet.update")
        assert isinstance(app.screen, UpdateDialog)
        check(text, chosen)
        names(text, chosen, plan_open="opens one", plan_level="level 1", plan_push="[ ] push")
        names(text, chosen, plan_rollback_on_failure="[ ] roll", plan_commit_lock="[ ] commit")
        names(text, chosen, dialog_accept="start", dialog_leave="back")
        await do(pilot, "plan.level")
        assert isinstance(app.screen, LevelDialog)
        await do(pilot, "level.3", "level.up", "dialog.accept")
        assert isinstance(app.screen, UpdateDialog)
        assert app.screen.options.level == 2
        await do(pilot, "dialog.accept")
        assert isinstance(app.screen, UpdateScreen)
        check(screen_text(app), chosen)
        text = await do(pilot, "update.cancel")
        assert isinstance(app.screen, Confirm)
        check(text, chosen)
        names(text, chosen, dialog_leave="leaves it alone", page_quit="then quits")
        await do(pilot, "dialog.leave")
        await fleet[0].run_job()
        await settle(pilot)
        text = screen_text(app)
        check(text, chosen)
        names(text, chosen, update_rollback="roll back")
        await do(pilot, "log.next-mark", "log.copy")
        said = [note.message for note in app._notifications]
        assert len(said) == 2
        names(said[0], chosen, log_mark="marks one")
        names(said[1], chosen, log_save="saves a file")
        await do(pilot, "log.save")
        assert isinstance(app.screen, PathDialog)
        check(screen_text(app), chosen)
        await do(pilot, "dialog.leave", "update.rollback")
        assert isinstance(app.screen, GenerationDialog)
        check(screen_text(app), chosen)
        await do(pilot, "dialog.accept")
        assert isinstance(app.screen, RollbackDialog)
        check(screen_text(app), chosen)
        names(screen_text(app), chosen, plan_open="opens one")
        await do(pilot, "dialog.leave", "update.leave")
        assert isinstance(app.screen, FleetScreen)
        check(screen_text(app), chosen)


@BOTH
@pytest.mark.parametrize(
    ("verdict", "action", "does"),
    [
        (LEFT, "update_update", "goes on from there"),
        (changed(FAILED, remedies=()), "log_error", "goes to the error"),
        (UPDATED, "update_leave", "goes back"),
    ],
)
async def test_the_next_key_after_a_verdict(
    fleet: list[FakeSession],
    chosen: Mapping[str, Keys],
    verdict: Verdict,
    action: str,
    does: str,
) -> None:
    fleet[0].says["verdict"] = verdict
    async with app_with(chosen, fleet).run_test(size=(140, 50)) as pilot:
        await do(pilot, "fleet.update", "dialog.accept")
        await fleet[0].run_job()
        await settle(pilot)
        text = screen_text(pilot.app)  # type: ignore[arg-type]
        check(text, chosen)
        names(text, chosen, **{action: does})


@BOTH
async def test_a_job_that_cannot_be_followed(
    fleet: list[FakeSession], chosen: Mapping[str, Keys]
) -> None:
    async def broken(_: FakeSession) -> AsyncGenerator[Event, None]:
        raise Unreachable("lost", "look at the VPN")
        yield

    fleet[0].says["follow"] = broken
    async with app_with(chosen, fleet).run_test(size=(140, 50)) as pilot:
        text = await do(pilot, "fleet.update", "dialog.accept")
        check(text, chosen)
        names(text, chosen, update_again="asks again")
        follows = fleet[0].calls.count("follow")
        await do(pilot, "update.again")
        assert fleet[0].calls.count("follow") == follows + 1


@BOTH
async def test_several_hosts(fleet: list[FakeSession], chosen: Mapping[str, Keys]) -> None:
    fleet[0].says["verdict"] = FAILED
    async with (app := app_with(chosen, fleet[:3])).run_test(size=(140, 50)) as pilot:
        text = await do(pilot, "fleet.mark-all", "fleet.update")
        assert isinstance(app.screen, ManyPlansDialog)
        check(text, chosen)
        names(text, chosen, plan_open="opens a row", plan_at_once="at most", plan_stop="[ ] begin")
        await do(pilot, "dialog.accept")
        assert isinstance(app.screen, ManyScreen)
        check(screen_text(app), chosen)
        await fleet[0].run_job()
        await settle(pilot)
        check(screen_text(app), chosen)
        names(screen_text(app), chosen, many_rollback="roll back")
        await do(pilot, "many.leave")
        assert isinstance(app.screen, FleetScreen)


@BOTH
async def test_what_is_known_of_a_host_and_its_history(
    fleet: list[FakeSession], chosen: Mapping[str, Keys]
) -> None:
    fleet[0].says["jobs"] = NeedsPassword("csb0")
    async with (app := app_with(chosen, fleet)).run_test(size=(200, 80)) as pilot:
        text = await do(pilot, "fleet.details")
        assert isinstance(app.screen, HostScreen)
        check(text, chosen)
        names(text, chosen, host_history="asks for the password", host_update="update")
        cures = [line for line in text.splitlines() if "→" in line and "update" in line]
        names("\n".join(cures), chosen, host_update="update")
        text = await do(pilot, "host.history")
        assert isinstance(app.screen, PasswordDialog)
        check(text, chosen)
        check(await do(pilot, "dialog.leave"), chosen)


@BOTH
async def test_a_host_that_cannot_be_reached(
    fleet: list[FakeSession], chosen: Mapping[str, Keys]
) -> None:
    session = fleet[3]
    session.connect_argv = ("true",)
    session.says["probe"] = Unreachable("no key", "connect", at_terminal=True)
    async with (app := app_with(chosen, [session])).run_test(size=(140, 50)) as pilot:
        await settle(pilot)
        (line,) = [line for line in screen_text(app).splitlines() if "→" in line]
        names(line, chosen, fleet_connect="connect · ")
        text = await do(pilot, "fleet.choose")
        assert isinstance(app.screen, RemedyNotice)
        check(text, chosen)
        names(text, chosen, notice_connect="connect · ", notice_refresh="look again")
        session.says["probe"] = STALE
        await do(pilot, "notice.refresh")
        assert "stale" in screen_text(app)


@BOTH
async def test_an_app_without_hosts(chosen: Mapping[str, Keys]) -> None:
    async with (app := app_with(chosen, [], first_run=True)).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        check(screen_text(app), chosen)
        assert ("Then press R. y copies" in screen_text(app)) != bool(chosen)
        names(screen_text(app), chosen, first__run_copy="copies the example")
        await do(pilot, "first-run.copy")
        assert "[hosts" in app.clipboard


@BOTH
async def test_a_terminal_that_is_too_small(
    fleet: list[FakeSession], chosen: Mapping[str, Keys]
) -> None:
    async with (app := app_with(chosen, fleet)).run_test(size=(40, 10)) as pilot:
        await settle(pilot)
        names(screen_text(app), chosen, page_quit="quits.")
        if chosen:
            press_key(pilot, "q")
            await settle(pilot)
            assert app.is_running
            assert app._exit is False
        await do(pilot, "page.quit")
        assert app._exit


@BOTH
async def test_a_log_that_is_not_followed(
    fleet: list[FakeSession], chosen: Mapping[str, Keys]
) -> None:
    async with (app := app_with(chosen, fleet)).run_test(size=(140, 50)) as pilot:
        await do(pilot, "fleet.update", "dialog.accept")
        watcher = app.fleet.entries["csb0"].watcher
        assert watcher is not None
        watcher.text_path.parent.mkdir(parents=True, exist_ok=True)
        watcher.text_path.write_text("".join(f"{'x' * 300} {at}\n" for at in range(200)))
        watcher.log_dirty = True
        await settle(pilot)
        text = await do(pilot, "log.up", "log.right")
        (line,) = [line for line in text.splitlines() if "to follow" in line]
        assert ("← back" in line) != bool(chosen)
        names(line, chosen, log_left="back", log_bottom="to follow")
        text = await do(pilot, "log.bottom", "log.left")
        assert "to follow" not in text


def test_all_actions_may_have_other_keys_at_once() -> None:
    rules = AppKeyRules()
    assert set(OTHERS) == set(DEFAULTS)
    assert len(set(OTHERS.values())) == len(OTHERS)
    assert all(rules.spelled(action, keys) == keys for action, keys in OTHERS.items())
    assert not list(rules.clashes(OTHERS))


async def test_an_action_without_a_key_is_in_the_palette_only(fleet: list[FakeSession]) -> None:
    chosen: Mapping[str, Keys] = {
        name: () for name in DEFAULTS if name not in ("app.quit", "dialog.leave", "dialog.accept")
    }
    async with (app := app_with(chosen, fleet)).run_test(size=(140, 50)) as pilot:
        await settle(pilot)
        text = screen_text(app)
        assert "unbound" not in text
        assert not HINTS.findall(text)
        assert not text.splitlines()[-1].strip()
        app.action_command_palette()
        await settle(pilot)
        text = screen_text(app)
        assert "Force-update the marked hosts" in text
        assert "unbound" not in text
        app.screen.dismiss()
        await settle(pilot)
        app.action_help()
        await settle(pilot)
        assert isinstance(app.screen, HelpDialog)
        assert "unbound" not in str(app.screen._body)
        await do(pilot, "dialog.leave")
        assert isinstance(app.screen, FleetScreen)
        for key in ("u", "b", "enter", "d", "?"):
            press_key(pilot, key)
            await settle(pilot)
            assert isinstance(app.screen, FleetScreen), key


async def test_keys_can_be_exchanged_and_one_action_can_have_two(
    fleet: list[FakeSession],
) -> None:
    chosen: Mapping[str, Keys] = {
        "fleet.update": ("b", "f2"),
        "fleet.rollback": ("u",),
        "update.again": ("f5",),
    }
    assert with_partners(chosen) == {**chosen, "update.refresh": ("R",)}
    async with (app := app_with(chosen, fleet)).run_test(size=(140, 50)) as pilot:
        await settle(pilot)
        assert "b update" in screen_text(app)
        for key, dialog in (("b", UpdateDialog), ("f2", UpdateDialog), ("u", GenerationDialog)):
            press_key(pilot, key)
            await settle(pilot)
            assert isinstance(app.screen, dialog), key
            await do(pilot, "dialog.leave")
        await do(pilot, "fleet.update", "dialog.accept")
        await fleet[0].run_job()
        await settle(pilot)
        assert isinstance(app.screen, UpdateScreen)
        probes = fleet[0].calls.count("probe")
        press_key(pilot, "R")
        await settle(pilot)
        assert fleet[0].calls.count("probe") == probes + 1


async def test_the_order_of_the_key_bar_does_not_depend_on_the_keys(
    fleet: list[FakeSession],
) -> None:
    async def labels(chosen: Mapping[str, Keys]) -> list[str]:
        async with (app := app_with(chosen, fleet)).run_test(size=(200, 50)) as pilot:
            await settle(pilot)
            bar = app.screen.query_one(KeyBar)
            return [hint.label for hint in bar._hints()]

    assert await labels({"fleet.choose": ("f2",), "fleet.log": ("x",)}) == await labels({})


async def test_a_letter_is_no_key_while_one_types(fleet: list[FakeSession]) -> None:
    chosen: Mapping[str, Keys] = {"fleet.choose": ("o",)}
    async with (app := app_with(chosen, fleet)).run_test(size=(200, 50)) as pilot:
        await settle(pilot)
        assert "o plan" in screen_text(app)
        await do(pilot, "fleet.filter")
        assert "o plan" not in screen_text(app)
        press_key(pilot, "o")
        await settle(pilot)
        assert isinstance(app.screen, FleetScreen)
        assert app.screen.query_one(Input).value == "o"


@pytest.mark.enter_pauses
async def test_a_key_that_says_yes_waits_as_enter_does(
    fleet: list[FakeSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.screens.base.ENTER_PAUSE", 3600.0)  # on the slowest machine
    chosen: Mapping[str, Keys] = {"dialog.accept": ("f2",)}
    async with (app := app_with(chosen, fleet)).run_test(size=(140, 50)) as pilot:
        await do(pilot, "fleet.update")
        assert isinstance(app.screen, UpdateDialog)
        await do(pilot, "dialog.accept")
        assert isinstance(app.screen, UpdateDialog), "it was typed ahead"
        assert not fleet[0].launched
