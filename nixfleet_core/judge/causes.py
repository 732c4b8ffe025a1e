"""Why a host does not have the agent that it should: one rule a cause, for every door.

The verdict, the fleet table and `why` all ask `find_cause`; nothing else decides what facts mean.
Pure: facts go in, the first cause that explains them comes out. A value that could not be seen
never counts as equal.

It is longer than 400 lines because all rules stand here, in the order in which they are tried.
"""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import msgspec

from nixfleet_core.facts.checkouts import (
    Absent,
    Broken,
    Follows,
    Missing,
    Pinned,
    Tracked,
    input_state,
)
from nixfleet_core.facts.service import Service
from nixfleet_core.judge.active_system import other_system, waiting_system
from nixfleet_core.judge.cures import cheapest
from nixfleet_core.judge.finding import (
    AS_LOCKED,
    COMMIT,
    RESTART,
    UPDATE,
    Finding,
    finding,
)
from nixfleet_core.judge.proofs import AT_HAND, Gaps
from nixfleet_core.nix.git_url import NotKnown, commit_of
from nixfleet_core.plan.model import Refusal
from nixfleet_core.plan.platforms import platform_of
from nixfleet_core.plan.refusals import REASONS
from nixfleet_core.vocabulary import CAUSES

if TYPE_CHECKING:
    from nixfleet_core.facts.model import Binary, Checkout, Facts, Unit
    from nixfleet_core.facts.proofs import Proven
    from nixfleet_core.host import Host
    from nixfleet_core.nix.git_url import Latest
    from nixfleet_core.vocabulary import FoundCause

UNSEEN: Final[frozenset[FoundCause]] = frozenset(
    {"preflight-platform", "lock-broken", "input-missing", "proof-missing", "latest-unknown"}
)
"""Something could not be compared."""

SKEW: Final = 300
"""Seconds by which a committer's clock and a host's may differ."""

_LOOP_RESTARTS: Final = 3
_LOOP_SECONDS: Final = 60
"""An agent with this many restarts, and a start this recent, does not stay up."""


class Expectation(msgspec.Struct, frozen=True, kw_only=True):
    """What the host should end up with."""

    input: str
    latest: str | None = None
    """The commit that the input's repository names (or that was asked for)."""
    not_known: NotKnown | None = None
    """Why the client did not ask for it."""
    latest_known: bool = True
    """False for inputs without a repository that we can ask (tarballs, URLs with a query)."""
    as_locked: bool = False
    """`latest` is the commit that flake.lock names: it was to stay as it is."""
    newest: str | None = None
    """Then the commit that the input's repository names, if it said so."""
    version: str | None = None
    """What version the commit that the repository names is said to be. It is a label and decides
    nothing."""
    system: str | None = None
    """The system that a rollback went back to. It should run then, whatever the flake builds."""
    profile: str | None = None
    """The generation that the profile should name then; None: the same."""
    ran: bool = False
    """That system and its agent are known to have run before."""


def expectation(
    host: Host, facts: Facts | None, latest: Latest, version: str | None = None
) -> Expectation:
    """What a host should have; `latest` is None where no repository answered, and `version` what
    version that commit is said to be."""
    found = facts.find_input(host.input) if facts else None
    source = found.source if found else None
    return Expectation(
        input=host.input,
        latest=commit_of(latest) or (source.pinned if source else None),
        not_known=latest if isinstance(latest, NotKnown) else None,
        latest_known=source is None or source.has_latest,
        version=version,
    )


def named_latest(rev: str, expect: Expectation) -> str:
    """The commit that the repository names, as a sentence has it: `9f2c1ab`, `9f2c1ab (2.3.0)`."""
    return f"{rev[:7]} ({expect.version})" if expect.version else rev[:7]


def expect_locked(expect: Expectation, facts: Facts | None) -> Expectation:
    """The same for a host whose flake.lock was to stay as it is: its commit is what counts."""
    rev = facts.lock_rev(expect.input) if facts else None
    return msgspec.structs.replace(
        expect,
        as_locked=True,
        latest=rev,
        newest=expect.latest,
        not_known=None,
        latest_known=rev is not None or expect.latest_known,
    )


def find_job(facts: Facts) -> Finding | None:
    """The job that is changing the host: nothing can be explained before it ends.

    It is not a rule of `find_cause`, because `find_cause` judges that job when it ends.
    """
    if facts.job_running is None:
        return None
    why = f"job {facts.job_running} is running"
    return finding("job-running", why, ("attach",))


def find_cause(facts: Facts | None, expect: Expectation, gaps: Gaps = AT_HAND) -> Finding:
    """The first cause, with the cheapest cure that is enough."""
    found = first_cause(facts, expect, gaps)
    if facts is None:
        return found
    advice, remedies = cheapest(found.cause, found.advised, facts, expect)
    command = found.command
    if command == UPDATE and "restart" in remedies:
        command = RESTART
    elif command == UPDATE and "as-locked" in remedies:
        # without --force nothing is done where every link of the proof holds
        command = (*AS_LOCKED, "--force") if found.holds else AS_LOCKED
    return replace(found, advice=advice, remedies=remedies, command=command)


def first_cause(facts: Facts | None, expect: Expectation, gaps: Gaps = AT_HAND) -> Finding:
    """Walk from the process to flake.lock. The cause is the first link that is broken, or else the
    first that is not proven; `gaps` says why it is not. The cure is the cause's own.
    """
    if facts is None:
        return _unseen("the host was not looked at")
    if (stranger := _platform(facts)) is not None:
        return stranger
    if expect.system is not None:
        broken = service_fault(facts) or _process(facts) or _unseen_agent(facts, gaps)
        return broken or _rolled_back(facts, expect.system, expect.profile) or _sound(facts, expect)
    return (
        service_fault(facts)
        or _process(facts)
        or _build(facts, expect)
        or _lock(facts, expect)
        or _not_built(facts, expect)
        or _unseen_agent(facts, gaps)
        or _unseen_flake(facts, expect, gaps)
        or _remark(facts, expect)
        or _sound(facts, expect)
    )


def process_fault(facts: Facts | None) -> Finding | None:
    """Why it is not proven that the installed agent runs; what the flake builds does not matter."""
    if facts is None:
        return _unseen("the host was not looked at")
    return (
        _platform(facts) or service_fault(facts) or _process(facts) or _unseen_agent(facts, AT_HAND)
    )


def named(binary: Binary) -> str:
    """A version and the beginning of its path: versions alone can be equal."""
    name = binary.identity.removeprefix("/nix/store/")
    short = f"{name[:8]}…" if name != binary.identity else name
    return f"{binary.version} ({short})" if binary.version else short


# The platform.


def _platform(facts: Facts) -> Finding | None:
    """The host is none that could have the agent as we know it."""
    platform = platform_of(facts)
    if not isinstance(platform, Refusal):
        return None
    return Finding("preflight-platform", platform.why, platform.advice)


# The service.


def service_fault(facts: Facts) -> Finding | None:
    """Why no agent runs, or none that stays up."""
    unit = facts.unit
    if unit is None:
        return _unseen("the agent's unit could not be seen")
    if not unit.exists:
        return _no_unit(unit)
    if _loops(facts, unit):
        return Finding(
            "agent-crash-looping",
            f"the agent starts, but does not stay up: {unit.restarts} restarts, {_words(unit)}",
            f"read the end of its log: {unit.service.log_words}; nixfleet rollback brings back "
            f"the previous agent",
            ("rollback",),
            ("rollback",),
        )
    if unit.is_up:
        return _starting(unit)
    if unit.result == "start-limit-hit":
        return finding(
            "start-limit-hit",
            f"systemd refuses to start the agent because it crashed too often: its unit is "
            f"{_words(unit)}",
            UPDATE,
            more=f"; by hand: {unit.service.forgive_words}",
        )
    if not unit.has_session:
        words = REASONS["unit", "no-session"]
        return Finding("agent-down", f"the agent is not running: {words.meaning}", words.cure)
    return finding(
        "agent-down",
        f"the agent is not running: its unit is {_words(unit)}",
        UPDATE,
        more=f"; its log: {unit.service.log_words}{_at_login(unit)}",
    )


def _starting(unit: Unit) -> Finding | None:
    if not unit.waits:
        return None
    why = "the agent is starting: its process waits, as for the network, and is not yet the agent"
    return finding("agent-starting", why, more=f"; its log: {unit.service.log_words}")


def _at_login(unit: Unit) -> str:
    """What brings a Mac's agent back without us, as after a reboot: no boot starts it."""
    if unit.service.manager != "launchd" or unit.sub != "not loaded":
        return ""
    return "; launchd starts it when its user logs in at the screen, at the latest"


def _no_unit(unit: Unit) -> Finding:
    if unit.load == "masked":
        return Finding(
            "unit-masked",
            "the agent is not running: its unit is masked",
            f"{unit.service.unmask_words}, then force update",
            remedies=("update",),
        )
    why = f"the agent is not running: its unit is {unit.load or 'missing'}"
    return finding("unit-missing", why)


def _loops(facts: Facts, unit: Unit) -> bool:
    if unit.sub.startswith("auto-restart"):
        return True
    started = facts.running.started if facts.running else None
    if not unit.is_up or unit.restarts < _LOOP_RESTARTS or started is None:
        return False
    return facts.now - started < _LOOP_SECONDS


def _words(unit: Unit) -> str:
    result = unit.result if unit.result != "success" else ""
    more = ", ".join(part for part in (unit.sub, result) if part and part != unit.active)
    return f"{unit.active} ({more})" if more else unit.active


# The process.


def _process(facts: Facts) -> Finding | None:
    if facts.running is None or facts.installed is None:
        return None
    running, installed = facts.running.binary, facts.installed
    if facts.running.proof == "other":
        return Finding(
            "proof-missing",
            f"{running.path} runs as the agent, and nothing shows that it is the agent: it may be "
            f"a shell that is about to start it, or another program",
            f"{CAUSES['not-restarted'].cure}; by hand: {_restart(facts)}",
            RESTART,
            CAUSES["not-restarted"].remedies,
        )
    if installed.is_run_by(running):
        return None
    return finding(
        "not-restarted",
        f"not restarted: {named(installed)} is installed, but {named(running)} still runs",
        RESTART,
        more=f"; by hand: {_restart(facts)}",
    )


def _restart(facts: Facts) -> str:
    service = facts.unit.service if facts.unit else Service()
    if facts.loaded and facts.installed and facts.loaded != facts.installed.path:
        return service.reload_words
    return service.restart_words


# What is installed.


def _build(facts: Facts, expect: Expectation) -> Finding | None:
    """The installed agent is not what the flake builds; if that is unknown, the profile tells."""
    installed, expected = facts.installed, facts.expected
    if installed is None or expected is None:
        return waiting_system(facts)
    if expected.identity == installed.identity:
        return None
    differs = f"the flake builds {named(expected)}, but {named(installed)} is installed"
    return (
        waiting_system(facts)
        or _reset(facts, expect)
        or _elsewhere(facts)
        or _failed_job(facts, differs, ("rebuild",))
        or finding("switch-incomplete", differs, UPDATE)
    )


def _rolled_back(facts: Facts, system: str, profile: str | None) -> Finding | None:
    """Active system and profile are not both where the rollback should end."""
    now, place = facts.system, profile or system
    if (now.current, now.profile) == (system, place):
        return None
    runs = f"{now.current or 'an unknown system'} runs" if now.current != system else "that runs"
    names = now.profile or "something unknown"
    return Finding(
        "switch-incomplete",
        f"the rollback should end at {system}, but {runs}"
        if now.profile == place
        else f"the rollback should end at {system}, with {place} in the profile: {runs}, and the "
        f"profile names {names}",
        "read the log's last lines, then roll back again",
        ("rollback",),
        ("log", "rollback"),
    )


def _elsewhere(facts: Facts) -> Finding | None:
    installed, other, checkout = facts.installed, facts.other, facts.checkout
    if installed is None or other is None or checkout is None or facts.other_expected is None:
        return None
    if facts.other_expected.identity != installed.identity:
        return None
    return Finding(
        "built-elsewhere",
        f"{named(installed)} was built from {other.path}, not from {checkout.path}",
        f"force update builds from {checkout.path}; if {other.path} is the right one, "
        "set `checkout` in the inventory to it",
        UPDATE,
        ("update",),
    )


# flake.lock.


def _lock(facts: Facts, expect: Expectation) -> Finding | None:
    if facts.checkout is None:
        return None
    match input_state(facts.checkout, expect.input):
        case Absent():
            return None
        case Broken(why):
            return finding("lock-broken", why)
        case Missing() as missing:
            why = f"flake.lock has no input {expect.input}"
            return Finding("input-missing", why, missing.cure)
        case Follows(found) | Pinned(found) | Tracked(found) as state:
            rev, latest = found.rev, expect.latest
            if not expect.latest_known or rev is None or latest is None or rev == latest:
                return None
            newest = named_latest(latest, expect)
            behind = f"flake.lock has {expect.input} at {rev[:7]}, latest is {newest}"
            if isinstance(state, Follows):
                return Finding("follows", f"{behind}: {state.why}", state.cure)
            return _behind(facts, facts.checkout, behind, expect)


def _behind(facts: Facts, checkout: Checkout, behind: str, expect: Expectation) -> Finding:
    """flake.lock is not at the latest commit: what kept it from moving?"""
    return (
        _reset(facts, expect)
        or _stale_fetch(facts, behind, expect.latest or "")
        or _wrong_branch(checkout, behind)
        or _failed_job(facts, behind, ("preflight", "pull", "update"))
        or _nixcfg_behind(checkout, behind)
        or finding("lock-behind", behind, UPDATE)
    )


def _reset(facts: Facts, expect: Expectation) -> Finding | None:
    job, rev = facts.last_job, facts.lock_rev(expect.input)
    if job is None or job.outcome != "done" or job.latest is None or facts.checkout is None:
        return None
    if _other_checkout(job.checkout, facts):
        return None  # that job has moved another flake.lock
    if rev is None or rev in (job.latest, expect.latest):
        return None
    return finding(
        "lock-reset",
        f"the last job moved flake.lock to {job.latest[:7]}, but it is at {rev[:7]} again: "
        f"{facts.checkout.path} was reset",
        UPDATE,
    )


def _stale_fetch(facts: Facts, behind: str, latest: str) -> Finding | None:
    job = facts.last_job
    if job is None or (job.failed, job.reason) != ("update", "stale"):
        return None
    return finding(
        "stale-fetch",
        f"{behind}: in the last job nix could not fetch the new commit and kept the old one"
        f"{_other_checkout(job.checkout, facts)}",
        ("update", "--input-rev", latest),
    )


def _failed_job(facts: Facts, what: str, steps: tuple[str, ...]) -> Finding | None:
    job = facts.last_job
    if job is None or job.failed not in steps:
        return None
    return finding(
        "job-failed",
        f"{what}: the last job failed in the step {job.failed} with code {job.rc}"
        f"{_other_checkout(job.checkout, facts)}",
        ("log",),
    )


def _other_checkout(path: str | None, facts: Facts) -> str:
    """What rests on another checkout than the configured one says so; empty if it is this one."""
    if not path or facts.checkout is None or path == facts.checkout.path:
        return ""
    return f"; that was in {path}, not in {facts.checkout.path}"


def _wrong_branch(checkout: Checkout, behind: str) -> Finding | None:
    default, branch = checkout.default_branch, checkout.branch
    if default and branch != default:
        where = f"the branch {branch}" if branch else "no branch"
        switch = ("git", "-C", checkout.path, "switch", default)
        return Finding(
            "wrong-branch",
            f"{behind}: {checkout.path} is on {where}, not on {default}",
            f"on the host: {shlex.join(switch)}, then force update",
            remedies=("update",),
        )
    return None


def _nixcfg_behind(checkout: Checkout, behind: str) -> Finding | None:
    if not checkout.behind and checkout.incoming is None:
        return None
    commits = f"{_commits(checkout.behind)} " if checkout.behind else ""
    where = f"{checkout.path} is {commits}behind {checkout.upstream or 'its upstream'}"
    if checkout.ahead:
        return Finding(
            "nixcfg-behind",
            f"{behind}: {where}, and has commits that upstream lacks",
            f"{CAUSES['diverged'].cure}, then force update",
            remedies=("update",),
        )
    return finding("nixcfg-behind", f"{behind}: {where}", UPDATE)


def _commits(number: int) -> str:
    return "1 commit" if number == 1 else f"{number} commits"


def _not_built(facts: Facts, expect: Expectation) -> Finding | None:
    """A proof names the commit from which the active system was built, and flake.lock another."""
    rev = facts.lock_rev(expect.input)
    if facts.expected is not None or rev is None or facts.checkout is None:
        return None
    built = next((p for p in facts.proofs if _has_built(p, facts, expect.input)), None)
    if built is None or built.commit == rev:
        return None
    return finding(
        "lock-not-built",
        f"flake.lock has {expect.input} at {rev[:7]}, but the active system was built with "
        f"{built.commit[:7]}{_other_checkout(built.checkout, facts)}",
        UPDATE,
    )


def _has_built(proof: Proven, facts: Facts, flake_input: str) -> bool:
    """Whether the proof says with which commit the active system was built."""
    return (
        bool(proof.commit)
        and proof.input == flake_input
        and proof.system == facts.system.current
        and proof.installs_what_it_builds
    )


# What could not be seen.


def _unseen_agent(facts: Facts, gaps: Gaps) -> Finding | None:
    if facts.running is None:
        return _unseen("the program that the agent's process runs could not be seen")
    if facts.installed is None:
        return _unseen("the installed agent could not be seen")
    if facts.running.proof == "claimed":
        found = _unseen(gaps.process)
        return replace(found, advice=gaps.advice or found.advice)
    return None


def _unseen_flake(facts: Facts, expect: Expectation, gaps: Gaps) -> Finding | None:
    if facts.expected is None:
        if facts.checkout is None or facts.checkout.state != "ok":
            return _unseen_lock(facts.checkout, expect.input)
        return Finding("proof-missing", gaps.flake, gaps.advice or _TRY, ("verify",), ("verify",))
    if not expect.latest_known:
        return None  # such an input may have no commit; the flake does evaluate
    rev = facts.lock_rev(expect.input)
    if rev is None:
        return _unseen_lock(facts.checkout, expect.input)
    if expect.latest is None and expect.not_known is not None:
        why = f"flake.lock is at {rev[:7]}; {expect.not_known.why}"
        return Finding("latest-unknown", why, expect.not_known.advice)
    if expect.latest is None:
        return finding(
            "latest-unknown",
            f"flake.lock is at {rev[:7]}; its repository did not say what the latest commit of "
            f"{expect.input} is",
            ("verify",),
        )
    return None


_TRY: Final = "try on the host: nix eval …config.systemd.services.nixfleet-agent.serviceConfig"


def _unseen_lock(checkout: Checkout | None, flake_input: str) -> Finding:
    if checkout is None:
        return _unseen("the checkout could not be seen")
    if checkout.state in ("missing", "not-git"):
        why = f"the checkout {checkout.path} is {checkout.state}"
        return Finding("proof-missing", why, "set `checkout` in the inventory")
    if checkout.state != "ok":
        return _unseen(f"the checkout {checkout.path} is {checkout.state}")
    if checkout.lock is None:
        return _unseen("there is no flake.lock in the checkout")
    return _unseen(f"flake.lock names no commit for the input {flake_input}")


def _unseen(what: str) -> Finding:
    return finding("proof-missing", what, ("verify",))


# All links hold.


def _remark(facts: Facts, expect: Expectation) -> Finding | None:
    """What an operator should know of a host where every link holds."""
    return (
        _same_derivation(facts, expect)
        or _pinned(facts, expect)
        or _not_pushed(facts, expect)
        or _other_system(facts, expect)
    )


def _seen(facts: Facts, expect: Expectation) -> str:
    name = named(facts.running.binary) if facts.running else "the agent"
    if expect.system is not None:
        return f"proven: {name} runs and is installed"
    return f"proven: {name} runs, is installed, and is what the flake builds"


def _sound(facts: Facts, expect: Expectation) -> Finding:
    return Finding("current", _seen(facts, expect), holds=True)


def _same_derivation(facts: Facts, expect: Expectation) -> Finding | None:
    """The program was on the host before the commit was made, and the commit builds it too."""
    found = facts.find_input(expect.input)
    known = [facts.installed_at, facts.running.started if facts.running else None]
    times = [time for time in known if time is not None]
    if facts.expected is None or found is None or found.rev is None or not times:
        return None
    if found.last_modified is None or min(times) + SKEW >= found.last_modified:
        return None
    return finding(
        "same-derivation",
        f"{_seen(facts, expect)}; the commit {found.rev[:7]} is newer, and builds the same path",
        holds=True,
    )


def _pinned(facts: Facts, expect: Expectation) -> Finding | None:
    state = input_state(facts.checkout, expect.input) if facts.checkout else None
    if not isinstance(state, Pinned) or state.found.rev != state.commit:
        return None
    return Finding(
        "pinned",
        f"{_seen(facts, expect)}; flake.nix pins {expect.input} to {state.commit[:7]}, so no "
        f"update moves it",
        f"to move it, take the rev out of inputs.{expect.input} in flake.nix",
        holds=True,
    )


def _not_pushed(facts: Facts, expect: Expectation) -> Finding | None:
    checkout = facts.checkout
    if checkout is None or checkout.lock is None:
        return None
    head = checkout.head_lock.find(expect.input) if checkout.head_lock else None
    seen, undone = _seen(facts, expect), f"in {checkout.path}: the agent's next pull undoes it"
    if head is not None and head.rev != facts.lock_rev(expect.input):
        why = f"{seen}; but flake.lock is not committed {undone}"
        return finding("lock-not-pushed", why, COMMIT, holds=True)
    if not checkout.ahead:
        return None
    push = shlex.join(("git", "-C", checkout.path, "push"))
    return Finding(
        "lock-not-pushed",
        f"{seen}; but HEAD has {_commits(checkout.ahead)} not pushed {undone}",
        f"push them on the host, as the checkout's owner: {push}",
        holds=True,
    )


def _other_system(facts: Facts, expect: Expectation) -> Finding | None:
    found = waiting_system(facts) or other_system(facts)
    if found is None:
        return None
    return replace(found, sentence=f"{_seen(facts, expect)}; {found.sentence}", holds=True)
