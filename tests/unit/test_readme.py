"""The README and docs/: links lead somewhere, commands exist, and nothing is left to fill in."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from nixfleet_core.cli.main import nixfleet

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT: Final = Path(__file__).parents[2]
README: Final = PROJECT / "README.md"
PAGES: Final = [README, *sorted((PROJECT / "docs").glob("*.md"))]


def anchors(page: Path) -> set[str]:
    """What the forge makes of the headings."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}


def broken(page: Path) -> Iterator[str]:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    assert list(broken(page)) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_address_is_left_to_fill_in(page: Path) -> None:
    unfilled = r"(?:github|gitlab|sourcehut):(?:…|OWNER/\w+#|your-)\S*|https?://(?:…|your-)\S*"
    assert re.findall(unfilled, page.read_text()) == []


def test_every_command_is_in_the_readme() -> None:
    rows = set(re.findall(r"^\| `nixfleet ([a-z]+)", README.read_text(), re.MULTILINE))
    assert set(nixfleet.commands) - {"demo"} <= rows


def test_make_has_every_goal_that_the_readme_names() -> None:
    goals = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^)make ([a-z-]+)", README.read_text(), re.MULTILINE))
    assert len(named) > 8
    assert named <= goals
