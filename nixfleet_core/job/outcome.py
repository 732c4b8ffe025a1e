"""The data of a judgement: a job's outcome, the two sides of a comparison, kinds of verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from nixfleet_core.log.failure_table import Failure
    from nixfleet_core.plan.model import Goal
    from nixfleet_core.vocabulary import JobOutcome, StepId

Kind = Literal[
    "updated",
    "current",
    "partial",
    "stale",
    "rolled-back",
    "restarted",
    "agent-down",
    "failed",
    "interrupted",
    "cancelled",
    "unreachable",
]

TOO_LONG: Final = 124
"""The code of a step that the runner ended at its limit, however `timeout` ended it."""

KILLED_BY: Final[dict[int, str]] = {137: "SIGKILL", 143: "SIGTERM", 247: "SIGKILL", 241: "SIGTERM"}
"""A step's command that a signal ended before its limit: the shell adds 128 to the signal's number;
nixos-rebuild-ng takes that of its own command from 256."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a job ended, as the runner wrote it. It is no judgement."""

    kind: JobOutcome
    goal: Goal = "update"
    failed_step: StepId | None = None
    rc: int = 0
    reason: str = ""
    """The runner's token for the failed step: a check's name, `stale`, `down`, `unstable`, …"""
    detail: str = ""
    """The failed check's own token."""
    check_words: str = ""
    """What the failed check found, for people and without credentials; "" if the token says it."""
    failure: Failure | None = None
    """The known failure in the failed step's output, if there is one."""
    units: tuple[str, ...] = ()
    """The units that failed, according to the switch."""
    in_the_way: tuple[str, ...] = ()
    """The files that Home Manager would overwrite, as it names them."""
    committed: bool = False
    """flake.lock was committed, and the commit is still there."""
    pushed: bool = False
    rolled_back: bool = False
    """The step that goes back to what was before ran, and said that it worked."""
    back_failed: bool = False
    """An update wanted to go back, and that step failed."""
    git_refused: bool = False
    """The input's repository refused git, and the job went on with Nix's own credentials."""
    went_over: bool = False
    """Somebody else's rebuild still ran after the longest wait, and the job went on."""
    slept: int = 0
    """Seconds for which the host slept during the job."""
    agent_says: str | None = None
    """The answer of the agent's own check: `ok`, or a token; None if it was not asked."""
    agent_words: str = ""
    """The beginning of what the agent printed then, on one line and without credentials."""
