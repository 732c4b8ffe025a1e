from __future__ import annotations

from typing import TYPE_CHECKING

from fakes import CURRENT, JOB, NOW, FakeSession, make_host, make_plan

from nixfleet_core.events import Heartbeat, JobStart, Link, LogGrew, StepStart, Tick
from nixfleet_core.plan import Options
from tui.fleet import HostEntry
from tui.jobs import JobWatcher

if TYPE_CHECKING:
    from pathlib import Path


def make_watcher(folder: Path, clock: list[float]) -> JobWatcher:
    entry = HostEntry(FakeSession(make_host("csb0"), CURRENT, folder))
    plan = make_plan("csb0", Options(force=True))
    return JobWatcher(entry, JOB, plan=plan, before=None, clock=lambda: clock[0])


def test_time_goes_on_between_the_hosts_words(tmp_path: Path) -> None:
    clock = [50.0]
    watcher = make_watcher(tmp_path, clock)
    assert watcher.elapsed is None
    watcher.fold(JobStart(at=NOW))
    clock[0] += 7.5
    assert watcher.elapsed == 7
    watcher.fold(Link(up=False, seconds=3))
    assert watcher.elapsed == 7
    watcher.fold(Heartbeat(at=NOW + 10, log=0))
    assert watcher.elapsed == 10
    watcher.fold(StepStart(step="stop", at=NOW + 12, log=0))
    assert (watcher.elapsed, watcher.position) == (12, (1, 7))


def test_lines_get_the_time_at_which_the_host_had_them(tmp_path: Path) -> None:
    watcher = make_watcher(tmp_path, [0.0])
    watcher.fold(LogGrew(size=100, text_size=10))
    for second, size in enumerate((200, 300, 400)):
        watcher.fold(Tick(at=NOW + second, log=size))
    watcher.fold(LogGrew(size=150, text_size=15))
    watcher.fold(LogGrew(size=350, text_size=35))
    watcher.fold(LogGrew(size=500, text_size=50))
    found = [watcher.times.time_of(offset) for offset in (9, 10, 20, 40)]
    assert found == [None, NOW, NOW + 2, NOW + 2]
