from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixfleet_core.log.failures import (
    FAILURES,
    Failure,
    find_failure,
    permanent_pattern,
    strip_colours,
    transient_pattern,
)
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


SAID = {
    "nothing known": ("hello\nworld", None),
    "the line before git's last": (
        (
            "git@github.com: Permission denied (publickey).\n"
            "fatal: Could not read from remote repository."
        ),
        "ssh-refused",
    ),
    "the same line after another": (
        (
            "ssh: connect to host h port 22: Connection timed out\n"
            "fatal: Could not read from remote repository."
        ),
        "ssh-network",
    ),
    "git's last line alone": ("fatal: Could not read from remote repository.", None),
    "what hung up after a refusal": (
        "Permission denied (publickey).\nfatal: the remote end hung up unexpectedly",
        "ssh-refused",
    ),
    "the last of equal ones": (
        (
            "fatal: unable to access 'https://h/': Could not resolve host: h\n"
            "fatal: couldn't find remote ref refs/heads/main"
        ),
        "git-no-ref",
    ),
    "nix's own retries": (
        (
            "warning: error: unable to download 'https://h/x': HTTP error 503; retrying in 300 ms\n"
            "error: undefined variable 'x'"
        ),
        "eval-failed",
    ),
    "nothing but nix's own retries": (
        "warning: unable to download 'https://h/x': HTTP error 503; retrying in 300 ms",
        None,
    ),
    "a builder's talk": (
        (
            "agent> curl: (7) Failed to connect to localhost port 80\n"
            "error: builder for '/nix/store/x-agent.drv' failed with exit code 1"
        ),
        "build-failed",
    ),
    "a builder's talk in JSON": (
        '@nix {"action":"result","fields":["Failed to connect to localhost"],"id":1,"type":101}',
        None,
    ),
    "a builder's full disk": (
        (
            "agent> cp: error writing 'x': No space left on device\n"
            "error: builder for '/nix/store/x-agent.drv' failed with exit code 1"
        ),
        "disk-full",
    ),
    "a builder's download": (
        (
            "src> error: cannot download x.tar.gz from any mirror\n"
            "error: builder for '/nix/store/x-src.drv' failed with exit code 1"
        ),
        "source-download",
    ),
    "a hash mismatch, and what could not be built then": (
        (
            "error: hash mismatch in fixed-output derivation '/nix/store/x-src.drv':\n"
            "error: 1 dependencies of derivation '/nix/store/x-agent.drv' failed to build"
        ),
        "hash-mismatch",
    ),
    "a failed cache, and what could not be built then": (
        (
            "error: unable to download 'https://c/x.narinfo': HTTP error 500\n"
            "error: some substitutes for the outputs of derivation '/nix/store/x.drv' failed\n"
            "error: Cannot build '/nix/store/y.drv'.\n       Reason: 1 dependency failed."
        ),
        "nix-download",
    ),
    "a rate limit, with nix's answer's body": (
        (
            "error: unable to download 'https://api.github.com/x': HTTP error 403\n\n"
            '       {"message":"API rate limit exceeded for 192.0.2.1."}'
        ),
        "rate-limit",
    ),
    "a stale fetch whose cause is named": (
        (
            "fatal: unable to access 'https://h/x.git/': The requested URL returned error: 500\n"
            "warning: could not update local clone of Git repository 'https://h/x'; "
            "continuing with the most recent version"
        ),
        "git-http-failing",
    ),
    "a stale fetch": (
        "warning: could not get HEAD ref for repository 'h'; using expired cached ref 'main'",
        "kept-old-commit",
    ),
}


@pytest.mark.parametrize(("text", "known"), SAID.values(), ids=SAID)
def test_find_failure(text: str, known: str | None) -> None:
    row = find_failure(text.split("\n"))
    assert (row.id if row else None) == known


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


def test_each_alternation_matches_only_its_own_kind() -> None:
    transient, permanent = re.compile(transient_pattern()), re.compile(permanent_pattern())
    for row in FAILURES:
        for text in map(strip_colours, TEXTS[row.id]["yes"]):
            if row.kind == "transient":
                assert transient.search(text)
            if row.kind == "permanent" and row.weight:
                assert permanent.search(text)
    for text in ("fatal: Could not read from remote repository.", "Done.", ""):
        assert not transient.search(text)
        assert not permanent.search(text)


@given(st.lists(st.text(), max_size=5))
def test_find_failure_survives_any_lines(lines: list[str]) -> None:
    find_failure(lines)
