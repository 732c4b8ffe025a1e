"""docs/protocol.md, taken apart: its tables and its examples."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

PAGE: Final = (Path(__file__).parents[1] / "docs/protocol.md").read_text()


def tables(first: str) -> list[list[list[str]]]:
    """The rows of each table whose first column has that title, cell by cell."""
    found = re.findall(rf"^\| {re.escape(first)} \|.*\n\|[-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    return [
        [[cell.strip() for cell in line[1:-1].split("|")] for line in body.splitlines()]
        for body in found
    ]


def rows(first: str) -> list[list[str]]:
    """The rows of the only table with that title."""
    (table,) = tables(first)
    return table


def names(cell: str) -> list[str]:
    """The words that a cell has in backticks."""
    return re.findall("`([^`]+)`", cell)


def named(first: str) -> list[str]:
    """All names in the first column of a table."""
    return [name for row in rows(first) for name in names(row[0])]


def example(heading: str) -> bytes:
    """The only example under a heading."""
    (section,) = re.findall(
        rf"^##+ {heading}\n(.*?)(?=^## |^### |\Z)", PAGE, re.MULTILINE | re.DOTALL
    )
    (block,) = re.findall(r"^```\w*\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    return str(block).encode()


EVENTS: Final = example("Events")
FRAMES: Final = example("Following a job")
LOOK: Final = example("A look at a host")
ASKED: Final = example("plan.json")
RESULT: Final = example("result")
PAST_JOBS: Final = example("The other answers")
