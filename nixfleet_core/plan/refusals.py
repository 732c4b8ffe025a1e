"""Why the preflight on the host refused, in words: by check, and where known by its reason."""

from __future__ import annotations

from typing import Final


def refusal_words(check: str, reason: str) -> tuple[str, str]:
    """What is wrong, and what to do about it; both are tokens of scripts/job/preflight.sh."""
    unknown = ("the preflight failed", "the log says why")
    return _BY_REASON.get((check, reason)) or _BY_CHECK.get(check, unknown)


HIDDEN_INPUT: Final = (
    "the input's URL in flake.lock holds a user name, a password or a query: to lock the input to "
    "one commit, Nix would need that in its arguments, where everybody on the host can read it"
)
HIDDEN_INPUT_CURE: Final = (
    "take it out of the URL in flake.nix: git and Nix read ~/.netrc of the checkout's owner, "
    "github: and gitlab: inputs access-tokens in nix.conf, and with ssh a deploy key does it; "
    "or use a force level below 3, without --input-rev"
)
"""For the check `credentials`."""

_BY_CHECK: Final[dict[str, tuple[str, str]]] = {
    "tools": ("a tool is missing on the host", "the log names it"),
    "unit": (
        "the agent's unit is missing or masked",
        "enable services.nixfleet-agent in nixcfg, or unmask its unit",
    ),
    "memory": ("hardly any memory is free", "wait until the host has calmed down"),
    "disk": ("the disk is full", "free some space: nix-collect-garbage --delete-older-than 30d"),
    "checkout": ("the checkout is not usable", "the log says why"),
    "idle": ("another rebuild is running on the host", "wait for it, then try again"),
    "remote": ("the checkout's remote cannot be pulled from", "the log shows git's own words"),
    "pull": ("the pull would not go through", "the log names what is in the way"),
    "input": ("the flake input cannot be updated", "the log says why"),
    "attribute": (
        "the flake has no configuration of this name",
        "set `attribute` in the inventory to a name that the flake has",
    ),
}

_BY_REASON: Final[dict[tuple[str, str], tuple[str, str]]] = {
    ("pull", "diverged"): (
        "the branch and its upstream have diverged",
        "push or rebase the commits that are only on the host",
    ),
    ("pull", "lock"): (
        "flake.lock has changes of its own and upstream changed it too",
        "commit them, or throw them away with --discard-lock",
    ),
    ("pull", "collision"): (
        "uncommitted changes would be overwritten by the pull",
        "commit or stash them on the host; the log names the files",
    ),
    ("pull", "unfinished"): (
        "a merge or rebase is unfinished in the checkout",
        "finish or abort it on the host",
    ),
    ("checkout", "missing"): ("the checkout is missing", "set `checkout` in the inventory"),
    ("checkout", "not-git"): (
        "the checkout is no git repository",
        "set `checkout` in the inventory to the nixcfg working tree",
    ),
    ("checkout", "root-owned"): (
        "files in the checkout belong to root",
        "sudo chown -R OWNER: CHECKOUT; the log names them",
    ),
    ("input", "missing"): (
        "the flake has no such input",
        "set `input` in the inventory to the name in flake.nix",
    ),
    ("input", "unreachable"): (
        "the input's repository does not answer with a commit",
        "check the network and the branch's name; the log shows git's words",
    ),
    ("input", "lock-link"): ("flake.lock is a link", "put a file in its place"),
    ("input", "lock-large"): (
        "flake.lock is larger than 1 MiB",
        "see what has made it so large: git log -p --stat -- flake.lock",
    ),
    ("input", "lock-broken"): ("flake.lock is broken", "git checkout -- flake.lock"),
}
