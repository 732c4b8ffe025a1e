"""The terminal app. It owns all that outlives a screen: the hosts, the followed jobs, the clock."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual.app import App
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.signal import Signal

from nixfleet_core.cli.finish import Finishing
from nixfleet_core.cli.output import say
from nixfleet_core.config import AUTO_THEME
from nixfleet_core.errors import HostError, NeedsPassword
from nixfleet_core.log.display import safe_lines
from nixfleet_core.session.boundary import one_host
from nixfleet_core.session.conduct import Conductor
from nixfleet_core.session.passwords import Passwords
from tui import actions, messages
from tui.desktop_notice import desktop_notice
from tui.driver import TerminalDriver
from tui.ending import ended_by_signals
from tui.fleet import Fleet
from tui.glyphs import ASCII, UNICODE
from tui.jobs import JobWatcher
from tui.keys import Keys, is_key
from tui.known_debt import debt_in
from tui.paint_rate import limit_paints, pace
from tui.proving import Proving
from tui.refresh import SECOND, Refresh
from tui.screen_filter import NoColours, ScreenFilter
from tui.screens.base import Confirm, Dialog, Page
from tui.stage import Stage
from tui.terminal_input import TerminalBackground
from tui.text import plain, sentence
from tui.themes import (
    DARK_LOG,
    LIGHT_LOG,
    OURS,
    added,
    is_colourless,
    is_dark_by_environment,
    theme_name,
)
from tui.widgets.scrollbar import draw_scrollbars
from tui.widgets.too_small import is_too_small

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from rich.console import RenderableType
    from textual.command import Provider
    from textual.filter import LineFilter
    from textual.notifications import SeverityLevel
    from textual.screen import Screen

    from nixfleet_core.cli.screen import LookAgain
    from nixfleet_core.facts.model import Snapshot
    from nixfleet_core.judge.verdict import Verdict
    from nixfleet_core.plan.model import Plan
    from nixfleet_core.session.no_hosts import Searched
    from nixfleet_core.session.protocol import HostSession, LatestSource
    from tui.fleet import HostEntry
    from tui.known_debt import SeenDebt
    from tui.settings import AppSettings

_NOTICE_SECONDS = 30.0
_UNTIL_SEEN = 365 * 24 * 3600.0
"""Seconds; until a key says that somebody sees the notice."""

_CLOSE_LIMIT = 1.0
"""Seconds that sessions may take to end; after that their processes are killed."""


@dataclass(frozen=True, slots=True)
class FirstRun:
    """There are no hosts yet: where they were looked for, and how to look again."""

    searched: Searched
    look_again: LookAgain


def _commands() -> type[Provider]:
    from tui.commands import BindingCommands

    return BindingCommands


def _hosts() -> type[Provider]:
    from tui.commands import HostCommands

    return HostCommands


def _themes() -> type[Provider]:
    from tui.commands import ThemeCommands

    return ThemeCommands


class NixFleetApp(Stage, inherit_bindings=False):
    """Fleet, update screens and dialogs over the sessions of some hosts."""

    TITLE = "NixFleet"
    CSS_PATH = Path(__file__).with_name("app.tcss")
    COMMANDS: ClassVar[set[Callable[[], type[Provider]]]] = {_commands, _hosts, _themes}  # type: ignore[assignment]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "colon,ctrl+p",
            "command_palette",
            "commands",
            key_display=":",
            id="app.commands",
            tooltip="Every action, by name",
        ),
        Binding("question_mark", "help", "help", id="app.help", tooltip="The keys of this screen"),
        Binding("ctrl+q,ctrl+c", "leave", "Quit; asks while jobs run", show=False, id="app.quit"),
        Binding("ctrl+z", "suspend_process", "Suspend", show=False, id="app.suspend"),
    ]

    def __init__(
        self,
        sessions: Sequence[HostSession],
        latest: LatestSource,
        *,
        settings: AppSettings,
        first_run: FirstRun | None = None,
        clock: Callable[[], float] = time.time,
        new_job_id: Callable[[], str] | None = None,
    ) -> None:
        super().__init__(driver_class=TerminalDriver)
        self.settings = settings
        self.no_color = is_colourless(os.environ)
        self.theme_choice = settings.theme
        self._is_dark = is_dark_by_environment(os.environ)
        """Whether the terminal's background is dark, as far as it is known."""
        for theme in OURS:
            self.register_theme(theme)
        self.set_reactive(App.ansi_theme_dark, DARK_LOG)
        self.set_reactive(App.ansi_theme_light, LIGHT_LOG)
        self.set_reactive(App.theme, self._theme_name)
        # so the first paint has them
        self.stylesheet.set_variables(self.get_css_variables())
        self._refresh_truecolor_filter(self.ansi_theme)
        self.glyphs = ASCII if settings.ascii else UNICODE
        self.keys = Keys(settings.keys)
        self.accept_keys = frozenset({"enter", *self.keys.of(Dialog, "dialog.accept")})
        self.quit_keys = (
            *self.keys.of(Page, "page.quit"),
            *self.keys.of(NixFleetApp, "app.quit"),
        )
        self.clock = clock
        self.fleet = Fleet.of(sessions, latest, clock)
        self._first_run = first_run
        self._refresh = Refresh(settings.refresh)
        self._proving = Proving(settings.prove_in_background)
        self.conductor = Conductor(latest, Passwords(self._ask_password))
        self.finishing = Finishing(settings.on_finish, self._finish_failed)
        self.ticked = Signal(self, "ticked")
        self.aged = Signal(self, "aged")
        self._pace = pace(settings.fps)
        self._beats = 0
        self.animation_level = "none"
        self._new_job_id = new_job_id
        self._screen_filter = ScreenFilter()
        self.terminal_lent = False
        self._dirty = False
        self._titled = False
        self._unseen = bool(settings.notices)
        self.entered_at = 0.0
        self._sized_at = -inf
        self._told: dict[str, float] = {}
        """Until when each notice is shown."""
        limit_paints(settings.fps)
        self.set_class(settings.ascii, "-ascii")
        draw_scrollbars(ascii_only=settings.ascii)

    def get_default_screen(self) -> Screen[None]:
        if self._first_run is not None:
            from tui.screens.first_run import FirstRunScreen

            return FirstRunScreen(self._first_run.searched, self._first_run.look_again)
        from tui.screens.fleet import FleetScreen

        return FleetScreen(self.fleet, self.settings.columns)

    @on(messages.HostsFound)
    def _go_on_with_hosts(self, message: messages.HostsFound) -> None:
        from tui.screens.first_run import FirstRunScreen
        from tui.screens.fleet import FleetScreen

        if not isinstance(self.screen, FirstRunScreen):
            return  # something has opened over it meanwhile; it will ask again
        self.fleet = Fleet.of(message.opened.sessions, self.fleet.latest_source, self.clock)
        fleet = FleetScreen(self.fleet, self.settings.columns)
        self.push_screen(fleet)  # Textual cannot replace the first screen
        for notice in message.opened.notices:
            self.notify(notice, severity="warning", timeout=_NOTICE_SECONDS)
        self.look_at_all()

    def get_line_filters(self) -> Sequence[LineFilter]:
        if self.no_color:
            return (NoColours(), self._screen_filter)
        return (*super().get_line_filters(), self._screen_filter)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return added(self.current_theme)

    def on_load(self) -> None:
        self.set_keymap(self.keys.keymap)

    def on_mount(self) -> None:
        self.app_resume_signal.subscribe(self, self._repaint)
        self.set_interval(self._pace.beat, self.beat, name="beat")
        self.set_interval(SECOND, self.look_again)
        for notice in self.settings.notices:
            self.notify(notice, severity="warning", timeout=_UNTIL_SEEN)
        self.call_after_refresh(self.look_at_all)  # a fleet's looks keep the loop busy for long

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.InputEvent | events.Paste) and not event.is_forwarded:
            if self._unseen and isinstance(event, events.Key | events.MouseDown):
                self._see_notices()
            if not self._counts(event):
                return
        elif isinstance(event, events.Key) and not self._still_counts(event):
            return
        await super().on_event(event)

    def _counts(self, event: events.Event) -> bool:
        """Whether somebody who has seen the screen can have meant this key, click or paste."""
        if is_too_small(self.size):
            if isinstance(event, events.Key) and event.key in self.quit_keys:
                self.exit()  # a question would not be seen either
            return False
        if isinstance(event, events.Key) and event.key in self.accept_keys:
            previous, self.entered_at = self.entered_at, event.time
            if isinstance(self._driver, TerminalDriver) and event.time == self._driver.held_at:
                previous = event.time
            if isinstance(self.screen, Dialog):
                return self.screen.takes_enter_of(event.time, previous)
        return True

    def _still_counts(self, event: events.Key) -> bool:
        """Whether a key that no widget has used may act on the screen of this moment: a dialog may
        have opened since it was read, and what was typed before confirms nothing."""
        if event.key in self.accept_keys and isinstance(self.screen, Dialog):
            return self.screen.takes_enter_of(event.time, 0.0)
        return True

    def _see_notices(self) -> None:
        """The operator is here: from now on the first notices stay only as long as it takes to read
        them."""
        self._unseen = False
        self.clear_notifications()
        self._told.clear()
        for notice in self.settings.notices:
            self.notify(notice, severity="warning", timeout=_NOTICE_SECONDS)

    async def on_unmount(self) -> None:
        self._restore_window_title()
        closing = [entry.session.close() for entry in self.fleet.entries.values()]
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_LIMIT):
                await asyncio.gather(*closing, return_exceptions=True)

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = False,
    ) -> None:
        """Say something in passing, once as long as it is shown. Unlike in Textual, the default is
        plain text, not markup."""
        said, now = plain(message), time.monotonic()
        if self._told.get(said, 0) > now:
            return
        self._told[said] = now + (self.NOTIFICATION_TIMEOUT if timeout is None else timeout)
        super().notify(said, title=plain(title), severity=severity, timeout=timeout, markup=markup)

    def copy_to_clipboard(self, text: str) -> None:
        """Copy a selection without credentials: nobody knows where it is pasted."""
        super().copy_to_clipboard(safe_lines(text))

    def copy(self, text: str, what: str) -> None:
        """Copy text, and say what was copied. Not every terminal takes it (OSC 52)."""
        self.copy_to_clipboard(text)
        self.notify(f"{what} sent to the clipboard", timeout=3)

    def get_key_display(self, binding: Binding) -> str:
        """Textual's name of the key, except for enter's sign, and for arrows in plain ASCII; empty
        if nobody can press it."""
        if not is_key(binding.key):
            return ""
        if binding.key == "enter":
            return self.glyphs.enter
        shown = super().get_key_display(binding)
        return shown if shown.isascii() or not self.settings.ascii else binding.key

    # The clock

    def tick(self) -> None:
        """Something has changed: show it with the next beat."""
        self._dirty = True

    def beat(self) -> None:
        """Repaint what has changed, if anything has. What moves by itself does so with some beats
        only, all of it together."""
        self._beats += 1
        turns = self._beats % self._pace.turn == 0
        if self._dirty or (turns and self.fleet.moving):
            self._dirty = False
            self.ticked.publish(None)
        if self._beats % self._pace.ageing == 0:
            self.aged.publish(None)

    @property
    def turn(self) -> int:
        return self._beats // self._pace.turn

    def _check_resize(self) -> None:
        """Tell the screens the window's new size, as seldom as they paint: a window that is dragged
        has a new size many times a second, and each one paints everything at once."""
        left = self._sized_at + 1 / self.settings.fps - time.monotonic()
        if left > 0 and self._resize_event is not None:
            self._resize_timer = self.set_timer(left, self._check_resize)
            return
        super()._check_resize()
        if self._resize_event is None:  # there was a screen to tell
            self._sized_at = time.monotonic()

    # Colours

    def choose_theme(self, choice: str) -> None:
        """Draw in these colours until the app ends. `choice` is one of `tui.themes.NAMES`."""
        self.theme_choice = choice
        self.theme = self._theme_name

    @on(TerminalBackground)
    def _see_background(self, message: TerminalBackground) -> None:
        """The terminal says what its background is, maybe late, or again after a change."""
        self._is_dark = message.dark
        self.theme = self._theme_name

    @property
    def _theme_name(self) -> str:
        choice = AUTO_THEME if self.no_color else self.theme_choice
        sixteen = self.no_color or self.console.color_system == "standard"
        return theme_name(choice, dark=self._is_dark, sixteen=sixteen)

    # Hosts and jobs

    def follow(
        self,
        entry: HostEntry,
        job: str,
        *,
        plan: Plan | None = None,
        before: Snapshot | None = None,
    ) -> JobWatcher:
        """Follow a job, whatever screens come and go. One job a host is followed at a time."""
        known = entry.watcher
        if known is not None and known.job == job:
            if known.problem:
                self.follow_again(known)
            return known

        def changed() -> None:
            entry.tell(entry)
            self.tick()

        watcher = JobWatcher(
            *(entry.session, job), plan=plan, before=before, clock=self.clock, changed=changed
        )
        entry.watcher = watcher
        self.run_worker(self._watch(watcher), group="jobs")
        return watcher

    def follow_again(self, watcher: JobWatcher) -> None:
        """Take up a job that could not be followed to its end."""
        if not watcher.is_active:
            self.run_worker(self._watch(watcher), group="jobs")

    async def _watch(self, watcher: JobWatcher) -> None:
        entry = self.fleet.entries[watcher.host]
        await watcher.run(self.conductor)
        entry.report = watcher.report
        if watcher.is_over:
            entry.learn_end(watcher.job, watcher.verdict, self._debt_after(entry, watcher.job))
        if watcher.verdict is not None:
            self._announce(watcher, watcher.verdict)
        if watcher.report is not None:
            self.finishing.tell(watcher.report)
        await self.fleet.look(entry, self.tick)

    def _debt_after(self, entry: HostEntry, job: str) -> SeenDebt | None:
        """The restart debt that the look at the job's end has found."""
        with suppress(HostError):  # without it, nothing is known
            return debt_in(entry.session.facts_after(job), self.clock())
        return None

    def _announce(self, watcher: JobWatcher, verdict: Verdict) -> None:
        """Ring, and say it in the window title and on the desktop, for an operator who looks
        elsewhere."""
        if self.terminal_lent or self._driver is None:
            return
        text = f"{watcher.host}: {verdict.kind}"
        if self.settings.bell:
            self.bell()
        if self.settings.title:
            self._set_window_title(f"{text} - NixFleet")
        notice = desktop_notice(
            *(text, sentence(verdict.sentence, self.glyphs)),
            job=watcher.job,
            choice=self.settings.notify,
            environ=os.environ,
        )
        if notice:
            self._driver.write(notice)

    def _finish_failed(self, text: str) -> None:
        """Say that the operator's command went wrong, also after the app's end."""
        if self.is_running:
            self.notify(text, severity="warning", timeout=_NOTICE_SECONDS)
        else:
            say(text, err=True)

    def _set_window_title(self, text: str) -> None:
        """Set the window's title. The terminal keeps the old one for the end (xterm's stack)."""
        if self._driver is not None:
            keep = "" if self._titled else "\x1b[22;2t"
            self._titled = True
            self._driver.write(f"{keep}\x1b]2;{plain(text)}\x07")

    def _restore_window_title(self) -> None:
        if self._driver is not None and self._titled:
            self._driver.write("\x1b[23;2t")

    def new_job_id(self) -> str:
        """A name for the next job."""
        if self._new_job_id is None:
            from nixfleet_core.ids import new_job_id

            self._new_job_id = new_job_id
        return self._new_job_id()

    # Screens

    def show_job(self, watcher: JobWatcher, *, zoomed: bool = False) -> None:
        from tui.screens.update import UpdateScreen

        self.push_screen(UpdateScreen(watcher, zoomed=zoomed))

    def show_past_job(self, entry: HostEntry, job: str, *, zoomed: bool = False) -> None:
        """Look at a job that has ended; its screen reads it, and stops reading when it is left."""
        watcher = entry.watcher
        if watcher is None or watcher.job != job:
            watcher = JobWatcher(entry.session, job, clock=self.clock, changed=self.tick, past=True)
        self.show_job(watcher, zoomed=zoomed)

    def show_many(self, entries: Sequence[HostEntry]) -> None:
        from tui.screens.many import ManyScreen

        self.push_screen(ManyScreen(entries))

    # What screens ask for

    @on(messages.Choose)
    def _choose(self, message: messages.Choose) -> None:
        self.start_flow(actions.choose(self, message.entry), message.entry)

    @on(messages.UpdateHosts)
    def _update(self, message: messages.UpdateHosts) -> None:
        flow = actions.update_hosts(self, message.entries, message.hidden)
        self.start_flow(flow, *message.entries)

    @on(messages.UpdateStale)
    def _update_stale(self, message: messages.UpdateStale) -> None:
        flow = actions.update_stale(self, message.entries, message.hidden)
        self.start_flow(flow, *message.entries)

    @on(messages.UpdateAsLocked)
    def _update_as_locked(self, message: messages.UpdateAsLocked) -> None:
        self.start_flow(actions.update_as_locked(self, message.entry), message.entry)

    @on(messages.RollBack)
    def _roll_back(self, message: messages.RollBack) -> None:
        self.start_flow(actions.roll_back(self, message.entry), message.entry)

    @on(messages.RestartAgent)
    def _restart_agent(self, message: messages.RestartAgent) -> None:
        self.start_flow(actions.restart_agent(self, message.entry), message.entry)

    @on(messages.CommitLock)
    def _commit_lock(self, message: messages.CommitLock) -> None:
        self.start_flow(actions.commit_lock(self, message.entry), message.entry)

    @on(messages.RollBackHosts)
    def _roll_back_hosts(self, message: messages.RollBackHosts) -> None:
        flow = actions.roll_back_hosts(self, message.entries, message.hidden)
        self.start_flow(flow, *message.entries)

    @on(messages.ShowLog)
    def _show_log(self, message: messages.ShowLog) -> None:
        self.start_flow(actions.show_log(self, message.entry), message.entry)

    @on(messages.Connect)
    def _connect(self, message: messages.Connect) -> None:
        self.start_flow(actions.connect(self, message.entry), message.entry)

    @on(messages.OpenShell)
    def _open_shell(self, message: messages.OpenShell) -> None:
        self.start_flow(actions.open_shell(self, message.entry), message.entry)

    @on(messages.VerifyHosts)
    def _verify(self, message: messages.VerifyHosts) -> None:
        flow = actions.verify_hosts(self, message.entries, message.hidden)
        self.start_flow(flow, *message.entries)

    @on(messages.AskForFix)
    def _ask_for_fix(self, message: messages.AskForFix) -> None:
        self.start_flow(actions.ask_for_fix(self, message.entries, message.hidden))

    @on(messages.CancelJob)
    def _cancel(self, message: messages.CancelJob) -> None:
        self.start_flow(actions.cancel_job(self, message.watcher))

    @on(messages.LookAtAll)
    def look_at_all(self) -> None:
        """Probe every host, all at once; each row changes as its answer arrives."""
        for entry in self.fleet.entries.values():
            self._look_at(entry)

    @on(messages.LookAtHost)
    def _look_at_one(self, message: messages.LookAtHost) -> None:
        self._look_at(message.entry)

    def _look_at(self, entry: HostEntry) -> None:
        entry.misses = 0
        if not entry.doing and not entry.is_held:
            self.run_worker(self.fleet.look(entry, self.tick), group="look")

    def look_again(self) -> None:
        """Look at the hosts whose time has come, and prove them. It is called each second."""
        if self.terminal_lent:
            return
        for entry in self._refresh.due(self.fleet.entries.values(), self.clock()):
            self.run_worker(self.fleet.look(entry, self.tick, again=True), group="look")
        for entry in self._proving.due(self.fleet.entries.values()):
            self.run_worker(self._prove(entry), group="look")

    async def _prove(self, entry: HostEntry) -> None:
        """Prove a host that nobody asked to prove, as far as that goes without root."""
        try:
            await self.fleet.prove_idly(entry)
        finally:
            self._proving.done(entry)
            self.tick()

    @on(messages.FollowAgain)
    def _follow_again(self, message: messages.FollowAgain) -> None:
        self.follow_again(message.watcher)

    @on(messages.ShowJob)
    def _show_job(self, message: messages.ShowJob) -> None:
        self.show_job(message.watcher)

    @on(messages.OpenJob)
    def _open_job(self, message: messages.OpenJob) -> None:
        if message.running:
            self.show_job(self.follow(message.entry, message.job))
        else:
            self.show_past_job(message.entry, message.job)

    @on(messages.ShowHost)
    def _show_host(self, message: messages.ShowHost) -> None:
        from tui.screens.host import HostScreen

        self.push_screen(HostScreen(message.entry))

    @on(messages.ShowDebt)
    def _show_debt(self, message: messages.ShowDebt) -> None:
        from tui.screens.debt import DebtScreen

        self.push_screen(DebtScreen(message.entry))

    @on(messages.ShowJournal)
    def _show_journal(self, message: messages.ShowJournal) -> None:
        from tui.screens.journal import JournalScreen

        try:
            copy = message.entry.session.journal_copy()
        except HostError as error:
            self.notify(f"{message.entry.name}: {error}", severity="error")
        else:
            self.push_screen(JournalScreen(message.entry, copy))

    @on(messages.SaveReport)
    def _save_report(self, message: messages.SaveReport) -> None:
        from tui.report import save_report

        self.start_flow(save_report(self, message.jobs), *(entry for entry, _ in message.jobs))

    @on(messages.ShowHistory)
    def _show_history(self, message: messages.ShowHistory) -> None:
        from tui.screens.history import HistoryScreen

        self.push_screen(HistoryScreen(message.entry))

    def start_flow(self, flow: Coroutine[None, None, None], *hosts: HostEntry) -> None:
        """Hold one conversation with the operator about some hosts. No second one begins before it
        ends."""
        if any(worker.group == "flow" and worker.is_running for worker in self.workers):
            flow.close()
            self.notify("still busy with the last key: waiting for a host")
            return
        self.run_worker(self._converse(flow, hosts), group="flow")

    def start_batch(self, batch: Coroutine[None, None, None]) -> None:
        self.run_worker(self._converse(batch, ()), group="jobs")

    async def _converse(
        self, flow: Coroutine[None, None, None], hosts: Sequence[HostEntry]
    ) -> None:
        """Run a conversation. An unforeseen error ends the conversation, not the app."""
        try:
            with one_host("the app"), ExitStack() as held:
                for entry in hosts:
                    held.enter_context(entry.held())
                await flow
        except HostError as error:
            self.notify(str(error), severity="error")

    def action_help(self) -> None:
        from tui.screens.help import HelpDialog, help_text

        self.push_screen(HelpDialog(help_text(self.screen, self)))

    def action_leave(self) -> None:
        """Quit; if jobs are running, say first that they go on."""
        going_on, waiting = self.jobs_going_on(), self._waiting_hosts()
        if not going_on and not waiting:
            self.exit()
            return
        lines = "\n".join(plain(f"{name}: job {job}") for name, job in going_on)
        if waiting:
            lines += f"\n\nThese hosts wait for their turn, which then never comes:\n\n{waiting}"
        if self.settings.temporary:
            said = "The demo's hosts end with the app, and these jobs with them:"
        else:
            said = "These jobs go on without the app; choosing the host shows them again:"
        body = Content(f"{said}\n\n{lines}")
        self.push_screen(Confirm("Quit NixFleet?", body, accept="quit"), self._quit_if)

    def _quit_if(self, accepted: bool | None) -> None:
        if accepted:
            self.exit()

    def _waiting_hosts(self) -> str:
        entries = self.fleet.entries.values()
        return ", ".join(entry.label for entry in entries if entry.waits)

    def jobs_going_on(self) -> list[tuple[str, str]]:
        """Host and job of every job that the app follows."""
        return [
            (entry.name, entry.watcher.job)
            for entry in self.fleet.entries.values()
            if entry.watcher is not None and entry.watcher.is_active
        ]

    async def _ask_password(self, need: NeedsPassword) -> str | None:
        from nixfleet_core.transport.core_dumps import forbid_core_dumps
        from tui.screens.password import PasswordDialog

        forbid_core_dumps()
        return await self.push_screen_wait(
            PasswordDialog(need.host, wrong=need.wrong, said=need.said)
        )

    # The terminal

    def end(self, loop: asyncio.AbstractEventLoop, number: int) -> None:
        """End in order because of a signal. After SIGHUP nobody reads our output."""
        if number == signal.SIGHUP and isinstance(self._driver, TerminalDriver):
            self._driver.let_go()
        loop.call_soon_threadsafe(partial(self.exit, return_code=128 + number))

    def panic(self, *renderables: RenderableType) -> None:
        """End with these words, and never with the code 0, whoever has called this."""
        self._return_code = self._return_code or 1
        super().panic(*renderables)

    def _fatal_error(self) -> None:
        """Show where an unforeseen error came from, without the values of variables.

        Textual's own version prints all values, and a password could be among them. The error's own
        words may quote a host.
        """
        from rich.traceback import Traceback

        kind, error, trace = sys.exc_info()
        if kind is None or error is None:
            return
        extracted = Traceback.extract(kind, error, trace)
        for stack in extracted.stacks:
            stack.exc_value = plain(stack.exc_value)
            stack.notes = [plain(note) for note in stack.notes]
        self.panic(Traceback(extracted, show_locals=False, width=None))

    def _repaint(self, _: object) -> None:
        """Draw everything again: the terminal comes back blank after ctrl+z."""
        self.refresh(layout=True)
        for screen in self.screen_stack:
            screen.refresh(layout=True)


def run(
    sessions: Sequence[HostSession],
    latest: LatestSource,
    settings: AppSettings,
    first_run: FirstRun | None = None,
) -> int:
    """Run the app until the operator leaves it. Return the exit code."""
    app = NixFleetApp(sessions, latest, settings=settings, first_run=first_run)
    asyncio.run(run_in_order(app))
    for name, job in app.jobs_going_on():
        say(f"{name}: job {job} goes on; nixfleet attach {name} shows it")
    return app.return_code or 0


async def run_in_order(app: NixFleetApp, *, afterwards: signal.Handlers = signal.SIG_DFL) -> None:
    """Run the app until the operator or a signal ends it (`tui.ending`)."""
    end = partial(app.end, asyncio.get_running_loop())
    # the modules stay for good: a full collection would look at them each time, for some 50 ms
    gc.freeze()
    with ended_by_signals(end, afterwards=afterwards):
        await app.run_async(mouse=app.settings.mouse)
    if (app.return_code or 0) < 128:  # after a signal nobody waits
        await app.finishing.rest()
    if isinstance(app._driver, TerminalDriver):
        app._driver.leave_streams()
