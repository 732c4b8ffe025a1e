"""What can be done about a host at once, and the key that does it, in the same words everywhere."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from textual.content import Content

from nixfleet_core.vocabulary import KEYS, Remedy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tui.glyphs import Glyphs

LABELS: Final[dict[Remedy, str]] = {
    "update": "update",
    "rollback": "roll back",
    "commit": "commit",
    "verify": "verify",
    "attach": "show the job",
    "log": "log",
    "connect": "connect",
    "refresh": "look again",
}
"""What the key of each remedy does, in a word or two."""


@lru_cache(maxsize=64)  # each beat shows them anew
def remedy_keys(remedies: tuple[Remedy, ...], glyphs: Glyphs) -> Content:
    """`→ u update · b roll back`; empty if nothing can be done at once. The keys work where this is
    shown."""
    parts: list[str | tuple[str, str]] = []
    for remedy in dict.fromkeys(remedies):
        key = glyphs.enter if KEYS[remedy] == "enter" else KEYS[remedy]
        parts += [f" {glyphs.dot} " if parts else f"{glyphs.arrow} ", (key, "bold $text-accent")]
        parts.append(f" {LABELS[remedy]}")
    return Content.assemble(*parts)


def advice_text(advice: Content, remedies: Sequence[Remedy], glyphs: Glyphs) -> Content:
    """The advice, and behind it the keys of what it names."""
    keys = remedy_keys(tuple(remedies), glyphs)
    return Content(" ").join(part for part in (advice, keys) if part)
