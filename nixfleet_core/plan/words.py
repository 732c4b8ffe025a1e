"""What a step does, in words, where its command begins with a word of the runner's own."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from nixfleet_core.plan.model import Plan, Step

_OWN: Final = {
    "check": "the job's own checks of the agent, the checkout, the flake, the disk and the memory; "
    "they fetch what the pull brings",
    "pin-latest": "locks the input to the commit that its repository names; if git cannot ask for "
    "it, this command runs",
    "repair-agent": "compares the files in the store with the hashes that Nix has noted, and "
    "repairs those of the agent",
    "build-agent": "builds the agent from source, never from a cache",
    "prove": "the job's own proof: the agent stays up as one process, and is what was built",
    "switch-back": "activates that system, and puts it into the profile; without a name, the one "
    "of before the job",
    "wait-for-operator": "a client must reach the host again within these seconds, else it goes "
    "back",
    "fast-forward": "the branch goes to the commit that was built; if a tree was built, this "
    "command runs",
}
"""The runner's own words (scripts/job): what each does."""


def command_text(step: Step) -> str:
    """The step's command, as `--dry-run` prints it and as the host runs it."""
    return shlex.join(step.argv)


def own_work(step: Step) -> str:
    """What the runner does itself in this step; empty if it only runs the command."""
    return _OWN.get(step.argv[0], "")


def step_user(plan: Plan, step: Step) -> str:
    """The user as whom the step runs. All of a home's job runs as its user."""
    return "root" if step.run_as == "root" and plan.needs_root else plan.owner
