"""Which commit Nix means by the `ref` of a flake input: the names that git is asked for, and what
its answer says. Pure. nf_ref_names and nf_ref_find in scripts/job/lock.sh have the same rule.

Read in the sources of Nix 2.8, 2.26, 2.34 and Lix 2.95 (libfetchers/git.cc, github.cc):

- An input of git is a branch, unless its ref begins with `refs/` or is HEAD. Lix, from 2.92 on,
  takes a branch or a tag.
- An input of a forge (`github:o/r/x`) does not say what x is. Nix asks the forge's API, which knows
  branches, tags, commits (also shortened) and refs of other names, such as `pull/1/head`.
- An annotated tag leads to its commit. But for inputs of git (before 2.34) and of sourcehut, Nix
  writes the tag's own object into flake.lock, which counts as that commit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_REF: Final = re.compile(r"(?:(?![\x00-\x20\x7f~^:?*\[\\\ud800-\udfff]).)+")


def is_ref(text: str) -> bool:
    """Whether git allows a ref of that name (git-check-ref-format)."""
    return _REF.fullmatch(text) is not None


def ref_names(ref: str | None, *, any_kind: bool) -> tuple[str, ...]:
    """The full names that an input's ref can mean. `any_kind`: it need not be a branch."""
    if not ref or ref == "HEAD":
        return ("HEAD",)
    if ref.startswith("refs/"):
        return (ref,)
    if not any_kind:
        return (f"refs/heads/{ref}",)
    return (f"refs/{ref}", f"refs/heads/{ref}", f"refs/tags/{ref}")


def asked_names(names: Sequence[str]) -> tuple[str, ...]:
    """What `git ls-remote` is asked for: also the commits behind tags, and HEAD, which shows that a
    repository answers at all."""
    asked = [each for name in names for each in (name, f"{name}^{{}}")]
    return tuple(dict.fromkeys((*asked, "HEAD")))


@dataclass(frozen=True, slots=True)
class Found:
    """The commit that a ref leads to, and the objects that the ref itself names: that commit, or an
    annotated tag."""

    commit: str
    objects: frozenset[str]


NotFound = Literal["no-ref", "ambiguous"]
"""no-ref: the repository answers, and has no such ref. ambiguous: a branch and a tag of that name
lead to different commits, and only the forge can say which one it takes."""

_LINE: Final = re.compile(rb"([0-9a-f]{40})\t([^\t\n]+)\n")


def read_refs(listed: bytes) -> dict[str, str] | None:
    """The objects of all refs in the output of `git ls-remote`; None if it is something else."""
    found = _LINE.findall(listed)
    if sum(len(rev) + len(name) + 2 for rev, name in found) != len(listed):
        return None
    return {name.decode("utf-8", "surrogateescape"): rev.decode() for rev, name in found}


def find_ref(refs: Mapping[str, str], names: Sequence[str]) -> Found | NotFound | None:
    """The commit that one of these names leads to. None if the answer has no ref at all, as an
    empty repository or the login page of a network."""
    objects = {name: refs[name] for name in names if name in refs}
    commits = {refs.get(f"{name}^{{}}", rev) for name, rev in objects.items()}
    if len(commits) > 1:
        return "ambiguous"
    if commits:
        return Found(commits.pop(), frozenset(objects.values()))
    return "no-ref" if refs else None


_SHORT_COMMIT: Final = re.compile(r"[0-9a-f]{4,40}")


def is_commit_of(ref: str | None, rev: str | None) -> bool:
    """Whether an input's ref is that commit, perhaps shortened. git cannot be asked for it, but a
    commit never moves: if flake.lock has it, flake.lock is at the latest."""
    return (
        ref is not None
        and rev is not None
        and _SHORT_COMMIT.fullmatch(ref) is not None
        and rev.startswith(ref)
    )
