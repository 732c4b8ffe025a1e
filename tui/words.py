"""What the screens say of states, steps and verdicts: sign, word and tone together.

Colour is never the only signal: the sign and the word say it too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from tui.remedies import remedy_binding, remedy_of

if TYPE_CHECKING:
    from nixfleet_core.job.events import StepStatus
    from nixfleet_core.job.outcome import Kind
    from nixfleet_core.judge.verdict import Verdict
    from nixfleet_core.vocabulary import State
    from tui.glyphs import Glyphs

Tone = Literal["normal", "good", "unproven", "warning", "bad", "busy", "faint"]

STYLES: Final[dict[Tone, str]] = {
    "normal": "",
    "good": "$text-success",
    "unproven": "$unproven",
    "warning": "$text-warning",
    "bad": "bold $text-error",
    "busy": "$text-primary",
    "faint": "$faint",
}
"""Tones as Textual styles."""

_STATE_TONES: Final[dict[State, Tone]] = {
    "current": "good",
    "unproven": "unproven",
    "stale": "warning",
    "down": "bad",
    "starting": "busy",
    "offline": "bad",
    "no-shell": "bad",
    "error": "bad",
    "unknown": "faint",
    "updating": "busy",
}
_VERDICT_TONES: Final[dict[Kind, Tone]] = {
    "updated": "good",
    "current": "good",
    "restarted": "good",
    "partial": "warning",
    "stale": "warning",
    "rolled-back": "warning",
    "cancelled": "warning",
}
_STEP_TONES: Final[dict[StepStatus, Tone]] = {
    "pending": "faint",
    "running": "busy",
    "ok": "good",
    "failed": "bad",
    "skipped": "faint",
    "cancelled": "warning",
}


_OUTCOME_TONES: Final[dict[str, Tone]] = {
    "done": "good",
    "running": "busy",
    "cancelled": "warning",
    "failed": "bad",
    "interrupted": "bad",
    "unreadable": "bad",
}
"""The tones of jobs' outcomes, as the runner wrote them; they are no judgement."""


def outcome_tone(outcome: str) -> Tone:
    return _OUTCOME_TONES.get(outcome, "faint")


def state_tone(state: State) -> Tone:
    return _STATE_TONES[state]


def verdict_tone(kind: Kind) -> Tone:
    return _VERDICT_TONES.get(kind, "bad")


def next_action(verdict: Verdict) -> tuple[str, str]:
    """What an operator wants next on the screen of an update: the id of its binding, and what it
    does."""
    for left in verdict.left:
        if (remedy := remedy_of(left.key)) is not None:
            return remedy_binding(remedy, "update"), left.help
    if verdict_tone(verdict.kind) == "bad":
        return "log.error", "goes to the error in the log"
    return "update.leave", "goes back to the fleet"


def step_tone(status: StepStatus) -> Tone:
    return _STEP_TONES[status]


def tone_sign(tone: Tone, glyphs: Glyphs) -> str:
    """The sign that goes with a tone, for states and verdicts."""
    signs: dict[Tone, str] = {
        "good": glyphs.good,
        "unproven": glyphs.unproven,
        "warning": glyphs.warning,
        "bad": glyphs.bad,
        "busy": glyphs.running,
    }
    return signs.get(tone, glyphs.unknown)


def step_sign(status: StepStatus, glyphs: Glyphs) -> str:
    signs: dict[StepStatus, str] = {
        "pending": glyphs.pending,
        "running": glyphs.running,
        "ok": glyphs.good,
        "failed": glyphs.bad,
        "skipped": glyphs.skipped,
        "cancelled": glyphs.cancelled,
    }
    return signs[status]
