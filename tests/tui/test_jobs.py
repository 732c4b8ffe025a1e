from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fakes import CURRENT, JOB, NOW, FakeSession, make_host, make_plan
from hypothesis import given
from hypothesis import strategies as st
from screen_text import screen_text, settle
from test_path import press

from nixfleet_core.job.durations import Usual
from nixfleet_core.job.events import (
    Heartbeat,
    JobEnd,
    JobEvent,
    JobStart,
    LineTime,
    Link,
    LogGrew,
    Retry,
    StepEnd,
    StepStart,
    Tick,
)
from nixfleet_core.nix.activity import Tally
from nixfleet_core.nix.log_state import Progress
from nixfleet_core.plan.model import Options
from tui.jobs import GUESS_LIMIT, JobWatcher

if TYPE_CHECKING:
    from conftest import MakeApp
    from nixfleet_core.job.progress import StepState
    from nixfleet_core.vocabulary import StepId


def happen(watcher: JobWatcher, event: JobEvent) -> None:
    watcher.event(watcher.session.host, event, watcher.state.after(event))


def make_watcher(folder: Path, clock: list[float]) -> JobWatcher:
    return JobWatcher(
        *(FakeSession(make_host("csb0"), folder, probe=CURRENT), JOB),
        plan=make_plan("csb0", Options(force=True)),
        clock=lambda: clock[0],
        changed=lambda: None,
    )


def test_time_goes_on_between_two_events_of_the_host(tmp_path: Path) -> None:
    clock = [50.0]
    watcher = make_watcher(tmp_path, clock)
    assert watcher.elapsed is None
    happen(watcher, JobStart(at=NOW))
    clock[0] += 7.5
    assert watcher.elapsed == 7
    happen(watcher, Link(up=False, seconds=3))
    assert watcher.elapsed == 7
    happen(watcher, Heartbeat(at=NOW + 10, log=0))
    assert watcher.elapsed == 10
    happen(watcher, StepStart(step="stop", at=NOW + 12, log=0))
    assert (watcher.elapsed, watcher.state.position) == (12, (2, 7))


def test_lines_get_the_time_at_which_the_host_had_them(tmp_path: Path) -> None:
    watcher = make_watcher(tmp_path, [0.0])
    happen(watcher, LogGrew(size=100, text_size=10))
    for second, size in enumerate((200, 300, 400)):
        happen(watcher, Tick(at=NOW + second, log=size))
    happen(watcher, LogGrew(size=150, text_size=15))
    happen(watcher, LogGrew(size=350, text_size=35))
    happen(watcher, LogGrew(size=500, text_size=50))
    found = [watcher.times.time_of(offset) for offset in (9, 10, 20, 40)]
    assert found == [None, NOW, NOW + 2, NOW + 2]


def test_lines_of_an_earlier_copy_get_their_known_times(tmp_path: Path) -> None:
    for ended, last in ((True, NOW + 9), (False, None)):
        watcher = make_watcher(tmp_path / str(ended), [0.0])
        happen(watcher, JobStart(at=NOW))
        if ended:
            happen(watcher, JobEnd(at=NOW + 9, outcome="done"))
        happen(watcher, LineTime(at=NOW + 1, text_offset=10))
        happen(watcher, LineTime(at=NOW + 5, text_offset=30))
        happen(watcher, LogGrew(size=90, text_size=40))
        found = [watcher.times.time_of(offset) for offset in (9, 10, 29, 30, 39)]
        assert found == [NOW + 1, NOW + 5, NOW + 5, last, last]


def watch_step(
    folder: Path, step: StepId, usual: int, seconds: int
) -> tuple[JobWatcher, StepState]:
    """A step that usually takes `usual` seconds has run for `seconds`."""
    watcher = make_watcher(folder, [0.0])
    watcher.usual = Usual(steps={step: usual} if usual else {})
    happen(watcher, JobStart(at=NOW))
    happen(watcher, StepStart(step=step, at=NOW, log=0))
    happen(watcher, Tick(at=NOW + seconds, log=0))
    state = watcher.state.current
    assert state is not None
    return watcher, state


@pytest.mark.parametrize(
    ("usual", "seconds", "guess"),
    [(0, 5, None), (10, 0, 0.0), (10, 5, 0.5), (10, 10, GUESS_LIMIT), (10, 10_000, GUESS_LIMIT)],
)
def test_the_guess_for_a_step_stays_below_its_end(
    tmp_path: Path, usual: int, seconds: int, guess: float | None
) -> None:
    watcher, state = watch_step(tmp_path, "pull", usual, seconds)
    assert watcher.guess(state) == guess
    assert watcher.fraction == pytest.approx((guess or 0) / 16)


def test_the_progress_of_nix_counts_before_a_guess_that_nobody_saw(tmp_path: Path) -> None:
    watcher, _ = watch_step(tmp_path, "rebuild", 10, 9)
    happen(watcher, Progress(done=1, expected=10))
    assert watcher.fraction == pytest.approx(0.1 * 10 / 16)


def test_counts_take_nothing_back_from_a_guess_that_was_shown(tmp_path: Path) -> None:
    watcher, _ = watch_step(tmp_path, "rebuild", 10, 9)
    assert watcher.fraction == pytest.approx(0.9 * 10 / 16)
    happen(watcher, Progress(done=1, expected=10))
    assert watcher.fraction == pytest.approx(0.9 * 10 / 16)  # it was shown
    happen(watcher, Progress(done=19, expected=20))
    assert watcher.fraction == pytest.approx(0.95 * 10 / 16)
    happen(watcher, StepEnd(step="rebuild", at=NOW + 9, status="ok", log=0))
    assert watcher.fraction == pytest.approx(10 / 16)


@pytest.mark.parametrize(
    ("rest", "seconds", "left"), [({}, 5, None), ({"pull": 90}, 5, 85), ({"pull": 90}, 100, -10)]
)
def test_the_time_that_is_left_counts_down_from_the_steps_start(
    tmp_path: Path, rest: dict[StepId, int], seconds: int, left: int | None
) -> None:
    watcher, _ = watch_step(tmp_path, "pull", 10, seconds)
    watcher.usual = Usual(rest=rest)
    assert watcher.left == left
    happen(watcher, StepEnd(step="pull", at=NOW + seconds, status="ok", log=0))
    assert watcher.left is None  # between two steps nobody knows


counts = st.integers(0, 9)


@given(st.lists(st.one_of(st.integers(0, 400), st.builds(Progress, counts, counts))))
def test_whatever_is_shown_of_a_running_step_the_bar_never_goes_back(
    happened: list[int | Progress],
) -> None:
    watcher, _ = watch_step(Path("/nowhere"), "rebuild", 100, 0)
    shown = []
    for what in happened:
        happen(watcher, Tick(at=NOW + what, log=0) if isinstance(what, int) else what)
        state = watcher.state.current
        assert state is not None
        shown.append((watcher.fraction, watcher.share(state) or 0.0))
    assert shown == sorted(shown)
    assert [share for _, share in shown] == sorted(share for _, share in shown)


async def test_the_panel_says_how_long_steps_usually_take(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    usual: dict[StepId, int] = {"stop": 2, "pull": 60, "rebuild": 190, "verify": 7}
    fleet[0].says["usual"] = Usual(steps=usual)
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:

        async def line(title: str, *events: object) -> str:
            await fleet[0].say(*events)  # type: ignore[arg-type]
            await settle(pilot)
            found = next(row for row in screen_text(app).splitlines() if title in row)
            return " ".join(found.split("│")[1].split())

        await press(pilot, "enter", "enter")
        assert await line("Preflight") == "· Preflight"
        assert await line("Rebuild") == "· Rebuild ~3m 10s"
        began = partial(StepStart, at=NOW, log=0)
        assert await line("Preflight", JobStart(at=NOW), began("preflight")) == "▶ Preflight 0 s"
        checked = StepEnd(step="preflight", at=NOW, status="ok", log=0)
        pulling = await line("Pull", checked, began("pull"), Tick(at=NOW + 30, log=0))
        assert pulling == "▶ Pull nixcfg ██████░░░░░░ 30 s of ~1m 00s"
        late = await line("Pull", Tick(at=NOW + 90, log=0))
        assert late == "▶ Pull nixcfg ███████████░ 1m 30s of ~1m 00s"
        retry = Retry(step="pull", at=NOW + 90, attempt=2, tries=5, wait=8)
        assert "retry 2/5 in 8 s" in await line("Pull", retry)
        done = StepEnd(step="pull", at=NOW + 99, status="ok", log=0)
        assert await line("Pull", done) == "✔ Pull nixcfg 1m 39s"
        first = (began("rebuild"), Progress(0, 0, "", "nixos-rebuild itself", Tally(1, 1)))
        assert await line("Rebuild", *first) == ("▶ Rebuild ░░░░░ 1/1 nixos-rebuild itself 0 s")
        built = (began("rebuild"), Progress(0, 0, "system"))
        assert await line("Rebuild", *built) == "▶ Rebuild ░░░░░░░░░░░░ system 0 s of ~3m 10s"
        built = (began("rebuild"), Progress(done=12, expected=47), Tick(at=NOW + 118, log=0))
        assert await line("Rebuild", *built) == "▶ Rebuild ███░░░░░░░ 12/47 1m 58s of ~3m 10s"
