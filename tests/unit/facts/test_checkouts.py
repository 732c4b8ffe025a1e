"""The choice of a checkout, and the warning when a host's two differ."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from nixfleet_core.facts.checkouts import disagreement, is_isolated, read_checkout
from nixfleet_core.facts.model import Checkout, Facts
from nixfleet_core.nix.lock import FlakeLock, parse_lock

OLD, NEW = "1" * 40, "2" * 40
THERE = "/var/lib/nixfleet-agent/repo"


def lock(rev: str) -> FlakeLock:
    nodes = {"root": {"inputs": {"nixfleet": "n"}}, "n": {"locked": {"rev": rev}}}
    return parse_lock(json.dumps({"nodes": nodes, "root": "root", "version": 7}))


def other(head: str | None = None, locked: FlakeLock | None = None) -> Checkout:
    return Checkout(THERE, "ok", head=head, lock=locked)


HERE = Checkout("/c", "ok", head=OLD, lock=lock(OLD))
FACTS = Facts(hostname="h", os="", platform="nixos", checkout=HERE)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("isolated", "isolated"),
        ("nixcfg", "~/Code/nixcfg"),
        ("/srv/it's nixcfg", "/srv/it's nixcfg"),
        ("~/x", "~/x"),
    ],
    ids=["isolated", "nixcfg", "a path", "a path at home"],
)
def test_a_checkout_is_named_by_a_word_or_a_path(text: str, read: str) -> None:
    assert read_checkout(text) == read


def test_what_cannot_be_printed_is_refused_for_that() -> None:
    with pytest.raises(ValueError, match="has a character that cannot be printed"):
        read_checkout("/a\nb")


@pytest.mark.parametrize("text", ["", "x", "./x", "~ops/x", "Isolated"], ids=repr)
def test_other_words_name_no_checkout(text: str) -> None:
    with pytest.raises(ValueError, match="isolated, nixcfg"):
        read_checkout(text)


def test_the_agents_own_repository_is_known_by_its_path() -> None:
    assert is_isolated(THERE)
    assert is_isolated("/Users/m/.local/state/nixfleet-agent/repo")
    assert not is_isolated("/home/ops/Code/nixcfg")


@pytest.mark.parametrize(
    ("there", "words"),
    [
        (other(NEW, lock(OLD)), [f"{THERE} is at commit 2222222"]),
        (other(OLD, lock(NEW)), ["locks nixfleet to 2222222, this one to 1111111"]),
        (
            other(NEW, lock(NEW)),
            ["at commit 2222222, this one at 1111111 and locks nixfleet to 2222222"],
        ),
        (other(OLD, lock(OLD)), []),
        (other(), []),
        (None, []),
    ],
    ids=["head", "lock", "both", "equal", "not seen", "none"],
)
def test_two_different_checkouts_get_a_warning(there: Checkout | None, words: list[str]) -> None:
    said = disagreement(replace(FACTS, other=there), "nixfleet")
    assert (said is not None) == bool(words)
    assert all(word in (said or "") for word in words)


def test_a_checkout_that_cannot_be_read_disagrees_with_nothing() -> None:
    for here in (None, replace(HERE, state="missing")):
        assert (
            disagreement(replace(FACTS, checkout=here, other=other(NEW, lock(NEW))), "nixfleet")
            is None
        )
