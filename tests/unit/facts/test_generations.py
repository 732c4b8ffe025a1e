"""What a host can go back to, as it says."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixfleet_core.facts.generations import (
    GENERATIONS_LIMIT,
    Before,
    Generation,
    Generations,
    JobLook,
    read_generations,
)
from nixfleet_core.ids import is_job_id

FIRST, SECOND = "20261123-004101-ab12", "20261123-004102-cd34"
OLD, NEW = "/nix/store/old", "/nix/store/new"
AGENT = "/nix/store/a-nixfleet-agent-2.1.0/bin/nixfleet-agent"

ANSWER: Final = f"""\
Welcome
@nf now {OLD} {NEW} 2
@nf booted {OLD}
@nf generation 1 {OLD} {AGENT}
@nf generation 2 {NEW} -
@nf job {FIRST}
{{}}
@nf look {FIRST} before {OLD} {OLD} {AGENT}
@nf look {FIRST} after {OLD} {NEW} -
@nf back {FIRST} {OLD} {OLD} 1 {AGENT} lock
@nf job {SECOND}

@nf back {SECOND} {OLD} {NEW} - - -
""".encode()


def test_reads_generations_and_jobs_newest_first() -> None:
    found = read_generations(ANSWER)
    assert (found.active, found.profile, found.number, found.booted) == (OLD, NEW, 2, OLD)
    assert found.generations == (Generation(2, NEW), Generation(1, OLD, AGENT))
    newest, oldest = found.jobs
    assert (newest.job, newest.plan, newest.looks) == (SECOND, b"", ())
    assert newest.before == Before(OLD, NEW)
    assert (oldest.job, oldest.plan) == (FIRST, b"{}")
    assert oldest.looks == (JobLook("before", OLD, OLD, AGENT), JobLook("after", OLD, NEW))
    assert oldest.before == Before(OLD, OLD, 1, AGENT, locked=True)


@pytest.mark.parametrize(
    "line",
    [
        "generation 3 /etc/passwd -",
        "generation 3 /nix/store/a/b -",
        "generation 1234567890 /nix/store/x -",
        "generation x /nix/store/x -",
        "generation 3 /nix/store/x",
        f"back {FIRST} /etc/x /nix/store/x 1 - -",
        f"back {FIRST} /nix/store/x - 1 - -",
        f"back {FIRST} /nix/store/x",
        f"look {SECOND} before /nix/store/x /nix/store/x -",
        "job ../x",
    ],
)
def test_what_cannot_be_read_is_left_out(line: str) -> None:
    told = read_generations(f"@nf job {FIRST}\n{{}}\n@nf {line}\n".encode())
    assert told.generations == ()
    assert [(job.job, job.looks, job.before) for job in told.jobs] == [(FIRST, (), None)]


def test_text_in_a_plan_is_no_answer() -> None:
    told = read_generations(f"@nf job {FIRST}\n@nf generation 3 {OLD} -\n".encode())
    assert (told.generations, told.jobs[0].plan) == ((), f"@nf generation 3 {OLD} -".encode())


def test_only_the_newest_generations_are_read() -> None:
    lines = "".join(f"@nf generation {number} {OLD} -\n" for number in range(5000))
    found = read_generations(lines.encode())
    assert [one.number for one in found.generations] == list(
        range(4999, 4999 - GENERATIONS_LIMIT, -1)
    )


@pytest.mark.parametrize("answer", [b"", b"@nf denied\n", b"motd\n", b"@nf now - - -\n"])
def test_an_answer_without_generations(answer: bytes) -> None:
    assert read_generations(answer) == Generations()


@given(st.binary(max_size=300))
def test_the_parser_survives_any_answer(noise: bytes) -> None:
    assert all(is_job_id(job.job) for job in read_generations(noise).jobs)
    line = noise.replace(b"\n", b"")
    read_generations(ANSWER + b"@nf " + line + b"\n@nf back " + line)
