"""docs/security.md: each row names a test that exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).parents[1]
DOC: Final = TESTS.parent / "docs/security.md"
WHO: Final = {
    "the operator",
    "the checkout's owner",
    "the agent's user",
    "other users of the host",
    "users of the launcher",
    "a hostile host",
    "other users of the client",
}


def rows() -> list[list[str]]:
    lines = [line for line in DOC.read_text().splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if row[0] != "who"]


def functions(path: Path) -> set[str]:
    nodes = ast.walk(ast.parse(path.read_text()))
    return {n.name for n in nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_each_row_names_a_test_that_exists() -> None:
    for who, _, _, shown in rows():
        match = re.fullmatch(r"`((?:unit|scripts|tui|lab)/\S+\.py)::(test_\w+)`", shown)
        assert match is not None, (who, shown)
        assert match[2] in functions(TESTS / match[1]), shown


def test_every_party_has_a_row() -> None:
    assert {who for who, *_ in rows()} >= WHO
