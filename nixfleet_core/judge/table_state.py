"""What the fleet table says of a host: one state, and one line that says why.

This is no verdict: the look is without root and proves nothing (`judge.verdict` does).
A layer that could not be seen is called missing and never counts as equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nixfleet_core.judge.causes import UNSEEN, Finding, expectation, find_cause, find_job

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nixfleet_core.facts.model import Facts
    from nixfleet_core.host import Host
    from nixfleet_core.nix.git_url import Latest

State = Literal[
    "current",
    "stale",
    "offline",
    "no-shell",
    "error",
    "down",
    "starting",
    "unknown",
    "updating",
]


@dataclass(frozen=True, slots=True)
class Assessment:
    """`why` is one sentence for people. It may quote the host, so it is never read as markup.

    `finding` has the cause and its cure; None where no facts were seen.
    """

    state: State
    why: str
    finding: Finding | None = None


def assess(facts: Facts, latest: Latest, host: Host) -> Assessment:
    """Compare what runs, what is installed, what is locked and what is latest.

    `latest` is the newest commit of the agent's flake input, or why it is not known.
    """
    found = find_job(facts) or find_cause(facts, expectation(host, facts, latest), proof=False)
    return Assessment(_state(found), found.sentence, found)


def _state(found: Finding) -> State:
    if found.cause == "job-running":
        return "updating"
    if found.holds:
        return "current"
    if found.down:
        return "down"
    if found.cause == "agent-starting":
        return "starting"
    return "unknown" if found.cause in UNSEEN else "stale"


def latest_version(rev: str, fleet: Iterable[tuple[Facts, Host]]) -> str | None:
    """The version of the commit `rev`, where the fleet knows it.

    The fleet knows it when all hosts that are locked to exactly `rev` have the same version
    installed. A host that would build another program than the installed one does not count.
    """
    versions = {
        facts.installed.version
        for facts, host in fleet
        if facts.lock_rev(host.input) == rev
        and facts.installed is not None
        and (facts.expected is None or facts.expected.identity == facts.installed.identity)
    } - {None}
    return versions.pop() if len(versions) == 1 else None
