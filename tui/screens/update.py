"""One host's job: steps, versions, log, and at the end the verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.content import Content
from textual.widgets import Static

from nixfleet_core.session.boundary import drawn
from tui.link_words import link_words, title_line
from tui.messages import CancelJob, FollowAgain, SaveReport
from tui.screens.base import Notice
from tui.screens.host_page import AFTER_A_JOB, CURE, LOG, LOOK, host_key, host_keys
from tui.screens.log_page import LogPage
from tui.screens.path import REPORT
from tui.screens.plan import plan_text
from tui.stage import stage
from tui.text import duration, plain, stopwatch
from tui.widgets.key_bar import KeyBar
from tui.widgets.live import no_picture
from tui.widgets.log_panel import LogPanel
from tui.widgets.log_view import LogView
from tui.widgets.steps import StepsPanel
from tui.widgets.verdict_panel import VerdictPanel
from tui.widgets.versions import VersionPanel, changes_text
from tui.widgets.work import WorkPanel

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult

    from tui.fleet import HostEntry
    from tui.jobs import JobWatcher


_WIDE = 100
"""From so many columns on the panels stand side by side."""
_TALL = 30
_WORK_SHARE = 0.2
"""The share of a tall screen that shows what Nix does now."""
_PANELS_SHARE = 0.4
"""The panels' share of a large screen after the end."""
_BORDER = 2


class UpdateScreen(LogPage):
    """Shows what a JobWatcher knows; leaving it changes nothing for the job."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "back", id="update.leave", tooltip="Back; the job goes on"),
        Binding(
            *("c,ctrl+c", "cancel", "cancel"),
            id="update.cancel",
            tooltip="Ask the job to stop",
            group=CURE,
        ),
        Binding("z", "zoom", "full log", id="update.zoom", tooltip="Only the log, or all panels"),
        Binding(
            *("p", "packages", "packages"),
            id="update.packages",
            tooltip="Packages that changed",
            group=LOOK,
        ),
        Binding("R", "again", "Ask the host again", show=False, id="update.again", group=LOOK),
        Binding("Y", "copy_agent", "Copy the agent before and after", show=False, id="update.copy"),
        Binding(
            *("W", "report", "report"), show=False, id="update.report", tooltip=REPORT, group=LOG
        ),
        *host_keys("update"),
        host_key("update", "details", show=False),
    ]
    BINDING_GROUP_TITLE = "Update"

    def __init__(self, watcher: JobWatcher, *, zoomed: bool = False) -> None:
        super().__init__()
        self._watcher = watcher
        self._shape: object = None
        self.set_class(zoomed, "-zoomed")

    @property
    def host_entry(self) -> HostEntry:
        return stage(self).fleet.entries[self._watcher.host]

    def compose_page(self) -> ComposeResult:
        watcher, glyphs = self._watcher, stage(self).glyphs
        yield Static(id="title", markup=False)
        yield VerdictPanel(watcher, glyphs)
        with Container(id="panels"):
            steps = StepsPanel(watcher, glyphs, id="steps")
            steps.border_title = Content("Steps")
            yield steps
            versions = VersionPanel(watcher, glyphs, id="versions")
            versions.border_title = Content("Agent")
            yield versions
            yield WorkPanel(watcher, glyphs)
        bound = stage(self).keys
        view = LogView(
            watcher.text_path, watcher.times, watcher.places, glyphs, bound, id="log-view"
        )
        yield LogPanel(view, glyphs, bound, id="log")
        yield KeyBar()

    def on_mount(self) -> None:
        self.show_on_ticks(self.update_job)
        self.update_job(None)
        if self._watcher.past:
            self._read()

    def on_screen_resume(self) -> None:
        self.update_job(None)

    def on_resize(self, event: events.Resize) -> None:
        """Choose how much each panel shows, by the room that there is."""
        width, height = event.size
        stacked = width < _WIDE
        brief = height < 24 or (stacked and height < 40)
        self.query_one(StepsPanel).brief = height < 20
        folded = brief or height < _TALL
        work = self.query_one(WorkPanel)
        work.lines = 1 if folded else round(height * _WORK_SHARE) - _BORDER
        work.set_class(folded, "-folded")
        work.refresh(layout=True)
        self.query_one(VersionPanel).brief = self.query_one(VerdictPanel).brief = brief
        self.set_class(brief, "-brief")
        self.query_one(StepsPanel).refresh(layout=True)
        self.query_one(VersionPanel).refresh(layout=True)
        self.query_one(VerdictPanel).refresh(layout=True)
        self._share_room(width, height)

    def update_job(self, _: object) -> None:
        """Show the job as it is now; called a few times a second while it changes."""
        watcher = self._watcher
        self.set_title(drawn(watcher.host, self._title, no_picture))
        state = watcher.state
        shape = (
            *(len(state.steps), state.waiting, state.cancelling, state.outcome),
            *(watcher.verdict, watcher.problem, watcher.is_active),
            state.halt.why if state.halt is not None else "",
        )
        changed = shape != self._shape
        self._shape = shape
        if changed:
            self.refresh_bindings()
            self._show_verdict()
        self.update_commit_key()
        self.query_one(StepsPanel).show(layout=changed)
        self._show_work(layout=changed)
        self.query_one(VersionPanel).show(layout=changed)
        if watcher.log_dirty:
            watcher.log_dirty = False
            self.query_one(LogPanel).view.mark_dirty()
        self.query_one(LogPanel).view.flush()
        self.query_one(LogPanel).show_whole(state.outcome is not None and not watcher.is_active)

    def _show_work(self, *, layout: bool) -> None:
        work = self.query_one(WorkPanel)
        layout = layout or work.display != work.is_due
        work.display = work.is_due
        self.set_class(work.is_due, "-working")
        work.show_titles(Content(work.title))
        work.show(layout=layout)

    def _show_verdict(self) -> None:
        """Once there is a verdict, it is the centre, and the log makes room."""
        panel = self.query_one(VerdictPanel)
        panel.display = panel.is_due
        panel.set_classes(f"-{panel.tone}")
        panel.show(layout=True)
        self._share_room(*self.size)

    def _share_room(self, width: int, height: int) -> None:
        """After the end the panels get more of a large screen, for whole paths and packages."""
        panels, ended = self.query_one("#panels"), self.query_one(VerdictPanel).is_due
        least = len(self._watcher.state.steps) + _BORDER
        grows = ended and width >= _WIDE and height >= _TALL
        panels.styles.height = max(least, round(height * _PANELS_SHARE)) if grows else None
        self.set_class(grows, "-grown")

    @on(StepsPanel.Chosen)
    def _show_step(self, message: StepsPanel.Chosen) -> None:
        place = self._watcher.places.get(message.step)
        if place is None:
            self.app.notify("the log has nothing of that step", timeout=3)
        else:
            self.query_one(LogPanel).view.go_to_place(place)

    def action_cancel(self) -> None:
        self.post_message(CancelJob(self._watcher))

    @property
    def save_as(self) -> str:
        return plain(f"~/nixfleet-{self._watcher.host}-{self._watcher.job}.log")

    def action_zoom(self) -> None:
        self.toggle_class("-zoomed")

    def action_log(self) -> None:
        self.add_class("-zoomed")

    def action_copy_agent(self) -> None:
        agent, verdict = self.query_one(VersionPanel), self.query_one(VerdictPanel)
        text = f"{agent.full_text()}\n{verdict.full_text()}"
        stage(self).copy(text, "the agent before and after")

    def action_packages(self) -> None:
        verdict = self._watcher.verdict
        if verdict is not None:
            title = f"What changed on {self._watcher.label}"
            self.app.push_screen(Notice(title, changes_text(verdict.changes, stage(self).glyphs)))

    def action_report(self) -> None:
        self.post_message(SaveReport([(self.host_entry, self._watcher.job)]))

    def action_again(self) -> None:
        if self._watcher.past:
            self._read()
        else:
            self.post_message(FollowAgain(self._watcher))

    def _read(self) -> None:
        """Read a past job; the worker ends with the screen."""
        self.run_worker(self._watcher.run(stage(self).conductor), group="past", exclusive=True)

    def why_absent(self, action: str, entry: HostEntry | None) -> str:
        """Why a key is not there: cancel is while there is something to cancel, ask again after a
        problem, packages once some have changed, what acts on the host once the job has ended."""
        watcher = self._watcher
        if action == "cancel" and (watcher.past or not watcher.is_active):
            return "the job has ended" if watcher.is_over else "the job is not followed"
        if action == "packages" and (watcher.verdict is None or not watcher.verdict.changes):
            return "no package is known to have changed"
        if action == "again" and not watcher.problem:
            return "the job is followed"
        if action == "look" and watcher.problem:
            return "the job is not followed: ask for it again"
        if action in AFTER_A_JOB and watcher.is_active:
            return f"the job {watcher.job} is {'being read' if watcher.past else 'running'}"
        return super().why_absent(action, entry)

    def _title(self) -> Content:
        watcher, dot = self._watcher, f" {stage(self).glyphs.dot} "
        what = plan_text(watcher.plan) if watcher.plan else "job"
        left = dot.join((watcher.label, what, plain(watcher.job)))
        status, style = self._status()
        width = self.size.width or self.app.size.width
        right = "  ".join(part for part in (self._elapsed(), f"{status} ") if part)
        return title_line(left, right, style, width, stage(self).glyphs)

    def _elapsed(self) -> str:
        """How long the job has taken, and how long it still takes, once that can be told."""
        elapsed, left = self._watcher.elapsed, self._watcher.left
        taken = stopwatch(elapsed) if elapsed is not None else ""
        if left is None:
            return taken
        return f"{taken}, {f'~{duration(left)} left' if left > 0 else 'longer than usual'}"

    def _status(self) -> tuple[str, str]:
        """The state of the link, as long as it matters."""
        watcher, glyphs = self._watcher, stage(self).glyphs
        if not watcher.is_active:
            return ("not followed", "$text-error") if watcher.problem else ("ended", "")
        if watcher.state.halt is not None:
            return f"{glyphs.link_down} the copy here cannot be written, retrying", "$text-warning"
        if watcher.state.link.up and watcher.past:
            return "reading", "$text-success"
        return link_words(watcher.state.link, glyphs)
