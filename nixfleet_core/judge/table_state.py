"""What the fleet table says of a host: one state, and one line that says why.

The look is without root and evaluates nothing, so it is completed from proofs (`judge.proofs`), and
judged by the rules of a look with proof. What is neither proven nor refuted is unproven.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nixfleet_core.judge.causes import UNSEEN, expectation, find_cause, find_job
from nixfleet_core.judge.proofs import recall
from nixfleet_core.judge.running_commit import running_commit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nixfleet_core.facts.model import Facts
    from nixfleet_core.host import Host
    from nixfleet_core.judge.finding import Finding
    from nixfleet_core.judge.running_commit import RunningCommit
    from nixfleet_core.nix.git_url import Latest
    from nixfleet_core.vocabulary import State


@dataclass(frozen=True, slots=True)
class Assessment:
    """`why` is one sentence for people. It may quote the host, so it is never read as markup.

    `finding` has the cause and its cure; None where no facts were seen.
    """

    state: State
    why: str
    finding: Finding | None = None
    built: tuple[str, str] | None = None
    """The commit in flake.lock, and the version of the installed agent, if that is provably what
    the commit builds."""
    proven_age: int | None = None
    """Of an unproven host: the seconds between its last proof and this look, if there is one."""
    running_commit: RunningCommit | None = None
    """What the running agent was built from, if that is proven."""


def assess(facts: Facts, latest: Latest, host: Host, version: str | None = None) -> Assessment:
    """Compare what runs, what is installed, what is locked and what is latest.

    `latest` is the newest commit of the agent's flake input, or why it is not known; `version` is
    what version that commit is said to be.
    """
    recalled = recall(facts, host)
    expect = expectation(host, facts, latest, version)
    found = find_job(facts) or find_cause(recalled.facts, expect, recalled.gaps)
    state, why = _state(found), found.sentence
    if state == "unproven" and facts.unit is None:
        state = "unknown"  # nothing of the agent was seen
    if state == "current" and not expect.latest_known:
        why += f"; the latest commit of {expect.input} is not known"
    return Assessment(
        state,
        why,
        found,
        built=_built(recalled.facts, host.input),
        proven_age=recalled.age if state == "unproven" else None,
        running_commit=running_commit(recalled.facts, host.input),
    )


def _built(facts: Facts, flake_input: str) -> tuple[str, str] | None:
    rev, expected, installed = facts.lock_rev(flake_input), facts.expected, facts.installed
    if rev is None or expected is None or installed is None or installed.version is None:
        return None
    return (rev, installed.version) if expected.identity == installed.identity else None


def _state(found: Finding) -> State:
    if found.cause == "job-running":
        return "updating"
    if found.holds:
        return "current"
    if found.down:
        return "down"
    if found.cause == "agent-starting":
        return "starting"
    if found.cause == "preflight-platform":
        return "unknown"
    return "unproven" if found.cause in UNSEEN else "stale"


def latest_version(rev: str, fleet: Iterable[Assessment]) -> str | None:
    """The version of the commit `rev`, where the fleet knows it.

    The fleet knows it when all hosts that provably build from exactly `rev` what they have
    installed agree on its version.
    """
    versions = {found.built[1] for found in fleet if found.built and found.built[0] == rev}
    return versions.pop() if len(versions) == 1 else None
