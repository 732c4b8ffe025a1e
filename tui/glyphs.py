"""The signs on the screens: one set for UTF-8 terminals, one in plain ASCII."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Glyphs:
    """Every sign that is not a letter. A sign never stands alone: a word says the same."""

    good: str = "✔"
    unproven: str = "◇"
    warning: str = "▲"
    bad: str = "✖"
    unknown: str = "?"
    running: str = "▶"
    pending: str = "·"
    skipped: str = "–"
    cancelled: str = "■"
    cursor: str = "▸"
    closed: str = "+"
    opened: str = "−"
    marked: str = "●"
    live: str = "●"
    link_down: str = "○"
    bar_full: str = "█"
    bar_empty: str = "░"
    ellipsis: str = "…"
    missing: str = "–"
    arrow: str = "→"
    back: str = "←"
    dot: str = "·"
    times: str = "×"
    again: str = "↻"
    enter: str = "⏎"
    up: str = "↑"
    down: str = "↓"
    spinner: tuple[str, ...] = ("⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏")


UNICODE: Final = Glyphs()
ASCII: Final = Glyphs(
    good="+",
    unproven="~",
    warning="!",
    bad="x",
    running=">",
    pending=".",
    skipped="-",
    cancelled="#",
    cursor=">",
    closed="+",
    opened="-",
    marked="*",
    live="*",
    link_down="o",
    bar_full="#",
    bar_empty=".",
    ellipsis="..",
    missing="-",
    arrow="->",
    back="<-",
    dot="-",
    times="x",
    again="@",
    enter="enter",
    up="^",
    down="v",
    spinner=("|", "/", "-", "\\"),
)
