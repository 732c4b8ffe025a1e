"""What Nix does now, and what it has built, with the host's times."""

from __future__ import annotations

from itertools import pairwise

import pytest

from nixfleet_core.job.work import (
    MOST_SHOWN,
    BuildNow,
    BuildTime,
    BuildTimes,
    DownloadNow,
    RetryNow,
    WordsNow,
    Work,
    WorkClock,
)
from nixfleet_core.limits import LAST_SECOND, LONGEST
from nixfleet_core.nix.activity import (
    Activity,
    Counts,
    Message,
    Phase,
    StartActivity,
    StartBuild,
    StartCopy,
    StartCounter,
    StartQuery,
    StartTransfer,
    StartWait,
    StopActivity,
    Tally,
)
from nixfleet_core.nix.running import Built, Running

HASH = "aja6zd00bn6bryagm78syj2xz14p60p6"
AGENT = f"/nix/store/{HASH}-nixfleet-agent-2.1.0.drv"
CACHE = "https://cache.nixos.org"


def log(*activities: Activity) -> Running:
    """Each line of this log has ten bytes."""
    running = Running()
    for number, activity in enumerate(activities, 1):
        running.take(activity, 10 * number)
    return running


def clock(*times: tuple[int, int]) -> WorkClock:
    """The host's log had that size at that time."""
    made = WorkClock()
    for at, size in times:
        made.add_time(at, size)
    return made


def build(number: int, name: str = "nixfleet-agent-2.1.0") -> StartBuild:
    return StartBuild(3, "building", number, f"/nix/store/{HASH}-{name}.drv")


def copying(number: int) -> StartCopy:
    return StartCopy(3, "copying", number, f"/nix/store/{HASH}-git-2.47", CACHE)


FLAKE = "https://h/flake.tar.gz"
ALL = log(
    StartCounter(0, "", 90, "builds"),
    Message(3, f"  {AGENT}"),
    Message(3, f"  /nix/store/{HASH}-git-2.47.drv"),
    Counts(0, 2, 90),
    StartBuild(3, "building", 1, AGENT, "ssh://build2"),
    Phase(1, "buildPhase"),
    StartTransfer(4, "downloading", 3, FLAKE, 0),
    copying(2),
    Counts(10, 40, 2),
    StartWait(1, "waiting for lock on 'x'", 4),
    StartActivity(4, "evaluating", 5),
    StartActivity(4, "querying info", 6),
    StartActivity(4, "copying '/c'", 7),
    StartQuery(4, "querying 'x'", 8),
    Message(1, "unable to download 'x'; retrying in 1500 ms"),
)


def test_all_that_runs_is_told_with_its_times() -> None:
    work = clock((5, 40), (6, 60), (7, 100), (9, 150)).now(ALL)
    assert work == Work(
        builds=(
            BuildNow("nixfleet-agent-2.1.0", "nixfleet-agent", 6, "buildPhase", "ssh://build2"),
        ),
        building=1,
        downloads=(DownloadNow(FLAKE, "", 0, 0, 7), DownloadNow("git-2.47", CACHE, 10, 40, 7)),
        downloading=2,
        fetched=Tally(10, 40),
        waiting=1,
        names=("git-2.47",),
        waits=(WordsNow("waiting for lock on 'x'", 7),),
        retries=(RetryNow("unable to download 'x'", 1.5, 9),),
        queries=1,
        others=(WordsNow("evaluating", 9), WordsNow("copying '/c'", 9)),
    )
    assert not is_idle(work)


def is_idle(work: Work) -> bool:
    """Whether nothing runs."""
    runs = work.building or work.downloading or work.queries
    return not (runs or work.waits or work.others)


@pytest.mark.parametrize(
    ("activity", "idle"),
    [
        (build(1), False),
        (copying(1), False),
        (StartQuery(4, "querying", 1), False),
        (StartWait(4, "waiting", 1), False),
        (StartActivity(4, "evaluating", 1), False),
        (StartCounter(0, "", 1, "builds"), True),
        (Message(1, "x; retrying in 5 ms"), True),
        (Message(3, f"  {AGENT}"), True),
    ],
)
def test_nix_is_idle_if_nothing_runs(activity: Activity, idle: bool) -> None:
    assert is_idle(WorkClock().now(log(activity))) == idle


def since(times: WorkClock, running: Running) -> int | None:
    return times.now(running).builds[0].since


def test_a_build_has_no_time_before_the_first_tick() -> None:
    assert since(clock(), log(build(1))) is None


def test_a_build_has_the_last_known_time_until_its_tick_comes() -> None:
    times, running = clock((100, 3)), log(build(1))
    assert since(times, running) == 100
    times.add_time(101, 3)
    assert since(times, running) == 101
    times.add_time(102, 10)
    assert since(times, running) == 102
    times.add_time(103, 500)
    assert since(times, running) == 102


def test_a_clock_that_is_set_back_changes_no_time() -> None:
    assert since(clock((100, 3), (50, 4)), log(build(1))) == 100


def rates(*seen: tuple[int, int]) -> list[int | None]:
    """The rate at each time, given how many bytes are there."""
    times, running, found = WorkClock(), log(copying(1)), []
    for at, done in seen:
        times.add_time(at, at)
        running.take(Counts(done, 10**9, 1), 20)
        found.append(times.now(running).rate)
    return found


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ([(100, 0)], [None]),
        ([(100, 0), (100, 500), (100, 900)], [None, None, None]),
        ([(100, 0), (101, 500), (102, 1000)], [None, 500, 500]),
        ([(100, 0), (100, 500), (102, 1000)], [None, None, 500]),
        ([(100, 0), (102, 1000), (102, 2000)], [None, 500, 1000]),
        ([(100, 700), (102, 700)], [None, 0]),
        ([(100, 0), (101, 500), (99, 600)], [None, 500, 600]),
        ([(100, 0), (LAST_SECOND, 10**9)], [None, 0]),
    ],
)
def test_the_rate_is_that_of_all_bytes_between_the_known_times(
    seen: list[tuple[int, int]], expected: list[int | None]
) -> None:
    assert rates(*seen) == expected


def test_the_rate_is_taken_over_the_last_seconds() -> None:
    steady = [(at, 1000 * at) for at in range(60)]
    assert set(rates(*steady)[1:]) == {1000}
    faster = [(at, 60_000 + 5000 * (at - 60)) for at in range(60, 80)]
    found = rates(*steady, *faster)[60:]
    assert all(before <= now for before, now in pairwise(rate or 0 for rate in found))
    assert (found[0], found[10], found[-1]) == (1000, 5000, 5000)


def test_a_pause_between_downloads_does_not_count() -> None:
    times, running = clock((100, 1)), log(StartCounter(0, "", 90, "builds"), copying(1))
    times.now(running)
    for at, activity, rate in (
        (110, Counts(5000, 5000, 1), 500),
        (110, StopActivity(1), None),
        (300, copying(2), None),
        (301, Counts(700, 9000, 2), 700),
    ):
        times.add_time(at, at)
        running.take(activity, 30)
        assert times.now(running).rate == rate
    assert times.now(running).fetched == Tally(5700, 14000)


def test_a_worker_that_counts_anew_has_a_rate_of_its_own() -> None:
    times, running = clock((100, 1)), log(StartCounter(0, "", 90, "builds"), copying(1))
    times.now(running)
    times.add_time(101, 2)
    running.take(Counts(5000, 9000, 1), 20)
    assert times.now(running).rate == 5000
    for activity in (StartCounter(0, "", 95, "builds"), copying(2), Counts(300, 900, 2)):
        running.take(activity, 30)
    assert times.now(running).rate is None
    times.add_time(103, 3)
    running.take(Counts(500, 900, 2), 40)
    assert times.now(running).rate == 100


def test_many_looks_at_one_time_cost_little_memory() -> None:
    times, running = clock((100, 1)), log(copying(1))
    for done in range(500):
        running.take(Counts(done, 9000, 1), 20)
        times.now(running)
    assert len(times._fetched) == 2


@pytest.mark.parametrize(
    "activity", [build(1), StartQuery(4, "querying", 1), StartActivity(4, "copying", 1)]
)
def test_without_downloads_there_is_no_rate(activity: Activity) -> None:
    times, running = clock((100, 1)), log(activity)
    times.now(running)
    times.add_time(105, 2)
    assert times.now(running).rate is None


def test_only_so_many_of_a_kind_are_told_but_all_are_counted() -> None:
    several = range(100)
    work = WorkClock().now(
        log(
            *(build(number) for number in several),
            *(copying(100 + number) for number in several),
            *(StartWait(1, "waiting", 200 + number) for number in several),
            *(StartActivity(1, f"{number}", 300 + number) for number in several),
            *(Message(3, f"  /nix/store/{HASH}-{number}.drv") for number in several),
            *(Message(1, "x; retrying in 5 ms") for number in several),
        )
    )
    assert (work.building, work.downloading) == (100, 100)
    shown = (work.builds, work.downloads, work.waits, work.names)
    assert [len(told) for told in shown] == [MOST_SHOWN] * 4
    assert [words.text for words in work.others] == ["0", "99"]
    assert len(work.retries) == 16


def built(name: str, begin: int, end: int) -> Built:
    return Built(name.partition("-")[0], name, begin, end)


TIMES = clock((100, 10), (101, 20), (104, 40), (130, 50))


@pytest.mark.parametrize(
    ("builds", "times"),
    [
        ([], []),
        ([built("git-2", 10, 40)], [BuildTime("git-2", "git", 4)]),
        ([built("git-2", 10, 11)], [BuildTime("git-2", "git", 1)]),
        ([built("git-2", 11, 20)], []),
        ([built("git-2", 0, 20)], [BuildTime("git-2", "git", 1)]),
        ([built("git-2", 40, 999)], [BuildTime("git-2", "git", 26)]),
        ([built("git-2", 998, 999)], []),
        ([built("git-2", 40, 10)], []),
        (
            [built("b-1", 10, 40), built("c-1", 10, 50), built("a-1", 10, 40)],
            [BuildTime("c-1", "c", 30), BuildTime("a-1", "a", 4), BuildTime("b-1", "b", 4)],
        ),
    ],
)
def test_builds_of_a_second_or_longer_are_told_the_slowest_first(
    builds: list[Built], times: list[BuildTime]
) -> None:
    assert TIMES.build_times(builds) == BuildTimes(tuple(times))


def test_without_times_no_build_is_told() -> None:
    assert WorkClock().build_times([built("git-2", 10, 40)]) == BuildTimes()


def test_so_many_builds_are_told() -> None:
    told = TIMES.build_times([built(f"git-{number}", 10, 50) for number in range(5000)])
    assert len(told.builds) == 1024


def test_no_build_takes_longer_than_any_time_that_is_believed() -> None:
    long = clock((0, 10), (LAST_SECOND, 20)).build_times([built("git-2", 10, 20)])
    assert [build.seconds for build in long.builds] == [LONGEST]
