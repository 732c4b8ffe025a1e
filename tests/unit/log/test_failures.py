from __future__ import annotations

import re
import time
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixfleet_core.log.failure_table import FAILURES, Failure
from nixfleet_core.log.failures import find_failure, refused_pattern, strip_colours
from nixfleet_core.log.text import TextDecoder

SAMPLES = Path(__file__).parents[2] / "samples"
TEXTS: dict[str, dict[str, list[str]]] = tomllib.loads((SAMPLES / "failures.toml").read_text())


def test_every_row_has_samples_and_every_sample_a_row() -> None:
    assert list(TEXTS) == [row.id for row in FAILURES]
    assert all(texts["yes"] and texts["no"] for texts in TEXTS.values())


@pytest.mark.parametrize("row", FAILURES, ids=lambda row: row.id)
def test_a_row_knows_its_texts_and_not_its_neighbours(row: Failure) -> None:
    pattern = re.compile(row.pattern)
    for text in TEXTS[row.id]["yes"]:
        assert pattern.search(strip_colours(text)), text
    for text in TEXTS[row.id]["no"]:
        assert not pattern.search(strip_colours(text)), text


@pytest.mark.parametrize("row", FAILURES, ids=lambda row: row.id)
def test_advice_is_one_sentence(row: Failure) -> None:
    assert re.fullmatch(r"(?:[A-Z]|git|ssh|flake)[^\n]*\.", row.advice)


SAID: dict[str, dict[str, str | bool]] = tomllib.loads((SAMPLES / "said.toml").read_text())


@pytest.mark.parametrize("text", SAID.values(), ids=SAID)
def test_the_weightiest_text_decides(text: dict[str, str | bool]) -> None:
    row = find_failure(str(text["said"]).split("\n"))
    assert (row.id if row else "") == text["row"]
    assert (row is not None and row.kind == "transient") == text["again"]


@pytest.mark.parametrize("version", ["2.8.0", "2.26.3", "2.34.8"])
@pytest.mark.parametrize(
    ("what", "known"),
    [("chain", None), ("lock", None), ("fail", "build-failed"), ("evalerr", "no-such-attribute")],
)
def test_find_failure_in_recorded_logs(version: str, what: str, known: str | None) -> None:
    raw = (SAMPLES / f"nix-{version}-{what}.internal-json").read_bytes()
    shown = TextDecoder().feed(raw)
    for log in (raw, shown):
        row = find_failure(log.decode().splitlines())
        assert (row.id if row else None) == known


def test_a_long_line_takes_time_in_proportion_to_its_length() -> None:
    """Each line is read up to a limit, so many frames in one line cost no more than in many."""

    def cost(lines: list[str]) -> float:
        begin = time.process_time()
        find_failure(lines)
        return time.process_time() - begin

    frame = "unable to access 'https://h/': unable to download 'https://h/': "
    once = min(cost([frame * 64]) for _ in range(3))
    assert min(cost([frame * 64 * 64]) for _ in range(3)) < 8 * once


@given(st.lists(st.text(), max_size=5))
def test_find_failure_survives_any_lines(lines: list[str]) -> None:
    find_failure(lines)


@pytest.mark.parametrize(
    ("said", "refused"),
    [
        (
            "fatal: could not read Username for 'https://github.com': terminal prompts disabled",
            True,
        ),
        ("fatal: Authentication failed for 'https://h/r/'", True),
        ("fatal: unable to access 'https://h/r/': The requested URL returned error: 403", True),
        ("git@github.com: Permission denied (publickey).", True),
        ("ERROR: Repository not found.", True),
        ("remote: Repository not found.", True),
        ("remote: HTTP Basic: Access denied", True),
        ("fatal: unable to access 'https://h/r/': The requested URL returned error: 500", False),
        ("fatal: repository 'https://h/r/' not found", False),
        ("fatal: unable to access 'https://h/r/': Could not resolve host: h", False),
        ("Host key verification failed.", False),
    ],
)
def test_a_refusal_is_known_by_gits_words(said: str, refused: bool) -> None:
    assert bool(re.search(refused_pattern(), said)) is refused
