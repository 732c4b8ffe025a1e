"""What a step does itself is told for each word of the runner's own."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

from test_rules import plan

from nixfleet_core.plan.levels import LEVELS
from nixfleet_core.plan.words import command_text, own_work

if TYPE_CHECKING:
    from nixfleet_core.plan.model import Plan

PROGRAMS = {"git", "nix", "nixos-rebuild", "systemctl"}


def all_plans() -> list[Plan]:
    return [
        plan(
            level=level, commit_lock=all_, push=all_, rollback_on_failure=all_, confirm_within=wait
        )
        for level, all_, wait in product(LEVELS, (False, True), (0, 60))
    ]


def test_each_command_is_a_program_or_a_word_that_is_explained() -> None:
    first = {step.argv[0]: step for made in all_plans() for step in made.steps}
    assert {word for word, step in first.items() if not own_work(step)} == PROGRAMS
    assert {"check", "prove", "pin-latest", "build-agent", "fast-forward"} <= first.keys()


def test_the_command_can_be_pasted() -> None:
    (update,) = (step for step in plan().steps if step.id == "update")
    assert "'nix-command flakes'" in command_text(update)
