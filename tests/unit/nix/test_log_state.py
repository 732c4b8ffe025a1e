"""Which builds run, and how far Nix is, after each activity."""

from __future__ import annotations

import pytest

from nixfleet_core.nix.activity import (
    Activity,
    BuildLine,
    Counts,
    Message,
    PlainText,
    StartActivity,
    StartBuild,
    StartCounter,
    StopActivity,
)
from nixfleet_core.nix.log_state import LogState, Progress, package_name

AGENT = "/nix/store/aja6zd00bn6bryagm78syj2xz14p60p6-nixfleet-agent-2.1.0.drv"


def build(number: int, drv_path: str = AGENT) -> StartBuild:
    return StartBuild(3, "building", number, drv_path)


BUILDS = StartCounter(0, "", 1, "builds")
COPIES = StartCounter(0, "", 2, "copies")


def after(*activities: Activity) -> LogState:
    state = LogState()
    for activity in activities:
        state.take(activity)
    return state


def test_builds_run_until_they_stop() -> None:
    assert after(build(1), build(2, "x.drv")).builds == {1: b"nixfleet-agent", 2: b"x"}
    assert after(build(1), build(2, "x.drv"), StopActivity(1), StopActivity(7)).builds == {2: b"x"}
    assert after(build(1), build(1, "x.drv")).builds == {1: b"x"}


@pytest.mark.parametrize(
    "activity",
    [
        PlainText(b"x"),
        Message(0, "x"),
        StartActivity(0, "x"),
        BuildLine(1, "x", post=False),
        Counts(7, 8, 9),
        StopActivity(9),
    ],
)
def test_other_activities_change_nothing(activity: Activity) -> None:
    state = after(BUILDS, COPIES, build(3), Counts(1, 5, 1), activity)
    assert (state.builds, state.progress) == ({3: b"nixfleet-agent"}, Progress(1, 5))


def test_progress_begins_with_the_first_worker() -> None:
    assert after(COPIES, Counts(1, 2, 2), build(3)).progress is None
    assert after(BUILDS).progress == Progress(0, 0)


def test_substituted_paths_are_added_to_builds() -> None:
    counted = (Counts(1, 5, 1), Counts(10, 20, 2), Counts(100, 100, 3))
    assert after(BUILDS, COPIES, *counted).progress == Progress(done=11, expected=25)


def test_the_next_worker_counts_from_zero() -> None:
    first = (BUILDS, COPIES, build(3), Counts(6, 7, 1), Counts(3, 3, 2))
    assert after(*first).progress == Progress(9, 10)
    second = (*first, StartCounter(0, "", 11, "builds"))
    assert after(*second).progress == Progress(0, 0)
    assert after(*second).builds == {}
    counted = (StartCounter(0, "", 12, "copies"), Counts(1, 40, 11), Counts(9, 9, 2))
    assert after(*second, *counted).progress == Progress(1, 40)


def test_one_activity_may_be_both_counters() -> None:
    both = StartCounter(0, "", 1, "copies")
    assert after(BUILDS, both, Counts(1, 2, 1)).progress == Progress(2, 4)


@pytest.mark.parametrize(
    ("drv_path", "name"),
    [
        (AGENT, b"nixfleet-agent"),
        ("/nix/store/b8s2an10g9828c0gcasvhf3s54dx0m2n-lab-step-1.drv", b"lab-step"),
        ("/nix/store/b8s2an10g9828c0gcasvhf3s54dx0m2n-lab-smp-fail.drv", b"lab-smp-fail"),
        ("/nix/store/b8s2an10g9828c0gcasvhf3s54dx0m2n-gcc-wrapper-13.2.0.drv", b"gcc-wrapper"),
        ("/nix/store/.drv", b"unnamed"),
        ("", b"unnamed"),
        ("\ud800.drv", b"?"),
        ("n" * 1000, b"n" * 211),
    ],
)
def test_a_build_is_called_as_nix_calls_it(drv_path: str, name: bytes) -> None:
    assert package_name(drv_path) == name


def test_the_oldest_of_too_many_builds_are_forgotten() -> None:
    state = after(*(build(number) for number in range(5000)))
    assert list(state.builds) == list(range(5000 - 4096, 5000))
