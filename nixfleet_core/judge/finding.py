"""What a rule has found: one cause, in words, with what cures it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from nixfleet_core.vocabulary import CAUSES, Advice, FoundCause, Remedy

DOWN: Final[frozenset[FoundCause]] = frozenset(
    {"unit-missing", "unit-masked", "start-limit-hit", "agent-crash-looping", "agent-down"}
)
"""No agent runs, or none that stays up."""

RESTART: Final = ("restart",)
"""The command that restarts the agent, and nothing else."""

AS_LOCKED: Final = ("update", "--as-locked")
"""The command that builds what flake.lock names."""

COMMIT: Final = ("commit", "--push")
"""The command that commits flake.lock after a new proof, and pushes that."""

UPDATE: Final = ("update", "--force")
"""The command of a force update."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One cause: a token, a sentence for people, and what cures it."""

    cause: FoundCause
    sentence: str
    advice: str = ""
    command: tuple[str, ...] = ()
    """The `nixfleet` command that cures it, and its options; empty where none does."""
    remedies: tuple[Remedy, ...] = ()
    """What of the advice can be done at once."""
    holds: bool = False
    """Every link that was looked at holds; the cause is only a remark."""

    @property
    def advised(self) -> Advice:
        return Advice(self.advice, self.remedies)

    @property
    def down(self) -> bool:
        return self.cause in DOWN


def finding(
    cause: FoundCause,
    sentence: str,
    command: tuple[str, ...] = (),
    *,
    more: str = "",
    holds: bool = False,
) -> Finding:
    """A finding with its cause's own cure as advice, followed by `more`."""
    cure, remedies = CAUSES[cause].advice
    return Finding(cause, sentence, cure + more, command, remedies, holds)
