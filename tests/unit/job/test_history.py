from __future__ import annotations

import pytest
from fakes import PLAN
from hypothesis import given
from hypothesis import strategies as st
from msgspec.json import encode

from nixfleet_core.ids import is_job_id
from nixfleet_core.job.copies import Asked, Result
from nixfleet_core.job.history import HISTORY_LIMIT, History, job_line, read_history

FIRST, SECOND = "20261123-004101-ab12", "20261123-004102-cd34"
ASKED = b'{"format":1,"at":1795394461,"uid":1000,"from":"192.0.2.1 5 192.0.2.2 22","plan":%s}'
DEEP = b'{"x":' + b"[" * 100_000
RESULT = b'{"format":1,"outcome":"failed","failed":"pull","rc":1,"ended":1795394500}'


def answer(*jobs: tuple[str, bytes, bytes], running: str = "") -> bytes:
    lines = b"".join(b"@nf job %s\n%s\n%s\n" % (job.encode(), *values) for job, *values in jobs)
    return lines + f"@nf running {running}\n".encode()


def test_reads_jobs_newest_first() -> None:
    plan = ASKED % encode(PLAN)
    found = read_history(answer((FIRST, plan, RESULT), (SECOND, plan, b""), running=SECOND))
    assert [job.job for job in found.jobs] == [SECOND, FIRST]
    assert found.running == SECOND
    newest, oldest = found.jobs
    assert newest.result is None
    assert oldest.asked is not None
    assert oldest.asked.plan == PLAN
    assert oldest.result == Result("failed", "pull", 1, 1795394500)


@pytest.mark.parametrize(
    ("plan", "result"),
    [(b"{", b"\xff"), (DEEP, DEEP), (b"{}", b"{}"), (b"", b'{"outcome":"done","ended":-1}')],
    ids=range(4),
)
def test_unreadable_parts_of_a_job_are_left_out(plan: bytes, result: bytes) -> None:
    (found,) = read_history(answer((FIRST, plan, result))).jobs
    assert (found.asked, found.result) == (None, None)


def test_a_cut_off_job_is_left_out() -> None:
    whole = answer((FIRST, b"a", b"b"))
    cut = whole[: whole.index(b"\nb\n")]
    assert cut.endswith(b"\na")
    for end in range(len(cut) + 1):
        assert read_history(cut[:end]) == History((), None)
    assert [job.job for job in read_history(cut + b"\n").jobs] == [FIRST]


def test_text_in_a_job_cannot_add_another_job() -> None:
    evil = f"@nf job {SECOND}".encode()
    found = read_history(answer((FIRST, evil, b"@nf running x"), (FIRST, evil, evil)))
    assert [job.job for job in found.jobs] == [FIRST, FIRST]
    assert found.running is None


def test_only_as_many_jobs_are_read_as_a_host_keeps() -> None:
    jobs = [(f"20261123-00{at // 60:02}{at % 60:02}-ab12", b"", b"") for at in range(HISTORY_LIMIT)]
    more = answer(*jobs, (SECOND, b"", b""), running=SECOND)
    found = read_history(more)
    assert [job.job for job in found.jobs] == [job for job, *_ in reversed(jobs)]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"@nf denied\n",
        b"motd\n",
        b"@nf job ../x\na\nb\nc\n",
        b"running 20261123-004101-ab12\n",
        b"@nf running \n",
    ],
)
def test_an_answer_without_jobs(data: bytes) -> None:
    assert read_history(data) == History((), None)


def test_a_greeting_is_no_job() -> None:
    assert len(read_history(b"Welcome\n@nf\n" + answer((FIRST, b"", b""))).jobs) == 1


@given(st.binary(max_size=300))
def test_parser_survives_any_answer(noise: bytes) -> None:
    assert all(is_job_id(job.job) for job in read_history(noise).jobs)
    line = noise.replace(b"\n", b"")
    (found,) = read_history(answer((FIRST, line, line), running=SECOND)).jobs
    assert found.job == FIRST


def test_a_line_for_people() -> None:
    asked = Asked(plan=PLAN, at=1795394461, uid=1000, user="ops", from_="192.0.2.1 5 192.0.2.2 22")
    result = Result("failed", "pull", 1, 1795394500)
    line = job_line(FIRST, asked=asked, result=result, running=False)
    assert (line.at, line.seconds, line.asked_by) == (1795394461, 39, "ops from 192.0.2.1")
    assert (line.goal, line.outcome, line.failed_step) == ("update", "failed", "pull")
    assert job_line(FIRST, asked=asked, result=None, running=True).outcome == "running"
    assert job_line(FIRST, asked=asked, result=None, running=False).outcome == "interrupted"


@pytest.mark.parametrize(("ended", "seconds"), [(0, None), (1795394460, 0), (1795394462, 1)])
def test_a_clock_that_was_set_back_makes_no_negative_time(ended: int, seconds: int | None) -> None:
    asked = Asked(plan=PLAN, at=1795394461, uid=0)
    line = job_line(FIRST, asked=asked, result=Result("done", ended=ended), running=False)
    assert (line.seconds, line.outcome, line.asked_by) == (seconds, "done", "root")


def test_a_plan_without_a_time_has_that_of_the_id() -> None:
    line = job_line(FIRST, asked=Asked(plan=PLAN), result=None, running=False)
    assert line.at == 1795394461


@pytest.mark.parametrize(
    ("uid", "user", "shown"),
    [
        (0, "", "root"),
        (0, "toor", "root"),
        (1000, "ops", "ops"),
        (1000, "", "user number 1000"),
        (None, "", "user unknown"),
    ],
)
def test_who_asked_has_the_name_that_the_host_knows(uid: int | None, user: str, shown: str) -> None:
    asked = Asked(plan=PLAN, uid=uid, user=user)
    assert job_line(FIRST, asked=asked, result=None, running=False).asked_by == shown


def test_missing_facts_of_a_job_come_from_its_id() -> None:
    line = job_line(FIRST, asked=None, result=None, running=False)
    assert (line.at, line.seconds, line.asked_by, line.goal) == (1795394461, None, "", "")
