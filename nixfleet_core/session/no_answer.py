"""Why a host gave no answer: the error for an answer that is not whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nixfleet_core.errors import BadAnswer, NoShell, Unreachable
from nixfleet_core.limits import SAID_LIMIT
from nixfleet_core.transport.obstacles import find_obstacle
from nixfleet_core.vocabulary import CAUSES

if TYPE_CHECKING:
    from nixfleet_core.transport.answer import Answer


def no_answer(answer: Answer, seconds: float, host: str) -> Unreachable:
    """The error for an answer of this host that is not whole. `seconds` is the time that it had."""
    match answer.end:
        case "mute":
            return _no_shell(answer.noise)
        case "late":
            return Unreachable(f"no answer within {seconds:.0f} s", "look at the host's load")
        case "cut":
            said = f"its answer broke off: {_last_line(answer.stderr)}".rstrip(": ")
            return BadAnswer(said, "look at the host by hand, then refresh")
        case _:
            return _unreachable(answer, host)


def _no_shell(printed: str) -> NoShell:
    said = " ".join(printed.split())[-SAID_LIMIT:]
    words = f"reachable, but its login shell runs nothing: {said}".rstrip(": ")
    return NoShell(words, CAUSES["no-shell"].cure)


def _unreachable(answer: Answer, host: str) -> Unreachable:
    found = find_obstacle(answer.stderr, host)
    if found is not None:
        return Unreachable(found.said, found.advice, at_terminal=found.at_terminal)
    lost = "the connection broke" if answer.end == "lost" else "ssh could not connect"
    return Unreachable(_last_line(answer.stderr) or lost, CAUSES["unreachable"].cure)


def _last_line(text: str) -> str:
    lines = (line.strip() for line in reversed(text.splitlines()))
    return next((line for line in lines if line), "")[:SAID_LIMIT]
