"""The cheapest cure that is enough for what was seen of a host. Pure.

A restart starts what is installed. A rebuild as locked builds what flake.lock names. Only an update
moves flake.lock first. Where a cure is an update, and less is enough, that comes before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nixfleet_core.vocabulary import CAUSES, Advice, Cause, Remedy

if TYPE_CHECKING:
    from nixfleet_core.facts.model import Facts
    from nixfleet_core.judge.causes import Expectation

_UPDATE_ALONE: Final[frozenset[Cause]] = frozenset(
    {"start-limit-hit", "agent-down", "switch-incomplete", "lock-not-built", "cancelled", "killed"}
)
"""An update is all of their cure. The other causes need something else before it, too."""

_NOT_SHARED: Final[frozenset[Cause]] = frozenset({"commit-failed", "push-failed", "push-refused"})
"""A rebuild as locked does not cure these: it leaves nothing to commit."""

_ENOUGH: Final[dict[Remedy, str]] = {
    "restart": "a restart is enough",
    "as-locked": "a rebuild as locked is enough: flake.lock has the commit already",
}
_ENOUGH_THEN: Final[dict[Remedy, str]] = {
    "restart": _ENOUGH["restart"],
    "as-locked": "flake.lock has the commit already, so it can stay as it is",
}
"""The same behind a cure that names something else first."""


def cures(
    cause: Cause, remedies: tuple[Remedy, ...], facts: Facts, expect: Expectation
) -> tuple[Remedy, ...]:
    """What can be done at once about a cause: of what brings the right agent, the cheapest that is
    enough stands first."""
    if "update" not in remedies or {"restart", "as-locked"} & {*remedies} or cause in _NOT_SHARED:
        return remedies
    enough = _enough(facts, expect)
    if enough == "update":
        return remedies
    at = remedies.index("update")
    return (*remedies[:at], enough, *remedies[at:])


def cheapest(cause: Cause, advice: Advice, facts: Facts, expect: Expectation) -> Advice:
    """The advice on a cause, with the cheapest cure that is enough in its words, too."""
    remedies = cures(cause, advice.remedies, facts, expect)
    if remedies == advice.remedies:
        return advice
    (enough,) = {*remedies} - {*advice.remedies}
    cure = CAUSES[cause].cure
    if cause in _UPDATE_ALONE and advice.text.startswith(cure):
        return Advice(_ENOUGH[enough] + advice.text.removeprefix(cure), remedies)
    return Advice(f"{advice.text.removesuffix('.')}; {_ENOUGH_THEN[enough]}", remedies)


def lock_has_it(facts: Facts, expect: Expectation) -> bool:
    """Whether flake.lock names the commit that the host should have, and no pull is known to bring
    another flake.lock."""
    checkout, rev = facts.checkout, facts.lock_rev(expect.input)
    if checkout is None or checkout.state != "ok" or expect.system is not None:
        return False
    return rev is not None and rev == expect.latest and not (checkout.behind or checkout.incoming)


def _enough(facts: Facts, expect: Expectation) -> Remedy:
    if not lock_has_it(facts, expect):
        return "update"
    return "restart" if _only_stopped(facts) else "as-locked"


def _only_stopped(facts: Facts) -> bool:
    """The installed agent is what the flake builds; it does not run, or another one does."""
    installed, expected, unit = facts.installed, facts.expected, facts.unit
    if installed is None or expected is None or installed.identity != expected.identity:
        return False
    if unit is None or not unit.is_up:
        return unit is not None
    return facts.running is not None and not installed.is_run_by(facts.running.binary)
