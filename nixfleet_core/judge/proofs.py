"""What earlier proofs say of a host as a look without root sees it now. Pure.

Such a look evaluates nothing, and may not look at a process of another user. It is completed from
proofs: what the checkout builds, if the state has a name and a proof of just this state is there;
what the process runs, if it is the very process of a proof. The rules in `judge.causes` then decide
as they do for a look with proof.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from nixfleet_core.facts.checkouts import UNNAMED
from nixfleet_core.facts.model import Binary, Running, version_label
from nixfleet_core.plan.rules import home_attributes

if TYPE_CHECKING:
    from nixfleet_core.facts.model import Checkout, Facts
    from nixfleet_core.facts.proofs import Proven
    from nixfleet_core.host import Host

_CURE: Final = "prove it: a look as root, which evaluates the flake"
_NEVER: Final = "nobody has proven this state of the checkout"


@dataclass(frozen=True, slots=True)
class Gaps:
    """What nobody has proven, each as a sentence."""

    process: str = "only the agent itself says which path it runs"
    flake: str = "the agent that the flake builds could not be found out"
    advice: str = ""
    """What proves it; empty where a look with proof has just failed to."""


AT_HAND: Final = Gaps()
"""Those of a look with proof."""


@dataclass(frozen=True, slots=True)
class Recalled:
    """The facts with what is proven filled in, and what is missing."""

    facts: Facts
    gaps: Gaps
    age: int | None
    """Seconds since somebody last proved that this host has what its checkout builds."""


def recall(facts: Facts, host: Host) -> Recalled:
    """Fill in what the proofs show of this process and of this state of the checkout."""
    facts, process = _recall_process(facts)
    facts, flake = _recall_build(facts, host)
    return Recalled(facts, Gaps(process, flake, _CURE), _age(facts))


# The process.


def _recall_process(facts: Facts) -> tuple[Facts, str]:
    """What the agent's process runs, if a proof is of that very process: pid and beginning within
    one boot name it."""
    unit, running = facts.unit, facts.running
    if unit is None or not unit.is_up or unit.waits:
        return facts, AT_HAND.process
    if running is not None and running.proof != "claimed":
        return facts, AT_HAND.process
    with_process = [proof for proof in facts.proofs if proof.running]
    this = (facts.boot, unit.pid, unit.began)
    found = next((p for p in with_process if (p.boot, p.pid, p.began) == this), None)
    if not all(this) or found is None:
        return facts, _why_no_process(facts, with_process)
    proven = Binary(found.running, version_label(found.running))
    if running is not None and running.binary.identity != proven.identity:
        return facts, "the agent's process says that it runs another program than was proven"
    process = Running(proven, found.kind, unit.pid, running.started if running else None)
    installed = facts.installed
    if installed is not None and installed.path == found.installed and not installed.starts:
        installed = replace(installed, starts=tuple(found.starts.split()))
    return replace(facts, running=process, installed=installed), ""


def _why_no_process(facts: Facts, proofs: list[Proven]) -> str:
    if facts.unit is not None and not facts.unit.began:
        return "the agent's process is hidden from this user"
    if proofs:
        return "the agent has restarted since the proof"
    return "without root, only the agent itself says which path it runs"


# The checkout.


def _recall_build(facts: Facts, host: Host) -> tuple[Facts, str]:
    """What the checkout builds. What an evaluation has just found out refutes in any state, but it
    proves only a state that has a name: of any other, the next moment knows nothing."""
    checkout, expected, installed = facts.checkout, facts.expected, facts.installed
    if checkout is None or checkout.state != "ok":
        return facts, AT_HAND.flake
    if expected is not None:
        equal = installed is not None and expected.identity == installed.identity
        if checkout.source is None and equal:
            return replace(facts, expected=None), _why_unnamed(checkout)
        return facts, AT_HAND.flake
    if checkout.source is None:
        return facts, _why_unnamed(checkout)
    state = (checkout.source, checkout.folder)
    ours = [proof for proof in facts.proofs if _is_ours(proof, facts, host)]
    its = [proof for proof in ours if (proof.source, proof.folder) == state]
    found = next((proof for proof in its if proof.builds), None)
    if found is None and any(proof.fails for proof in its):
        return facts, "the flake could not be evaluated in this state of the checkout"
    if found is None:
        known = any(proof.builds and proof.checkout == checkout.path for proof in ours)
        return facts, "the checkout has changed since the proof" if known else _NEVER
    return replace(facts, expected=Binary(found.builds, version_label(found.builds))), ""


def can_be_proven_idly(facts: Facts, host: Host) -> bool:
    """Whether an evaluation that nobody waits for can prove what this state builds: it has a name
    and belongs to us, nothing changes the host, and the state was not evaluated before."""
    checkout = facts.checkout
    if checkout is None or checkout.source is None or checkout.owner != facts.user:
        return False
    if facts.job_running or facts.switch_running or facts.rebuild or facts.expected:
        return False
    state = (checkout.source, checkout.folder)
    known = (proof for proof in facts.proofs if proof.is_of_a_state)
    return not any((p.source, p.folder) == state and _is_ours(p, facts, host) for p in known)


def _why_unnamed(checkout: Checkout) -> str:
    why = UNNAMED[checkout.unnamed or "broken"]
    return f"no proof counts for {checkout.path} as it is: {why}"


def _is_ours(proof: Proven, facts: Facts, host: Host) -> bool:
    """Whether the proof is of the configuration that an update would build."""
    if host.attribute is not None:
        return proof.attribute == host.attribute
    if facts.platform != "home-manager":
        return proof.attribute == facts.hostname
    names = home_attributes(facts)
    return proof.attribute == names[0] or (proof.chosen and proof.attribute in names)


def _age(facts: Facts) -> int | None:
    checkout = facts.checkout
    if checkout is None:
        return None
    ours = (
        proof.at
        for proof in facts.proofs
        if proof.checkout == checkout.path and proof.installs_what_it_builds
    )
    newest = next(ours, None)
    return None if newest is None else max(0, facts.now - newest)
