"""The verdict: did the host end up with the agent it should have? The only place that judges.

Exit codes are not believed in either direction. What counts is what was seen: the path that the
flake builds, the path that the unit names, the path that the process runs, and the commit in
flake.lock compared with the one that the input's repository names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from nixfleet_core.facts.checkouts import disagreement
from nixfleet_core.facts.model import Snapshot
from nixfleet_core.facts.package_changes import Change, with_agent
from nixfleet_core.job.outcome import Kind, Outcome
from nixfleet_core.judge.causes import find_cause, named
from nixfleet_core.judge.lock_sharing import lock_notes, share_failure
from nixfleet_core.plan.refusals import HIDDEN_INPUT, HIDDEN_INPUT_CURE, refusal_words

if TYPE_CHECKING:
    from nixfleet_core.facts.model import Facts
    from nixfleet_core.judge.causes import Expectation, Finding

EXIT_CODES: Final[dict[Kind, int]] = {
    "updated": 0,
    "current": 0,
    "failed": 1,
    "interrupted": 1,
    "agent-down": 1,
    "stale": 3,
    "partial": 4,
    "unreachable": 5,
    "cancelled": 7,
    "rolled-back": 8,
}
EXIT_USAGE: Final = 2
EXIT_BUSY: Final = 6
EXIT_DETACHED: Final = 9

EXIT_ORDER: Final = (2, 1, 3, 8, 4, 5, 6, 7, 9)
"""For several hosts: the first of these that occurred."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """`cause` is a token from a closed list ("" when all is well); `sentence` is for people."""

    kind: Kind
    cause: str = ""
    sentence: str
    advice: str = ""
    before: Snapshot = Snapshot()
    after: Snapshot = Snapshot()
    notes: tuple[str, ...] = ()
    """What else to know; the first sentence of each says it all."""
    changes: tuple[Change, ...] = ()
    """The packages that differ between the system before and after, the agent first."""

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.kind]


def worst_exit(codes: list[int]) -> int:
    """The exit code for several hosts."""
    return next((code for code in EXIT_ORDER if code in codes), 0)


def snapshot(facts: Facts | None, flake_input: str) -> Snapshot:
    """One side of the comparison."""
    if facts is None:
        return Snapshot()
    binary = facts.running.binary if facts.running else None
    return Snapshot(
        version=binary.version if binary else None,
        commit=facts.lock_rev(flake_input),
        store_path=binary.identity if binary else None,
        sha256=binary.sha256 if binary else None,
        system=facts.system.current,
        generation=facts.system.generation,
    )


def judge(
    before: Facts | None,
    after: Facts | None,
    expect: Expectation,
    outcome: Outcome | None,
    changes: tuple[Change, ...] = (),
) -> Verdict:
    """Judge a host from what was seen of it; `outcome` is None when nothing was run. `changes` is
    what Nix says of the systems before and after.
    """
    found = find_cause(after, expect)
    kind, cause, sentence, advice = _decide(before, after, found, outcome)
    if kind == "current" and found.cause != "same-derivation":
        sentence += _same_path(before, after, expect.input)
    unshared = share_failure(outcome) if outcome and kind in ("updated", "current") else None
    if unshared is not None:
        cause, why, advice = unshared
        sentence = f"{sentence}; but {why}"
    if kind in _PROVEN:
        if not expect.latest_known:
            sentence += f"; what is the latest {expect.input} is not known"
        sentence += _AGENT_WORDS.get(outcome.agent_says, "") if outcome else ""
    old = snapshot(before, expect.input)
    new = snapshot(before if after is None else after, expect.input)
    return Verdict(
        kind=kind,
        cause=cause,
        sentence=sentence,
        advice=advice,
        before=old,
        after=new,
        notes=_notes(kind, after, expect, outcome),
        changes=with_agent(changes, old, new),
    )


_PROVEN: Final[frozenset[Kind]] = frozenset({"updated", "current", "partial", "rolled-back"})

_AGENT_WORDS: Final[dict[str | None, str]] = {
    "ok": "; its own --check agrees",
    "failed": "; but its own --check fails, as the log shows",
    "timeout": "; but its own --check did not end in time",
}
"""A note beside the proof, which does not need it."""


def _notes(
    kind: Kind, after: Facts | None, expect: Expectation, outcome: Outcome | None
) -> tuple[str, ...]:
    differs = disagreement(after, expect.input) if after else None
    notes = [*lock_notes(kind, after, outcome, expect.input)]
    if differs is not None:
        notes.append(differs)
    if kind in _PROVEN and after and after.running and after.running.proof == "script":
        notes.append(_SCRIPT_NOTE)
    if outcome is not None and outcome.went_over:
        notes.append(_WENT_OVER_NOTE)
    return tuple(notes)


_SCRIPT_NOTE: Final = (
    "The agent is a script, so its proof is weaker. The kernel says which interpreter runs; which "
    "script, only the command line does, and a process can rewrite that"
)

_WENT_OVER_NOTE: Final = (
    "Another rebuild still ran when the wait for it was over, and the forced update went on. "
    "The log names its process"
)


_Decision = tuple[Kind, str, str, str]


def _decide(
    before: Facts | None, after: Facts | None, found: Finding, outcome: Outcome | None
) -> _Decision:
    gap = None if found.holds else found
    if outcome is not None and outcome.reason == "unstable" and not outcome.rolled_back:
        return (
            "agent-down",
            "agent-unstable",
            "the agent starts, but does not stay up",
            "read its last words at the end of the log; nixfleet rollback brings the old one back",
        )
    if gap is not None and gap.down:
        why = f" after {_step_words(outcome)}" if outcome and outcome.kind != "done" else ""
        return "agent-down", gap.cause, f"{gap.sentence}{why}", gap.advice
    if outcome is not None and outcome.rolled_back:
        return _decide_rolled_back(after, gap, outcome)
    if outcome is None or outcome.kind == "done":
        return _decide_done(before, after, found, ran=outcome is not None)
    if outcome.kind == "cancelled":
        return (
            "cancelled",
            "cancelled",
            f"cancelled; {_agent_words(after)}",
            "force update starts anew",
        )
    if outcome.kind == "interrupted":
        step = outcome.failed_step or "start"
        return (
            "interrupted",
            "killed",
            f"the job was killed in the step {step}; {_agent_words(after)}",
            "force update starts anew",
        )
    return _decide_failed(before, after, gap, outcome)


def _decide_done(
    before: Facts | None, after: Facts | None, found: Finding, *, ran: bool
) -> _Decision:
    if not found.holds:
        return "stale", found.cause, found.sentence, found.advice
    version = after.running.binary if after and after.running else None
    name = named(version) if version else "the agent"
    if ran and _changed(before, after):
        was = before.running.binary if before and before.running else None
        if was is not None and version is not None and was.identity == version.identity:
            return "updated", "", f"the system is new; the agent was already {name}", ""
        old = f", it was {named(was)}" if was else ""
        return "updated", "", f"proven: the agent that runs is {name}{old}", ""
    return "current", "", found.sentence, ""


def _same_path(before: Facts | None, after: Facts | None, flake_input: str) -> str:
    """What is new although nothing is: a commit that builds what runs already."""
    was = before.lock_rev(flake_input) if before else None
    now = after.lock_rev(flake_input) if after else None
    if None in (was, now) or was == now:
        return ""
    return f"; the new commit {(now or '')[:7]} builds the same path"


def _decide_rolled_back(after: Facts | None, gap: Finding | None, outcome: Outcome) -> _Decision:
    if gap is not None:
        return "stale", gap.cause, gap.sentence, gap.advice
    name = named(after.running.binary) if after and after.running else "the agent before"
    match outcome.reason:
        case "unconfirmed":
            why = "nobody reached the host after the switch: "
            advice = "look at what the switch did to its network before the next update"
        case "unstable" | "down":
            why = "the new agent did not stay up: "
            advice = "the log shows its last words; the lock is as it was before"
        case "interrupted":
            why, advice = "the job was killed: ", "force update starts anew"
        case _:
            why, advice = "", "the next update brings the newer generation again"
    cause = _ROLLBACK_CAUSES.get(outcome.reason, "")
    return "rolled-back", cause, f"{why}rolled back, and proven: {name} runs again", advice


_ROLLBACK_CAUSES: Final = {
    "unconfirmed": "unconfirmed",
    "unstable": "agent-unstable",
    "down": "agent-unstable",
    "interrupted": "killed",
}


def _changed(before: Facts | None, after: Facts | None) -> bool:
    if before is None or after is None or before.running is None:
        return True
    was, now = before.running.binary.identity, after.running and after.running.binary.identity
    return was != now or before.system.current != after.system.current


def _decide_failed(
    before: Facts | None, after: Facts | None, gap: Finding | None, outcome: Outcome
) -> _Decision:
    step, failure = outcome.failed_step, outcome.failure
    if step == "preflight":
        sentence, advice = _preflight_words(outcome)
        if failure is not None:
            advice = failure.advice
        return "failed", f"preflight-{outcome.reason or 'unknown'}", sentence, advice
    if outcome.reason == "disk-full":
        return (
            "failed",
            "disk-full",
            f"the disk was full in the step {step}; {_agent_words(after)}",
            "free some space, for example with nix-collect-garbage, and update again",
        )
    if outcome.reason == "stale":
        return (
            "stale",
            failure.cause if failure else "lock-behind",
            "nix said success, but flake.lock did not reach the latest",
            failure.advice if failure else "try again, or pin it: --input-rev REV",
        )
    if outcome.reason in _REASONS:
        sentence, advice = _REASONS[outcome.reason]
        return "failed", outcome.reason, f"{sentence}; {_agent_words(after)}", advice
    if step == "rebuild" and before is not None and after is not None:
        switched = _decide_switch(before, after, gap, outcome)
        if switched is not None:
            return switched
    sentence = f"{_step_words(outcome)}; {_agent_words(after)}"
    advice = failure.advice if failure else "the log's last lines say more (e: next error)"
    return "failed", failure.cause if failure else f"{step}-failed", sentence, advice


_REASONS: Final = {
    "not-reproduced": (
        "the agent in the store is not what its source builds here",
        "find out whether it was replaced or no two builds are the same; levels below 6 go on",
    ),
    "damaged": (
        "the agent's files are damaged and could not be repaired",
        "as root on the host: nix-store --repair-path; the log names the path and says why",
    ),
    "no-derivation": (
        "the configuration does not say which derivation the agent is",
        "use a force level below 6",
    ),
    "credentials": (HIDDEN_INPUT, HIDDEN_INPUT_CURE),
}
"""What the steps before the rebuild found, by the runner's token: what is wrong, and advice."""


def _agent_words(after: Facts | None) -> str:
    """What the end of a job that did not work says of the agent: only what was seen."""
    if after is not None and after.unit is not None and after.unit.is_up:
        return "the agent runs"
    return "whether the agent runs was not seen"


def _decide_switch(
    before: Facts, after: Facts, gap: Finding | None, outcome: Outcome
) -> _Decision | None:
    """A rebuild that failed after the profile had moved; None if it did not get that far.

    The exit codes are those of switch-to-configuration, but the bash nixos-rebuild makes 1 of all
    of them: what counts is where the profile and the running system are.
    """
    profile, current = after.system.profile, after.system.current
    if profile is None or profile == before.system.profile:
        return None
    if current != profile:
        if outcome.rc == 100:
            return (
                "stale",
                "reboot-pending",
                "the new system needs a reboot: it is installed, the old one still runs",
                "reboot the host when it suits you, then verify",
            )
        return (
            "failed",
            "switch-incomplete",
            f"the switch ended with code {outcome.rc}: the profile is new, the old system runs",
            "read the log's last lines, then force update again",
        )
    if gap is not None:
        return (
            "failed",
            "switch-incomplete",
            f"the switch ended with code {outcome.rc}: the profile is new, but {gap.sentence}",
            "read the log's last lines, then force update again",
        )
    if outcome.units or outcome.rc == 4:
        names = ", ".join(outcome.units[:5]) or "see the log"
        return (
            "partial",
            "units-failed",
            f"the new agent runs, but the switch left failed units: {names}",
            "look at them with systemctl status; the agent itself is proven",
        )
    return (
        "partial",
        "switch-failed",
        f"the new agent runs, but the switch ended with code {outcome.rc}",
        "read the log's last lines: a part of the activation failed",
    )


def _step_words(outcome: Outcome) -> str:
    if outcome.kind == "cancelled":
        return "the job was cancelled"
    if outcome.rc in (124, 137) and outcome.kind == "failed":
        return f"the step {outcome.failed_step} took too long and was ended"
    return f"the step {outcome.failed_step} failed with code {outcome.rc}"


def _preflight_words(outcome: Outcome) -> tuple[str, str]:
    why, advice = refusal_words(outcome.reason, outcome.detail)
    return f"refused before anything was touched: {why}", advice


def unreachable(why: str, advice: str, cause: str = "unreachable") -> Verdict:
    """The verdict on a host that did not answer, or not with what can be used."""
    return Verdict(kind="unreachable", cause=cause, sentence=why, advice=advice)


def refused(check: str, why: str, advice: str, before: Snapshot) -> Verdict:
    """The verdict on a host that the plan already leaves alone."""
    return Verdict(
        kind="failed",
        cause=f"preflight-{check}",
        sentence=f"refused before anything was touched: {why}",
        advice=advice,
        before=before,
        after=before,
    )


def no_elevation(why: str, user: str) -> Verdict:
    """The verdict on a host where we cannot become root; `user` logs in there."""
    return Verdict(
        kind="failed",
        cause="preflight-elevation",
        sentence=f"refused before anything was touched: {why}",
        advice="log in as root, give sudo's password at a terminal, or allow sudo without one: "
        f'security.sudo.extraRules = [ {{ users = [ "{user}" ]; commands = [ {{ command = "ALL"; '
        'options = [ "NOPASSWD" ]; } ]; } ];',
    )


def not_launched(why: str) -> Verdict:
    """The verdict on a host that could not start the job."""
    return Verdict(
        kind="failed",
        cause="launch-failed",
        sentence=f"the host could not start the job: {why}",
        advice="nothing was touched; look at the host's journal",
    )
