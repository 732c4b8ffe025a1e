"""Why a host has an old agent, for people: the cause, the evidence, and the one thing to do.

Pure. The rules are in `judge.causes`; this module adds all of the evidence to what they find.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nixfleet_core.judge.active_system import running_generation
from nixfleet_core.judge.causes import find_cause, find_job
from nixfleet_core.judge.running_commit import running_commit
from nixfleet_core.nix.lock import locked_rev

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nixfleet_core.facts.model import Binary, Checkout, Facts, LastJob, Proof, Unit
    from nixfleet_core.judge.causes import Expectation
    from nixfleet_core.vocabulary import FoundCause

Evidence = tuple[tuple[str, str | None], ...]
"""What was seen, under the label that people read; None where it could not be seen."""

PROOFS: Final[dict[Proof, str]] = {
    "exe": "the kernel's exe link",
    "script": "its script's path, which is weaker: a process can rewrite its command line",
    "other": "none: nothing shows that this is the agent",
    "claimed": "only claimed by the process",
}
"""How the running path is known."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One cause from the closed list, and the evidence for it."""

    cause: FoundCause
    sentence: str
    evidence: Evidence
    advice: str = ""
    command: tuple[str, ...] = ()
    """The `nixfleet` command that cures it; empty where none does."""

    def cure(self, host: str) -> str:
        """The one command that cures it, or what to do by hand; empty if there is nothing to do."""
        if not self.command:
            return self.advice
        name, *options = self.command
        return shlex.join(("nixfleet", name, host, *options))


def diagnose(facts: Facts, expect: Expectation) -> Diagnosis:
    """Find the cause and collect the evidence."""
    found = find_job(facts) or find_cause(facts, expect)
    return Diagnosis(
        cause=found.cause,
        sentence=found.sentence,
        evidence=tuple(_evidence(facts, expect)),
        advice=found.advice,
        command=found.command,
    )


def _evidence(facts: Facts, expect: Expectation) -> Iterator[tuple[str, str | None]]:
    yield "unit", unit_words(facts.unit)
    yield from _program("running", facts.running.binary if facts.running else None)
    yield "running proof", PROOFS[facts.running.proof] if facts.running else None
    built = running_commit(facts, expect.input)
    yield "running commit", built.commit if built else None
    yield from _program("installed", facts.installed)
    if facts.installed is not None and facts.installed.starts:
        yield "installed starts", " ".join(facts.installed.starts)
    if facts.loaded is not None:
        yield "loaded path", facts.loaded
    yield "expected path", facts.expected.path if facts.expected else None
    yield "lock", facts.lock_rev(expect.input)
    if expect.latest_known:
        yield "latest", expect.latest
    if expect.version is not None:
        yield "latest version", expect.version
    if expect.latest is None and expect.not_known is not None:
        yield "latest not asked", expect.not_known.why
    yield from _checkout("checkout", facts.checkout)
    if facts.other is not None:
        yield from _checkout("other checkout", facts.other)
        yield "other lock", locked_rev(facts.other.lock, expect.input)
    if facts.other_expected is not None:
        yield "other expected path", facts.other_expected.path
    yield "system", facts.system.current
    yield "profile", facts.system.profile
    if facts.system.active is not None:
        yield "running generation", running_generation(facts.system)
    if facts.system.booted not in (None, facts.system.current):
        yield "booted", facts.system.booted
    if facts.last_job is not None:
        yield "last job", f"{facts.job_last or 'unknown'}: {_job(facts.last_job)}"
    if facts.last_job is not None and facts.last_job.said:
        yield "last job said", facts.last_job.said
    if facts.journal is not None:
        yield "agent said", facts.journal


def unit_words(unit: Unit | None) -> str | None:
    """The state of the agent's unit, as its manager says it; None if it was not seen."""
    if unit is None:
        return None
    sub = f" ({unit.sub})" if unit.sub else ""
    result = unit.result or "unknown"
    return f"{unit.load}, {unit.active}{sub}, result {result}, {unit.restarts} restarts"


def _program(which: str, binary: Binary | None) -> Iterator[tuple[str, str | None]]:
    yield f"{which} version", binary.version if binary else None
    yield f"{which} path", binary.path if binary else None
    if binary is not None and binary.sha256 is not None:
        yield f"{which} sha256", binary.sha256


def _checkout(which: str, checkout: Checkout | None) -> Iterator[tuple[str, str | None]]:
    if checkout is None:
        yield which, None
        return
    if checkout.state != "ok":
        yield which, f"{checkout.path}, {checkout.state}"
        return
    branch = f"branch {checkout.branch}" if checkout.branch else "no branch"
    parts = [checkout.path, branch, f"at {(checkout.head or 'unknown')[:12]}"]
    if checkout.upstream:
        parts.append(
            f"{checkout.ahead} ahead and {checkout.behind} behind {checkout.upstream} as fetched"
        )
    if checkout.incoming:
        parts.append(f"lacks its newest commit {checkout.incoming[:12]}")
    if checkout.dirty:
        parts.append(f"uncommitted: {', '.join(checkout.dirty[:5])}")
    yield which, ", ".join(parts)


def _job(job: LastJob) -> str:
    where = f", in {job.checkout}" if job.checkout else ""
    if not job.failed:
        return f"{job.outcome}{where}"
    reason = f", {job.reason}" if job.reason else ""
    return f"{job.outcome} in {job.failed} with code {job.rc}{reason}{where}"
