"""What a host can go back to, as scripts/ask/generations.sh lists it. Parsing only.

All values are untrusted text: a path counts only if it could be one in the store.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from nixfleet_core.ids import is_job_id

if TYPE_CHECKING:
    from collections.abc import Iterator

GENERATIONS_LIMIT: Final = 100
"""So many generations of a host are read, the newest; the script prints no more."""

_JOBS_LIMIT: Final = 100
"""A host keeps 20 jobs."""

_PATH: Final = re.compile(r"/nix/store/[^\s/\0]{1,250}")
_PROGRAM: Final = re.compile(r"/nix/store/[^\s\0]{1,1000}")


@dataclass(frozen=True, slots=True)
class Generation:
    """One generation of the profile; `agent` is the program that its unit starts."""

    number: int
    system: str
    agent: str | None = None


@dataclass(frozen=True, slots=True)
class JobLook:
    """What a look of a job saw; `running` only if it was proven."""

    side: Literal["before", "after"]
    active: str | None
    profile: str | None
    running: str | None = None


@dataclass(frozen=True, slots=True)
class Before:
    """What a job puts the host back to: the active system, and the generation of the profile."""

    active: str
    profile: str
    number: int | None = None
    agent: str | None = None
    locked: bool = False
    """The job has kept the flake.lock from before it."""


@dataclass(frozen=True, slots=True)
class SeenJob:
    """One job; `plan` is its plan.json, unread. `before` is None if that is no longer there."""

    job: str
    plan: bytes = b""
    looks: tuple[JobLook, ...] = ()
    before: Before | None = None


@dataclass(frozen=True, slots=True)
class Generations:
    """Generations and jobs, newest first; what is active, and what the profile names."""

    active: str | None = None
    profile: str | None = None
    number: int | None = None
    booted: str | None = None
    generations: tuple[Generation, ...] = ()
    jobs: tuple[SeenJob, ...] = ()


def read_generations(answer: bytes) -> Generations:
    """Read the script's answer. What cannot be read is left out."""
    now: tuple[str | None, str | None, int | None] = (None, None, None)
    booted: str | None = None
    generations: dict[int, Generation] = {}
    jobs: dict[str, _Job] = {}
    for words, after in _lines(answer):
        match words:
            case ["now", active, profile, number]:
                now = _path(active), _path(profile), _number(number)
            case ["booted", system]:
                booted = _path(system)
            case ["generation", number, system, agent]:
                if (n := _number(number)) is not None and (path := _path(system)) is not None:
                    generations[n] = Generation(n, path, _program(agent))
            case ["job", job] if is_job_id(job):
                jobs[job] = _Job(after.encode())
            case ["look", job, "before" | "after" as side, active, profile, running] if job in jobs:
                look = JobLook(side, _path(active), _path(profile), _program(running))
                jobs[job].looks[side] = look
            case ["back", job, *before] if job in jobs:
                jobs[job].before = _before(before)
    newest = sorted(generations, reverse=True)[:GENERATIONS_LIMIT]
    return Generations(
        *now,
        booted,
        tuple(generations[number] for number in newest),
        tuple(jobs[job].seen(job) for job in sorted(jobs, reverse=True)[:_JOBS_LIMIT]),
    )


class _Job:
    def __init__(self, plan: bytes) -> None:
        self.plan = plan
        self.looks: dict[str, JobLook] = {}
        self.before: Before | None = None

    def seen(self, job: str) -> SeenJob:
        return SeenJob(job, self.plan, tuple(self.looks.values()), self.before)


def _lines(answer: bytes) -> Iterator[tuple[list[str], str]]:
    """The words of each line of ours, and the line after it: after `job` that is its plan."""
    lines = iter(answer.decode("utf-8", "replace").split("\n"))
    for line in lines:
        if not line.startswith("@nf "):
            continue
        words = line.removeprefix("@nf ").split(" ")
        yield words, next(lines, "") if words[0] == "job" else ""


def _before(words: list[str]) -> Before | None:
    match words:
        case [active, profile, number, agent, lock]:
            system, place = _path(active), _path(profile)
            if system is not None and place is not None:
                return Before(system, place, _number(number), _program(agent), lock == "lock")
    return None


def _path(text: str) -> str | None:
    return text if _PATH.fullmatch(text) else None


def _program(text: str) -> str | None:
    return text if _PROGRAM.fullmatch(text) else None


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else None
