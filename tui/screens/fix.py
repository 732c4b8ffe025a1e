"""The dialogs that ask for a fix, and what is shown of the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from textual import on
from textual.content import Content
from textual.widgets import Input

from tui.screens.base import Dialog, FieldDialog
from tui.stage import stage
from tui.text import local_time, plain
from tui.widgets.columns import Column
from tui.widgets.row_table import Cell, Row, RowTable
from tui.words import STYLES, tone_sign

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from nixfleet_core.judge.fix import Change
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


_COLUMNS: Final = (
    Column("made", "When", worth=7, least=10),
    Column("rev", "Commit", worth=9, least=12),
    Column("title", "Title", worth=8, least=20),
)


class FixDialog(FieldDialog):
    """Asks which fix is meant; after an answer that was not clear, it says why."""

    def __init__(self, word: str = "", why: str = "") -> None:
        parts = [Content.styled(f"{plain(why)}\n\n", STYLES["warning"])] if why else []
        field = Input(word, id="fix", select_on_focus=bool(why))
        body = Content("").join((*parts, Content(_ASK)))
        super().__init__("Is my fix in?", body, field, accept="ask")


class FoundDialog(Dialog[str]):
    """Lists the commits that may be meant, newest first; the answer is the whole hash of one."""

    AUTO_FOCUS = "RowTable"

    def __init__(self, unclear: Unclear) -> None:
        super().__init__("Which of them?", Content(plain(unclear.why)), accept="choose")
        self._found = unclear.found

    def compose_fields(self) -> ComposeResult:
        yield RowTable(_COLUMNS, stage(self).glyphs, id="found")

    def on_mount(self) -> None:
        self.query_one(RowTable).show([_row(one) for one in self._found])

    @on(RowTable.Chosen)
    def action_accept(self) -> None:
        self.dismiss(self.query_one(RowTable).selected)


def _row(one: Change) -> Row:
    made = local_time(one.made)[:10] if one.made is not None else ""  # the day is enough
    cells = {"made": Cell(made, "faint"), "rev": Cell(one.rev[:12]), "title": Cell(one.title)}
    return Row(one.rev, cells)


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
