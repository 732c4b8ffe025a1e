"""The output of `nix store diff-closures`, recorded from each Nix; and the agent's own line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixfleet_core.facts.model import Snapshot
from nixfleet_core.facts.package_changes import (
    CHANGES_LIMIT,
    CHANGES_MOST,
    Change,
    change_text,
    parse_changes,
    with_agent,
)

SAMPLES = Path(__file__).parents[2] / "samples"
OLD_PATH, NEW_PATH = (f"/nix/store/{c * 32}-nixfleet-agent-2.1.0" for c in "ab")
KIB = 1024


def change(
    name: str, before: str | None = "", after: str | None = "", size: int | None = None
) -> Change:
    return Change(name=name, before=before, after=after, size=size)


@pytest.mark.parametrize(
    ("version", "big", "linux"),
    [
        ("2.8.0", 2999 * KIB, 5000 * KIB + 512),
        ("2.26.3", 2999 * KIB, 5000 * KIB + 512),
        ("2.34.8", round(2.9 * KIB * KIB), round(4.9 * KIB * KIB)),
    ],
)
def test_every_nix_is_understood(version: str, big: int, linux: int) -> None:
    assert parse_changes((SAMPLES / f"diff-closures-{version}.txt").read_bytes()) == (
        change("big", size=big),
        change("etc", size=90 * KIB),
        change("gained", None, "1.1"),
        change("glibc", "2.40-61", "2.40-66"),
        change("htop", "3.3.0", None, -9728),
        change("lab-step", None, "1"),
        change("linux", None, "6.12.2", linux),
        change("nano", "", None),
        change("nixfleet-agent", "2.1.0", "2.2.0", 40 * KIB),
        change("ripgrep", None, "14.1"),
    )


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("a: 1, 2 → 3, 4, +1.5 MiB", change("a", "1, 2", "3, 4", 3 * KIB * KIB // 2)),
        ("a: 1, 2 → ∅", change("a", "1, 2", None)),
        ("a: ε, 1 → 2", change("a", "1", "2")),
        ("a: ε → 2, -7 B", change("a", "", "2", -7)),
        ("a: -1.0 GiB", change("a", size=-(KIB**3))),
        ("\r\x1b[0m\x1b[Ka: \x1b[31;1m+8.0 KiB\x1b[0m\r", change("a", size=8 * KIB)),
    ],
    ids=["several", "gone", "no version among them", "bytes", "shrunk", "at a terminal"],
)
def test_lines_of_all_kinds(line: str, found: Change) -> None:
    assert parse_changes(f"{line}\n".encode()) == (found,)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "warning: something",
        "error: 'x' is not a recognised command",
        "a b: 1 → 2",
        "a:",
        "→",
        ": 1 → 2",
    ],
    ids=repr,
)
def test_lines_without_a_change_are_left_out(line: str) -> None:
    assert parse_changes(f"{line}\nb: 1 → 2\n".encode()) == (change("b", "1", "2"),)


@given(st.binary(max_size=400))
def test_parser_survives_any_bytes(data: bytes) -> None:
    parse_changes(data + b"\nb: 1 \xe2\x86\x92 2")


def test_a_flood_of_changes_is_cut_off() -> None:
    assert len(parse_changes(b"a: +1 B\n" * CHANGES_LIMIT)) == CHANGES_MOST


def snapshot(path: str | None, version: str | None = "2.1.0") -> Snapshot:
    return Snapshot(version=version, store_path=path)


def test_the_agent_comes_first_even_with_the_same_version() -> None:
    others = (change("a", "1", "2"), change("nixfleet-agent", size=9 * KIB))
    assert with_agent(others, snapshot(OLD_PATH), snapshot(NEW_PATH)) == (
        change("nixfleet-agent", "2.1.0", "2.1.0", 9 * KIB),
        change("a", "1", "2"),
    )
    assert with_agent((), snapshot(OLD_PATH), snapshot("/opt/agent", None)) == (
        change("nixfleet-agent", "2.1.0", ""),
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [(OLD_PATH, OLD_PATH), (None, NEW_PATH), (OLD_PATH, None)],
    ids=["the same path", "not seen before", "not seen after"],
)
def test_an_agent_that_did_not_change_has_no_line(before: str | None, after: str | None) -> None:
    others = (change("a", "1", "2"),)
    assert with_agent(others, snapshot(before), snapshot(after)) == others


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (change("glibc", "2.40-61", "2.40-66", 1258291), "glibc 2.40-61 → 2.40-66, +1.2 MiB"),
        (change("htop", "3.3.0", None, -9728), "htop 3.3.0 is gone, -9.5 KiB"),
        (change("nano", "", None), "nano is gone"),
        (change("ripgrep", None, "14.1"), "ripgrep 14.1 is new"),
        (change("unit", None, ""), "unit is new"),
        (change("etc", size=92160), "etc, +90.0 KiB"),
        (change("nixfleet-agent", "2.1.0", "2.1.0"), "nixfleet-agent 2.1.0, rebuilt"),
        (change("x", "", "2"), "x ? → 2"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_change_in_words(found: Change, text: str) -> None:
    assert change_text(found) == text
