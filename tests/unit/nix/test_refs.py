from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nixfleet_core.nix.refs import (
    Found,
    asked_names,
    find_ref,
    is_commit_of,
    is_ref,
    read_refs,
    ref_names,
)

if TYPE_CHECKING:
    from nixfleet_core.nix.refs import NotFound

ONE, TWO, TAG = "1" * 40, "2" * 40, "f" * 40


def test_malformed_ref_names_are_recognised() -> None:
    good, bad = (
        ("HEAD", "refs/heads/a-b/c", "refs/heads/ä"),
        ("", "a b", "a~1", "a:b", "a\0", "\ud800"),
    )
    assert all(map(is_ref, good))
    assert not any(map(is_ref, bad))


@pytest.mark.parametrize(
    ("ref", "branch", "any_kind"),
    [
        (None, ("HEAD",), ("HEAD",)),
        ("", ("HEAD",), ("HEAD",)),
        ("HEAD", ("HEAD",), ("HEAD",)),
        ("refs/tags/v1", ("refs/tags/v1",), ("refs/tags/v1",)),
        ("v1", ("refs/heads/v1",), ("refs/v1", "refs/heads/v1", "refs/tags/v1")),
    ],
)
def test_a_forge_takes_more_for_a_ref_than_git(
    ref: str | None, branch: tuple[str, ...], any_kind: tuple[str, ...]
) -> None:
    assert ref_names(ref, any_kind=False) == branch
    assert ref_names(ref, any_kind=True) == any_kind


def test_tags_are_asked_for_with_their_commits_and_head_once() -> None:
    assert asked_names(("refs/tags/a",)) == ("refs/tags/a", "refs/tags/a^{}", "HEAD")
    assert asked_names(("HEAD",)) == ("HEAD", "HEAD^{}")


@pytest.mark.parametrize(
    ("refs", "found"),
    [
        ({}, None),
        ({"HEAD": ONE}, "no-ref"),
        ({"refs/x/refs/heads/v": ONE}, "no-ref"),
        ({"refs/heads/v": ONE}, Found(ONE, frozenset((ONE,)))),
        ({"refs/tags/v": TAG, "refs/tags/v^{}": ONE}, Found(ONE, frozenset((TAG,)))),
        (
            {"refs/heads/v": ONE, "refs/tags/v": TAG, "refs/tags/v^{}": ONE},
            Found(ONE, frozenset((ONE, TAG))),
        ),
        ({"refs/heads/v": TWO, "refs/tags/v": TAG, "refs/tags/v^{}": ONE}, "ambiguous"),
    ],
)
def test_the_commit_is_the_one_to_which_all_names_lead(
    refs: dict[str, str], found: Found | NotFound | None
) -> None:
    assert find_ref(refs, ref_names("v", any_kind=True)) == found


@pytest.mark.parametrize(
    "text", ["<html>\n", f"{ONE} HEAD\n", f"{ONE}0\tHEAD\n", f"{ONE}\tHEAD", f"x\n{ONE}\tHEAD\n"]
)
def test_an_answer_with_anything_but_refs_is_none(text: str) -> None:
    assert read_refs(text.encode()) is None
    assert read_refs(f"{ONE}\tHEAD\n{TWO}\trefs/heads/é\n".encode()) == {
        "HEAD": ONE,
        "refs/heads/é": TWO,
    }


@pytest.mark.parametrize(
    ("ref", "rev", "is_it"),
    [
        ("1111", ONE, True),
        (ONE, ONE, True),
        ("111", ONE, False),
        ("1112", ONE, False),
        ("v1", ONE, False),
        (None, ONE, False),
        ("1111", None, False),
    ],
)
def test_a_shortened_commit_is_known_by_its_beginning(
    ref: str | None, rev: str | None, is_it: bool
) -> None:
    assert is_commit_of(ref, rev) is is_it
