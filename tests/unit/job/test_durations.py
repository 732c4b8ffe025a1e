from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nixfleet_core.job.durations import PastJob, usual_durations
from nixfleet_core.job.events import JobEnd, JobEvent, JobStart, StepEnd, StepStart, Tick
from nixfleet_core.job.work import BuildTime, BuildTimes

if TYPE_CHECKING:
    from nixfleet_core.vocabulary import StepId

STEPS: tuple[StepId, ...] = ("pull", "rebuild")


def run(seconds: int, status: str = "ok", step: str = "rebuild") -> list[JobEvent]:
    return [
        *(JobStart(50), StepStart(step, 100, 0), Tick(101, 5)),  # type: ignore[arg-type]
        StepEnd(step, 100 + seconds, status, 9),  # type: ignore[arg-type]
    ]


def job(
    pull: int, rebuild: int, *built: BuildTime, steps: tuple[StepId, ...] = STEPS, end: str = "done"
) -> PastJob:
    """A job whose pull begins at 100; its rebuild follows at once, then its end."""
    middle = 100 + pull
    events: list[JobEvent] = [
        *(JobStart(50), StepStart("pull", 100, 0), StepEnd("pull", middle, "ok", 0)),
        StepStart("rebuild", middle, 0),
        JobEnd(middle + rebuild, end),
    ]
    return PastJob(steps, events, BuildTimes(built))


@pytest.mark.parametrize(
    ("jobs", "steps"),
    [
        ([], {}),
        ([run(60)], {"rebuild": 60}),
        ([run(60), run(900), run(80)], {"rebuild": 80}),
        ([run(60), run(71)], {"rebuild": 66}),
        ([run(60), run(5, "failed"), run(1, "cancelled"), run(0, "skipped")], {"rebuild": 60}),
        ([run(4, step="stop") + run(60)], {"stop": 4, "rebuild": 60}),
        ([run(-7)], {"rebuild": 0}),
        ([run(60)[:3]], {}),
        ([[run(60)[3]]], {}),
    ],
)
def test_a_steps_time_is_the_median_of_its_good_runs(
    jobs: list[list[JobEvent]], steps: dict[str, int]
) -> None:
    usual = usual_durations([PastJob(("pull",), events) for events in jobs], STEPS)
    assert usual.steps == steps


@pytest.mark.parametrize(
    ("jobs", "rest"),
    [
        ([], {}),
        ([job(10, 60)], {}),
        ([job(10, 60), job(20, 80)], {"pull": 85, "rebuild": 70}),
        ([job(10, 60), job(10, 900), job(20, 80)], {"pull": 100, "rebuild": 80}),
        ([job(10, 60), job(20, 80, steps=("pull",))], {}),
        ([job(10, 60), job(20, 80, steps=("rebuild", "pull"))], {}),
        ([job(10, 60), job(20, 80, end="failed")], {}),
        ([job(10, 60), job(1, 1, end="cancelled"), job(10, 60)], {"pull": 70, "rebuild": 60}),
        ([job(10, -99), job(10, -99)], {"pull": 0, "rebuild": 0}),
    ],
)
def test_the_rest_of_a_job_is_the_median_of_two_or_more_that_were_done_with_its_steps(
    jobs: list[PastJob], rest: dict[str, int]
) -> None:
    assert usual_durations(jobs, STEPS).rest == rest


def test_a_step_that_a_job_skipped_counts_in_the_others() -> None:
    short = PastJob(STEPS, [JobStart(50), StepStart("rebuild", 100, 0), JobEnd(140, "done")])
    assert usual_durations([job(10, 60), short], STEPS).rest == {"pull": 70, "rebuild": 50}


GIT, OLD_GIT, GCC = (
    BuildTime("git-2.47", "git", 300),
    BuildTime("git-2.46", "git", 200),
    BuildTime("gcc-13", "gcc", 900),
)


@pytest.mark.parametrize(
    ("jobs", "builds"),
    [
        ([job(1, 1)], {}),
        ([job(1, 1, GCC, GIT)], {"gcc": 900, "git": 300}),
        ([job(1, 1, GCC, GIT), job(1, 1, OLD_GIT)], {"gcc": 900, "git": 200}),
        ([job(1, 1, OLD_GIT), job(1, 1, GIT)], {"git": 300}),
        ([job(1, 1, GIT, OLD_GIT)], {"git": 300}),
        ([job(1, 1, GIT, end="failed"), job(1, 1, GCC, steps=())], {"gcc": 900}),
        ([PastJob((), (), BuildTimes((GIT,)))], {}),
    ],
)
def test_a_packages_time_is_that_of_its_last_build_in_a_job_that_was_done(
    jobs: list[PastJob], builds: dict[str, int]
) -> None:
    """A job's builds are sorted, the slowest first; of two of one package the slowest counts."""
    assert usual_durations(jobs, STEPS).builds == builds
