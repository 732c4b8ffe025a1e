from __future__ import annotations

from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixfleet_core.job.events import (
    CancelSeen,
    Check,
    Heartbeat,
    JobEnd,
    JobEvent,
    JobStart,
    Link,
    LogGrew,
    Retry,
    Slept,
    StepEnd,
    StepStart,
    Tick,
    Waiting,
)
from nixfleet_core.job.progress import JobState, StepState
from nixfleet_core.job.work import BuildNow, BuildTime, BuildTimes, Work
from nixfleet_core.nix.log_state import Progress

START = JobState(
    steps=(
        StepState("pull", "Pull nixcfg", weight=1),
        StepState("rebuild", "Rebuild", weight=8),
        StepState("start", "Start agent", weight=1),
    )
)


def after(*events: JobEvent) -> JobState:
    return reduce(JobState.after, events, START)


def step(state: JobState, name: str) -> StepState:
    return next(step for step in state.steps if step.id == name)


def test_before_anything_happened() -> None:
    assert START.current is None
    assert START.fraction == 0
    assert START.step("verify") is None
    assert step(START, "pull").seconds is None


def test_a_step_that_runs() -> None:
    state = after(JobStart(100), StepStart("pull", 101, 7))
    pull = step(state, "pull")
    assert state.current is pull
    assert (pull.status, pull.started, pull.log_start, pull.attempts) == ("running", 101, 7, 1)
    assert (state.started, state.now) == (100, 101)


def test_the_position_is_that_of_the_running_step_also_behind_a_gap() -> None:
    """If the runner was killed, the steps between it and the agent's start have no end."""
    ended = StepEnd("pull", 1, "failed", 0, reason="interrupted")
    assert START.position == (1, 3)
    assert after(StepStart("pull", 1, 0)).position == (1, 3)
    assert after(ended).position == (2, 3)
    state = after(ended, StepStart("start", 2, 0))
    assert (state.position, state.current) == ((3, 3), step(state, "start"))
    assert after(ended, StepEnd("start", 3, "ok", 0)).position == (3, 3)
    assert JobState(steps=()).position == (0, 0)


def test_a_step_that_ended() -> None:
    state = after(StepStart("pull", 101, 7), StepEnd("pull", 104, "failed", 90, 1, 3, "x"))
    pull = step(state, "pull")
    assert (pull.status, pull.reason, pull.attempts) == ("failed", "x", 3)
    assert (pull.seconds, pull.log_end) == (3, 90)
    assert state.current is None


def test_a_clock_that_went_back_makes_no_negative_time() -> None:
    assert step(after(StepStart("pull", 9, 0), StepEnd("pull", 4, "ok", 0)), "pull").seconds == 0


def test_a_retry_is_shown_until_the_step_ends() -> None:
    retry = Retry("pull", 105, 2, 5, 8)
    state = after(StepStart("pull", 101, 0), retry)
    assert (step(state, "pull").retry, step(state, "pull").attempts) == (retry, 2)
    assert step(state.after(StepEnd("pull", 120, "ok", 9)), "pull").retry is None


def test_a_skipped_step_was_never_tried() -> None:
    assert step(after(StepEnd("pull", 1, "skipped", 0)), "pull").attempts == 0


@pytest.mark.parametrize(
    "over",
    [
        Check("idle", 9, ok=True),
        StepStart("rebuild", 9, 0),
        StepEnd("pull", 9, "ok", 0),
        JobEnd(9, "done"),
    ],
)
def test_waiting_ends_with_the_next_step_or_end(over: JobEvent) -> None:
    waiting = Waiting("switch", 5, 600)
    assert after(waiting).waiting == waiting
    assert after(waiting, Tick(6, 0)).waiting == waiting
    assert after(waiting, over).waiting is None


def test_a_wait_is_longer_by_the_time_that_the_host_slept() -> None:
    assert after(Slept(5, 90)).waiting is None
    assert after(Waiting("switch", 5, 600), Slept(100, 90)).waiting == Waiting("switch", 5, 690)


def test_cancelling_and_the_end() -> None:
    cancel = CancelSeen(5, deferred=True)
    state = after(JobStart(1), cancel, JobEnd(9, "cancelled"))
    assert state.cancelling == cancel
    assert (state.ended, state.outcome, state.now) == (9, "cancelled", 9)


def test_any_event_of_the_host_brings_the_link_up() -> None:
    down = Link(up=False, seconds=12, why="timed out")
    assert after(down).link == down
    for sign in (Tick(5, 0), Heartbeat(5, 0)):
        assert after(down, sign).link == Link(up=True)


def test_time_never_goes_back() -> None:
    state = after(StepStart("pull", 50, 0), Tick(40, 0), Heartbeat(45, 0))
    assert state.now == 50
    assert state.after(Heartbeat(60, 0)).now == 60


def test_progress_belongs_to_the_running_step() -> None:
    progress = Progress(1, 4)
    assert after(progress) == START
    state = after(StepStart("rebuild", 1, 0), progress)
    assert step(state, "rebuild").progress == progress
    assert step(state, "pull").progress is None


def test_the_fraction_counts_steps_by_weight() -> None:
    pulled = (StepStart("pull", 1, 0), StepEnd("pull", 2, "ok", 0), StepStart("rebuild", 2, 0))
    assert after(*pulled).fraction == pytest.approx(0.1)
    assert after(*pulled, Progress(0, 0)).fraction == pytest.approx(0.1)
    assert after(*pulled, Progress(2, 4)).fraction == pytest.approx(0.5)
    assert after(*pulled, Progress(9, 4)).fraction == pytest.approx(0.9)
    ended = (StepEnd("rebuild", 3, "failed", 0), StepEnd("start", 4, "ok", 0))
    assert after(*pulled, *ended).fraction == 1
    assert JobState(steps=()).fraction == 0


def test_skipped_steps_count_as_done_only_after_no_failure() -> None:
    skipped = (StepEnd("rebuild", 2, "skipped", 0), StepEnd("start", 3, "ok", 0))
    assert after(StepEnd("pull", 2, "skipped", 0), *skipped).fraction == 1
    for status in ("failed", "cancelled"):
        state = after(StepEnd("pull", 2, status, 0), *skipped)
        assert state.fraction == pytest.approx(0.2)


def test_the_growth_of_the_log_changes_nothing() -> None:
    assert after(LogGrew(5, 5)) == START


def test_events_of_unknown_steps_change_no_step() -> None:
    assert after(StepStart("verify", 1, 0)).steps == START.steps


WORK = Work(builds=(BuildNow("git-2.47", "git"),), building=1)


def test_the_work_is_what_was_told_last_and_none_after_the_jobs_end() -> None:
    assert START.work is None
    assert after(WORK).work == WORK
    assert after(WORK, Work()).work == Work()
    assert after(WORK, StepEnd("pull", 9, "ok", 0), Tick(9, 0)).work == WORK
    assert after(WORK, JobEnd(9, "done")).work is None
    assert after(JobEnd(9, "failed"), WORK).work is None


def test_what_was_built_is_known_after_the_jobs_end() -> None:
    builds = (BuildTime("git-2.47", "git", 9), BuildTime("hello-1", "hello", 2))
    assert START.built == ()
    assert after(JobEnd(9, "done"), BuildTimes(builds)).built == builds
    assert after(JobEnd(9, "done"), BuildTimes(builds), WORK).built == builds


times = st.integers(0, 100)
names = st.sampled_from(("pull", "rebuild", "start", "verify"))
events = st.one_of(
    st.builds(JobStart, times),
    st.builds(StepStart, names, times, times),
    st.builds(Retry, names, times, times, times, times),
    st.builds(
        StepEnd, names, times, st.sampled_from(("ok", "failed", "skipped", "cancelled")), times
    ),
    st.builds(Waiting, st.just("switch"), times, times),
    st.builds(Tick, times, times),
    st.builds(JobEnd, times, st.just("done")),
    st.builds(Progress, times, times),
    st.just(WORK),
    st.just(BuildTimes((BuildTime("git-2.47", "git", 9),))),
    st.builds(Link, st.booleans()),
)


@given(st.lists(events))
def test_events_in_any_order_give_a_valid_state(happened: list[JobEvent]) -> None:
    state = after(*happened)
    assert 0 <= state.fraction <= 1
    assert [step.id for step in state.steps] == [step.id for step in START.steps]
    assert state.work is None or state.outcome is None


@given(st.lists(events))
def test_whatever_happens_the_fraction_never_goes_back(happened: list[JobEvent]) -> None:
    state, seen = START, [0.0]
    for event in happened:
        state = state.after(event)
        seen.append(state.fraction)
    assert seen == sorted(seen)


def test_a_step_has_reached_what_it_had_reached_before() -> None:
    state = after(StepStart("rebuild", 1, 0), Progress(3, 4), Progress(1, 4), Progress(0, 0))
    assert step(state, "rebuild").reached == 0.75
    assert step(state, "rebuild").progress == Progress(0, 0)
