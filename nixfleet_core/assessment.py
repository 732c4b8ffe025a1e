"""What the fleet table says of a host: one state and one line of why.

A look without root, so no verdict: nothing here proves what runs (`nixfleet_core.verdict` does).
A layer that could not be seen is said to be missing and never counts as equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nixfleet_core.facts import Checkout, Facts, Unit
    from nixfleet_core.host import Host

State = Literal["current", "stale", "offline", "down", "unknown", "updating"]

NOT_RESTARTED = "the new binary is installed, but the agent was not restarted"
NOT_REBUILT = "flake.lock is at the latest, but what it builds is not installed"


@dataclass(frozen=True, slots=True)
class Assessment:
    """`why` is one sentence for people; it may quote what the host sent, so it is no markup."""

    state: State
    why: str


def assess(facts: Facts, latest: str | None, host: Host) -> Assessment:
    """Compare what runs, what is installed, what is locked and what is latest, in that order.

    `latest` is the commit at the head of the agent's flake input; None where nobody answered.
    """
    if facts.job_running:
        return Assessment("updating", f"job {facts.job_running} is running")
    return (
        _service(facts.unit)
        or _process(facts)
        or _lock(facts, latest, host.input)
        or Assessment("current", _current(facts))
    )


def latest_version(rev: str, fleet: Iterable[tuple[Facts, Host]]) -> str | None:
    """The version of the commit `rev`, where the fleet knows it.

    Known when hosts that are locked to exactly `rev` all have the same version installed; a host
    that says it would build another program than it has installed does not count.
    """
    versions = {
        facts.installed.version
        for facts, host in fleet
        if facts.lock_rev(host.input) == rev
        and facts.installed is not None
        and (facts.expected is None or facts.expected.identity == facts.installed.identity)
    } - {None}
    return versions.pop() if len(versions) == 1 else None


def _service(unit: Unit | None) -> Assessment | None:
    if unit is None:
        return Assessment("unknown", "the agent's service could not be seen")
    if not unit.exists:
        return Assessment("down", f"agent down: its service is {unit.load or 'missing'}")
    if not unit.is_up:
        seen = ", ".join(part for part in (unit.active, unit.sub, unit.result) if part)
        return Assessment("down", f"agent down: its service is {seen or 'not active'}")
    return None


def _process(facts: Facts) -> Assessment | None:
    if facts.running is None:
        return Assessment("unknown", "what the agent's process runs could not be seen")
    if facts.installed is None:
        return Assessment("unknown", "which agent is installed could not be seen")
    if facts.running.binary.identity != facts.installed.identity:
        return Assessment("stale", NOT_RESTARTED)
    return None


def _lock(facts: Facts, latest: str | None, flake_input: str) -> Assessment | None:
    rev = facts.lock_rev(flake_input)
    if rev is None:
        return Assessment("unknown", _missing_lock(facts.checkout, flake_input))
    if latest is None:
        return Assessment("unknown", f"flake.lock is at {rev[:7]}; the latest commit is not known")
    if rev != latest:
        return Assessment("stale", f"flake.lock is at {rev[:7]}, latest is {latest[:7]}")
    if facts.expected and facts.installed and facts.expected.identity != facts.installed.identity:
        return Assessment("stale", NOT_REBUILT)
    return None


def _missing_lock(checkout: Checkout | None, flake_input: str) -> str:
    if checkout is None:
        return "the checkout could not be seen"
    if checkout.state != "ok":
        return f"the checkout {checkout.path} is {checkout.state}"
    if checkout.lock is None:
        return checkout.lock_error or "there is no flake.lock in the checkout"
    return f"flake.lock names no commit for the input {flake_input}"


def _current(facts: Facts) -> str:
    seen = "running = installed, and flake.lock is at the latest"
    if facts.expected is None:
        return f"{seen}; what it builds was not looked at"
    return f"{seen}, which builds it"
