"""What will be done to a host: a plan of steps, as data.

`plan.rules` makes it, `job.compile` compiles it to a shell script, and every door shows it,
argv by argv, before it runs.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from nixfleet_core.config import DEFAULT_LIMITS
from nixfleet_core.host import Platform
from nixfleet_core.limits import PLAN_STEPS, Count, Seconds, Word
from nixfleet_core.vocabulary import CheckId, StepId

PLAN_FORMAT: Final = 1

Goal = Literal["update", "rollback", "commit", "restart"]
"""What a job is for: the kinds of jobs. `commit` commits the flake.lock that an update has left,
`restart` only restarts the agent."""

BUSY_WAIT: Final = 1800
"""Seconds to wait for somebody else's rebuild."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator asked for; `level` is one of LEVELS."""

    force: bool = False
    level: int = 1
    pull: bool = True
    input_rev: str | None = None
    as_locked: bool = False
    """Leave flake.lock as the pull leaves it, and do all the rest."""
    discard_lock: bool = False
    now: bool = False
    """Do not wait for somebody else's rebuild; refuse instead."""
    stable: int = 5
    """Seconds that the agent must run as the same process to count as up."""
    retry_after: int = 8
    """Seconds before a step that uses the network is tried again; each further pause doubles."""
    rollback_on_failure: bool = False
    """Go back to the previous generation if the new agent does not become stable."""
    confirm_within: int = 0
    """After the switch a client must reach the host within these seconds, or the host goes back by
    itself. 0: no client has to."""
    commit_lock: bool = False
    """Commit flake.lock in the checkout once the new agent is proven."""
    push: bool = False
    """Push that commit, too."""
    limits: dict[StepId, int] = {}
    """Seconds that steps may take, where the usual limit does not fit."""
    evaluation: Seconds = DEFAULT_LIMITS.evaluation
    """Seconds that one evaluation of the flake may take."""
    cores: int | None = None
    max_jobs: int | None = None
    """Nix's options of these names; None leaves them to the host's configuration."""
    nice: int = 5
    """The job's niceness, 0 to 19: the host has other work."""
    io_weight: int = 50
    """The job's share of the disks, 1 to 10000; 100 is what others have."""

    @property
    def goes_on(self) -> bool:
        """Whether the update goes on if another rebuild still runs after the longest wait. It never
        goes on while an activation runs."""
        return self.force and not self.now


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step. `argv` is the command that we show; the runner adds elevation and limits."""

    id: StepId
    title: Word
    argv: tuple[str, ...]
    run_as: Literal["root", "owner"]
    limit: Seconds
    """Seconds after which the step is ended and counts as failed."""
    tries: Count = 1
    """More than 1 only for steps that use the network."""
    weight: Count = 1
    """Share of the whole bar."""


class Refusal(msgspec.Struct, frozen=True):
    """Why we refuse to touch a host. The check gives the cause (`vocabulary.CHECK_CAUSES`)."""

    check: CheckId
    why: str
    advice: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the job needs, as data; plan.json holds it."""

    format: int = PLAN_FORMAT
    host: str
    platform: Platform = "nixos"
    attribute: str
    attribute_chosen: bool = False
    """The inventory names no attribute: it was chosen among the flake's."""
    checkout: str
    owner: str
    input: str
    goal: Goal = "update"
    target: str | None = None
    """The system that a rollback activates."""
    target_profile: str | None = None
    """The generation that the profile then names; None: the same."""
    target_number: Count | None = None
    """The number of that generation."""
    target_ran: bool = False
    """The target and its agent are known to have run."""
    target_words: str = ""
    """Which generation that is, and why it is that one."""
    lock_from: str | None = None
    """A rollback restores the flake.lock from before this job."""
    lock_seen: str | None = None
    """The `cksum` of the flake.lock that is to be committed: no other one is."""
    options: Options
    steps: Annotated[tuple[Step, ...], msgspec.Meta(max_length=PLAN_STEPS)]
    tools: tuple[str, ...]
    restore_lock: str | None = None
    """The `cksum` of a dirty flake.lock that is saved and set back to HEAD before the pull."""
    warnings: tuple[str, ...] = ()

    @property
    def needs_root(self) -> bool:
        """A Home Manager job runs as its user."""
        return self.platform == "nixos"

    def step(self, step_id: StepId) -> Step | None:
        return next((step for step in self.steps if step.id == step_id), None)
