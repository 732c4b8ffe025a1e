"""The first line of a page that follows something on a host: what it is, and the link's state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from tui.text import duration, plain, shorten

if TYPE_CHECKING:
    from nixfleet_core.job.events import Link
    from tui.glyphs import Glyphs


def link_words(link: Link, glyphs: Glyphs) -> tuple[str, str]:
    """Whether the host is heard, or for how long not, and why; and its style."""
    if link.up:
        return f"{glyphs.live} following", "$text-success"
    why = f" ({shorten(plain(link.why), 40, glyphs)})" if link.why else ""
    waited = duration(link.seconds)
    return f"{glyphs.link_down} no answer for {waited}, retrying{why}", "$text-warning"


def title_line(left: str, right: str, style: str, width: int, glyphs: Glyphs) -> Content:
    """Both on one line of that width; the left part gives way."""
    left = shorten(left, max(10, width - len(right) - 2), glyphs)
    gap = " " * max(1, width - len(left) - len(right) - 1)
    return Content.assemble((f" {left}", "bold"), gap, (right, style))
