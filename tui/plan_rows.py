"""The rows of plans: each step with its exact command, and each host of several with its steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from nixfleet_core.plan.words import command_text, own_work, step_user
from tui.text import counted, duration, plain, shorten
from tui.widgets.fold_list import Fold
from tui.words import STYLES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nixfleet_core.plan.model import Plan, Step
    from tui.fleet import HostEntry
    from tui.glyphs import Glyphs

_TITLE = 17
_NAME = 24


def step_rows(plan: Plan, glyphs: Glyphs) -> list[Fold]:
    """One row a step. It opens to all that is known of the step, and nothing of that is cut."""
    width = max(len(step_user(plan, step)) for step in plan.steps)
    return [
        Fold(
            Content.styled(f"{shorten(plain(step.title), _TITLE, glyphs):<{_TITLE}} ", "bold"),
            Content.assemble(
                (f"{plain(step_user(plan, step)):<{width}} ", STYLES["faint"]),
                plain(command_text(step)),
            ),
            _step_details(plan, step),
        )
        for step in plan.steps
    ]


def host_rows(planned: Mapping[HostEntry, Plan | str]) -> list[Fold]:
    """One row a host: its plan, or why it is left out. No name is cut."""
    width = min(_NAME, max(len(entry.label) for entry in planned))
    return [_host_row(entry, made, width) for entry, made in planned.items()]


def _host_row(entry: HostEntry, planned: Plan | str, width: int) -> Fold:
    title = Content.styled(f"{entry.label:<{width}} ", "bold")
    if isinstance(planned, str):
        why = Content.styled(f"left out: {plain(planned)}", STYLES["warning"])
        return Fold(title, why, why)
    found, count = entry.assessment, len(planned.warnings)
    current = "current already; " if found and found.state == "current" else ""
    if planned.goal == "rollback":
        does = f"goes back to {plain(planned.target_words)}"
    else:
        does = f"{current}{len(planned.steps)} steps"
    where = f"{does}, {plain(entry.host.where)}"
    steps = (f"{plain(step.title)}: {plain(command_text(step))}" for step in planned.steps)
    warnings = (f"! {plain(said)}" for said in planned.warnings)
    warned = f"  ! {counted(count, 'warning')}" if count else ""
    return Fold(
        title,
        Content.assemble(where, (warned, STYLES["warning"])),
        Content("\n".join((f"{where}, in {plain(planned.checkout)}", *warnings, *steps))),
    )


def _step_details(plan: Plan, step: Step) -> Content:
    facts = [
        ("in", plain(plan.checkout)),
        ("as", plain(step_user(plan, step))),
        ("for at most", duration(step.limit)),
        *((("with up to", f"{step.tries} tries"),) if step.tries > 1 else ()),
    ]
    parts: list[str | tuple[str, str]] = [plain(command_text(step)), "\n"]
    if own := own_work(step):
        parts += [(own, STYLES["faint"]), "\n"]
    for name, value in facts:
        parts += [(f"{name} ", STYLES["faint"]), value, "  "]
    return Content.assemble(*parts)
