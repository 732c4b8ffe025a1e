"""What will be done to a host, decided before anything is touched.

`make_plan(host, facts, options)` is pure: the same facts give the same plan. A plan is data; it is
compiled to a shell script by `nixfleet_core.job` and shown, argv by argv, before it runs.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

StepId = Literal["preflight", "stop", "pull", "update", "rebuild", "start", "verify"]
STEP_IDS: Final[tuple[StepId, ...]] = (
    "preflight",
    "stop",
    "pull",
    "update",
    "rebuild",
    "start",
    "verify",
)
TITLES: Final[dict[StepId, str]] = {
    "preflight": "Preflight",
    "stop": "Stop agent",
    "pull": "Pull nixcfg",
    "update": "Update {input}",
    "rebuild": "Rebuild",
    "start": "Start agent",
    "verify": "Verify",
}

PLAN_FORMAT: Final = 1
AGENT_UNIT: Final = "nixfleet-agent.service"
SYSTEM_PROFILE: Final = "/nix/var/nix/profiles/system"

TTL_OPTION: Final = ("--option", "narinfo-cache-negative-ttl", "0")
"""Makes Nix ask binary caches again about paths that they lacked when it last asked."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator asked for. `level` 0 adds nothing, 1 bypasses the negative cache."""

    force: bool = False
    level: int = 1
    pull: bool = True
    input_rev: str | None = None
    discard_lock: bool = False
    now: bool = False
    """Do not wait for a rebuild that somebody else is running; refuse instead."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step. `argv` is what the step is known by; the runner adds elevation and limits."""

    id: StepId
    title: str
    argv: tuple[str, ...]
    run_as: Literal["root", "owner"]
    limit: int
    """Seconds; then the step is ended and has failed."""
    tries: int = 1
    """More than 1 only for steps that use the network."""
    weight: int = 1
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
    attribute: str
    checkout: str
    owner: str
    input: str
    unit: str = AGENT_UNIT
    options: Options
    steps: tuple[Step, ...]
    tools: tuple[str, ...]
    restore_lock: str | None = None
    """The `cksum` of a dirty flake.lock that is saved and set back to HEAD before the pull."""
    warnings: tuple[str, ...] = ()

    def step(self, step_id: StepId) -> Step | None:
        return next((step for step in self.steps if step.id == step_id), None)
