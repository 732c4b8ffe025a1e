"""Whether a commit has a fix, by what the commits beside it say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nixfleet_core.judge.fix import Change, Past, Standing, could_be_copies, standing

FIX = Change("f" * 40, "Fix the reconnect", parents=("0" * 40,), author="ops 1")
HEAD = "1" * 40


def change(sign: str, title: str = "x", body: str = "", *parents: str, author: str = "") -> Change:
    return Change(sign * 40, title, body, tuple(p * 40 for p in parents), author or f"ops {sign}")


def past(*later: Change, **more: object) -> Past:
    """Of the newest commit; the oldest is a child of the fix, unless it says otherwise."""
    chained = [
        one
        if one.parents
        else replace(one, parents=(later[at + 1].rev if at + 1 < len(later) else FIX.rev,))
        for at, one in enumerate(later)
    ]
    return replace(Past(chained[0].rev, later=tuple(chained)), **more)  # type: ignore[arg-type]


def says(*later: Change, **more: object) -> Standing:
    return standing(FIX, past(*later, **more))


REVERT = change("2", 'Revert "Fix the reconnect"', f"This reverts commit {FIX.rev}.")
AGAIN = change("3", 'Reapply "Fix the reconnect"', f"This reverts commit {REVERT.rev}.")
TWICE = change("4", 'Revert "Fix the reconnect"', f"This reverts commit {FIX.rev}.")
PICK = change("5", "Fix", f"(cherry picked from commit {FIX.rev})")
PLAIN = change("1")


def test_the_fix_has_itself() -> None:
    assert standing(FIX, Past(FIX.rev, known=False)) == Standing(True, "the commit itself")


def test_a_descendant_has_it() -> None:
    assert says(PLAIN, change("6")) == Standing(True, "which contains it")


def test_an_ancestor_has_it_not() -> None:
    assert standing(FIX, Past(HEAD, ahead=3)) == Standing(False, "3 commits before the fix")
    assert standing(FIX, Past(HEAD, ahead=1)).words == "1 commit before the fix"


def test_what_has_gone_another_way_lacks_it() -> None:
    found = says(change("1", "x", "", "0"), ahead=2)
    assert found.has is False
    assert "2 commits of the fix's history, and has 1 commit of its own" in found.words


def test_an_unknown_commit_proves_nothing() -> None:
    assert standing(FIX, Past(HEAD, known=False)).has is None


@pytest.mark.parametrize("base", ["0", "f"])
def test_a_history_in_part_proves_nothing(base: str) -> None:
    assert says(change("1", "x", "", base), whole=False).has is None


def test_a_commit_that_nothing_leads_to_is_named_so() -> None:
    found = says(PLAIN, reachable=False)
    assert (found.has, "force-pushed" in found.words) == (True, True)


@pytest.mark.parametrize(
    ("later", "has"),
    [
        ((REVERT,), False),
        ((PLAIN, REVERT), False),
        ((AGAIN, REVERT), True),
        ((TWICE, AGAIN, REVERT), False),
        ((change("8", "x", f"This reverts commit {TWICE.rev}."), TWICE, AGAIN, REVERT), True),
        ((change("2", "x", f"This reverts commit {'f' * 7}."),), False),
        ((change("2", "x", f"This reverts commit {'e' * 40}."),), True),
        ((change("2", 'Revert "Fix the reconnect"'),), False),
        ((change("2", 'Revert "Fix the reconnect" (#13)'),), False),
        ((change("2", 'Revert "Fix the"'),), True),
        (
            (
                change("3", 'Reapply "Fix the reconnect"'),
                change("2", 'Revert "Fix the reconnect"'),
            ),
            True,
        ),
        ((PICK, REVERT), True),
        ((REVERT, PICK), False),
        ((change("9", "x", f"This reverts commit {PICK.rev}."), PICK, REVERT), False),
    ],
)
def test_a_revert_counts_unless_it_is_reverted(later: tuple[Change, ...], has: bool) -> None:
    found = says(*later)
    assert found.has is has
    assert ("revert" in found.words) is (not has or PICK in later)


def test_reverts_that_revert_each_other_end() -> None:
    one = change("2", "x", f"This reverts commit {FIX.rev}. This reverts commit {'3' * 40}.")
    other = change("3", "x", f"This reverts commit {'2' * 40}.")
    assert says(one, other).has in (True, False)


def test_the_revert_of_the_merge_that_brought_it_counts() -> None:
    merge = change("7", "Merge pull request #5 from o/b", "", "0", "f")
    assert says(change("1"), merge).has is True
    assert says(change("1", "x", f"This reverts commit {merge.rev}, reversing"), merge).has is False
    assert says(change("1", "x", "Reverts o/r#5"), merge).has is False
    assert says(change("1", "x", "Reverts o/r#55"), merge).has is True


def test_the_revert_of_a_later_merge_is_not_its_own() -> None:
    merge = change("7", "Merge", "", "f", "0")
    assert says(change("1", "x", f"This reverts commit {merge.rev}"), merge).has is True


def test_a_squashed_pull_request_is_reverted_by_its_number() -> None:
    fix = replace(FIX, title="Fix (#12)")
    assert standing(fix, past(change("1", "x", "Reverts o/r#12"))).has is False


def apart(*later: Change, **more: object) -> Standing:
    """On a branch without the fix."""
    return says(*later[:-1], replace(later[-1], parents=("0" * 40,)), **more)


@pytest.mark.parametrize(
    ("later", "has"),
    [
        ((PICK,), True),
        ((PLAIN, PICK), True),
        ((change("9", "x", f"This reverts commit {PICK.rev}."), PICK), False),
        ((change("5", "x", f"(cherry picked from commit {'e' * 40})"),), False),
        ((change("5", "x", "(cherry picked from commit fff)"),), False),
    ],
)
def test_a_cherry_pick_is_the_fix(later: tuple[Change, ...], has: bool) -> None:
    found = apart(*later)
    assert found.has is has
    assert (f"the cherry-pick {PICK.rev[:7]}" in found.words) is has


def test_what_the_fix_was_picked_from_is_the_fix() -> None:
    fix = replace(FIX, body=f"(cherry picked from commit {'5' * 40})")
    found = standing(fix, past(change("5", "x", "", "0")))
    assert found == Standing(True, "which has it as 5555555, from which the fix was cherry-picked")


def test_an_equal_patch_is_named_so() -> None:
    found = apart(change("5"), same_patch=frozenset({"5" * 40}))
    assert found == Standing(True, "which has it as 5555555, which has the same patch")


def test_what_could_be_the_fix_and_was_not_compared_proves_no_absence() -> None:
    found = apart(change("5"), compared=False)
    assert (found.has, "not compared" in found.words) == (None, True)


def test_only_what_looks_like_the_fix_is_compared() -> None:
    author = change("2", author=FIX.author)
    title = change("3", FIX.title)
    merge = change("4", FIX.title, "", "1", "2")
    assert could_be_copies(FIX, (change("7"), author, title, merge)) == (author, title)
