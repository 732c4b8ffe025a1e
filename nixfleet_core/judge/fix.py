"""Whether a commit of the input has a fix, by what its repository says. Pure.

A commit has a fix that is among its ancestors, unless a later one reverts it. A cherry-pick counts
as the fix. What a revert or a cherry-pick is, commits say of themselves, as git writes it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nixfleet_core.log.amounts import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True)
class Change:
    """One commit, as its repository has it."""

    rev: str
    title: str
    body: str = ""
    parents: tuple[str, ...] = ()
    author: str = ""
    """Who wrote it, and when: a cherry-pick keeps both."""
    made: int | None = None
    """When it was committed, in seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Past:
    """What the repository says of one commit beside the fix."""

    commit: str
    known: bool = True
    """Whether it is there at all."""
    later: tuple[Change, ...] = ()
    """Its ancestors, with itself, that are not the fix nor ancestors of it; newest first."""
    whole: bool = True
    """Whether these are all of them."""
    cut: bool = False
    """Whether more of them may be cut off: the repository is shallow."""
    ahead: int = 0
    """So many commits has the fix, with itself, that this one lacks; 0 if that is not known."""
    reachable: bool = True
    """Whether a branch or a tag still leads to it."""
    same_patch: frozenset[str] = frozenset()
    """Those of `later` that change the same as the fix."""
    compared: bool = True
    """Whether the patches that could be the same were compared."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether the commit has the fix; None if that cannot be said. `words` go on a sentence that
    begins with the commit."""

    has: bool | None
    words: str


_HASH: Final = "[0-9a-f]{7,64}"
_REVERTS: Final = re.compile(rf"This reverts commit ({_HASH})\b")
_REVERTS_PULL: Final = re.compile(r"^Reverts [\w./-]*#([0-9]+)\b", re.MULTILINE)
_PICKED: Final = re.compile(rf"\(cherry picked from commit ({_HASH})\)")
_PULL: Final = re.compile(r"\(#([0-9]+)\)$|^Merge pull request #([0-9]+) ")
_PULL_TAIL: Final = re.compile(r" \(#[0-9]+\)$")


def standing(fix: Change, past: Past) -> Standing:
    """Whether that commit has the fix."""
    if past.commit == fix.rev:
        return Standing(True, "the commit itself")
    if not past.known:
        return Standing(None, "which its repository does not have, perhaps no longer")
    gone = "" if past.reachable else "; no branch or tag leads to it any more (force-pushed)"
    found = _standing(fix, past)
    return Standing(found.has, f"{found.words}{gone}")


def _standing(fix: Change, past: Past) -> Standing:
    holding = _holding(fix, past.later)
    holds = past.commit in holding
    if not past.whole:
        how = "contains it" if holds else "is known only in part"
        why = "its repository is shallow, with" if past.cut else "there is"
        return Standing(None, f"which {how}, and {why} too little history to tell of reverts")
    revert = _undone(fix, past.later, _merges(holding, past.later))
    newer = past.later[: past.later.index(revert)] if revert else past.later
    copies = (
        one
        for at, one in enumerate(newer)
        if _is_copy(one, fix, past) and not _undone(one, newer[:at])
    )
    copy = next(copies, None)
    if copy is not None:
        told = f"; before that, {_name(revert)} had reverted it" if revert else ""
        return Standing(True, f"which has it as {_copy_words(copy, past)}{told}")
    if holds and revert:
        return Standing(False, f"which contains it, and its revert {_name(revert)}")
    if holds:
        return Standing(True, "which contains it")
    uncompared = "" if past.compared else "; similar commits were not compared (patch ids)"
    if not past.later:
        count = f"{counted(past.ahead, 'commit')} " if past.ahead else ""
        return Standing(False, f"{count}before the fix")
    lacks = f"which lacks it ({counted(past.ahead, 'commit')} of the fix's history, and has "
    # one of them may be the fix once more
    has = False if past.compared else None
    return Standing(has, f"{lacks}{counted(len(past.later), 'commit')} of its own){uncompared}")


def is_revert(change: Change) -> bool:
    """Whether the commit says that it takes another one back."""
    return bool(
        change.title.startswith('Revert "')
        or _REVERTS.search(change.body)
        or _REVERTS_PULL.search(change.body)
    )


def holds_all(fix: Change, later: Sequence[Change]) -> bool:
    """Whether all of these commits come after the fix."""
    holding = _holding(fix, later)
    return all(one.rev in holding for one in later)


def could_be_copies(fix: Change, later: Iterable[Change]) -> tuple[Change, ...]:
    """Those that may be the fix once more: with its author and time, or with its title."""
    return tuple(
        one
        for one in later
        if len(one.parents) < 2 and (one.author == fix.author or one.title == fix.title)
    )


def _holding(fix: Change, later: Sequence[Change]) -> frozenset[str]:
    """The commits that have the fix among their ancestors."""
    holding: set[str] = {fix.rev}
    changed = True
    while changed:  # one round, in the order that git gives
        before = len(holding)
        holding.update(
            one.rev for one in reversed(later) if any(parent in holding for parent in one.parents)
        )
        changed = len(holding) != before
    return frozenset(holding)


def _merges(holding: frozenset[str], later: Iterable[Change]) -> tuple[Change, ...]:
    """The merges that brought the fix: to revert one of them reverts the fix, too."""
    return tuple(
        one
        for one in later
        if len(one.parents) > 1 and one.rev in holding and one.parents[0] not in holding
    )


def _undone(
    change: Change, newer: Sequence[Change], merges: tuple[Change, ...] = ()
) -> Change | None:
    """The newest commit that reverts the change, or a merge that brought it, and is not reverted
    itself. `newer` are those that can: nothing reverts what comes after it."""
    for at, one in enumerate(newer):
        reverts = any(_reverts(one, what) for what in (change, *merges))
        if reverts and _undone(one, newer[:at]) is None:
            return one
    return None


def _reverts(one: Change, change: Change) -> bool:
    if any(change.rev.startswith(rev) for rev in _REVERTS.findall(one.body)):
        return True
    pulls = {number for pair in _PULL.findall(change.title) for number in pair if number}
    if pulls & set(_REVERTS_PULL.findall(one.body)):
        return True
    title = _PULL_TAIL.sub("", one.title)
    if title == f'Revert "{change.title}"':
        return True
    before = _PULL_TAIL.sub("", change.title)
    return before.startswith('Revert "') and title == f"Reapply {before.removeprefix('Revert ')}"


def _is_copy(one: Change, fix: Change, past: Past) -> bool:
    """Whether it is the fix once more: picked from it, what it was picked from, or the same."""
    if one.rev in past.same_patch:
        return True
    sources = _PICKED.findall(one.body)
    return any(fix.rev.startswith(rev) for rev in sources) or any(
        one.rev.startswith(rev) for rev in _PICKED.findall(fix.body)
    )


def _copy_words(copy: Change, past: Past) -> str:
    same = copy.rev in past.same_patch
    if _PICKED.search(copy.body):
        return f"the cherry-pick {_name(copy)}{' (the same patch)' if same else ''}"
    if same:
        return f"{_name(copy)}, which has the same patch"
    return f"{_name(copy)}, from which the fix was cherry-picked"


def _name(change: Change | None) -> str:
    return change.rev[:7] if change else ""
