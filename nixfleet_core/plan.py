"""What will be done to a host: a plan of steps, as data.

`nixfleet_core.planning` decides it, `nixfleet_core.job` compiles it to a shell script, and every
door shows it, argv by argv, before it runs.
"""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

import msgspec

from nixfleet_core.host import Platform
from nixfleet_core.limits import PLAN_STEPS, Count, Seconds, Word
from nixfleet_core.service import Service

StepId = Literal[
    "preflight",
    "stop",
    "pull",
    "update",
    "repair",
    "build",
    "rebuild",
    "confirm",
    "start",
    "verify",
    "rollback",
    "commit",
    "push",
]
STEP_IDS: Final[tuple[StepId, ...]] = (
    "preflight",
    "stop",
    "pull",
    "update",
    "rebuild",
    "start",
    "verify",
)
"""The chain of an update; the other steps are there only when they were asked for."""

TITLES: Final[dict[StepId, str]] = {
    "preflight": "Preflight",
    "stop": "Stop agent",
    "pull": "Pull nixcfg",
    "update": "Update {input}",
    "repair": "Check agent's files",
    "build": "Build agent alone",
    "rebuild": "Rebuild",
    "confirm": "Confirm",
    "start": "Start agent",
    "verify": "Verify",
    "rollback": "Roll back",
    "commit": "Commit flake.lock",
    "push": "Push nixcfg",
}

PLAN_FORMAT: Final = 1

BUSY_WAIT: Final = 1800
"""Seconds to wait for a rebuild that somebody else is running."""

LEVELS: Final[tuple[int, ...]] = (0, 1, 2, 3, 4, 5, 6, 7)
"""The force levels. Each does what those below it do, and more."""

LEVEL_NOTES: Final[dict[int, str]] = {
    0: "believes what binary caches said before. Enough where the agent was merely not restarted; "
    "costs nothing more",
    1: "asks caches again about what they lacked. For a new agent that was built here because the "
    "cache got it late; costs one question for each path that was missing",
    2: "asks caches again about everything. For a cache that has lost or replaced what it had; "
    "costs one question for each path, which takes minutes on a slow line",
    3: "locks the input to the commit that git names. For a forge whose API refuses or lags, and "
    "fetches that keep an old commit; costs nothing more",
    4: "evaluates without the evaluation cache. For a 'cached failed attribute' that should work; "
    "costs one full evaluation",
    5: "builds what a cache cannot deliver whole. For a cache that answers with errors or damaged "
    "files; costs the builds of what is missing",
    6: "builds the agent itself here, from its source. For a cached agent that is not what it "
    "should be; costs its build, and stops if the one in the store is another",
    7: "checks the agent's files and repairs them. For a damaged disk or a store that was tampered "
    "with; costs reading them, and fetching or building what is damaged",
}
"""What each level adds, what it is the answer to, and what it costs."""

_REV: Final = re.compile(r"[0-9a-f]{40}")


def is_commit(text: str) -> bool:
    """Whether `text` names a whole commit; shorter names and branches do not say which."""
    return _REV.fullmatch(text) is not None


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator asked for; `level` is one of LEVELS."""

    force: bool = False
    level: int = 1
    pull: bool = True
    input_rev: str | None = None
    discard_lock: bool = False
    now: bool = False
    """Do not wait for a rebuild that somebody else is running; refuse instead."""
    stable: int = 5
    """Seconds that the agent must run as the same process to count as up."""
    retry_after: int = 8
    """Seconds until a step that uses the network is tried again; the next pause is twice that."""
    rollback_on_failure: bool = False
    """Go back to the generation before when the new agent does not become stable."""
    confirm_within: int = 0
    """Seconds in which a client must reach the host again after the switch, or it goes back by
    itself; 0: nobody has to."""
    commit_lock: bool = False
    """Commit flake.lock in the checkout once the new agent is proven."""
    push: bool = False
    """Push that commit, too."""
    limits: dict[StepId, int] = {}
    """Seconds that steps may take, where the usual limit does not fit."""
    cores: int | None = None
    max_jobs: int | None = None
    """As Nix's options of these names; None leaves them to the host's configuration."""
    nice: int = 5
    """The job's niceness, 0 to 19: the host has other work."""
    io_weight: int = 50
    """The job's share of the disks, 1 to 10000; 100 is what others have."""

    @property
    def goes_on(self) -> bool:
        """Whether the update goes on in spite of a rebuild that still runs when the wait for it is
        over. It never does while an activation runs."""
        return self.force and not self.now


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step. `argv` is what the step is known by; the runner adds elevation and limits."""

    id: StepId
    title: Word
    argv: tuple[str, ...]
    run_as: Literal["root", "owner"]
    limit: Seconds
    """Seconds; then the step is ended and has failed."""
    tries: Count = 1
    """More than 1 only for steps that use the network."""
    weight: Count = 1
    """Share of the whole bar."""
    always: bool = False
    """Runs whatever happened before."""


class Refusal(msgspec.Struct, frozen=True):
    """Why a host is left alone; `check` names the preflight check (cause `preflight-CHECK`)."""

    check: str
    why: str
    advice: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the job needs, as data; plan.json holds it."""

    format: int = PLAN_FORMAT
    host: str
    platform: Platform = "nixos"
    service: Service = Service()
    attribute: str
    checkout: str
    owner: str
    input: str
    goal: Literal["update", "rollback"] = "update"
    target: str | None = None
    """The system that a rollback goes back to."""
    lock_from: str | None = None
    """The job whose flake.lock from before it comes back with a rollback."""
    options: Options
    steps: Annotated[tuple[Step, ...], msgspec.Meta(max_length=PLAN_STEPS)]
    tools: tuple[str, ...]
    restore_lock: str | None = None
    """The `cksum` of a dirty flake.lock that is saved and set back to HEAD before the pull."""
    warnings: tuple[str, ...] = ()

    @property
    def needs_root(self) -> bool:
        """Home Manager's job is its user's own."""
        return self.platform == "nixos"

    def step(self, step_id: StepId) -> Step | None:
        return next((step for step in self.steps if step.id == step_id), None)
