"""What will be done to a host, decided before anything is touched.

`make_plan(host, facts, options)` is pure: the same facts give the same plan. A plan is data; it is
compiled to a shell script by `nixfleet_core.job` and shown, argv by argv, before it runs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import quote

import msgspec

from nixfleet_core.nix.lock import FORGES
from nixfleet_core.nix.version import NixVersion, pin_input_argv, update_input_argv

if TYPE_CHECKING:
    from nixfleet_core.facts import Checkout, Facts
    from nixfleet_core.host import Host
    from nixfleet_core.nix.lock import Input

StepId = Literal["preflight", "stop", "pull", "update", "rebuild", "start", "verify"]
STEP_IDS: Final[tuple[StepId, ...]] = (
    "preflight",
    "stop",
    "pull",
    "update",
    "rebuild",
    "start",
    "verify",
)
TITLES: Final[dict[StepId, str]] = {
    "preflight": "Preflight",
    "stop": "Stop agent",
    "pull": "Pull nixcfg",
    "update": "Update {input}",
    "rebuild": "Rebuild",
    "start": "Start agent",
    "verify": "Verify",
}

PLAN_FORMAT: Final = 1
AGENT_UNIT: Final = "nixfleet-agent.service"
SYSTEM_PROFILE: Final = "/nix/var/nix/profiles/system"

TTL_OPTION: Final = ("--option", "narinfo-cache-negative-ttl", "0")
"""Makes Nix ask binary caches again about paths that they lacked when it last asked."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator asked for. `level` 0 adds nothing, 1 bypasses the negative cache."""

    force: bool = False
    level: int = 1
    pull: bool = True
    input_rev: str | None = None
    discard_lock: bool = False
    now: bool = False
    """Do not wait for a rebuild that somebody else is running; refuse instead."""
    stable: int = 5
    """Seconds that the agent must run as the same process to count as up."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step. `argv` is what the step is known by; the runner adds elevation and limits."""

    id: StepId
    title: str
    argv: tuple[str, ...]
    run_as: Literal["root", "owner"]
    limit: int
    """Seconds; then the step is ended and has failed."""
    tries: int = 1
    """More than 1 only for steps that use the network."""
    weight: int = 1
    """Share of the whole bar."""
    always: bool = False
    """Runs whatever happened before."""


class Refusal(msgspec.Struct, frozen=True):
    """Why a host is left alone; `check` names the preflight check (cause `preflight-CHECK`)."""

    check: str
    why: str
    advice: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the job needs, as data; plan.json holds it."""

    format: int = PLAN_FORMAT
    host: str
    attribute: str
    checkout: str
    owner: str
    input: str
    unit: str = AGENT_UNIT
    options: Options
    steps: tuple[Step, ...]
    tools: tuple[str, ...]
    restore_lock: str | None = None
    """The `cksum` of a dirty flake.lock that is saved and set back to HEAD before the pull."""
    warnings: tuple[str, ...] = ()

    def step(self, step_id: StepId) -> Step | None:
        return next((step for step in self.steps if step.id == step_id), None)


LEVELS: Final[tuple[int, ...]] = (0, 1, 2)
"""The force levels that make_plan knows."""

POSITIVE_TTL_OPTION: Final = ("--option", "narinfo-cache-positive-ttl", "0")
"""Makes Nix ask binary caches again also about paths that they said they had."""

BUSY_WAIT: Final = 1800
"""Seconds to wait for a rebuild that somebody else is running."""

DISK_NEEDED_KIB: Final = 1024 * 1024
"""KiB free in /nix/store below which an update is not begun."""

TOOLS: Final = ("git", "nix", "nixos-rebuild", "systemctl", "systemd-run")

_REV: Final = re.compile(r"[0-9a-f]{40}")


class _Refused(Exception):  # noqa: N818 - carries a Refusal through the rules
    def __init__(self, check: str, why: str, advice: str) -> None:
        super().__init__(why)
        self.refusal = Refusal(check, why, advice)


def is_commit(text: str) -> bool:
    """Whether `text` names a whole commit; shorter names and branches do not say which."""
    return _REV.fullmatch(text) is not None


def make_plan(host: Host, facts: Facts, options: Options) -> Plan | Refusal:
    """Decide what will be done to the host. Pure: the same facts give the same plan."""
    try:
        nix = _check_host(facts)
        checkout = _check_checkout(facts, options)
        flake_input = _check_input(host, checkout, options)
    except _Refused as refused:
        return refused.refusal
    attribute = host.attribute or facts.hostname
    return Plan(
        host=host.name,
        attribute=attribute,
        checkout=checkout.path,
        owner=checkout.owner or facts.user,
        input=host.input,
        options=options,
        steps=_steps(host, checkout, nix, flake_input, attribute, options),
        tools=TOOLS,
        restore_lock=_restorable_lock(host, checkout, options),
        warnings=_warnings(host, checkout, flake_input),
    )


def _check_host(facts: Facts) -> NixVersion:
    if facts.platform != "nixos":
        raise _Refused(
            "platform",
            f"{facts.os or 'this host'} is not NixOS ({facts.platform})",
            "only NixOS hosts can be updated; set `platform` in the inventory if this is one",
        )
    missing = [tool for tool in TOOLS if tool not in facts.tools]
    if facts.nix is None or missing:
        raise _Refused(
            "tools",
            f"not found on the host: {', '.join(missing) or 'a Nix whose version can be read'}",
            "install what is missing, or repair the PATH of non-interactive shells",
        )
    if facts.unit is None or not facts.unit.exists:
        state = facts.unit.load if facts.unit else "unknown"
        raise _Refused(
            "unit",
            f"the host has no {AGENT_UNIT} ({state})",
            "enable services.nixfleet-agent in nixcfg and rebuild once by hand",
        )
    if facts.disk_free_kib is not None and facts.disk_free_kib < DISK_NEEDED_KIB:
        raise _Refused(
            "disk",
            f"{facts.disk_free_kib // 1024} MiB are free in /nix/store, 1024 are wanted",
            "free some space first: nix-collect-garbage --delete-older-than 30d",
        )
    return facts.nix


def _check_checkout(facts: Facts, options: Options) -> Checkout:
    checkout = facts.checkout
    if checkout is None or checkout.state == "missing":
        where = checkout.path if checkout else "(no path)"
        raise _Refused(
            "checkout", f"there is no {where} on the host", "set `checkout` in the inventory"
        )
    if checkout.state == "unreadable":
        raise _Refused(
            "checkout",
            f"{checkout.path} belongs to {checkout.owner or 'somebody else'} and cannot be read",
            "log in as its owner, or as root",
        )
    if checkout.state == "not-git":
        raise _Refused(
            "checkout",
            f"{checkout.path} is no git repository with a commit",
            "set `checkout` in the inventory to the nixcfg working tree",
        )
    if options.pull and checkout.branch is None:
        raise _Refused(
            "remote",
            f"{checkout.path} is on no branch (detached HEAD)",
            "check out a branch there, or use --no-pull",
        )
    if options.pull and checkout.upstream is None:
        raise _Refused(
            "remote",
            f"the branch {checkout.branch} in {checkout.path} has no upstream branch",
            "git branch --set-upstream-to=origin/main, or use --no-pull",
        )
    return checkout


def _check_input(host: Host, checkout: Checkout, options: Options) -> Input:
    if checkout.lock is None:
        raise _Refused(
            "input",
            checkout.lock_error or f"{checkout.path} has no flake.lock",
            "restore it: git checkout -- flake.lock",
        )
    found = checkout.lock.find(host.input)
    if found is None:
        raise _Refused(
            "input",
            f"the flake has no input {host.input!r}",
            f"its inputs are: {', '.join(checkout.lock.names())}; set `input` in the inventory",
        )
    if found.follows:
        path = "/".join(found.follows)
        raise _Refused(
            "input",
            f"the input {host.input!r} follows {path}: nix does not update it by this name",
            f"set `input` in the inventory to {found.follows[0]!r}, or remove the follows",
        )
    if options.input_rev is not None:
        if not is_commit(options.input_rev):
            raise _Refused(
                "input",
                f"{options.input_rev!r} is no commit",
                "give all 40 hexadecimal digits of the commit",
            )
        if pin_url(found, options.input_rev) is None:
            raise _Refused(
                "input",
                f"the input {host.input!r} is of the kind {found.kind!r}, which has no commits",
                "leave out --input-rev",
            )
    return found


def pin_url(flake_input: Input, rev: str) -> str | None:
    """The flake URL that names one commit of an input; None for kinds that have no commits."""
    source, kind = flake_input.source, flake_input.kind
    if source.url is None:
        return None
    if kind in FORGES:
        host, path = source.url.removeprefix("https://").split("/", 1)
        owner, repo = path.rsplit("/", 1)
        # GitLab's owner may be a path of groups, which Nix wants as one part
        query = "" if host == FORGES[kind] else f"?host={host}"
        return f"{kind}:{quote(owner, safe='')}/{repo}/{rev}{query}"
    scheme = "" if source.url.startswith("git+") else "git+"
    ref = f"ref={quote(source.ref)}&" if source.ref else ""
    return f"{scheme}{source.url}{'&' if '?' in source.url else '?'}{ref}rev={rev}"


def _steps(
    host: Host,
    checkout: Checkout,
    nix: NixVersion,
    flake_input: Input,
    attribute: str,
    options: Options,
) -> tuple[Step, ...]:
    pinned = pin_url(flake_input, options.input_rev) if options.input_rev else None
    update = pin_input_argv(host.input, pinned) if pinned else update_input_argv(nix, host.input)
    pull = Step(
        id="pull",
        title=TITLES["pull"],
        argv=("git", "pull", "--ff-only"),
        run_as="owner",
        limit=300,
        tries=5,
        weight=2,
    )
    return (
        Step(
            id="preflight",
            title=TITLES["preflight"],
            argv=("check",),
            run_as="root",
            limit=300,
            tries=3,
            weight=2,
        ),
        Step(
            id="stop",
            title=TITLES["stop"],
            argv=("systemctl", "stop", AGENT_UNIT),
            run_as="root",
            limit=100,
        ),
        *((pull,) if options.pull else ()),
        Step(
            id="update",
            title=TITLES["update"].format(input=host.input),
            argv=(
                *update[:1],
                "--extra-experimental-features",
                "nix-command flakes",
                *update[1:],
            ),
            run_as="owner",
            limit=300,
            tries=5,
            weight=2,
        ),
        Step(
            id="rebuild",
            title=TITLES["rebuild"],
            argv=(
                *("nixos-rebuild", "switch"),
                *("--flake", f"{checkout.path}#{attribute}"),
                *("--log-format", "internal-json"),
                *(POSITIVE_TTL_OPTION if options.level >= 2 else ()),
                # an old nixos-rebuild-ng keeps only the last --option: the most important one
                *(TTL_OPTION if options.level >= 1 else ()),
            ),
            run_as="root",
            limit=4 * 3600,
            tries=3,
            weight=20,
        ),
        Step(
            id="start",
            title=TITLES["start"],
            argv=("systemctl", "start", AGENT_UNIT),
            run_as="root",
            limit=120,
            always=True,
        ),
        Step(
            id="verify",
            title=TITLES["verify"],
            argv=("prove",),
            run_as="root",
            limit=300,
            weight=2,
            always=True,
        ),
    )


def _restorable_lock(host: Host, checkout: Checkout, options: Options) -> str | None:
    """The cksum of a dirty flake.lock that may go back to HEAD before the pull.

    Only if nothing is lost by it: the next step rewrites what is reached from the input anyway.
    """
    if checkout.lock is None or checkout.head_lock is None:
        return None
    if options.discard_lock or checkout.lock.differs_only_in(host.input, checkout.head_lock):
        return checkout.lock_cksum
    return None


def _warnings(host: Host, checkout: Checkout, flake_input: Input) -> tuple[str, ...]:
    found = []
    if checkout.lock is not None and checkout.head_lock is not None:
        names = ", ".join(checkout.lock.differing_inputs(checkout.head_lock))
        found.append(f"flake.lock has uncommitted changes ({names or 'formatting only'})")
    others = [path for path in checkout.dirty if path != "flake.lock"]
    if others:
        shown = ", ".join(others[:5]) + (f" and {len(others) - 5} more" if len(others) > 5 else "")
        found.append(f"the rebuild includes uncommitted changes: {shown}")
    if flake_input.source.pinned:
        found.append(f"flake.nix pins {host.input} to {flake_input.source.pinned[:7]}")
    return tuple(found)
