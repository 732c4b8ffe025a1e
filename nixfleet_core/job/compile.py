"""A job: its id, and the script that a plan is compiled to.

The compiled script is a fixed part and one readable line a step; `--dry-run` prints those lines.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

from nixfleet_core.ids import check_job_id
from nixfleet_core.log.failure_table import LAN_DENIED, LAN_UNREACHABLE, OOM_KILLED
from nixfleet_core.log.failures import (
    BUILDERS,
    PROGRESS,
    TOLD,
    WARNINGS,
    ranked_patterns,
    refused_pattern,
    stale_pattern,
)
from nixfleet_core.plan.model import BUSY_WAIT
from nixfleet_core.plan.rules import DISK_NEEDED_KIB, MEMORY_NEEDED_KIB
from nixfleet_core.scripts.compose import compose, part
from nixfleet_core.vocabulary import UNCUT_STEPS

if TYPE_CHECKING:
    from nixfleet_core.plan.model import Plan, Step

TEXTS: Final = {
    "NF_FAILURES": ranked_patterns(),
    "NF_SWITCH_FAILURES": ranked_patterns(switch=True),
    "NF_BUILDERS": BUILDERS,
    "NF_PROGRESS": PROGRESS,
    "NF_WARNINGS": WARNINGS,
    "NF_TOLD": TOLD,
    "NF_KEPT_OLD": stale_pattern(),
    "NF_LAN_UNREACHABLE": LAN_UNREACHABLE,
    "NF_LAN_DENIED": LAN_DENIED,
    "NF_OOM_KILLED": OOM_KILLED,
}
"""What the runner knows of its commands' output."""


def step_lines(plan: Plan, root: str = "") -> tuple[str, ...]:
    """One line a step, as the host runs it."""
    return tuple(_step_line(step, root) for step in plan.steps)


def compile_plan(plan: Plan, job: str, root: str = "") -> str:
    """The host's script: `run.sh main` does the job, `run.sh finish` brings the agent back."""
    steps = "".join(f"  {line}\n" for line in step_lines(plan, root))
    return compose(
        *("probe", "preflight", "chain"),
        *("levels", "changes", "share_lock", "runner"),
        root=root,
        values={
            "NF_ID": check_job_id(job),
            "NF_PLATFORM_GIVEN": plan.platform,
            "NF_CHECKOUT": plan.checkout,
            "NF_INPUT": plan.input,
            "NF_ATTRIBUTE": plan.attribute,
            "NF_CHOSEN": "1" if plan.attribute_chosen else "",
            "NF_TOOLS": " ".join(plan.tools),
            "NF_PULL": "1" if plan.options.pull else "",
            "NF_TREE": part("tree"),
            "NF_RESTORE_LOCK": plan.restore_lock or "",
            "NF_AS_LOCKED": "1" if plan.options.as_locked else "",
            "NF_WANT_REV": plan.options.input_rev or "",
            "NF_DISK_NEEDED": str(DISK_NEEDED_KIB),
            "NF_MEMORY_NEEDED": str(MEMORY_NEEDED_KIB),
            "NF_WAIT": "0" if plan.options.now else str(BUSY_WAIT),
            "NF_GO_ON": "1" if plan.options.goes_on else "",
            "NF_FORCED": "1" if plan.options.force else "",
            "NF_STABLE": str(plan.options.stable),
            "NF_RETRY_AFTER": str(plan.options.retry_after),
            "NF_EVALUATION": str(plan.options.evaluation),
            "NF_GOAL": plan.goal,
            "NF_UNCUT": " ".join(sorted(UNCUT_STEPS)),
            "NF_ROLLBACK": "1" if plan.options.rollback_on_failure else "",
            "NF_LOCK_FROM": plan.lock_from or "",
            "NF_LOCK_SEEN": plan.lock_seen or "",
            "NF_COMMIT_LOCK": "1" if plan.step("commit") else "",
            "NF_GIT_REFUSED": refused_pattern(),
            **TEXTS,
        },
        call=f'nf_set_up "${{2:-}}" "${{3:-}}"\nnf_plan() {{\n{steps}}}\n"nf_enter_$1"',
    )


def _step_line(step: Step, root: str) -> str:
    # an argument that begins with a slash is a path on the host
    argv = (root + arg if arg.startswith("/") else arg for arg in step.argv)
    words = (step.id, step.run_as, str(step.limit), str(step.tries), *argv)
    return f"nf_step {shlex.join(words)}"
