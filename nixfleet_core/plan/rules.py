"""The rules that turn a host's facts into a plan, or into a reason to leave the host alone.

Pure: the same facts give the same plan. The host's preflight checks the rest, which only the host
can find out, before anything is touched.

It is longer than 400 lines because all rules for an update stand here, in their order.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import msgspec

from nixfleet_core.facts.checkouts import (
    UNNAMED,
    Absent,
    Broken,
    Follows,
    Missing,
    Pinned,
    Tracked,
    disagreement,
    input_state,
    uncommitted_inputs,
)
from nixfleet_core.facts.model import LOCK_FILE
from nixfleet_core.facts.service import Service
from nixfleet_core.ids import is_commit
from nixfleet_core.log.evaluation import nearest_names
from nixfleet_core.nix.lock import locked_rev
from nixfleet_core.plan.levels import PIN_LEVEL, REPAIR_LEVEL
from nixfleet_core.plan.mac import is_kept_by_macos, mac_warnings
from nixfleet_core.plan.model import BUSY_WAIT, Options, Plan, Refusal
from nixfleet_core.plan.platforms import platform_of
from nixfleet_core.plan.refusals import REASONS
from nixfleet_core.plan.steps import (
    Place,
    built_flake,
    commit_steps,
    has_commits,
    lock_message,
    pin_url,
    pins,
    restart_steps,
    rollback_steps,
    update_steps,
    wants_commit,
)
from nixfleet_core.vocabulary import APPLE_GIT, CAUSES, CHECK_CAUSES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nixfleet_core.facts.model import Checkout, Facts, System
    from nixfleet_core.facts.service import Manager
    from nixfleet_core.host import Host, Platform
    from nixfleet_core.nix.lock import Input
    from nixfleet_core.nix.version import NixVersion
    from nixfleet_core.vocabulary import CheckId

_T = TypeVar("_T")

DISK_NEEDED_KIB: Final = 1024 * 1024
"""KiB that must be free in /nix/store before an update begins."""

MEMORY_NEEDED_KIB: Final = 128 * 1024
"""KiB of memory that must be available before an update begins; evaluation needs far more."""

_SWITCH: Final[dict[Platform, str]] = {
    "nixos": "nixos-rebuild",
    "home-manager": "home-manager",
}
_MANAGER_TOOLS: Final[dict[Manager, tuple[str, ...]]] = {
    "systemd": ("systemctl", "systemd-run"),
    "user": ("systemctl",),
    "launchd": ("launchctl",),
}


class _Refused(Exception):  # noqa: N818 - carries a Refusal through the rules
    """`advice` defaults to the cure of the check's cause."""

    def __init__(self, check: CheckId, why: str, advice: str = "") -> None:
        super().__init__(why)
        self.refusal = Refusal(check, why, advice or CAUSES[CHECK_CAUSES[check]].cure)


def needs_closer_look(host: Host, facts: Facts) -> bool:
    """Whether a plan needs more than the facts of a look without root: the names of a home's flake,
    or a checkout that the user may not read."""
    if facts.checkout is None or isinstance(platform_of(facts), Refusal):
        return False
    if facts.platform == "home-manager":
        return host.attribute is None
    return facts.checkout.state == "unreadable"


def make_plan(
    host: Host, facts: Facts, options: Options, latest: str | None = None
) -> Plan | Refusal:
    """Decide what will be done to the host. Pure: the same facts give the same plan. `latest` is
    the commit that the update leads to, if that is known.
    """
    try:
        platform = _check_platform(facts)
        service = _check_unit(facts)
        tools = needed_tools(platform, service.manager)
        _check_tools(facts, tools)
        nix = _check_nix(facts)
        _check_disk(facts)
        _check_memory(facts)
        checkout = _check_checkout(facts, platform)
        if options.pull:
            _check_branch(checkout)
        _check_as_locked(options)
        flake_input = _check_input(host, checkout, options)
        _check_sharing(host, checkout, options)
        attribute = _check_attribute(host, facts)
    except _Refused as refused:
        return refused.refusal
    place = Place(platform, service, f"{built_flake(checkout, options)}#{attribute}")
    return Plan(
        host=host.name,
        platform=platform,
        attribute=attribute,
        attribute_chosen=host.attribute is None,
        checkout=checkout.path,
        owner=checkout.owner or facts.user,
        input=host.input,
        options=options,
        steps=update_steps(
            nix,
            flake_input,
            host.input,
            place,
            options,
            message=_message(host, checkout, options.input_rev or latest),
            upstream=checkout.upstream,
        ),
        tools=tools,
        restore_lock=_restorable_lock(host, checkout, options),
        warnings=(
            *_warnings(host, facts, checkout, flake_input, options),
            *level_warnings(facts, host.input, flake_input, options),
        ),
    )


def all_refusals(host: Host, facts: Facts) -> tuple[Refusal, ...]:
    """All that would refuse an update without options, in the order of `make_plan`. What rests on
    something refused is not checked."""
    found: list[Refusal] = []

    def passed(check: Callable[[], _T]) -> _T | None:
        try:
            return check()
        except _Refused as refused:
            found.append(refused.refusal)
            return None

    options = Options()
    platform = passed(lambda: _check_platform(facts))
    passed(lambda: _check_unit(facts))
    if platform is not None:
        manager = facts.unit.service.manager if facts.unit else Service().manager
        passed(lambda: _check_tools(facts, needed_tools(platform, manager)))
    for check in (_check_nix, _check_disk, _check_memory):
        passed(partial(check, facts))
    checkout = passed(lambda: _check_checkout(facts, platform)) if platform else None
    if checkout is not None:
        passed(lambda: _check_branch(checkout))
        passed(lambda: _check_input(host, checkout, options))
    passed(lambda: _check_attribute(host, facts))
    return tuple(found)


class Target(Protocol):
    """Where a rollback goes; `judge.ways_back` finds it."""

    @property
    def system(self) -> str: ...
    @property
    def profile(self) -> str: ...
    @property
    def number(self) -> int | None: ...
    @property
    def ran(self) -> bool: ...
    @property
    def sentence(self) -> str: ...


def make_rollback_plan(
    host: Host,
    facts: Facts,
    target: Target,
    lock_from: str | None,
    options: Options,
    warnings: tuple[str, ...] = (),
) -> Plan | Refusal:
    """Decide how the host goes back to `target`. Unless `lock_from` is None, flake.lock goes back
    too, to its content before that job; else the next update undoes the rollback."""
    try:
        # nothing is built, so a full disk does not matter; the rollback may even cure it
        platform = _check_platform(facts)
        service = _check_unit(facts)
        _check_tools(facts, _MANAGER_TOOLS[service.manager])
        checkout = _check_checkout(facts, platform)
        now = (facts.system.current, facts.system.profile)
        if (target.system, target.profile) == now:
            raise _Refused(
                "target",
                "the generation to go back to is the one that runs",
                "there is nothing to do",
            )
    except _Refused as refused:
        return refused.refusal
    return Plan(
        host=host.name,
        platform=platform,
        attribute=host.attribute or facts.hostname,
        checkout=checkout.path,
        owner=checkout.owner or facts.user,
        input=host.input,
        goal="rollback",
        target=target.system,
        target_profile=target.profile,
        target_number=target.number,
        target_ran=target.ran,
        target_words=target.sentence,
        lock_from=lock_from,
        options=without_pull(options),
        warnings=warnings,
        steps=rollback_steps(service, target.system, target.profile, target.number),
        tools=("nix-env", *_MANAGER_TOOLS[service.manager]),
    )


def make_commit_plan(host: Host, facts: Facts, options: Options) -> Plan | Refusal:
    """Decide how the flake.lock that an update has left is committed. With `options.push` the
    commit is pushed, too."""
    options = msgspec.structs.replace(without_pull(options), commit_lock=True)
    try:
        platform = _check_platform(facts)
        service = _check_unit(facts)
        tools = ("git", "nix", *_MANAGER_TOOLS[service.manager])
        _check_tools(facts, tools)
        checkout = _check_checkout(facts, platform)
        flake_input = _check_input(host, checkout, options)
        _check_uncommitted(checkout)
        _check_sharing(host, checkout, options)
        attribute = _check_attribute(host, facts)
    except _Refused as refused:
        return refused.refusal
    return Plan(
        host=host.name,
        platform=platform,
        attribute=attribute,
        attribute_chosen=host.attribute is None,
        checkout=checkout.path,
        owner=checkout.owner or facts.user,
        input=host.input,
        goal="commit",
        lock_seen=checkout.lock_cksum,
        options=options,
        steps=commit_steps(_message(host, checkout, flake_input.rev), checkout.upstream, options),
        tools=tools,
    )


def make_restart_plan(host: Host, facts: Facts, options: Options) -> Plan | Refusal:
    """Decide how the agent is restarted, and nothing else. It needs no checkout: without one, the
    proof says less."""
    try:
        platform = _check_platform(facts)
        service = _check_restartable(facts)
        tools = _MANAGER_TOOLS[service.manager]
        _check_tools(facts, tools)
    except _Refused as refused:
        return refused.refusal
    checkout = facts.checkout
    return Plan(
        host=host.name,
        platform=platform,
        attribute=choose_attribute(host, facts) or facts.hostname,
        attribute_chosen=host.attribute is None,
        checkout=checkout.path if checkout else host.checkout,
        owner=(checkout.owner if checkout else None) or facts.user,
        input=host.input,
        goal="restart",
        options=without_pull(options),
        steps=restart_steps(service),
        tools=tools,
        warnings=tuple(_restart_warnings(facts)),
    )


def _check_restartable(facts: Facts) -> Service:
    unit = facts.unit
    if unit is not None and unit.load == "masked":
        raise _Refused(
            "unit",
            f"{unit.service.name} is masked, so nothing can start it",
            f"{unit.service.unmask_words}, then restart it",
        )
    return _check_unit(facts)


def _restart_warnings(facts: Facts) -> Iterator[str]:
    """That a restart alone cannot bring another agent."""
    running, installed = facts.running, facts.installed
    if running is None or installed is None or not installed.is_run_by(running.binary):
        return
    name = installed.version or installed.identity
    yield (
        f"a restart starts the same agent again: {name} is installed, and runs already. Only an "
        "update brings another one"
    )


def _check_uncommitted(checkout: Checkout) -> None:
    """There is something to commit, and a branch that the commit can go to."""
    if checkout.head_lock is None or checkout.lock_cksum is None:
        raise _Refused(
            "commit", f"{checkout.path} has no uncommitted flake.lock", "there is nothing to do"
        )
    if checkout.branch is None:
        words = REASONS["commit", "detached"]
        raise _Refused("commit", f"{checkout.path}: {words.meaning}", words.cure)


def without_pull(options: Options) -> Options:
    """The same options, but nixcfg stays at its commit."""
    return msgspec.structs.replace(options, pull=False)


def needed_tools(platform: Platform, manager: Manager) -> tuple[str, ...]:
    """The programs that an update runs on the host."""
    return ("git", "nix", _SWITCH[platform], *_MANAGER_TOOLS[manager])


def _check_platform(facts: Facts) -> Platform:
    platform = platform_of(facts)
    if isinstance(platform, Refusal):
        raise _Refused(platform.check, platform.why, platform.advice)
    return platform


def _check_unit(facts: Facts) -> Service:
    if facts.unit is None or not facts.unit.exists:
        state = facts.unit.load if facts.unit else "unknown"
        raise _Refused(
            "unit",
            f"the host has no {(facts.unit.service if facts.unit else Service()).name} ({state})",
        )
    if not facts.unit.has_session:
        words = REASONS["unit", "no-session"]
        raise _Refused("unit", words.meaning, words.cure)
    return facts.unit.service


def _check_tools(facts: Facts, tools: tuple[str, ...]) -> None:
    missing = [tool for tool in tools if tool not in facts.tools]
    if missing:
        raise _no_tool(
            ", ".join(missing), APPLE_GIT.cure if _lacks_only_git(facts, missing) else ""
        )


def _lacks_only_git(facts: Facts, missing: list[str]) -> bool:
    """Whether it is a Mac whose own git may be there, but cannot be used."""
    return missing == ["git"] and "launchctl" in facts.tools


def _no_tool(what: str, advice: str = "") -> _Refused:
    return _Refused("tools", f"not found on the host: {what}", advice)


def _check_nix(facts: Facts) -> NixVersion:
    if facts.nix is None:
        raise _no_tool("a Nix whose version can be read")
    return facts.nix


def _check_disk(facts: Facts) -> None:
    if facts.disk_free_kib is not None and facts.disk_free_kib < DISK_NEEDED_KIB:
        raise _Refused(
            "disk",
            f"{facts.disk_free_kib // 1024} MiB are free in /nix/store, {DISK_NEEDED_KIB // 1024} "
            f"are needed",
        )


def _check_memory(facts: Facts) -> None:
    memory = facts.memory_free_kib
    if memory is not None and memory < MEMORY_NEEDED_KIB:
        raise _Refused(
            "memory",
            f"{memory // 1024} MiB of memory are free, {MEMORY_NEEDED_KIB // 1024} are needed",
        )


def _check_checkout(facts: Facts, platform: Platform) -> Checkout:
    checkout = facts.checkout
    if checkout is None or checkout.state == "missing":
        where = checkout.path if checkout else "(no path)"
        other = facts.other if facts.other and facts.other.state == "ok" else None
        there = f"; or use the one at {other.path} with --checkout" if other else ""
        raise _Refused(
            "checkout",
            f"there is no {where} on the host",
            f"{REASONS['checkout', 'missing'].cure}{there}",
        )
    if checkout.state != "ok" and is_kept_by_macos(facts, checkout):
        raise _Refused(
            "checkout",
            f"{checkout.path} cannot be read: macOS keeps that folder from ssh, too",
            CAUSES["folder-denied"].cure,
        )
    if checkout.state == "unreadable":
        raise _Refused(
            "checkout",
            f"{checkout.path} belongs to {checkout.owner or 'somebody else'} and cannot be read",
            "log in as its owner, or as root",
        )
    if checkout.state != "ok":
        _check_tools(facts, ("git",))
        words = REASONS["checkout", checkout.state]
        said = f": {checkout.said}" if checkout.said else ""
        raise _Refused("checkout", f"{checkout.path}: {words.meaning}{said}", words.cure)
    if platform == "home-manager" and checkout.owner not in (None, facts.user):
        raise _Refused(
            "checkout",
            f"{checkout.path} belongs to {checkout.owner}, and {facts.user} cannot become them",
            f"log in as {checkout.owner}, or set `checkout` in the inventory to one of your own",
        )
    return checkout


def _check_branch(checkout: Checkout) -> None:
    """A pull needs a branch that has an upstream."""
    if checkout.branch is None:
        raise _Refused(
            "remote",
            f"{checkout.path} is on no branch (detached HEAD)",
            "check out a branch there, or use --no-pull",
        )
    if checkout.upstream is None:
        raise _Refused(
            "remote",
            f"the branch {checkout.branch} in {checkout.path} has no upstream branch",
            "git branch --set-upstream-to=origin/main, or use --no-pull",
        )


def _check_input(host: Host, checkout: Checkout, options: Options) -> Input:
    match input_state(checkout, host.input):
        case Absent():
            why = f"{checkout.path} has no flake.lock"
            raise _Refused("input", why, CAUSES["lock-broken"].cure)
        case Broken(why):
            raise _Refused("input", why, CAUSES["lock-broken"].cure)
        case Missing() as missing:
            raise _Refused("input", f"the flake has no input {host.input!r}", missing.cure)
        case Follows() as follows if not options.as_locked:
            raise _Refused("input", follows.why, follows.cure)
        case Follows(found) | Pinned(found) | Tracked(found):
            _check_pin(host, found, options)
            return found


def _check_pin(host: Host, found: Input, options: Options) -> None:
    if found.source.hidden is not None and pins(found, options):
        raise _Refused("credentials", CAUSES["credentials"].meaning)
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


def _check_as_locked(options: Options) -> None:
    """What would move or commit flake.lock does not go together with leaving it alone."""
    if not options.as_locked:
        return
    if options.input_rev is not None:
        raise _Refused(
            "input",
            "flake.lock is to stay as it is, and to name another commit",
            "leave out --as-locked or --input-rev",
        )
    if wants_commit(options):
        raise _Refused(
            "commit",
            "flake.lock stays as it is, so this update leaves nothing to commit",
            "leave out --commit-lock and --push; nixfleet commit HOST commits what an earlier "
            "update has left",
        )


def _check_sharing(host: Host, checkout: Checkout, options: Options) -> None:
    """The commit may hold only what this update changes, and is pushed only to its upstream."""
    if not wants_commit(options):
        return
    others = [name for name in uncommitted_inputs(checkout) if name != host.input]
    if others:
        raise _Refused(
            "commit",
            f"flake.lock has uncommitted changes of {', '.join(others)}, too: the commit would "
            f"include them",
            "commit them on the host first, or leave out --commit-lock",
        )
    if options.push and (checkout.branch is None or "/" not in (checkout.upstream or "")):
        raise _Refused(
            "push",
            f"the checkout {checkout.path} has no branch of a remote to push to",
        )


def _message(host: Host, checkout: Checkout, latest: str | None) -> str:
    committed = locked_rev(checkout.head_lock or checkout.lock, host.input)
    return lock_message(host.input, committed, latest or "latest")


def choose_attribute(host: Host, facts: Facts) -> str | None:
    """The host's name in the flake. For Home Manager it is the first existing name of those that
    home-manager itself tries; None when the flake has none of them."""
    if host.attribute is not None:
        return host.attribute
    if facts.platform != "home-manager":
        return facts.hostname
    names = home_attributes(facts)
    if facts.attributes is None:
        return names[0]
    return next((name for name in names if name in facts.attributes), None)


def _check_attribute(host: Host, facts: Facts) -> str:
    found = choose_attribute(host, facts)
    if found is None or (facts.attributes is not None and found not in facts.attributes):
        tried = (found,) if found else home_attributes(facts)
        kind = "home" if facts.platform == "home-manager" else "nixos"
        nearest = nearest_names(facts.attributes or (), tried[0])
        raise _Refused(
            "attribute",
            f"{kind}Configurations has none of {', '.join(tried)}",
            f"{REASONS['attribute', 'missing'].cure}: {nearest}",
        )
    return found


def home_attributes(facts: Facts) -> tuple[str, ...]:
    """The names that this user's configuration may have under homeConfigurations, best first."""
    short = facts.hostname.partition(".")[0]
    names = (
        f"{facts.user}@{short}",
        f"{facts.user}@{facts.hostname}",
        short,
        facts.hostname,
        facts.user,
    )
    return tuple(dict.fromkeys(names))


def _restorable_lock(host: Host, checkout: Checkout, options: Options) -> str | None:
    """The cksum of a dirty flake.lock that may go back to HEAD before the pull.

    It may only if nothing is lost: the next step rewrites everything under the input anyway, unless
    flake.lock is to stay as it is.
    """
    if checkout.lock is None or checkout.head_lock is None:
        return None
    if options.as_locked and not options.discard_lock:
        return None
    if options.discard_lock or checkout.lock.differs_only_in(host.input, checkout.head_lock):
        return checkout.lock_cksum
    return None


def level_warnings(
    facts: Facts, name: str, flake_input: Input, options: Options
) -> tuple[str, ...]:
    """The parts of the force level that will have no effect on this host."""
    found = []
    if options.as_locked:
        if options.level >= PIN_LEVEL:
            found.append(f"flake.lock stays as it is: level {PIN_LEVEL} has no effect on it")
    elif options.level >= PIN_LEVEL and options.input_rev is None and not has_commits(flake_input):
        found.append(
            f"{name} is of the kind {flake_input.kind!r}, which has no commits: "
            f"level {PIN_LEVEL} has no effect"
        )
    # on NixOS root builds, and the nix daemon trusts root
    if facts.platform == "home-manager" and facts.uid != 0:
        if options.level >= 1 and not facts.trusted:
            found.append(restricted(facts, options.level))
        if options.level >= REPAIR_LEVEL:
            found.append(
                "the nix daemon finds damaged files of the agent, but only root can repair them"
            )
    return tuple(found)


def restricted(facts: Facts, level: int) -> str:
    """The options that the nix daemon ignores from a user whom it does not trust."""
    names = [f"narinfo-cache-{kind}-ttl" for kind in ("negative", "positive")[:level]]
    what = f"{' and '.join(names)} {'are' if len(names) > 1 else 'is'} ignored"
    if facts.trusted is None:
        return (
            f"{what}, unless the nix daemon trusts {facts.user}; we could not see whether it does"
        )
    return f"the nix daemon does not trust {facts.user}: {what}"


def _busy_warning(facts: Facts, options: Options) -> str | None:
    """What the preflight will wait for; it has the same rules (`nf_is_busy`)."""
    goes_on, then = options.goes_on, "then goes on all the same"
    if facts.switch_running:
        what, goes_on = "another rebuild is in its activation on the host", False
    elif (rebuild := facts.rebuild) is not None and rebuild.is_agents:
        what, then = f"the agent's service runs {rebuild.words}", "then goes on and ends it"
    elif rebuild is not None:
        what = f"another rebuild runs on the host: {rebuild.words}"
        goes_on = goes_on or (options.force and rebuild.is_claimed)
    else:
        return None
    if options.now and not goes_on:
        return f"{what}: the update is refused if it still does at the start"
    if options.now:
        return f"{what}: another user runs it, so the forced update goes on"
    then = then if goes_on else "then is refused"
    return f"{what}: the update waits for it, at most {BUSY_WAIT // 60} minutes, {then}"


def _system_warnings(system: System) -> Iterator[str]:
    """What a switch will do to a system that is not the profile's."""
    if system.specialisation:
        yield (
            f"the host runs the specialisation {system.specialisation}: it is kept if the new "
            "system has it, too; else the host leaves it"
        )
    if system.active is not None and system.active.profile:
        yield (
            f"the system that runs is that of the profile {system.active.profile}: what manages "
            "that profile may switch back to it"
        )


def _as_locked_words(host: Host, facts: Facts, flake_input: Input, options: Options) -> str:
    """That no step updates the input; and what that means, if it is known."""
    now = flake_input.rev[:7] if flake_input.rev else "what it names"
    stays = f"flake.lock keeps {host.input} at {now}"
    if options.pull:
        stays += ", unless the pull brings another flake.lock"
    said = f"{stays}: the step update is left out"
    if _runs_what_it_builds(facts):
        said += ". The agent that runs is what this flake.lock builds already"
    return said


def _runs_what_it_builds(facts: Facts) -> bool:
    """Whether the look has seen that the flake, as it lies there, builds the agent that runs."""
    expected, running = facts.expected, facts.running
    return expected is not None and running is not None and expected.is_run_by(running.binary)


def _commit_warning(checkout: Checkout, options: Options) -> str | None:
    """What the system will name, or why that cannot be a commit of flake.lock. Whether a commit can
    stand for the tree is asked of Nix, on the host (scripts/job/from_commit.sh)."""
    refuses = checkout.dirty_trees == "refuses"
    if not refuses and not wants_commit(options):
        return None
    if checkout.unnamed not in (None, "lock"):
        why = UNNAMED[checkout.unnamed]
        if refuses:
            return (
                "the flake refuses a dirty tree, and a commit of flake.lock may not be able to "
                f"stand for this one: {why}"
            )
        return f"the tree is built, unless Nix reads the same files from a commit: {why}"
    if wants_commit(options):
        return None
    if options.as_locked:
        if checkout.head_lock is None:
            return None
        return (
            "the flake refuses a dirty tree: the system will name a commit of flake.lock that only "
            "this host has; nixfleet commit keeps it"
        )
    return (
        "the flake refuses a dirty tree: the system will name a commit of the new flake.lock that "
        "only this host has; --commit-lock (in the plan: c) keeps it"
    )


def _warnings(
    host: Host, facts: Facts, checkout: Checkout, flake_input: Input, options: Options
) -> tuple[str, ...]:
    found = []
    if options.as_locked:
        found.append(_as_locked_words(host, facts, flake_input, options))
    if (busy := _busy_warning(facts, options)) is not None:
        found.append(busy)
    if not facts.lingers:
        found.append(
            f"lingering is off for {facts.user}: the agent ends with the last login "
            "(loginctl enable-linger)"
        )
    found += mac_warnings(facts, checkout)
    found += _system_warnings(facts.system)
    if checkout.lock is not None and checkout.head_lock is not None:
        names = ", ".join(uncommitted_inputs(checkout))
        found.append(f"flake.lock has uncommitted changes ({names or 'formatting only'})")
    others = [path for path in checkout.dirty if path != LOCK_FILE]
    if others:
        shown = ", ".join(others[:5]) + (f" and {len(others) - 5} more" if len(others) > 5 else "")
        found.append(f"the rebuild includes uncommitted changes: {shown}")
    if (words := _commit_warning(checkout, options)) is not None:
        found.append(words)
    if flake_input.source.pinned:
        found.append(f"flake.nix pins {host.input} to {flake_input.source.pinned[:7]}")
    if (differs := disagreement(facts, host.input)) is not None:
        found.append(differs)
    return tuple(found)
