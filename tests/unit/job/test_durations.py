from __future__ import annotations

import pytest

from nixfleet_core.job.durations import expected_seconds
from nixfleet_core.job.events import JobEvent, JobStart, StepEnd, StepStart, Tick


def run(seconds: int, status: str = "ok", step: str = "rebuild") -> list[JobEvent]:
    return [
        *(JobStart(50), StepStart(step, 100, 0), Tick(101, 5)),  # type: ignore[arg-type]
        StepEnd(step, 100 + seconds, status, 9),  # type: ignore[arg-type]
    ]


@pytest.mark.parametrize(
    ("jobs", "expected"),
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
    jobs: list[list[JobEvent]], expected: dict[str, int]
) -> None:
    assert expected_seconds(jobs) == expected
