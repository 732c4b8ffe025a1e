"""The parts of a report's text, whatever the format: headings, tables, lists, log lines.

Their texts may be foreign. A format makes each of them safe when it writes it, and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from nixfleet_core.report.model import LogLine


@dataclass(frozen=True, slots=True)
class Value:
    """A text that is to be read letter by letter: a path, a commit, a name."""

    text: str


Inline = str | Value
Line = tuple[Inline, ...]


@dataclass(frozen=True, slots=True)
class Heading:
    """`level` is 1 to 4."""

    level: int
    words: Line


@dataclass(frozen=True, slots=True)
class Paragraph:
    """`label` is ours, and stands before the words. `tone` says whether it is good or bad news."""

    label: str
    words: Line
    tone: Literal["", "good", "bad"] = ""


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list of sentences."""

    items: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """`head` is ours. In a table without a head, the first cell of a row names the others."""

    head: tuple[str, ...]
    rows: tuple[tuple[Inline, ...], ...]


@dataclass(frozen=True, slots=True)
class LogText:
    """Lines of a log."""

    lines: tuple[LogLine, ...]


Block = Heading | Paragraph | Bullets | Table | LogText
