"""How far Nix is, by its counts, after each activity."""

from __future__ import annotations

import pytest

from nixfleet_core.nix.activity import (
    Activity,
    BuildLine,
    Counts,
    DownloadSize,
    Message,
    Phase,
    PlainText,
    StartActivity,
    StartBuild,
    StartCounter,
    StartEvaluation,
    StopActivity,
)
from nixfleet_core.nix.log_state import LogState, Progress

BUILDS = StartCounter(0, "", 1, "builds")
COPIES = StartCounter(0, "", 2, "copies")
BUILD = StartBuild(3, "building", 3, "agent.drv")


def after(*activities: Activity) -> LogState:
    state = LogState()
    for activity in activities:
        state.take(activity)
    return state


@pytest.mark.parametrize(
    "activity",
    [
        PlainText(b"x"),
        Message(0, "x"),
        StartActivity(0, "x", 4),
        BuildLine(1, "x", post=False),
        Counts(7, 8, 9),
        Phase(3, "buildPhase"),
        DownloadSize(1, 9),
        StopActivity(9),
    ],
)
def test_other_activities_change_nothing(activity: Activity) -> None:
    state = after(BUILDS, COPIES, BUILD, Counts(1, 5, 1), activity)
    assert state.progress == Progress(1, 5)
    assert list(state.running.builds) == [3]


def test_progress_begins_with_the_first_worker() -> None:
    assert after(COPIES, Counts(1, 2, 2), BUILD).progress is None
    assert after(BUILDS).progress == Progress(0, 0)


def test_substituted_paths_are_added_to_builds() -> None:
    counted = (Counts(1, 5, 1), Counts(10, 20, 2), Counts(100, 100, 3))
    assert after(BUILDS, COPIES, *counted).progress == Progress(done=11, expected=25)


def test_the_next_worker_counts_from_zero() -> None:
    first = (BUILDS, COPIES, BUILD, Counts(6, 7, 1), Counts(3, 3, 2))
    assert after(*first).progress == Progress(9, 10)
    second = (*first, StartCounter(0, "", 11, "builds"))
    assert after(*second).progress == Progress(0, 0)
    assert after(*second).running.builds == {}
    counted = (StartCounter(0, "", 12, "copies"), Counts(1, 40, 11), Counts(9, 9, 2))
    assert after(*second, *counted).progress == Progress(1, 40)


def test_one_activity_may_be_both_counters() -> None:
    both = StartCounter(0, "", 1, "copies")
    assert after(BUILDS, both, Counts(1, 2, 1)).progress == Progress(2, 4)


@pytest.mark.parametrize(
    ("activity", "others"),
    [
        (StartEvaluation(4, "evaluating", 5, "path:/c#csb0"), [5]),
        (PlainText(b"$ nixos-rebuild switch --flake /c#csb0"), []),
        (PlainText(b"building the system configuration..."), []),
        (PlainText(b"said by a builder"), [4]),
    ],
)
def test_what_ran_is_forgotten_when_another_process_begins(
    activity: Activity, others: list[int]
) -> None:
    state = after(BUILDS, BUILD, StartActivity(4, "copying", 4), activity)
    assert list(state.running.others) == others
    assert list(state.running.builds) == ([3] if others == [4] else [])
