"""Where nixcfg can be on a host, and what its flake.lock says of an input. Pure.

nixcfg is the operator's checkout, or the agent's own repository.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nixfleet_core.host import DEFAULT_CHECKOUT
from nixfleet_core.nix.lock import locked_rev

if TYPE_CHECKING:
    from nixfleet_core.facts.model import Checkout, Facts, Unnamed
    from nixfleet_core.nix.lock import Input

ISOLATED: Final = "isolated"
"""Names the agent's own repository; the host knows where that is (scripts/ask/probe.sh)."""

ISOLATED_ENDS: Final = "/nixfleet-agent/repo"
"""How the path of the agent's own repository ends, on every platform."""

UNNAMED: Final[dict[Unnamed, str]] = {
    "changes": "it has uncommitted changes beside flake.lock",
    "lock": "it has no flake.lock",
    "hidden": "git was told not to look at some of its files",
    "submodule": "it has a submodule",
    "filter": "git changes some of its files by a filter",
    "broken": "git could not be asked",
}
"""Why the state of a checkout has no name: HEAD and flake.lock do not tell all that Nix reads."""

_WORDS: Final = {ISOLATED: ISOLATED, "nixcfg": DEFAULT_CHECKOUT}


def read_checkout(text: str) -> str:
    """Read the value of `--checkout`: one of the two words, or a path. Raises ValueError."""
    if text in _WORDS:
        return _WORDS[text]
    if not text.isprintable():
        raise ValueError(f"{text!r} is no checkout: it has a character that cannot be printed")
    if not text.startswith(("/", "~/")):
        raise ValueError(f"{text!r} is no checkout: write {', '.join(_WORDS)}, or an absolute path")
    return text


def is_isolated(path: str) -> bool:
    """Whether this is the agent's own repository. The agent resets it to its upstream."""
    return path.endswith(ISOLATED_ENDS)


@dataclass(frozen=True, slots=True)
class Absent:
    """There is no flake.lock, or it could not be seen."""


@dataclass(frozen=True, slots=True)
class Broken:
    """flake.lock cannot be read; `why` is a sentence."""

    why: str


@dataclass(frozen=True, slots=True)
class Missing:
    """The flake has no such input; `names` are its inputs."""

    names: tuple[str, ...]

    @property
    def cure(self) -> str:
        return f"set `input` in the inventory to one of: {', '.join(self.names[:20])}"


@dataclass(frozen=True, slots=True)
class Follows:
    """The input follows another one, so nix does not move it by its own name."""

    found: Input

    @property
    def why(self) -> str:
        path = "/".join(self.found.follows)
        return f"the input follows {path}, so nix does not update it by its own name"

    @property
    def cure(self) -> str:
        return f"set `input` in the inventory to {self.found.follows[0]!r}, or remove the follows"


@dataclass(frozen=True, slots=True)
class Pinned:
    """flake.nix itself names a commit for the input."""

    found: Input
    commit: str


@dataclass(frozen=True, slots=True)
class Tracked:
    """The input follows its repository, which says what its latest commit is."""

    found: Input


InputState = Absent | Broken | Missing | Follows | Pinned | Tracked


def input_state(checkout: Checkout, name: str) -> InputState:
    """What flake.lock says of an input. The plan and the cause use the same answer."""
    if checkout.lock is None:
        return Absent() if checkout.lock_error is None else Broken(checkout.lock_error)
    found = checkout.lock.find(name)
    if found is None:
        return Missing(checkout.lock.names())
    if found.follows:
        return Follows(found)
    return Tracked(found) if found.source.pinned is None else Pinned(found, found.source.pinned)


def uncommitted_inputs(checkout: Checkout) -> tuple[str, ...]:
    """The inputs that flake.lock pins to other trees than HEAD's flake.lock does."""
    if checkout.lock is None or checkout.head_lock is None:
        return ()
    return checkout.lock.differing_inputs(checkout.head_lock)


def disagreement(facts: Facts, flake_input: str) -> str | None:
    """How the host's two checkouts differ; None if they do not, or were not both seen."""
    here, other = facts.checkout, facts.other
    if here is None or here.state != "ok" or other is None:
        return None
    ours, theirs = locked_rev(here.lock, flake_input), locked_rev(other.lock, flake_input)
    differ = []
    if here.head and other.head and here.head != other.head:
        differ.append(f"is at commit {other.head[:7]}, this one at {here.head[:7]}")
    if ours and theirs and ours != theirs:
        differ.append(f"locks {flake_input} to {theirs[:7]}, this one to {ours[:7]}")
    if not differ:
        return None
    return f"{other.path} {' and '.join(differ)}: a rebuild from there undoes a rebuild from here"
