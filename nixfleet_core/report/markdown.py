"""A report as Markdown, for issues and post-mortems. Pure.

No foreign text becomes markup, whoever reads it: no HTML, no link, no image, no table of its own,
and on a forge no mention and no reference. Words that could be any of that stand as code.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from nixfleet_core.report.blocks import Bullets, Heading, LogText, Paragraph, Table, Value
from nixfleet_core.report.colours import plain_text
from nixfleet_core.report.layout import lay_out
from nixfleet_core.report.words import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nixfleet_core.report.blocks import Block, Inline, Line
    from nixfleet_core.report.model import IncidentReport, LogLine

_WORD: Final = re.compile(
    r"[(“‘\"']*(?:[+-](?=[0-9]))?[^\W_]+(?:[-–/’'+][^\W_]+|[.,:][0-9]+)*[)”’\"']*[.,;:?!)…]*"
)
"""A word that means nothing to any Markdown, wherever it stands."""
_NUMBER_OF_A_LIST: Final = re.compile(r"[0-9]+[.)]")
_SIGNS: Final = frozenset("–→…:,")
_BACKTICKS: Final = re.compile(r"`+")


def to_markdown(report: IncidentReport) -> str:
    """The whole report."""
    return "\n\n".join("\n".join(_block(block)) for block in lay_out(report)) + "\n"


def _block(block: Block) -> Iterator[str]:
    match block:
        case Heading(level=level, words=words):
            yield f"{'#' * level} {_line(words)}"
        case Paragraph(label=label, words=words):
            yield f"**{label}**: {_line(words)}" if label else _line(words)
        case Bullets(items=items):
            yield from (f"- {_line(item)}" for item in items)
        case Table(head=head, rows=rows):
            width = len(rows[0])
            yield _row([*head] or [""] * width)
            yield _row(["---"] * width)
            for row in rows:
                yield _row([_inline(cell, in_table=True) for cell in row])
        case LogText(lines=lines):
            yield from _log(lines)


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _line(words: Line) -> str:
    line = ""
    for part in (_inline(word, in_table=False) for word in words):
        # without a blank, two code spans would be none
        line += f" {part}" if line.endswith("`") and part.startswith("`") else part
    return line


def _inline(text: Inline, *, in_table: bool) -> str:
    if isinstance(text, Value):
        return _code(shown(text.text), in_table=in_table)
    words = re.split(r"( +)", shown(text))
    return "".join(word if _is_plain(word) else _code(word, in_table=in_table) for word in words)


def _is_plain(word: str) -> bool:
    """Whether it is only a word, or blanks, to every Markdown."""
    if not word.strip(" "):
        return True
    if _NUMBER_OF_A_LIST.fullmatch(word) or word.lower().startswith(("www", "http")):
        return False
    return word in _SIGNS or _WORD.fullmatch(word) is not None


def _code(text: str, *, in_table: bool) -> str:
    """A code span. In a table a pipe ends the cell, even in code."""
    if not text.strip(" "):
        return ""
    if in_table:
        # readers disagree on whether a backslash before it escapes the pipe's own backslash
        text = text.replace("\\|", "\\ |").replace("|", "\\|")
        text = f"{text} " if text.endswith("\\") else text
    fence = _fence(text, 1)
    blank = " " if text[0] in "` " or text[-1] in "` " else ""
    return f"{fence}{blank}{text}{blank}{fence}"


def _fence(text: str, least: int) -> str:
    """More backticks than follow one another anywhere in the text."""
    longest = max(map(len, _BACKTICKS.findall(text)), default=0)
    return "`" * max(least, longest + 1)


def _log(lines: tuple[LogLine, ...]) -> Iterator[str]:
    width = len(str(lines[-1].number))
    texts = [
        f"{'>' if line.is_error else ' '} {line.number:>{width}}  {plain_text(line.text)}".rstrip()
        for line in lines
    ]
    fence = _fence("\n".join(texts), 3)
    yield f"{fence}text"
    yield from texts
    yield fence
