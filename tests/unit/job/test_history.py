from __future__ import annotations

import pytest
from fake_session import PLAN
from hypothesis import given
from hypothesis import strategies as st
from msgspec.json import encode

from nixfleet_core.job.copies import Asked, Result
from nixfleet_core.job.history import History, job_line, read_history

FIRST, SECOND = "20261123-004101-ab12", "20261123-004102-cd34"
ASKED = b'{"format":1,"at":1795394461,"uid":1000,"from":"192.0.2.1 5 192.0.2.2 22","plan":%s}'
RESULT = b'{"format":1,"outcome":"failed","failed":"pull","rc":1,"ended":1795394500}'


def answer(*jobs: tuple[str, bytes, bytes, bytes], running: str = "", previous: str = "") -> bytes:
    lines = b"".join(b"@nf job %s\n%s\n%s\n%s\n" % (job.encode(), *values) for job, *values in jobs)
    return lines + f"@nf running {running}\n@nf previous {previous}\n".encode()


def test_reads_jobs_newest_first() -> None:
    plan = ASKED % encode(PLAN)
    found = read_history(
        answer(
            (FIRST, plan, RESULT, b"/nix/store/old"),
            (SECOND, plan, b"", b""),
            running=SECOND,
            previous="/nix/store/before",
        )
    )
    assert [job.job for job in found.jobs] == [SECOND, FIRST]
    assert (found.running, found.previous) == (SECOND, "/nix/store/before")
    newest, oldest = found.jobs
    assert (newest.result, newest.before) == (None, None)
    assert oldest.before == "/nix/store/old"
    assert oldest.asked is not None
    assert oldest.asked.plan == PLAN
    assert oldest.result == Result("failed", "pull", 1, 1795394500)


def test_what_cannot_be_read_of_a_job_is_left_out() -> None:
    (found,) = read_history(answer((FIRST, b"{", b"\xff", b"/etc/passwd"))).jobs
    assert (found.asked, found.result, found.before) == (None, None, None)


@pytest.mark.parametrize("data", [b"", b"@nf denied\n", b"motd\n", b"@nf job ../x\na\nb\nc\n"])
def test_an_answer_without_jobs(data: bytes) -> None:
    assert read_history(data) == History((), None, None)


def test_a_greeting_is_no_job() -> None:
    assert len(read_history(b"Welcome\n@nf\n" + answer((FIRST, b"", b"", b""))).jobs) == 1


@given(st.binary(max_size=300))
def test_takes_any_answer(noise: bytes) -> None:
    read_history(noise)
    read_history(answer((FIRST, noise, noise, noise)))


def test_a_line_for_people() -> None:
    asked = Asked(plan=PLAN, at=1795394461, uid=1000, from_="192.0.2.1 5 192.0.2.2 22")
    result = Result("failed", "pull", 1, 1795394500)
    line = job_line(FIRST, asked=asked, result=result, running=False)
    assert (line.at, line.seconds, line.asked_by) == (*(1795394461, 39, "uid 1000 from 192.0.2.1"),)
    assert (line.goal, line.outcome, line.failed_step) == ("update", "failed", "pull")
    assert job_line(FIRST, asked=asked, result=None, running=True).outcome == "running"
    assert job_line(FIRST, asked=asked, result=None, running=False).outcome == "interrupted"


def test_what_is_not_known_of_a_job_is_taken_from_its_id() -> None:
    line = job_line(FIRST, asked=None, result=None, running=False)
    assert (line.at, line.seconds, line.asked_by, line.goal) == (1795394461, None, "", "")
