"""Why the preflight on the host refused: the cause, and the words for it, by check and reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nixfleet_core.vocabulary import APPLE_GIT, CAUSES, CHECK_CAUSES, STEP_REASONS, Words, is_check

if TYPE_CHECKING:
    from nixfleet_core.vocabulary import Cause


def refusal_cause(check: str) -> Cause:
    """The cause that belongs to a failed check, by the check's name on the host."""
    return CHECK_CAUSES[check] if is_check(check) else "preflight-unknown"


def refusal_words(check: str, reason: str) -> Words:
    """What is wrong, and what to do about it. `check` and `reason` are tokens of scripts/job; where
    a job could not begin, `check` is that reason."""
    return REASONS.get((check, reason)) or STEP_REASONS.get(check) or CAUSES[refusal_cause(check)]


REASONS: Final[dict[tuple[str, str], Words]] = {
    ("tools", "missing"): CAUSES["preflight-tools"],
    ("tools", "stub"): APPLE_GIT,
    ("unit", "missing"): CAUSES["unit-missing"],
    ("unit", "masked"): CAUSES["unit-masked"],
    ("unit", "no-session"): Words(
        "launchd can load the agent only while its user is logged in at the Mac's screen, and "
        "nobody is",
        "log in at the screen; or give the agent Home Manager's "
        'launchd.agents.NAME.domain = "user", which needs no login there',
    ),
    ("idle", "busy"): CAUSES["preflight-idle"],
    ("disk", "full"): CAUSES["disk-full"],
    ("memory", "low"): CAUSES["preflight-memory"],
    ("checkout", "missing"): Words("the checkout is missing", "set `checkout` in the inventory"),
    ("checkout", "denied"): CAUSES["folder-denied"],
    ("checkout", "ownerless"): Words(
        "the checkout belongs to a user whom the host does not know",
        "give it to a user, with chown -R; or set `checkout` in the inventory to another one",
    ),
    ("checkout", "closed"): Words(
        "the checkout's owner cannot enter it, as with a service's DynamicUser=",
        "give the service a User= of its own; or set `checkout` in the inventory to another one",
    ),
    ("checkout", "not-git"): Words(
        "the checkout is no git repository",
        "set `checkout` in the inventory to the nixcfg working tree",
    ),
    ("checkout", "no-commit"): Words(
        "the checkout's repository has no commit", "commit nixcfg there, or clone it again"
    ),
    ("checkout", "broken"): Words(
        "git cannot read the checkout", "look at it on the host, as its owner: git status"
    ),
    ("checkout", "untracked"): Words(
        "git does not track the flake's flake.nix, so Nix does not see it",
        "git add it on the host",
    ),
    ("checkout", "root-owned"): Words(
        "files in the checkout's repository belong to root",
        "sudo chown -R OWNER: CHECKOUT; the log names them",
        ("log",),
    ),
    ("remote", "detached"): CAUSES["no-upstream"],
    ("remote", "no-upstream"): CAUSES["no-upstream"],
    ("remote", "lan"): CAUSES["lan-denied"],
    ("remote", "fetch"): CAUSES["preflight-remote"],
    ("pull", "diverged"): CAUSES["diverged"],
    ("pull", "lock"): Words(
        "flake.lock has uncommitted changes and upstream changed it too",
        "commit them, or throw them away with --discard-lock",
    ),
    ("pull", "collision"): CAUSES["dirty-tree"],
    ("pull", "unfinished"): Words(
        "a merge or rebase is unfinished in the checkout", "finish or abort it on the host"
    ),
    ("pull", "half-way"): Words(
        "an earlier pull broke off half-way and could not be put back",
        "look at git status on the host; the log names the folder with what was there before",
        ("log",),
    ),
    ("pull", "broken"): Words(
        "git cannot compare the checkout with its upstream", "look at it on the host: git fsck"
    ),
    ("pull", "unsigned"): Words(
        "upstream's newest commit has no good signature, and the owner's git wants one",
        "sign it; or see merge.verifySignatures and the owner's keyring on the host",
    ),
    ("pull", "git-busy"): CAUSES["git-busy"],
    ("pull", "not-writable"): Words(
        "the checkout's owner cannot write in folders that the pull changes",
        "sudo chown -R OWNER: CHECKOUT; the log names them",
        ("log",),
    ),
    ("pull", "files"): Words(
        "git cannot write the files that the pull would bring, as when a filter (git-crypt, LFS) "
        "is missing",
        "see that `git pull` works on the host, as the checkout's owner; the log has git's words",
        ("log",),
    ),
    ("input", "missing"): CAUSES["input-missing"],
    ("input", "unreachable"): STEP_REASONS["latest-unknown"],
    ("input", "no-ref"): STEP_REASONS["no-ref"],
    ("input", "refused"): Words(
        "the input's repository refuses git, with which Nix fetches it",
        "give the checkout's owner a deploy key or a token for it; or use a github: or gitlab: "
        "input, which Nix fetches with its access-tokens",
    ),
    ("input", "lock-link"): STEP_REASONS["lock-link"],
    ("input", "lock-large"): STEP_REASONS["lock-large"],
    ("input", "lock-broken"): STEP_REASONS["lock-broken"],
    ("commit", "identity"): Words(
        "git has no name and email for the checkout's owner",
        "as that user, on the host: git config --global user.name NAME, and user.email too",
    ),
    ("commit", "signing"): STEP_REASONS["signing"],
    ("commit", "unfinished"): Words(
        "a merge or rebase is unfinished in the checkout", "finish or abort it on the host"
    ),
    ("commit", "detached"): Words(
        "HEAD is on no branch (detached HEAD)", "check out a branch on the host"
    ),
    ("commit", "lock-changed"): STEP_REASONS["lock-changed"],
    ("attribute", "dirty"): CAUSES["dirty-refused"],
    ("attribute", "missing"): Words(
        "the flake has no configuration of this name",
        "set `attribute` in the inventory to a name that the flake has",
    ),
    ("attribute", "evaluation"): CAUSES["eval-failed"],
    ("switch", "inhibited"): CAUSES["switch-inhibited"],
}
"""By check and reason, in the order in which scripts/job/preflight.sh checks them."""
