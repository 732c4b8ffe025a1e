"""Where nixcfg can be on a host: the operator's checkout, or the agent's own repository. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nixfleet_core.host import DEFAULT_CHECKOUT
from nixfleet_core.nix.lock import locked_rev

if TYPE_CHECKING:
    from nixfleet_core.facts.model import Facts

ISOLATED: Final = "isolated"
"""Names the agent's own repository; where it is, the host knows (scripts/ask/probe.sh)."""

ISOLATED_ENDS: Final = "/nixfleet-agent/repo"
"""How the path of the agent's own repository ends, on every platform."""

_WORDS: Final = {ISOLATED: ISOLATED, "nixcfg": DEFAULT_CHECKOUT}


def read_checkout(text: str) -> str:
    """What `--checkout` names: one of the two words, or a path. Raises ValueError."""
    if text in _WORDS:
        return _WORDS[text]
    if not text.startswith(("/", "~/")) or not text.isprintable():
        raise ValueError(f"{text!r} is none of {', '.join(_WORDS)}, and no absolute path")
    return text


def is_isolated(path: str) -> bool:
    """Whether this is the agent's own repository, which the agent resets to its upstream."""
    return path.endswith(ISOLATED_ENDS)


def disagreement(facts: Facts, flake_input: str) -> str | None:
    """How the host's two checkouts differ, if both could be seen and they do."""
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
    return f"{other.path} {' and '.join(differ)}: a rebuild from there undoes one from here"
