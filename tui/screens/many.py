"""Several hosts at once: one line each."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from nixfleet_core.session.boundary import drawn
from tui.messages import CancelJob, SaveReport, ShowJob
from tui.screens.host_page import AFTER_A_JOB, CURE, LOOK, HostPage, host_key, host_keys
from tui.stage import stage
from tui.text import bar, plain, stopwatch
from tui.widgets.columns import Column
from tui.widgets.key_bar import KeyBar
from tui.widgets.live import no_picture
from tui.widgets.row_table import Cell, Row, RowTable
from tui.widgets.verdict_panel import verdict_text
from tui.words import tone_sign, verdict_tone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult

    from tui.fleet import HostEntry
    from tui.glyphs import Glyphs

COLUMNS = (
    Column("host", "Host", worth=9, least=8),
    Column("step", "Step", worth=7, least=18),
    Column("bar", "Progress", worth=5, least=14),
    Column("elapsed", "Elapsed", worth=4, least=7),
    Column("verdict", "Verdict", worth=8, least=14),
)
_BAR = 14


def many_row(entry: HostEntry, glyphs: Glyphs, room: int) -> Row:
    """The row of one host in a list of that width."""

    def broken(why: str) -> dict[str, Cell]:
        return {"verdict": Cell(why, "bad")}

    cells = drawn(entry.name, lambda: _cells(entry, glyphs, max(_BAR, room // 6)), broken)
    return Row(entry.name, {"host": Cell(entry.name), **cells})


def _cells(entry: HostEntry, glyphs: Glyphs, cells: int) -> dict[str, Cell]:
    watcher = entry.watcher
    if watcher is None:
        return {"verdict": Cell(entry.note, "bad") if entry.note else Cell(entry.doing, "busy")}
    state = watcher.state
    step = watcher.step_words or state.outcome or ""
    elapsed = stopwatch(watcher.elapsed) if watcher.elapsed is not None else ""
    verdict = Cell("")
    if watcher.verdict is not None:
        tone = verdict_tone(watcher.verdict.kind)
        said = f"{tone_sign(tone, glyphs)} {watcher.verdict.kind}"
        verdict = Cell(f"{said}: {plain(watcher.verdict.sentence)}", tone)
    elif watcher.problem:
        verdict = Cell(watcher.problem, "bad")
    elif state.halt is not None and watcher.is_active:
        verdict = Cell(f"waiting: {state.halt.why}", "warning")
    elif not state.link.up:
        verdict = Cell(f"no answer for {state.link.seconds} s, retrying", "warning")
    return {
        "step": Cell(step),
        "bar": Cell(bar(watcher.fraction, cells, glyphs)),
        "elapsed": Cell(elapsed),
        "verdict": verdict,
    }


class ManyScreen(HostPage):
    """The hosts that were started together; enter shows one of them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            *("enter", "open", "show"), id="many.open", tooltip="Show this host's job", group=LOOK
        ),
        Binding("escape", "leave", "back", id="many.leave", tooltip="Back; the jobs go on"),
        Binding(
            *("c,ctrl+c", "cancel", "cancel"),
            id="many.cancel",
            tooltip="Ask this job to stop",
            group=CURE,
        ),
        Binding("y", "copy", "Copy this row", show=False, id="many.copy"),
        Binding("W", "report", "Save a report on all of these", show=False, id="many.report"),
        *host_keys("many"),
        host_key("many", "details", show=False),
    ]
    BINDING_GROUP_TITLE = "Many hosts"
    AUTO_FOCUS = "RowTable"

    def __init__(self, entries: Sequence[HostEntry]) -> None:
        super().__init__()
        self._entries = tuple(entries)
        self._shape: object = None
        """What decides which keys there are."""

    def compose_page(self) -> ComposeResult:
        yield Static(id="title", markup=False)
        with Vertical(id="many") as box:
            box.border_title = Content("Force update")
            yield RowTable(COLUMNS, stage(self).glyphs, id="many-table")
        with VerticalScroll(id="many-verdict", can_focus=False):
            yield Static(id="verdict", markup=False)
        yield KeyBar()

    def on_mount(self) -> None:
        self.show_on_ticks(self.update_rows)
        self.watch(self.query_one(RowTable), "selected", self._show_verdict, init=False)
        self.update_rows(None)

    def on_screen_resume(self) -> None:
        self.update_rows(None)

    def update_rows(self, _: object) -> None:
        glyphs, width = stage(self).glyphs, self.size.width
        self.query_one(RowTable).show([many_row(entry, glyphs, width) for entry in self._entries])
        watchers = [entry.watcher for entry in self._entries if entry.watcher]
        ended = sum(watcher.verdict is not None for watcher in watchers)
        text = f" {len(self._entries)} hosts {glyphs.dot} {ended} ended"
        self.set_title(Content(text))
        self._show_verdict()

    def _show_verdict(self) -> None:
        """The selected host's verdict in full, below the list."""
        entry = self.host_entry
        shape = (_can_cancel(entry), entry is not None and entry.watcher is not None)
        if shape != self._shape:
            self._shape = shape
            self.refresh_bindings()
        self.update_commit_key()
        if entry is None:
            return
        self.query_one("#many-verdict").border_title = Content(entry.label)
        text, watcher = Content(plain(entry.note)), entry.watcher
        if watcher is not None and watcher.verdict is not None:
            app = stage(self)
            draw = partial(verdict_text, watcher.verdict, app.glyphs, where="many", bound=app.keys)
            text = drawn(entry.name, draw, no_picture)
        elif watcher is not None:
            text = Content(plain(watcher.problem) or f"job {plain(watcher.job)}")
        shown = self.query_one("#verdict", Static)
        if shown.content != text:
            shown.update(text)

    @on(RowTable.Chosen)
    def action_open(self) -> None:
        entry = self.host_entry
        if entry is not None and entry.watcher is not None:
            self.post_message(ShowJob(entry.watcher))

    def action_copy(self) -> None:
        if text := self.query_one(RowTable).selected_text:
            stage(self).copy(text, "this host's row")

    def action_report(self) -> None:
        jobs = [(entry, entry.watcher.job) for entry in self._entries if entry.watcher]
        if jobs:
            self.post_message(SaveReport(jobs))

    def action_cancel(self) -> None:
        if (entry := self.host_entry) is not None and entry.watcher is not None:
            self.post_message(CancelJob(entry.watcher))

    def why_absent(self, action: str, entry: HostEntry | None) -> str:
        """The cancel key is there while the host has a job to cancel; then what changes the host,
        or looks at it, is not."""
        job = entry.watcher.job if entry is not None and entry.watcher is not None else ""
        if action == "cancel" and not _can_cancel(entry):
            return f"the job {job} has ended" if job else "it has no job here"
        if action == "open" and not job:
            return "it has no job here"
        if action in AFTER_A_JOB and _can_cancel(entry):
            return f"the job {job} is running"
        return super().why_absent(action, entry)

    @property
    def host_entry(self) -> HostEntry | None:
        """The host under the cursor."""
        tables = self.query(RowTable)  # there is none before the screen is composed
        key = tables.first().selected if tables else None
        return next((entry for entry in self._entries if entry.name == key), None)


def _can_cancel(entry: HostEntry | None) -> bool:
    return entry is not None and entry.is_followed
