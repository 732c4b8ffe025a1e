"""The closed lists that several floors share.

It is longer than 400 lines because every cause stands here, once, with its words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, TypeGuard, get_args

StepId = Literal[
    "preflight",
    "stop",
    "pull",
    "update",
    "repair",
    "build",
    "rebuild",
    "confirm",
    "start",
    "restart",
    "verify",
    "rollback",
    "commit",
    "push",
]

TITLES: Final[dict[StepId, str]] = {
    "preflight": "Preflight",
    "stop": "Stop agent",
    "pull": "Pull nixcfg",
    "update": "Update {input}",
    "repair": "Check agent's files",
    "build": "Build agent alone",
    "rebuild": "Rebuild",
    "confirm": "Confirm",
    "start": "Start agent",
    "restart": "Restart agent",
    "verify": "Verify",
    "rollback": "Roll back",
    "commit": "Commit flake.lock",
    "push": "Push nixcfg",
}

UNCUT_STEPS: Final[frozenset[StepId]] = frozenset(
    {"stop", "start", "restart", "verify", "rollback", "commit"}
)
"""The steps that a cancellation does not end: they are short, or bring the host back."""

JobOutcome = Literal["done", "failed", "cancelled", "interrupted"]
"""The runner's word on how a job ended. The verdict comes later."""

HostCheckId = Literal[
    "tools",
    "unit",
    "idle",
    "disk",
    "memory",
    "checkout",
    "remote",
    "pull",
    "input",
    "commit",
    "attribute",
    "switch",
]
"""The checks of scripts/job/preflight.sh, in its order."""

NoAnswer = Literal["unreachable", "no-shell", "bad-answer", "client-failed"]
"""Why we know nothing about a host: the causes of the verdict `unreachable`."""

CheckId = Literal[HostCheckId, NoAnswer, "platform", "credentials", "push", "target", "elevation"]
"""The checks that can refuse an update, before anything is touched."""

FoundCause = Literal[
    "job-running",
    "preflight-platform",
    "unit-missing",
    "unit-masked",
    "agent-crash-looping",
    "start-limit-hit",
    "agent-down",
    "agent-starting",
    "not-restarted",
    "reboot-pending",
    "switch-inhibited",
    "switch-incomplete",
    "lock-reset",
    "built-elsewhere",
    "job-failed",
    "lock-broken",
    "input-missing",
    "follows",
    "stale-fetch",
    "wrong-branch",
    "nixcfg-behind",
    "lock-behind",
    "lock-not-built",
    "proof-missing",
    "latest-unknown",
    "same-derivation",
    "pinned",
    "lock-not-pushed",
    "other-system",
    "current",
]
"""What a look at a host can find (judge/causes.py); docs/why.md has the order of the rules."""

Cause = Literal[
    FoundCause,
    NoAnswer,
    # Why an update was refused.
    "preflight-tools",
    "preflight-unit",
    "preflight-idle",
    "preflight-disk",
    "preflight-memory",
    "preflight-checkout",
    "preflight-remote",
    "preflight-pull",
    "preflight-input",
    "preflight-attribute",
    "preflight-credentials",
    "preflight-commit",
    "preflight-push",
    "preflight-target",
    "preflight-elevation",
    "preflight-unknown",
    "launch-failed",
    "busy",
    # How a job ended.
    "detached",
    "cancelled",
    "killed",
    "unconfirmed",
    "agent-unstable",
    "dirty-refused",
    "units-failed",
    "switch-failed",
    "not-reproduced",
    "damaged",
    "no-derivation",
    "credentials",
    "stop-failed",
    "pull-failed",
    "update-failed",
    "repair-failed",
    "rebuild-failed",
    "confirm-failed",
    "start-failed",
    "restart-failed",
    "verify-failed",
    "rollback-failed",
    "commit-failed",
    "push-failed",
    "push-refused",
    # What a failed step printed.
    "disk-full",
    "oom",
    "open-files",
    "hash-mismatch",
    "fetch-failed",
    "rate-limit",
    "auth",
    "not-found",
    "host-key",
    "git-busy",
    "dirty-tree",
    "diverged",
    "no-upstream",
    "ownership",
    "daemon",
    "attribute-missing",
    "eval-failed",
    "signature",
    "build-failed",
    "switch-busy",
    "file-in-the-way",
    # What macOS keeps from a job of launchd, though not from ssh.
    "folder-denied",
    "apps-denied",
    "lan-denied",
]
"""Every cause that a verdict, a finding, a refusal or a known text can have. The words are public:
scripts read them. docs/why.md has them all."""


Remedy = Literal[
    "restart",
    "as-locked",
    "update",
    "rollback",
    "commit",
    "verify",
    "attach",
    "log",
    "connect",
    "refresh",
]
"""What an operator can do about a cause at once: by a command of this name, or by a key of the app
(a command always looks, so it needs no `refresh`; `as-locked` is an option of `update`)."""

KEYS: Final[dict[Remedy, str]] = {
    "restart": "r",
    "as-locked": "F",
    "update": "u",
    "rollback": "b",
    "commit": "K",
    "verify": "v",
    "attach": "enter",
    "log": "l",
    "connect": "C",
    "refresh": "R",
}
"""The app's key for each remedy, on every screen that shows a host. JSON answers name it, too."""


class Advice(NamedTuple):
    """What helps, in words; and of that, what can be done at once."""

    text: str
    remedies: tuple[Remedy, ...] = ()


@dataclass(frozen=True, slots=True)
class Words:
    """What a cause means, and what cures it. A rule that has seen the host says more."""

    meaning: str
    cure: str
    remedies: tuple[Remedy, ...] = ()
    """What the cure names, if it can be done at once; first what is best. Where less than an update
    is enough for a host, `judge.cures` says so."""

    @property
    def advice(self) -> Advice:
        return Advice(self.cure, self.remedies)


_DISK_FULL: Final = Words(
    "the disk is full", "free some space, as with nix-collect-garbage --delete-older-than 30d"
)
APPLE_GIT: Final = Words(
    "git needs Apple's command line tools",
    "run xcode-select --install at the Mac, or put pkgs.git into home.packages",
)
_HIDDEN_INPUT: Final = Words(
    "the input's URL in flake.lock holds a user name, a password or a query: to lock the input to "
    "one commit, Nix would need that in its arguments, where everybody on the host can read it",
    "take it out of the URL in flake.nix: git and Nix read ~/.netrc of the checkout's owner, "
    "github: and gitlab: inputs use access-tokens in nix.conf, ssh uses a deploy key; or use a "
    "force level below 3, without --input-rev",
)
_SAID_IN_LOG: Final = "the log's last lines say more (e: next error)"
_STEP_FAILED: Final = Words(
    "this step failed, and its output shows no known error", _SAID_IN_LOG, ("log",)
)

CAUSES: Final[dict[Cause, Words]] = {
    "job-running": Words("a job is changing the host", "wait for its verdict", ("attach",)),
    "preflight-platform": Words(
        "the host is not NixOS, and this user has no Home Manager profile",
        "log in as the user whose Home Manager it is, or set `platform` in the inventory",
    ),
    "unit-missing": Words(
        "the host has no unit nixfleet-agent",
        "enable services.nixfleet-agent in nixcfg and switch once by hand",
    ),
    "unit-masked": Words("the unit is masked", "unmask it, then force update", ("update",)),
    "agent-crash-looping": Words(
        "the service manager waits to restart the agent, or has restarted it three times, the "
        "last time less than a minute ago",
        "read the end of its log; nixfleet rollback brings back the previous agent",
        ("rollback",),
    ),
    "start-limit-hit": Words(
        "it crashed so often that systemd refuses to start it",
        "force update resets the start limit and starts the agent",
        ("update",),
    ),
    "agent-down": Words(
        "the unit is not active for another reason", "force update starts it", ("update",)
    ),
    "agent-starting": Words(
        "the process is not yet the agent: what starts it waits, as for the network, at most a "
        "minute",
        "wait for it, then look again",
        ("refresh",),
    ),
    "not-restarted": Words(
        "the running agent is neither the installed one nor a program that it starts: NixOS does "
        "not restart this unit at a switch",
        "a restart is enough",
        ("restart", "update"),
    ),
    "reboot-pending": Words(
        "the profile names a new system that needs another init (switch-to-configuration ended "
        "with 100)",
        "reboot the host when it suits you, then verify",
        ("verify",),
    ),
    "switch-inhibited": Words(
        "the profile names a new system with other parts that NixOS does not exchange while a "
        "system runs (system.switch.inhibitors)",
        "as root on the host: /nix/var/nix/profiles/system/bin/switch-to-configuration boot, then "
        "reboot it when it suits you, and verify; another update ends in the same way",
        ("verify",),
    ),
    "switch-incomplete": Words(
        "the profile names a newer system than the one that runs; or the flake builds another path "
        "than the installed one",
        "force update rebuilds and switches",
        ("update",),
    ),
    "lock-reset": Words(
        "the installed agent is not what the flake builds, and flake.lock is no longer at the "
        "commit that the last job moved it to: the agent's own pull resets its checkout; or "
        "flake.lock is behind, and no longer at the commit that the last job moved it to",
        "force update moves it; then commit and push flake.lock, or the next pull of the agent "
        "resets it again",
        ("update",),
    ),
    "built-elsewhere": Words(
        "the installed agent is what the other checkout builds, not the configured one",
        "force update builds from the configured one; "
        "or set `checkout` in the inventory to the other",
        ("update",),
    ),
    "job-failed": Words(
        "the installed agent is not what the flake builds, and the last job failed in the "
        "rebuild; or flake.lock is behind, and the last job failed before it could move it",
        "read its log for the reason, then force update again",
        ("log", "update"),
    ),
    "lock-broken": Words(
        "the file flake.lock is damaged", "git checkout -- flake.lock restores it"
    ),
    "input-missing": Words(
        "the flake has no such input", "set `input` in the inventory to the name in flake.nix"
    ),
    "follows": Words(
        "flake.lock is behind, and the input follows another: nix does not update it by this name",
        "set `input` in the inventory to the other one, or remove the follows",
    ),
    "stale-fetch": Words(
        "flake.lock is behind, and in the last job nix exited with 0 and kept the old commit",
        "check the network to the input's repository; if git reaches it, pin the commit, as force "
        "level 3 does (in the plan: L)",
        ("update",),
    ),
    "wrong-branch": Words(
        "flake.lock is behind, and the checkout is not on its remote's default branch",
        "switch to that branch on the host, then force update",
        ("update",),
    ),
    "nixcfg-behind": Words(
        "flake.lock is behind, and the checkout lacks commits of its upstream",
        "force update pulls first",
        ("update",),
    ),
    "lock-behind": Words(
        "flake.lock is behind, and nothing above explains it", "force update moves it", ("update",)
    ),
    "lock-not-built": Words(
        "flake.lock is at another commit than the one with which the active system was built: an "
        "update ended before its switch, or somebody moved flake.lock",
        "force update rebuilds and switches",
        ("update",),
    ),
    "proof-missing": Words(
        "the agent's unit could not be seen; or nothing shows that the running program is an "
        "agent; or another layer could not be seen",
        "verify again, with root",
        ("verify",),
    ),
    "latest-unknown": Words(
        "the input's repository did not say what its latest commit is; or it has nothing of the "
        "name that flake.lock gives; or the client may not ask it, as the sentence says (README, "
        '"Asking for the latest commit")',
        "check the network to the input's repository, then verify",
        ("verify",),
    ),
    "same-derivation": Words(
        "the program was on the host before the locked commit was made: the new commit builds the "
        "same path",
        "nothing to do: that commit changes nothing in the agent",
    ),
    "pinned": Words(
        "flake.nix names the commit itself", "to move it, take the rev out of flake.nix"
    ),
    "lock-not-pushed": Words(
        "flake.lock has an uncommitted change of the input, or HEAD is not pushed: the agent's own "
        "pull resets it",
        "commit flake.lock and push it",
        ("commit",),
    ),
    "other-system": Words(
        "the profile names another system than the one that runs, and not a newer one: another "
        "tool has a profile of its own, nixos-rebuild test ran, or the profile went back",
        "nothing to do for the agent; a reboot may start another system",
    ),
    "current": Words("all is as it should be", "nothing to do"),
    "unreachable": Words("the host did not answer, or refused us", "try: ssh HOST true"),
    "no-shell": Words(
        "the host can be reached, but its login shell runs nothing",
        "give the account a shell that runs commands, or name another user in hosts.toml",
    ),
    "bad-answer": Words(
        "the host's answer cannot be used", "the sentence says what is wrong with it"
    ),
    "client-failed": Words(
        "this machine could not do its part",
        "fix what the sentence names, and try again",
        ("refresh",),
    ),
    "preflight-tools": Words(
        "a tool is missing on the host; the log names it",
        "install what is missing, or repair the PATH of non-interactive shells",
    ),
    "preflight-unit": Words(
        "the agent's unit is missing or masked",
        "enable services.nixfleet-agent in nixcfg, or unmask its unit",
    ),
    "preflight-idle": Words(
        "another rebuild is running on the host", "wait for it, then try again", ("update",)
    ),
    "preflight-disk": _DISK_FULL,
    "preflight-memory": Words(
        "hardly any memory is free",
        "wait until more is free, or stop what uses the memory",
    ),
    "preflight-checkout": Words("the checkout is not usable", "the log says why", ("log",)),
    "preflight-remote": Words(
        "the checkout's remote cannot be pulled from", "the log shows git's own words", ("log",)
    ),
    "preflight-pull": Words(
        "the pull would not go through", "the log names what is in the way", ("log",)
    ),
    "preflight-input": Words("the flake input cannot be updated", "the log says why", ("log",)),
    "preflight-attribute": Words(
        "the flake has no configuration of this name, or none that evaluates",
        "the sentence says which, with the nearest names or Nix's own error",
    ),
    "preflight-credentials": _HIDDEN_INPUT,
    "preflight-commit": Words(
        "flake.lock cannot be committed",
        "mend what the sentence names, or leave out --commit-lock",
    ),
    "preflight-push": Words(
        "the checkout has no branch of a remote to push to",
        "git branch --set-upstream-to=origin/main, or leave out --push",
    ),
    "preflight-target": Words(
        "there is no other generation to go back to", "nixos-rebuild list-generations shows them"
    ),
    "preflight-elevation": Words(
        "we cannot become root on the host",
        "log in as root, give sudo's password at a terminal, or allow sudo without one",
    ),
    "preflight-unknown": Words("the preflight failed", "the log says why", ("log",)),
    "launch-failed": Words(
        "the host could not start the job", "nothing was touched; mend what the host names"
    ),
    "busy": Words(
        "another job is running on the host", "nixfleet attach HOST follows it", ("attach",)
    ),
    "detached": Words("the job goes on alone", "nixfleet attach HOST follows it", ("attach",)),
    "cancelled": Words("the job was cancelled", "force update starts anew", ("update",)),
    "killed": Words("the job was killed", "force update starts anew", ("update",)),
    "unconfirmed": Words(
        "no client reached the host after the switch",
        "look at what the switch did to its network before the next update",
    ),
    "agent-unstable": Words(
        "the new agent did not stay up", "read its last lines at the end of the log", ("log",)
    ),
    "dirty-refused": Words(
        "the flake does not evaluate in the dirty tree, and no commit of flake.lock can replace it",
        "commit or correct the files that the log names, on the host, then update again",
        ("log", "update"),
    ),
    "units-failed": Words(
        "the new agent runs, but the switch left failed units",
        "the log names them; the agent itself is proven",
        ("log",),
    ),
    "switch-failed": Words(
        "the new agent runs, but the switch did not end with code 0",
        "read the log's last lines: a part of the activation failed",
        ("log",),
    ),
    "not-reproduced": Words(
        "the agent in the store is not what its source builds here",
        "find out whether somebody replaced it, or its build is not reproducible; levels below 6 "
        "do not compare",
    ),
    "damaged": Words(
        "the agent's files are damaged and could not be repaired",
        "as root on the host: nix-store --repair-path; the log names the path and says why",
        ("log",),
    ),
    "no-derivation": Words(
        "the configuration does not say which derivation builds the agent",
        "use a force level below 6",
    ),
    "credentials": _HIDDEN_INPUT,
    "stop-failed": _STEP_FAILED,
    "pull-failed": _STEP_FAILED,
    "update-failed": _STEP_FAILED,
    "repair-failed": _STEP_FAILED,
    "rebuild-failed": _STEP_FAILED,
    "confirm-failed": _STEP_FAILED,
    "start-failed": _STEP_FAILED,
    "restart-failed": _STEP_FAILED,
    "verify-failed": _STEP_FAILED,
    "rollback-failed": _STEP_FAILED,
    "commit-failed": Words(
        "flake.lock was not committed", "the log shows git's own words", ("log",)
    ),
    "push-failed": Words("flake.lock was not pushed", "the log shows git's own words", ("log",)),
    "push-refused": Words(
        "flake.lock was not pushed: the remote refused it",
        "upstream has moved on, or must not be written to: update again, or commit by hand",
        ("update",),
    ),
    "disk-full": _DISK_FULL,
    "oom": Words("the host ran out of memory", "build with fewer jobs and cores, or add swap"),
    "open-files": Words(
        "the host lets a process open too few files",
        "raise the limit of the nix daemon: LimitNOFILE for systemd, NumberOfFiles for launchd",
    ),
    "hash-mismatch": Words(
        "a download does not have the pinned hash", "correct the hash in the flake"
    ),
    "fetch-failed": Words(
        "a server could not be reached or failed",
        "check the host's network, and try again",
        ("update",),
    ),
    "rate-limit": Words(
        "the server limits requests",
        "wait an hour, set access-tokens, or pin the input with --input-rev",
    ),
    "auth": Words(
        "a server refused access", "give the checkout's owner, or nix, working credentials for it"
    ),
    "not-found": Words("the server has no such repository or file", "check its URL"),
    "host-key": Words(
        "the server's key is unknown or has changed",
        "compare it with the server's own, then as the checkout's owner, on the host: ssh SERVER",
    ),
    "git-busy": Words(
        "another git process works in the checkout",
        "let it end; if none runs, remove the .lock file that git names",
    ),
    "dirty-tree": Words(
        "uncommitted changes would be overwritten by the pull",
        "commit or stash them on the host; the log names the files",
        ("log",),
    ),
    "diverged": Words(
        "the branch and its upstream have diverged",
        "push or rebase the commits that are only on the host",
    ),
    "no-upstream": Words(
        "the checkout is on no branch that has an upstream",
        "check out a branch that has an upstream",
    ),
    "ownership": Words(
        "files of the checkout belong to another user", "give all of them to one user, with chown"
    ),
    "daemon": Words(
        "the nix daemon went away", "see whether it runs on the host, and try again", ("update",)
    ),
    "attribute-missing": Words(
        "the flake lacks an attribute that was asked for",
        "the log names it; `attribute` in the inventory must be a name that the flake has",
        ("log",),
    ),
    "eval-failed": Words(
        "the configuration does not evaluate", "correct nixcfg, or pull a commit that does"
    ),
    "signature": Words(
        "a cache's path is not signed by a trusted key", "check trusted-public-keys"
    ),
    "build-failed": Words(
        "a package could not be built", "the first error in the log says why", ("log",)
    ),
    "switch-busy": Words("another switch is under way", "let it end, and try again", ("update",)),
    "file-in-the-way": Words(
        "Home Manager would overwrite a file that it has not made",
        "move that file away; or let Home Manager rename it, once, as its user on the host: "
        "home-manager switch -b EXT; then force update",
        ("update",),
    ),
    "folder-denied": Words(
        "macOS keeps Documents, Desktop, Downloads and iCloud Drive from a job, though not from "
        "ssh",
        "move the checkout, as to ~/Code/nixcfg; or add /bin/sh in System Settings > Privacy & "
        "Security > Full Disk Access",
    ),
    "apps-denied": Words(
        "home-manager may not change the applications that it copies: it asks macOS and sudo for "
        "that, and a job cannot answer",
        "in nixcfg, set targets.darwin.copyApps.enable = false and linkApps.enable = true; or run "
        "home-manager switch at the Mac's screen",
    ),
    "lan-denied": Words(
        "macOS 15 and later may keep a job from hosts of the local network, though not ssh",
        "see that the remote is up; allow the job in System Settings > Privacy & Security > Local "
        "Network, or use a remote outside the local network",
    ),
}

CHECK_CAUSES: Final[dict[CheckId, Cause]] = {
    "unreachable": "unreachable",
    "no-shell": "no-shell",
    "bad-answer": "bad-answer",
    "client-failed": "client-failed",
    "tools": "preflight-tools",
    "unit": "preflight-unit",
    "idle": "preflight-idle",
    "disk": "preflight-disk",
    "memory": "preflight-memory",
    "checkout": "preflight-checkout",
    "remote": "preflight-remote",
    "pull": "preflight-pull",
    "input": "preflight-input",
    "attribute": "preflight-attribute",
    "switch": "switch-inhibited",
    "platform": "preflight-platform",
    "credentials": "preflight-credentials",
    "commit": "preflight-commit",
    "push": "preflight-push",
    "target": "preflight-target",
    "elevation": "preflight-elevation",
}

STEP_CAUSES: Final[dict[StepId, Cause]] = {
    "preflight": "preflight-unknown",
    "stop": "stop-failed",
    "pull": "pull-failed",
    "update": "update-failed",
    "repair": "repair-failed",
    "build": "build-failed",
    "rebuild": "rebuild-failed",
    "confirm": "confirm-failed",
    "start": "start-failed",
    "restart": "restart-failed",
    "verify": "verify-failed",
    "rollback": "rollback-failed",
    "commit": "commit-failed",
    "push": "push-failed",
}
"""The cause of a failed step where nothing more is known."""

STEP_REASONS: Final[dict[str, Words]] = {
    "finish": Words(
        "the host cannot write what brings the agent back",
        "make room in the host's /run, and try again",
        ("update",),
    ),
    "killed": Words("the agent did not stop in time, and was killed", _SAID_IN_LOG, ("log",)),
    "lock-changed": Words(
        "somebody changed flake.lock meanwhile", "look at it on the host: git diff flake.lock"
    ),
    "lock-link": Words("flake.lock is a link", "put a file in its place"),
    "lock-large": Words(
        "flake.lock is larger than 1 MiB",
        "see what has made it so large: git log -p --stat -- flake.lock",
    ),
    "lock-broken": CAUSES["lock-broken"],
    "credentials": CAUSES["credentials"],
    "latest-unknown": Words(
        "the input's repository did not answer with a commit",
        "check the network and the repository's URL; the log shows git's words",
        ("log",),
    ),
    "no-ref": Words(
        "the input's repository has no branch, tag or commit of the name that the input follows",
        "correct that name in flake.nix, or create it in the repository",
    ),
    "stale": Words(
        "nix exited with 0, but flake.lock is not at the latest commit",
        "try again, or pin it: --input-rev REV",
        ("update",),
    ),
    "dirty": CAUSES["dirty-refused"],
    "no-derivation": CAUSES["no-derivation"],
    "damaged": CAUSES["damaged"],
    "not-reproduced": CAUSES["not-reproduced"],
    "unconfirmed": CAUSES["unconfirmed"],
    "down": Words(
        "the agent did not come up", "read its last lines at the end of the log", ("log",)
    ),
    "unstable": CAUSES["agent-unstable"],
    "target": CAUSES["preflight-target"],
    "signing": Words(
        "git could not sign the commit",
        "commit it by hand, or let git sign there without asking for anything",
    ),
    "upstream": Words(
        "the checkout has changed its branch meanwhile", "look at it on the host: git status"
    ),
    "others": Words(
        "the push would include commits that were never pushed before",
        "look at them on the host, and push them by hand: git push",
    ),
    "refused": Words("the remote refused it", *CAUSES["push-refused"].advice),
    "disk-full": _DISK_FULL,
    "interrupted": CAUSES["killed"],
}
"""The reasons that scripts/job gives for a failed step, in the order of the steps. `killed` also
stands at a step that worked afterwards, `finish` at the whole job. A failed preflight has its check
as the reason."""

PointName = Literal[
    "host",
    "clock",
    "login-shell",
    "path",
    "time-limits",
    "open-files",
    "git",
    "nix",
    "nix-store",
    "nix-features",
    "trusted-user",
    "disk",
    "memory",
    "power",
    "root",
    "jobs-place",
    "service",
    "agent",
    "agent-start",
    "session",
    "linger",
    "checkout",
    "checkout-files",
    "checkout-folder",
    "branch",
    "remote",
    "local-network",
    "input",
    "configuration",
    "second-checkout",
    "other-work",
    "ps-newline",
    "launchctl-arguments",
]
"""What `nixfleet doctor` looks at, in its order. The words are public: scripts read them."""

WAITS: Final[dict[str, str]] = {
    "switch": "another rebuild on this host",
    "activation": "the activation to end",
    "agent": "what starts the agent, which waits as for the network",
    "confirmation": "a client to reach the host again",
}
"""What scripts/job waits for."""


def is_check(token: str) -> TypeGuard[CheckId]:
    """Whether we know this check; the host's runner may be newer."""
    return token in CHECK_CAUSES


State = Literal[
    "current",
    "unproven",
    "stale",
    "offline",
    "no-shell",
    "error",
    "down",
    "starting",
    "unknown",
    "updating",
]
"""What the fleet table says of a host, in one word."""

STATES: Final[tuple[State, ...]] = get_args(State)

STATE_MEANINGS: Final[dict[State, str]] = {
    "current": "proven: the agent that the flake builds runs, at the latest commit",
    "unproven": "neither proven nor refuted",
    "stale": "an old agent runs, is installed, or is locked",
    "offline": "no answer to ssh",
    "no-shell": "the login works, and the login shell runs nothing",
    "error": "an answer that cannot be used",
    "down": "no agent runs, or none that stays up",
    "starting": "the agent's process is not yet the agent",
    "unknown": "nothing of an agent was seen",
    "updating": "a job changes the host",
}
"""What each state means, in a line; docs/proofs.md says more."""
