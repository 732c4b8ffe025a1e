"""The jobs of a host; enter shows one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from nixfleet_core.errors import HostError, PasswordRefused
from nixfleet_core.session.boundary import drawn
from tui.messages import OpenJob, SaveReport
from tui.screens.base import Page
from tui.screens.path import REPORT
from tui.stage import stage
from tui.text import counted, duration, local_time, plain
from tui.widgets.columns import Column
from tui.widgets.key_bar import KeyBar
from tui.widgets.row_table import Cell, Row, RowTable
from tui.words import outcome_tone, tone_sign

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from nixfleet_core.job.history import JobLine
    from tui.fleet import HostEntry
    from tui.glyphs import Glyphs

COLUMNS = (
    Column("at", "When", worth=8, least=16),
    Column("goal", "Goal", worth=6, least=8),
    Column("outcome", "Outcome", worth=9, least=13),
    Column("failed", "Failed step", worth=7, least=11),
    Column("took", "Took", worth=5, least=7),
    Column("by", "By", worth=4, least=10),
    Column("job", "Job", worth=2, least=20),
)


def job_row(host: str, line: JobLine, glyphs: Glyphs) -> Row:
    """The row of one job; if it cannot be shown, its name and why."""
    cells = drawn(host, lambda: _cells(line, glyphs), lambda why: {"outcome": Cell(why, "bad")})
    return Row(line.job, {"job": Cell(line.job, "faint"), **cells})


def _cells(line: JobLine, glyphs: Glyphs) -> dict[str, Cell]:
    tone = outcome_tone(line.outcome)
    return {
        "at": Cell(local_time(line.at)),
        "goal": Cell("roll back" if line.goal == "rollback" else line.goal),
        "outcome": Cell(f"{tone_sign(tone, glyphs)} {plain(line.outcome)}", tone),
        "failed": Cell(line.failed_step),
        "took": Cell(duration(line.seconds) if line.seconds is not None else ""),
        "by": Cell(line.asked_by, "faint"),
    }


def _unreadable(lines: tuple[JobLine, ...]) -> str:
    """What cannot be read of the jobs."""
    found = [line.unreadable for line in lines if line.unreadable]
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"cannot be read: {found[0]}{more}" if found else ""


class HistoryScreen(Page):
    """One line a job, newest first."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "show", id="history.open", tooltip="Show this job and its log"),
        Binding("escape", "leave", "back", id="history.leave", tooltip="To the hosts"),
        Binding("R", "refresh", "refresh", id="history.refresh", tooltip="Ask the host again"),
        Binding("y", "copy", "copy", id="history.copy", tooltip="Copy this row"),
        Binding("W", "report", "report", id="history.report", tooltip=REPORT),
    ]
    BINDING_GROUP_TITLE = "History"
    AUTO_FOCUS = "RowTable"

    def __init__(self, entry: HostEntry) -> None:
        super().__init__()
        self._entry = entry
        self._lines: tuple[JobLine, ...] = ()

    def compose_page(self) -> ComposeResult:
        yield Static(id="title", markup=False)
        yield Static(id="said", markup=False)
        with Vertical(id="history") as box:
            box.border_title = Content("Jobs")
            yield RowTable(COLUMNS, stage(self).glyphs, id="history-table")
        yield KeyBar()

    def on_mount(self) -> None:
        self.action_refresh()

    def action_refresh(self) -> None:
        self._say(f"asking {self._entry.label} ...")
        self.run_worker(self._load(), group="history", exclusive=True)

    @on(RowTable.Chosen)
    def action_open(self) -> None:
        job = self.query_one(RowTable).selected
        line = next((line for line in self._lines if line.job == job), None)
        if line is not None:
            running = line.outcome == "running"
            self.post_message(OpenJob(self._entry, line.job, running=running))

    def action_copy(self) -> None:
        if text := self.query_one(RowTable).selected_text:
            stage(self).copy(text, "this job's row")

    def action_report(self) -> None:
        if job := self.query_one(RowTable).selected:
            self.post_message(SaveReport([(self._entry, job)]))

    async def _load(self) -> None:
        app, session = stage(self), self._entry.session
        try:
            self._lines = await app.conductor.passwords.run(session, session.jobs)
        except PasswordRefused:
            self._say("only root can list the jobs, and no password was given")
        except HostError as error:
            self._say(str(error))
        else:
            self._say(
                _unreadable(self._lines) if self._lines else f"{self._entry.label} has had no job"
            )
        rows = [job_row(self._entry.name, line, app.glyphs) for line in self._lines]
        self.query_one(RowTable).show(rows)

    def _say(self, text: str) -> None:
        """Say below the title why the list is not there."""
        app = stage(self)
        count = counted(len(self._lines), "job")
        parts = (self._entry.label, "history", *((count,) if self._lines else ()))
        self.set_title(Content.styled(f" {f' {app.glyphs.dot} '.join(parts)}", "bold"))
        said = self.query_one("#said", Static)
        said.update(Content(plain(text)))
        said.display = bool(text)
