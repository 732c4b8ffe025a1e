"""Why the preflight on the host refused: the cause, and its words, where known by its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nixfleet_core.vocabulary import CAUSES, CHECK_CAUSES, Words, is_check

if TYPE_CHECKING:
    from nixfleet_core.vocabulary import Cause


def refusal_cause(check: str) -> Cause:
    """The cause for what the host's runner calls the check that failed."""
    return CHECK_CAUSES[check] if is_check(check) else "preflight-unknown"


def refusal_words(check: str, reason: str) -> Words:
    """What is wrong, and what to do about it; both are tokens of scripts/job/preflight.sh."""
    return REASONS.get((check, reason)) or CAUSES[refusal_cause(check)]


REASONS: Final[dict[tuple[str, str], Words]] = {
    ("pull", "diverged"): CAUSES["diverged"],
    ("pull", "lock"): Words(
        "flake.lock has changes of its own and upstream changed it too",
        "commit them, or throw them away with --discard-lock",
    ),
    ("pull", "collision"): CAUSES["dirty-tree"],
    ("pull", "unfinished"): Words(
        "a merge or rebase is unfinished in the checkout", "finish or abort it on the host"
    ),
    ("checkout", "missing"): Words("the checkout is missing", "set `checkout` in the inventory"),
    ("checkout", "not-git"): Words(
        "the checkout is no git repository",
        "set `checkout` in the inventory to the nixcfg working tree",
    ),
    ("checkout", "root-owned"): Words(
        "files in the checkout belong to root", "sudo chown -R OWNER: CHECKOUT; the log names them"
    ),
    ("input", "missing"): CAUSES["input-missing"],
    ("input", "unreachable"): Words(
        "the input's repository does not answer with a commit",
        "check the network and the branch's name; the log shows git's words",
    ),
    ("input", "lock-link"): Words("flake.lock is a link", "put a file in its place"),
    ("input", "lock-large"): Words(
        "flake.lock is larger than 1 MiB",
        "see what has made it so large: git log -p --stat -- flake.lock",
    ),
    ("input", "lock-broken"): CAUSES["lock-broken"],
}
"""Words that say more than those of the check's cause."""
