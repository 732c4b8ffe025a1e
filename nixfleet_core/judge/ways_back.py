"""The ways back of a host: what is known of each, and which one is taken if nobody chooses. Pure.

A generation is known to have run only if somebody saw it active: a job before or after its work, a
proof, or the boot. A profile that names it shows nothing: a switch moves the profile first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from nixfleet_core.facts.model import Binary, version_label
from nixfleet_core.job.copies import read_asked
from nixfleet_core.plan.model import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nixfleet_core.facts.generations import Generation, Generations, SeenJob
    from nixfleet_core.facts.model import Facts
    from nixfleet_core.facts.proofs import Proven
    from nixfleet_core.judge.causes import Expectation
    from nixfleet_core.plan.model import Plan

Known = Literal["active", "proven", "was-active", "failed", "unknown"]

KNOWN_WORDS: Final[dict[Known, str]] = {
    "active": "is active now",
    "proven": "was active, proven",
    "was-active": "was active",
    "failed": "never seen active: the job that brought it left another one active",
    "unknown": "nobody knows whether it was ever active",
}


class WayBack(msgspec.Struct, frozen=True, kw_only=True):
    """A system that can be activated, and the generation that the profile then names."""

    system: str
    profile: str
    number: int | None = None
    """The number of the profile's generation."""
    agent: str | None = None
    """The program that the agent's unit starts in that system."""
    known: Known = "unknown"
    ran: bool = False
    """This system and its agent are known to have run."""
    lock_from: str | None = None
    """The job that has kept the flake.lock from before it, when this system was active."""
    why: str = ""
    """For the way that is taken if nobody chooses: why it is that one."""

    @property
    def is_generation(self) -> bool:
        """It is the generation of that number, and nothing below or beside it."""
        return self.number is not None and self.system == self.profile

    def leads_where(self, other: WayBack) -> bool:
        """Whether both lead to the same systems."""
        return (self.system, self.profile, self.number) == (
            other.system,
            other.profile,
            other.number,
        )

    @property
    def version(self) -> str | None:
        """The agent's version, as its path names it."""
        return version_label(self.agent) if self.agent else None

    @property
    def name(self) -> str:
        """`generation 411`, or what else it is."""
        if self.is_generation:
            return f"generation {self.number}"
        below = f", with generation {self.number} in the profile" if self.number else ""
        return f"the system {self.system}{below}"

    @property
    def sentence(self) -> str:
        """Where it leads, and why, for a plan."""
        return f"{self.name}: {self.why}" if self.why else f"{self.name}: {self.words}"

    @property
    def words(self) -> str:
        """What is known of it, in words."""
        agent = f"agent {self.version}" if self.version else "agent not known"
        return f"{agent}; {KNOWN_WORDS[self.known]}"


@dataclass(frozen=True, slots=True)
class WaysBack:
    """`chosen` is taken if nobody chooses; `generations` are the profile's, newest first."""

    chosen: WayBack | None
    generations: tuple[WayBack, ...] = ()

    @property
    def options(self) -> tuple[WayBack, ...]:
        """All ways; `chosen` is one of them, and comes first if it is no plain generation."""
        chosen = self.chosen
        same = (chosen is not None and way.leads_where(chosen) for way in self.generations)
        if chosen is None or not any(same):
            return (*((chosen,) if chosen else ()), *self.generations)
        return tuple(chosen if way.leads_where(chosen) else way for way in self.generations)

    def to(self, number: int) -> WayBack | None:
        """The way to that generation."""
        found = (way for way in self.options if way.is_generation and way.number == number)
        return next(found, None)


def ways_back(found: Generations, proofs: Iterable[Proven] = ()) -> WaysBack:
    """All ways back, by what the host's jobs and proofs say."""
    seen = _Seen(found, tuple(proofs))
    generations = tuple(seen.way(one) for one in found.generations)
    return WaysBack(_chosen(seen, found, generations), generations)


def no_way_back(ways: WaysBack, to: int | None) -> Refusal:
    """Why there is no way to that generation, or none at all."""
    if to is None:
        why = "the host has no earlier job and no earlier generation"
        return Refusal("target", why, "choose one by hand: nixos-rebuild list-generations")
    numbers = ", ".join(str(way.number) for way in ways.generations[:_SHOWN])
    return Refusal(
        "target", f"the host has no generation {to}", f"it has {numbers}" if numbers else ""
    )


_SHOWN: Final = 10


def checkout_of(found: Generations, job: str | None) -> str | None:
    """The checkout from which a job was built."""
    asked = next((read_asked(one.plan) for one in found.jobs if one.job == job), None)
    return asked.plan.checkout if asked else None


def expect_target(expect: Expectation, plan: Plan) -> Expectation:
    """What a host should have after this rollback."""
    return msgspec.structs.replace(
        expect, system=plan.target, profile=plan.target_profile, ran=plan.target_ran
    )


def expect_before(expect: Expectation, before: Facts) -> Expectation:
    """What a host should have after an update that went back by itself. A job of an older version
    has activated what was in the profile."""
    system, back = before.system, before.back
    active = system.current if back else system.profile
    return msgspec.structs.replace(expect, system=active, profile=back)


def _chosen(seen: _Seen, found: Generations, generations: tuple[WayBack, ...]) -> WayBack | None:
    """What was before the last job that moved something; else the newest older generation that is
    known to have run; else the one before."""
    now = (found.active, found.profile)
    for job in found.jobs:
        if job.before is None or (job.before.active, job.before.profile) == now:
            continue
        meant = _unfinished(job)
        if meant is None:
            return seen.before(job)
        if (meant.target, meant.target_profile or meant.target) != now:
            return seen.anew(job, meant)
    if found.number is None:
        return None
    older = [way for way in generations if way.number is not None and way.number < found.number]
    ran = next((way for way in older if way.known not in ("failed", "unknown")), None)
    if ran is not None:
        return msgspec.structs.replace(ran, why="the newest older one that was active")
    if not older:
        return None
    why = "the one before; nobody knows whether it ever ran"
    return msgspec.structs.replace(older[0], why=why)


def _unfinished(job: SeenJob) -> Plan | None:
    """The plan of a rollback that did not get to its target. What was before it is what the
    operator wanted to leave."""
    asked = read_asked(job.plan)
    if asked is None or asked.plan.goal != "rollback" or asked.plan.target is None:
        return None
    after = next((look for look in job.looks if look.side == "after"), None)
    return None if after and after.active == asked.plan.target else asked.plan


class _Seen:
    """What somebody saw of this host's systems."""

    def __init__(self, found: Generations, proofs: tuple[Proven, ...]) -> None:
        self._found = found
        looks = [look for job in found.jobs for look in job.looks]
        self._proven = {proof.system for proof in proofs if proof.running}
        self._active = {found.booted, *(proof.system for proof in proofs)}
        self._active |= {look.active for look in looks}
        running = (proof.running for proof in proofs), (look.running for look in looks)
        self._ran = {Binary(path).identity for paths in running for path in paths if path}
        self._failed = set(_left_inactive(found.jobs))

    def known(self, system: str) -> Known:
        """What is known of a system."""
        if system == self._found.active:
            return "active"
        if system in self._proven:
            return "proven"
        if system in self._active:
            return "was-active"
        return "failed" if system in self._failed else "unknown"

    def ran(self, system: str, agent: str | None) -> bool:
        """Whether the system was active, and its agent was seen running."""
        if agent is None or self.known(system) in ("failed", "unknown"):
            return False
        return Binary(agent).identity in self._ran

    def way(self, one: Generation) -> WayBack:
        """The way to a generation of the profile."""
        lock_from = next(
            (
                job.job
                for job in self._found.jobs
                if job.before and job.before.locked and job.before.active == one.system
            ),
            None,
        )
        return self._way(one.system, one.system, one.number, one.agent, lock_from)

    def before(self, job: SeenJob) -> WayBack:
        """The way to what was before a job."""
        was = job.before
        assert was is not None
        lock_from, why = job.job if was.locked else None, f"active before job {job.job}"
        return self._way(was.active, was.profile, was.number, was.agent, lock_from, why)

    def anew(self, job: SeenJob, plan: Plan) -> WayBack:
        """The way that a rollback wanted to go."""
        system, profile = plan.target or "", plan.target_profile or plan.target or ""
        same = (one for one in self._found.generations if one.system == system)
        agent = next((one.agent for one in same), None)
        why = f"where job {job.job} wanted to go, and did not get"
        return self._way(system, profile, plan.target_number, agent, plan.lock_from, why)

    def _way(
        self,
        system: str,
        profile: str,
        number: int | None,
        agent: str | None,
        lock_from: str | None,
        why: str = "",
    ) -> WayBack:
        """With what is known of it."""
        return WayBack(
            system=system,
            profile=profile,
            number=number,
            agent=agent,
            known=self.known(system),
            ran=self.ran(system, agent),
            lock_from=lock_from,
            why=why,
        )


def _left_inactive(jobs: Iterable[SeenJob]) -> Iterator[str]:
    """Systems that a job moved the profile to, while another one stayed active."""
    for job in jobs:
        sides = {look.side: look for look in job.looks}
        was, now = sides.get("before"), sides.get("after")
        if was is None or now is None or now.profile in (None, was.profile, now.active):
            continue
        yield now.profile
