"""The dialog that asks for a fix, and what is shown of the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from textual.content import Content
from textual.widgets import Input

from tui.screens.base import FieldDialog
from tui.text import plain
from tui.words import STYLES, tone_sign

if TYPE_CHECKING:
    from nixfleet_core.judge.has import Answer, HasIt
    from nixfleet_core.session.has import Answers, Unclear
    from tui.glyphs import Glyphs
    from tui.words import Tone

_ASK: Final = "A commit of the agent's input, whole or shortened, a tag, or words of a title:"

_TONES: Final[dict[Answer, Tone]] = {
    "yes": "good",
    "no": "bad",
    "not proven": "unproven",
    "unreachable": "faint",
}


class FixDialog(FieldDialog):
    """Asks which fix is meant; after an answer that was not clear, with the commits to choose."""

    def __init__(self, word: str = "", unclear: Unclear | None = None) -> None:
        parts = [Content(_ASK)]
        if unclear is not None:
            why = Content.styled(plain(unclear.why), STYLES["warning"])
            found = (Content(f"{one.rev[:12]}  {plain(one.title)}") for one in unclear.found)
            parts = [why, *found, Content(), *parts]
        field = Input(word, id="fix", select_on_focus=bool(unclear))
        super().__init__("Is my fix in?", Content("\n").join(parts), field, accept="ask")


def answers_text(found: Answers, glyphs: Glyphs) -> Content:
    """The answer for each host, and what it rests on."""
    title = f"{found.fix.rev[:12]} {plain(found.fix.title)}".strip()
    lines = [Content.styled(title, "bold"), *(Content(plain(note)) for note in found.notes)]
    for host, one in found.hosts.items():
        lines += [Content(), *_answer_lines(host, one, glyphs)]
    return Content("\n").join(lines)


def _answer_lines(host: str, one: HasIt, glyphs: Glyphs) -> list[Content]:
    tone = _TONES[one.answer]
    sign = tone_sign(tone, glyphs)
    said = (f"{sign} {one.answer}", f"bold {STYLES[tone]}")
    lines = [Content.assemble((plain(host), "bold"), "  ", said), Content(plain(one.why))]
    lines += [Content(plain(words)) for words in one.evidence]
    if one.advice:
        lines.append(Content.assemble(("try: ", STYLES["faint"]), plain(one.advice)))
    return lines
