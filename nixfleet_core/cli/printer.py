"""What the commands print of a job: the log as it grows, a line a step, and the verdict."""

from __future__ import annotations

import re
from typing import IO, TYPE_CHECKING, Final

import humanize

from nixfleet_core.cli.output import print_log_line, say
from nixfleet_core.facts.model import Snapshot
from nixfleet_core.facts.package_changes import Change, change_text
from nixfleet_core.job.events import (
    CancelSeen,
    Check,
    CopyHalt,
    Link,
    LogGrew,
    Retry,
    Slept,
    StepEnd,
    StepStart,
    Waiting,
)
from nixfleet_core.log.amounts import counted
from nixfleet_core.log.display import safe
from nixfleet_core.log.plain_file import reading
from nixfleet_core.session.conduct import Report, Watcher
from nixfleet_core.session.follow import HALT_LIMIT
from nixfleet_core.vocabulary import TITLES

if TYPE_CHECKING:
    from nixfleet_core.host import Host
    from nixfleet_core.job.copies import JobFiles
    from nixfleet_core.job.events import JobEvent
    from nixfleet_core.job.progress import JobState
    from nixfleet_core.plan.model import Plan

SHOWN_CHANGES: Final = 20
"""So many of the changed packages are printed."""

_MARKS: Final = {"ok": "✔", "failed": "✖", "skipped": "·", "cancelled": "■"}


class Printer(Watcher):
    """Prints jobs as they go; with several hosts each line begins with the host's name.

    A log's lines are marked, so no line of a log can pass for one of ours.
    """

    def __init__(self, stream: IO[str], *, several: bool) -> None:
        self._stream, self._several = stream, several
        self._files: dict[str, JobFiles] = {}
        self._at: dict[str, int] = {}
        self._halted: set[str] = set()
        """The hosts of which it was said that the copy cannot grow."""

    def say(self, host: str, text: str, *, bold: bool = False) -> None:
        """One line about a host."""
        say(f"{self._before(host)}{text}", bold=bold, stream=self._stream)

    def follows(self, host: Host, job: str, plan: Plan, files: JobFiles) -> None:
        self._files[host.name] = files
        self._at[host.name] = 0
        self.say(host.name, f"job {job} on {host.name}", bold=True)
        if plan.target_words:
            self.say(host.name, f"  goes back to {safe(plan.target_words)}")

    def event(self, host: Host, event: JobEvent, state: JobState) -> None:
        name = host.name
        match event:
            case LogGrew(text_size=size):
                self._halted.discard(name)
                self._print_log(name, size)
            case CopyHalt(why=why) if name not in self._halted:
                self._halted.add(name)
                limit = humanize.naturaldelta(HALT_LIMIT)
                self.say(name, f"  {safe(why)}; the client tries again for {limit}")
            case StepStart(step=step):
                found = state.step(step)
                self.say(name, f"▶ {safe(found.title) if found else TITLES[step]}", bold=True)
            case StepEnd(step=step, status=status):
                found = state.step(step)
                took = f"  {found.seconds} s" if found and found.seconds is not None else ""
                title = safe(found.title) if found else TITLES[step]
                self.say(name, f"{_MARKS[status]} {title}: {status}{took}", bold=True)
            case Retry():
                self.say(name, f"  retry {event.attempt}/{event.tries} in {event.wait} s")
            case Check(ok=False):
                self.say(name, f"  check {event.check}: {event.reason or 'failed'}")
            case Check(ok=True) if event.reason:
                self.say(name, f"  check {event.check}: {event.reason}; going on")
            case Waiting():
                limit = humanize.naturaldelta(event.limit)
                self.say(name, f"  waiting for {event.words}, at most {limit}")
            case Slept():
                self.say(name, f"  the host slept for {humanize.naturaldelta(event.seconds)}")
            case CancelSeen():
                late = "; it takes effect after the activation" if event.deferred else ""
                self.say(name, f"  cancelling{late}")
            case Link(up=False):
                self.say(name, f"  {safe(event.why)}, {event.seconds} s; the job goes on")
            case _:
                pass

    def _print_log(self, name: str, size: int) -> None:
        with reading(self._files[name].text) as file:
            file.seek(self._at[name])
            # line by line: the log may be larger than the memory
            while (left := size - self._at[name]) > 0 and (raw := file.readline(left)):
                self._at[name] += len(raw)
                line = raw.removesuffix(b"\n").decode("utf-8", "replace")
                print_log_line(line, self._stream, self._before(name))

    def _before(self, host: str) -> str:
        return f"{host:<12} " if self._several else ""

    def report(self, report: Report) -> None:
        """The end: before, after, and the verdict in a sentence."""
        verdict = report.verdict
        if verdict is None:
            if report.not_begun:
                words = f"not begun: {report.not_begun}"
            elif report.stopped:
                words = "stopped: nothing was proven, and nothing was changed"
            elif report.busy:
                words = f"another job is running: {report.job}; nixfleet attach {report.host}"
            elif report.job is None:
                words = f"detached; a job that was started goes on: nixfleet attach {report.host}"
            else:
                words = f"job {report.job} goes on alone; nixfleet attach {report.host}"
            self.say(report.host, words, bold=True)
            return
        before, after = verdict.before, verdict.after
        is_same_system = before.system == after.system is not None
        changed = _changed(verdict.changes, is_same_system=is_same_system)
        for line in (*_comparison(before, after), *changed):
            self.say(report.host, line)
        if verdict.running_commit is not None:
            self.say(report.host, f"  {'built from':<11}{verdict.running_commit.commit[:12]}")
        cause = f" ({verdict.cause})" if verdict.cause else ""
        self.say(report.host, f"{verdict.kind}{cause}: {safe(verdict.sentence)}", bold=True)
        if verdict.advice:
            self.say(report.host, f"  → {safe(verdict.advice)}")
        for left in verdict.left:
            self.say(report.host, f"  left: {safe(left.what)}")
            if left.help:
                self.say(report.host, f"    → {safe(left.help)}")
        for note in verdict.notes:
            self.say(report.host, f"  note: {safe(note)}")


def _comparison(before: Snapshot, after: Snapshot) -> list[str]:
    rows = (
        ("version", before.version, after.version),
        ("commit", before.commit, after.commit),
        ("store", before.store_path, after.store_path),
        ("sha256", before.sha256, after.sha256),
        ("system", before.system, after.system),
        ("generation", before.generation, after.generation),
    )
    if before == after == Snapshot():
        return []
    shown = [
        (name, _short(old), "unchanged" if old == new is not None else _short(new))
        for name, old, new in rows
    ]
    width = max(len(old) for _, old, _ in shown)
    return [f"  {name:<11}{old:<{width}}  {new}" for name, old, new in shown]


def _changed(changes: tuple[Change, ...], *, is_same_system: bool) -> list[str]:
    """The packages that changed, or the first ones of a long list. If the system is the same, only
    the agent's process is another one."""
    if not changes:
        return []
    left = len(changes) - SHOWN_CHANGES
    count = counted(len(changes), "package")
    lines = [f"  changed: {'only the running agent' if is_same_system else count}"]
    lines += [f"    {safe(change_text(change))}" for change in changes[:SHOWN_CHANGES]]
    return [*lines, f"    and {left} more; --json has all"] if left > 0 else lines


def _short(value: str | int | None) -> str:
    if value is None:
        return "–"
    text = safe(str(value)).removeprefix("/nix/store/")
    if re.fullmatch(r"[0-9a-f]{40,64}", text):
        return text[:12]
    return f"{text[:8]}…{text[32:]}" if re.match(r"[0-9a-z]{32}-", text) else text
