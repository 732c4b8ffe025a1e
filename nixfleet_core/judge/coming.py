"""What of the input an update brings along: the commits between what runs and what will run. Pure.

What runs is known by proof only (judge/running_commit.py); what lies between, the input's own
repository says.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from nixfleet_core.judge.fix import is_revert
from nixfleet_core.log.amounts import counted
from nixfleet_core.nix.git_url import NotKnown, commit_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nixfleet_core.facts.model import Facts
    from nixfleet_core.host import Host
    from nixfleet_core.judge.fix import Change
    from nixfleet_core.nix.git_url import Latest
    from nixfleet_core.plan.model import Options

MOST_NAMED: Final = 10
"""So many commits are named; the rest is counted."""


class InputCommit(msgspec.Struct, frozen=True):
    """A commit of the input."""

    rev: str
    title: str
    made: int | None
    """The author's date, in seconds since the epoch."""
    reverts: bool = False

    @property
    def date(self) -> str:
        """`2026-11-23`, or `no date`."""
        return time.strftime("%Y-%m-%d", time.gmtime(self.made)) if self.made else "no date"


class Coming(msgspec.Struct, frozen=True, kw_only=True):
    """What changes in the input. `unknown` says why that is not known; then all else is empty."""

    running: str | None = None
    target: str | None = None
    count: int = 0
    """So many commits come along."""
    commits: tuple[InputCommit, ...] = ()
    """The newest ten of them, newest first."""
    lost: int = 0
    """So many commits run now, and will not."""
    losses: tuple[InputCommit, ...] = ()
    unknown: str = ""

    def sentence(self, flake_input: str) -> str:
        """`3 commits of nixfleet come along; 1 revert among them`."""
        if self.unknown:
            return f"which commits of {flake_input} come along is not known: {self.unknown}"
        if self.running == self.target:
            return f"no commit of {flake_input} comes along"
        run = "runs" if self.lost == 1 else "run"
        lost = f"{counted(self.lost, 'commit')} of {flake_input} {run} now, and will not"
        if self.lost and not self.count:
            return f"a downgrade: {lost}"
        come = "comes" if self.count == 1 else "come"
        comes = f"{counted(self.count, 'commit')} of {flake_input} {come} along"
        return "; ".join(filter(None, (comes, self.reverts_words, lost if self.lost else "")))

    def brief(self, flake_input: str) -> str:
        """The same for a row of several: `3 commits of nixfleet, 1 revert`."""
        if self.unknown:
            return f"commits of {flake_input} not known"
        if self.running == self.target:
            return f"no commit of {flake_input}"
        if self.lost and not self.count:
            return f"a downgrade by {counted(self.lost, 'commit')} of {flake_input}"
        comes = f"{counted(self.count, 'commit')} of {flake_input}"
        go = "goes" if self.lost == 1 else "go"
        goes = f"and {self.lost} {go}" if self.lost else ""
        least = "" if self._names_all else "at least "
        told = f"{least}{counted(self._reverts, 'revert')}" if self._reverts else ""
        return ", ".join(filter(None, (comes, told, goes)))

    @property
    def reverts_words(self) -> str:
        """`1 revert among them`; empty if none is named."""
        whom = "them" if self._names_all else f"the newest {len(self.commits)}"
        return f"{counted(self._reverts, 'revert')} among {whom}" if self._reverts else ""

    @property
    def takes_back(self) -> bool:
        """Whether it takes something back: by a revert, or as commits that run now will not."""
        return bool(self.lost or self._reverts)

    @property
    def _reverts(self) -> int:
        """Of the commits that are named; more is not known."""
        return sum(one.reverts for one in self.commits)

    @property
    def _names_all(self) -> bool:
        return self.count == len(self.commits)


def commit_lines(found: Coming) -> Iterator[tuple[str, str, str]]:
    """A line for each commit that is named, in three parts: `+` or, for those that will be gone,
    `-`; the short hash; date and title. The last of a kind has no hash: `and 7 more`."""
    for sign, count, commits in (
        ("+", found.count, found.commits),
        ("-", found.lost, found.losses),
    ):
        for one in commits:
            revert = " (a revert)" if one.reverts else ""
            yield sign, one.rev[:7], f"{one.date:<10} {one.title}{revert}"
        if count > len(commits):
            yield sign, "", f"and {count - len(commits)} more"


@dataclass(frozen=True, slots=True)
class Side:
    """What one of two commits has that the other lacks: so many commits, and the newest of them."""

    count: int
    newest: Sequence[Change] = ()


def coming(old: str, new: str, comes: Side, goes: Side) -> Coming:
    """What comes with the new commit, and what goes with the old one."""
    return Coming(
        running=old,
        target=new,
        count=comes.count,
        commits=tuple(map(_named, comes.newest[:MOST_NAMED])),
        lost=goes.count,
        losses=tuple(map(_named, goes.newest[:MOST_NAMED])),
    )


def target_of(facts: Facts, host: Host, options: Options, latest: Latest) -> str | NotKnown:
    """The commit that the host will run after an update with these options."""
    if options.input_rev:
        return options.input_rev
    if options.as_locked:
        rev = facts.lock_rev(host.input)
        return rev or NotKnown("flake.lock does not name a commit", "")
    if isinstance(latest, NotKnown):
        return latest
    return commit_of(latest) or NotKnown("nobody could say which commit is the latest", "")


def _named(change: Change) -> InputCommit:
    made = change.author.rpartition(" ")[2]
    at = int(made) if re.fullmatch("[0-9]{1,11}", made) else None  # a commit may say anything
    return InputCommit(change.rev, change.title, at, is_revert(change))
