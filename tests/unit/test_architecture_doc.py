"""docs/architecture.md and the README name only files that exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

PROJECT: Final = Path(__file__).parents[2]
CORE: Final = PROJECT / "nixfleet_core"
PAGE: Final = (PROJECT / "docs/architecture.md").read_text()
README: Final = (PROJECT / "README.md").read_text()
TREE: Final = README[README.index("nixfleet_core/   ") : README.index("tui/             ")]


def named() -> set[str]:
    """Every file of the program that the page names."""
    return {name for name in re.findall(r"`([\w/]+\.(?:py|sh))`", PAGE) if "tests" not in name}


@pytest.mark.parametrize("name", sorted(named()))
def test_every_file_that_the_page_names_exists(name: str) -> None:
    places = [folder / name for folder in (PROJECT, CORE, CORE / "scripts/job")]
    assert any(place.is_file() for place in places)


def test_each_change_touches_at_most_two_files() -> None:
    rows = re.findall(r"^\| ([^|]+) \| ((?:`[^`]+` ?)+)\|$", PAGE, re.MULTILINE)
    assert len(rows) >= 10
    assert all(files.count("`") <= 4 for _, files in rows)


def test_the_readmes_tree_has_every_child_of_the_core() -> None:
    children = {
        path.stem if path.is_file() else f"{path.name}/"
        for path in CORE.iterdir()
        if not path.name.startswith(("_", ".")) and path.name != "py.typed"
    }
    lines = re.findall(r"^  (.*?)   ", TREE, re.MULTILINE)
    assert {word for line in lines for word in line.split()} == children


def test_few_files_lie_outside_of_folders() -> None:
    """Newcomers see the architecture in the list of folders."""
    assert len(list(CORE.glob("*.py"))) <= 9
