"""The rows of plans: each step with its exact command, and each host of several with its steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from textual.content import Content

from nixfleet_core.judge.coming import commit_lines
from nixfleet_core.plan.words import command_text, own_work, step_user
from tui.text import counted, duration, plain, shorten
from tui.widgets.fold_list import Fold
from tui.words import STYLES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nixfleet_core.judge.coming import Coming
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


def host_rows(
    planned: Mapping[HostEntry, Plan | str], coming: Mapping[HostEntry, Coming | None]
) -> list[Fold]:
    """One row a host: its plan, or why it is left out. No name is cut. `coming` has what comes of
    the input to those hosts where that counts; None until it is known."""
    width = min(_NAME, max(len(entry.label) for entry in planned))
    rows: list[Fold] = []
    for entry, made in planned.items():
        title = Content.styled(f"{entry.label:<{width}} ", "bold")
        if isinstance(made, str):
            why = Content.styled(f"left out: {plain(made)}", STYLES["warning"])
            rows.append(Fold(title, why, why))
        else:
            brief, whole = Content(""), Content("")
            if entry in coming:
                brief, whole = _input_texts(coming[entry], made.input)
            rows.append(_host_row(entry, title, made, brief, whole))
    return rows


def _host_row(entry: HostEntry, title: Content, plan: Plan, brief: Content, whole: Content) -> Fold:
    """`brief` and `whole` say what comes of the input."""
    found, count = entry.assessment, len(plan.warnings)
    current = "current already; " if found and found.state == "current" else ""
    if plan.goal == "rollback":
        does = f"goes back to {plain(plan.target_words)}"
    else:
        does = f"{current}{len(plan.steps)} steps"
    where = plain(entry.host.where)
    steps = (f"{plain(step.title)}: {plain(command_text(step))}" for step in plan.steps)
    warnings = (f"! {plain(said)}" for said in plan.warnings)
    warned = f", ! {counted(count, 'warning')}" if count else ""
    lines = (f"{does}, {where}, in {plain(plan.checkout)}", *warnings, *steps)
    return Fold(
        title,
        Content.assemble(does, brief, (warned, STYLES["warning"]), f", {where}"),
        Content.assemble("\n".join(lines), whole),
    )


ASKING_FOR_INPUT: Final = "Asking which commits of the input come along ..."


def _input_texts(found: Coming | None, flake_input: str) -> tuple[Content, Content]:
    """What comes of the input: for the row, and for all that is known."""
    if found is None:
        return Content(", asking what comes along ..."), Content(f"\n{ASKING_FOR_INPUT}")
    style = STYLES["warning" if found.takes_back else "normal"]
    brief = Content.styled(plain(found.brief(flake_input)), style)
    return Content.assemble(", ", brief), Content.assemble("\n", input_text(found, flake_input))


def input_text(found: Coming, flake_input: str) -> Content:
    """The commits of the input between what runs and what will run."""
    sentence = plain(found.sentence(flake_input))
    sentence = f"{sentence[:1].upper()}{sentence[1:]}."
    parts: list[str | tuple[str, str]] = [(sentence, "bold" if not found.unknown else "")]
    for sign, rev, rest in commit_lines(found):
        parts += [f"\n{sign} ", (f"{rev} " if rev else "", "$text-accent"), plain(rest)]
    return Content.assemble(*parts)


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
