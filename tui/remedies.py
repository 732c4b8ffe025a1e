"""What can be done about a host at once, and the key that does it, in the same words everywhere."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal

from textual.content import Content

from nixfleet_core.vocabulary import KEYS, Remedy
from tui.keys import AS_BUILT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tui.glyphs import Glyphs
    from tui.keys import Keys

Offer = Remedy | Literal["debt"]
"""What a key beside a text does: a remedy, or it shows the host's restart debt."""

Where = Literal["fleet", "host", "debt", "update", "many", "notice"]
"""The part of the app that shows a remedy: the ids of its bindings begin so."""

LABELS: Final[dict[Remedy, str]] = {
    "restart": "restart",
    "as-locked": "update as locked",
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

DEBT_KEY: Final = "D"
_DEBT: Final = "list all"

_ATTACH: Final[dict[Where, str]] = {
    "fleet": "fleet.choose",
    "host": "host.choose",
    "many": "many.open",
    "notice": "dialog.accept",
}
"""The bindings that show a running job."""

_BY_KEY: Final = {key: remedy for remedy, key in KEYS.items()}


def remedy_binding(remedy: Offer, where: Where) -> str:
    """The id of the binding that does it there; empty if none does."""
    return _ATTACH.get(where, "") if remedy == "attach" else f"{where}.{remedy}"


def remedy_of(key: str) -> Remedy | None:
    """The remedy that has this key by default: the core names remedies so."""
    return _BY_KEY.get(key)


def remedy_key(remedy: Offer, glyphs: Glyphs, where: Where, bound: Keys) -> str:
    """The key that does it there; empty if none does."""
    name = remedy_binding(remedy, where)
    default = DEBT_KEY if remedy == "debt" else KEYS[remedy]
    return bound.instead_of(default, name, glyphs) if name else ""


@lru_cache(maxsize=64)  # each beat shows them anew
def remedy_keys(
    remedies: tuple[Offer, ...],
    glyphs: Glyphs,
    where: Where = "fleet",
    bound: Keys = AS_BUILT,
) -> Content:
    """`→ u update · b roll back`; empty if nothing can be done at once. The keys work where this is
    shown."""
    parts: list[str | tuple[str, str]] = []
    for remedy in dict.fromkeys(remedies):
        key = remedy_key(remedy, glyphs, where, bound)
        if not key:
            continue
        parts += [f" {glyphs.dot} " if parts else f"{glyphs.arrow} ", (key, "bold $text-accent")]
        what = _DEBT if remedy == "debt" else LABELS[remedy]
        parts.append(f" {what}")
    return Content.assemble(*parts)


def advice_text(
    advice: Content,
    remedies: Sequence[Remedy],
    glyphs: Glyphs,
    where: Where = "fleet",
    bound: Keys = AS_BUILT,
) -> Content:
    """The advice, and behind it the keys of what it names."""
    keys = remedy_keys(tuple(remedies), glyphs, where, bound)
    return Content(" ").join(part for part in (advice, keys) if part)
