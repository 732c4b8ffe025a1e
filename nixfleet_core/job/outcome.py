"""What there is to judge and what a judgement can be: a job's outcome, the two sides of a
comparison, the kinds of verdicts. Data only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from nixfleet_core.log.failures import Failure
    from nixfleet_core.vocabulary import JobOutcome, StepId

Kind = Literal[
    "updated",
    "current",
    "partial",
    "stale",
    "rolled-back",
    "agent-down",
    "failed",
    "interrupted",
    "cancelled",
    "unreachable",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a job, as the runner wrote it; no judgement."""

    kind: JobOutcome
    failed_step: StepId | None = None
    rc: int = 0
    reason: str = ""
    """The runner's token for the failed step: a check's name, `stale`, `down`, `unstable`, …"""
    detail: str = ""
    """The failed check's own token."""
    failure: Failure | None = None
    """What the failed step's output says, if it says something known."""
    units: tuple[str, ...] = ()
    """Units that the switch said had failed."""
    committed: bool = False
    """flake.lock's commit was made, and is still there."""
    pushed: bool = False
    rolled_back: bool = False
    """The step that goes back to the generation before has run, and said that it worked."""
    went_over: bool = False
    """A rebuild of somebody else's still ran when the wait for it was over, and the job went on."""
    agent_says: str | None = None
    """What the agent's own check said: `ok`, or a token; None when it was not asked."""
