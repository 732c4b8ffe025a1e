"""The verdict: did the host end up with the agent it should have? The only place that judges.

Exit codes are not believed in either direction. Only facts count: the path that the flake builds,
the path that the unit names, the path that the process runs, and the commit in flake.lock against
the one that the input's repository names.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from nixfleet_core.facts.checkouts import disagreement, uncommitted_inputs
from nixfleet_core.facts.model import Snapshot
from nixfleet_core.facts.package_changes import Change, with_agent
from nixfleet_core.job.outcome import KILLED_BY, TOO_LONG, Kind, Outcome
from nixfleet_core.judge.active_system import waits_for_boot
from nixfleet_core.judge.causes import (
    UNSEEN,
    find_job,
    first_cause,
    named,
    named_latest,
    process_fault,
)
from nixfleet_core.judge.cures import cheapest
from nixfleet_core.judge.debt import debt_notes, restart_debt
from nixfleet_core.judge.exit_codes import EXIT_CODES
from nixfleet_core.judge.left_behind import Left
from nixfleet_core.judge.lock_sharing import lock_notes, share_failure
from nixfleet_core.judge.running_commit import RunningCommit, running_commit
from nixfleet_core.plan.refusals import refusal_cause, refusal_words
from nixfleet_core.vocabulary import (
    CAUSES,
    CHECK_CAUSES,
    STEP_CAUSES,
    STEP_REASONS,
    Advice,
    Cause,
    Remedy,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nixfleet_core.facts.model import Facts
    from nixfleet_core.judge.causes import Expectation
    from nixfleet_core.judge.finding import Finding
    from nixfleet_core.vocabulary import CheckId, NoAnswer


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """`cause` is "" when all is well; `sentence` is for people."""

    kind: Kind
    cause: Cause | Literal[""] = ""
    sentence: str
    advice: str = ""
    remedies: tuple[Remedy, ...] = ()
    """What of the advice can be done at once."""
    before: Snapshot = Snapshot()
    after: Snapshot = Snapshot()
    """Empty if a job ran and nobody looked after it."""
    notes: tuple[str, ...] = ()
    """What else to know; the first sentence of each is enough by itself."""
    left: tuple[Left, ...] = ()
    """What a job left behind that did not come to its end."""
    changes: tuple[Change, ...] = ()
    """The packages that differ between the system before and after, the agent first."""
    running_commit: RunningCommit | None = None
    """What the agent that runs in the end was built from, if that is proven."""

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.kind]


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
    """Judge a host from the facts; `outcome` is None when nothing was run. `changes` are the
    packages by which Nix says the systems before and after differ.
    """
    # while another job changes the host, no cause can be cured
    busy = find_job(after) if outcome is None and after is not None else None
    found = busy or first_cause(_with_commit(after, outcome), expect)
    kind, cause, sentence, (advice, remedies) = _decide(
        before, after, found, outcome, ran=expect.ran
    )
    if kind == "current" and found.cause != "same-derivation":
        sentence += _same_path(before, after, expect.input)
    if outcome is not None and outcome.goal == "commit" and outcome.kind == "done":
        kind, cause, sentence, (advice, remedies) = _decide_commit(
            outcome, (kind, cause, sentence, Advice(advice, remedies))
        )
    if outcome is not None and outcome.goal == "restart" and outcome.kind == "done":
        kind, cause, sentence, (advice, remedies) = _decide_restart(before, after, found)
    unshared = share_failure(outcome) if outcome and kind in ("updated", "current") else None
    if unshared is not None:
        cause, why, (advice, remedies) = unshared
        sentence = f"{sentence}; but {why}"
    seen = _seen_last(kind, before, after, outcome)
    if cause and seen is not None:
        advice, remedies = cheapest(cause, Advice(advice, remedies), seen, expect)
    if kind in _PROVEN:
        if not expect.latest_known and kind != "restarted":
            sentence += f"; the latest commit of {expect.input} {_unknown_latest(outcome)}"
        sentence += _AGENT_WORDS.get(outcome.agent_says, "") if outcome else ""
    old, new = snapshot(before, expect.input), snapshot(after, expect.input)
    return Verdict(
        kind=kind,
        cause=cause,
        sentence=sentence,
        advice=advice,
        remedies=remedies,
        before=old,
        after=new,
        notes=_notes(kind, before, after, expect, outcome),
        changes=with_agent(changes, old, new),
        running_commit=running_commit(after, expect.input) if after is not None else None,
    )


def _seen_last(
    kind: Kind, before: Facts | None, after: Facts | None, outcome: Outcome | None
) -> Facts | None:
    """What a cheaper cure can rest on; None if nothing says that one is enough."""
    if outcome is None:
        return after
    if outcome.goal not in ("update", "restart") or kind == "agent-down":
        return None  # each job starts the agent: another start is no cure
    return before if outcome.failed_step == "preflight" else after


def _unknown_latest(outcome: Outcome | None) -> str:
    if outcome is not None and outcome.git_refused:
        return "could not be asked: its repository refuses git, and only Nix may fetch it"
    return "is not known"


_PROVEN: Final[frozenset[Kind]] = frozenset(
    {"updated", "current", "partial", "rolled-back", "restarted"}
)

_AGENT_WORDS: Final[dict[str | None, str]] = {
    "ok": "; its own --check agrees",
    "failed": "; but its own --check fails",
    "timeout": "; but its own --check did not end in time",
}
"""What the agent's own check adds to the proof, which does not depend on it."""


def _notes(
    kind: Kind,
    before: Facts | None,
    after: Facts | None,
    expect: Expectation,
    outcome: Outcome | None,
) -> tuple[str, ...]:
    differs = disagreement(after, expect.input) if after else None
    notes = [*_as_locked_notes(kind, expect), *lock_notes(kind, after, outcome, expect.input)]
    if differs is not None:
        notes.append(differs)
    if kind in _PROVEN and after and after.running and after.running.proof == "script":
        notes.append(_SCRIPT_NOTE)
    if outcome is not None and outcome.agent_words:
        notes.append(f"The agent's own --check said: {outcome.agent_words}")
    if outcome is not None and outcome.went_over:
        notes.append(_WENT_OVER_NOTE)
    if outcome is not None and outcome.slept:
        minutes = -(-outcome.slept // 60)
        notes.append(
            f"The host slept for {minutes} min during the job. Time limits do not count that"
        )
    notes.extend(_left_specialisation(before, after))
    if after is not None and after.old_units is not None:
        notes.extend(debt_notes(restart_debt(after.old_units)))
    return tuple(notes)


def _as_locked_notes(kind: Kind, expect: Expectation) -> Iterator[str]:
    """That flake.lock was to stay as it is, where its repository has another commit."""
    if not expect.as_locked or kind not in ("updated", "current", "partial"):
        return
    if expect.latest is None or expect.newest == expect.latest:
        return
    stays = f"flake.lock stays at {expect.latest[:7]}, as asked"
    if expect.newest is None:
        yield f"{stays}: whether {expect.input} has a newer commit is not known"
        return
    yield (
        f"{stays}: the latest commit of {expect.input} is {named_latest(expect.newest, expect)}. "
        "nixfleet update HOST --force moves it"
    )


def _left_specialisation(before: Facts | None, after: Facts | None) -> Iterator[str]:
    """The host ran a specialisation before, and runs none any more."""
    if before is None or after is None or before.system.current == after.system.current:
        return
    name = before.system.specialisation
    if name and not after.system.specialisation:
        yield f"The host has left its specialisation {name}"


_SCRIPT_NOTE: Final = (
    "The agent is a script, so its proof is weaker. The kernel says which interpreter runs, but "
    "only the command line says which script, and a process can rewrite its command line"
)

_WENT_OVER_NOTE: Final = (
    "Another rebuild still ran after the longest wait for it, and the forced update went on. "
    "The log names its process"
)


_Decision = tuple[Kind, Cause | Literal[""], str, Advice]

_NOTHING_TO_DO: Final = Advice("")


def _decide(
    before: Facts | None,
    after: Facts | None,
    found: Finding,
    outcome: Outcome | None,
    *,
    ran: bool,
) -> _Decision:
    gap = None if found.holds else found
    if outcome is not None and outcome.reason == "unstable" and not outcome.rolled_back:
        words = CAUSES["agent-unstable"]
        advice = Advice(
            f"{words.cure}; nixfleet rollback brings back the old one",
            (*words.remedies, "rollback"),
        )
        return "agent-down", "agent-unstable", f"{words.meaning}{_back_words(outcome)}", advice
    if gap is not None and gap.down:
        why = f" after {_step_words(outcome)}" if outcome and outcome.kind != "done" else ""
        why += _back_words(outcome)
        return "agent-down", gap.cause, f"{gap.sentence}{why}", gap.advised
    if outcome is not None and outcome.rolled_back:
        return _decide_rolled_back(before, after, gap, outcome, ran=ran)
    if outcome is None or outcome.kind == "done":
        return _decide_done(before, after, found, ran=outcome is not None)
    if outcome.kind == "cancelled":
        advice = _anew("cancelled", outcome)
        return "cancelled", "cancelled", f"cancelled; {_agent_words(after)}", advice
    if outcome.kind == "interrupted":
        step = outcome.failed_step or "start"
        cure, remedies = _anew("killed", outcome)
        return (
            "interrupted",
            "killed",
            f"{CAUSES['killed'].meaning} in the step {step}; {_agent_words(after)}",
            Advice(cure + (_after_reboot(before) if after is None else ""), remedies),
        )
    return _decide_failed(before, after, gap, outcome)


def _anew(cause: Cause, outcome: Outcome) -> Advice:
    """What takes up a job again that was broken off."""
    if outcome.goal == "restart":
        return Advice("nixfleet restart starts anew", ("restart",))
    return CAUSES[cause].advice


def _back_words(outcome: Outcome | None) -> str:
    return "; going back failed, too" if outcome and outcome.back_failed else ""


def _decide_done(
    before: Facts | None, after: Facts | None, found: Finding, *, ran: bool
) -> _Decision:
    if not found.holds:
        return "stale", found.cause, found.sentence, found.advised
    version = after.running.binary if after and after.running else None
    name = named(version) if version else "the agent"
    if ran and _changed(before, after):
        was = before.running.binary if before and before.running else None
        if was is not None and version is not None and was.identity == version.identity:
            return "updated", "", f"the system is new; the agent was already {name}", _NOTHING_TO_DO
        old = f", it was {named(was)}" if was else ""
        return "updated", "", f"proven: the agent that runs is {name}{old}", _NOTHING_TO_DO
    return "current", "", found.sentence, _NOTHING_TO_DO


def _with_commit(after: Facts | None, outcome: Outcome | None) -> Facts | None:
    """The look of the proof, with the commit that the job has made after it. A note says whether it
    is pushed."""
    if after is None or after.checkout is None or outcome is None or not outcome.committed:
        return after
    return replace(after, checkout=replace(after.checkout, head_lock=None))


def _decide_commit(outcome: Outcome, proof: _Decision) -> _Decision:
    """A job that was to commit flake.lock, by the verdict on its proof."""
    kind, cause, sentence, advice = proof
    if outcome.committed:
        return kind, cause, f"flake.lock is committed; {sentence}", advice
    sentence = f"flake.lock is not committed: {sentence}"
    if kind != "current":
        return kind, cause, sentence, advice
    return "failed", "commit-failed", sentence, CAUSES["commit-failed"].advice


def _decide_restart(before: Facts | None, after: Facts | None, found: Finding) -> _Decision:
    """A job that was to restart the agent: the installed one runs now, in another process. `found`
    is what else a restart does not cure."""
    fault = process_fault(after)
    if fault is not None or after is None or after.running is None:
        fault = fault or found
        kind: Kind = "agent-down" if fault.down else "stale"
        return kind, fault.cause, fault.sentence, fault.advised
    if _is_same_process(before, after):
        why = "not restarted: the same process still runs"
        return "failed", "restart-failed", why, CAUSES["restart-failed"].advice
    now = after.running.binary
    was = before.running.binary if before and before.running else None
    old = f", it was {named(was)}" if was and was.identity != now.identity else ""
    sentence = f"restarted, and proven: the agent that runs is {named(now)}{old}"
    if found.holds:
        return "restarted", "", sentence, _NOTHING_TO_DO
    if found.cause in UNSEEN:
        sentence += "; whether it is the latest is not proven"
        return "restarted", "", sentence, found.advised
    return "restarted", found.cause, f"{sentence}; but {found.sentence}", found.advised


def _is_same_process(before: Facts | None, after: Facts) -> bool:
    if before is None or before.unit is None or before.running is None or after.unit is None:
        return False
    if before.unit.waits:
        return False  # what waits, as for the network, becomes the agent
    return (before.unit.pid, before.unit.began) == (after.unit.pid, after.unit.began)


def _same_path(before: Facts | None, after: Facts | None, flake_input: str) -> str:
    """The one thing that is new: a commit that builds what runs already."""
    was = before.lock_rev(flake_input) if before else None
    now = after.lock_rev(flake_input) if after else None
    if None in (was, now) or was == now:
        return ""
    return f"; the new commit {(now or '')[:7]} builds the same path"


def _decide_rolled_back(
    before: Facts | None,
    after: Facts | None,
    gap: Finding | None,
    outcome: Outcome,
    *,
    ran: bool,
) -> _Decision:
    """`ran`: the agent is known to have run before; the agent that ran before the job is, too."""
    if gap is not None:
        return "stale", gap.cause, gap.sentence, gap.advised
    now = after.running.binary if after and after.running else None
    was = before.running.binary if before and before.running else None
    seen = before is not None and before.running is not None and before.running.proof != "claimed"
    ran = ran or (seen and now is not None and was is not None and was.identity == now.identity)
    runs = "runs again" if ran else "runs; it is not known to have run before"
    proven = f"rolled back, and proven: {named(now) if now else 'the agent before'} {runs}"
    cause = ROLLBACK_REASONS.get(outcome.reason)
    if cause is None:
        return (
            "rolled-back",
            "",
            proven,
            Advice("the next update brings the newer generation again"),
        )
    return "rolled-back", cause, f"{CAUSES[cause].meaning}: {proven}", CAUSES[cause].advice


ROLLBACK_REASONS: Final[dict[str, Cause]] = {
    "unconfirmed": "unconfirmed",
    "unstable": "agent-unstable",
    "down": "agent-unstable",
    "interrupted": "killed",
}
"""Why a job went back, by the runner's token."""


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
        words = refusal_words(outcome.reason, outcome.detail)
        refused = (outcome.reason, outcome.detail)
        says_what = refused in (("attribute", "missing"), ("attribute", "dirty"))
        advice = failure.advised if failure and not says_what else words.advice
        found = f": {outcome.check_words}" if outcome.check_words else ""
        sentence = _left_alone(f"{words.meaning}{found}{_whose_changes(before, outcome)}")
        return "failed", refusal_cause(outcome.reason), sentence, advice
    said = STEP_REASONS.get(outcome.reason)
    if said is not None and outcome.reason == "stale":
        return (
            "stale",
            failure.cause if failure else "lock-behind",
            said.meaning,
            failure.advised if failure else said.advice,
        )
    if (unshared := share_failure(outcome)) is not None:
        shared_cause, what, advice = unshared
        return "failed", shared_cause, f"{what}; {_agent_words(after)}", advice
    why = f": {said.meaning}" if said else ""
    if step == "rollback" and gap is not None and after is not None:
        why += f": {gap.sentence}"
    sentence = f"{_step_words(outcome)}{why}; {_agent_words(after)}"
    cause = REASONS.get(outcome.reason)
    if cause is not None:
        return "failed", cause, sentence, CAUSES[cause].advice
    if step == "rebuild" and before is not None and after is not None:
        switched = _decide_switch(before, after, gap, outcome)
        if switched is not None:
            return _explained(switched, outcome)
    if failure is not None:
        if failure.cause == "file-in-the-way":
            sentence = f"{sentence}; {_in_the_way(outcome)}"
        return "failed", failure.cause, sentence, failure.advised
    cause = STEP_CAUSES[step] if step else "job-failed"
    if said is None and KILLED_BY.get(outcome.rc) == _SIGKILL:
        return "failed", cause, sentence, _KILLED_ADVICE
    return "failed", cause, sentence, (said or CAUSES[cause]).advice


def _whose_changes(before: Facts | None, outcome: Outcome) -> str:
    """The inputs whose changes in flake.lock are in the way of the pull."""
    if (outcome.reason, outcome.detail) != ("pull", "lock") or not before or not before.checkout:
        return ""
    names = uncommitted_inputs(before.checkout)
    return f" (changed inputs: {', '.join(names)})" if names else ""


_SIGKILL: Final = "SIGKILL"
_KILLED_ADVICE: Final = Advice(
    "somebody or the kernel killed it, as for its memory: journalctl -k on the host may say so"
)


REASONS: Final[dict[str, Cause]] = {
    "disk-full": "disk-full",
    "not-reproduced": "not-reproduced",
    "damaged": "damaged",
    "no-derivation": "no-derivation",
    "credentials": "credentials",
    "dirty": "dirty-refused",
}
"""The runner's reasons that are causes themselves, whatever the failed step printed."""


def _after_reboot(before: Facts | None) -> str:
    """What a reboot, which leaves no look after the job, means for an agent that needs a login."""
    service = before.unit.service if before and before.unit else None
    if service is None or not service.domain.startswith("gui/"):
        return ""
    return "; if the Mac has rebooted, the agent starts when its user logs in at the screen"


def _agent_words(after: Facts | None) -> str:
    """What we say of the agent after a job that did not work: only what was seen."""
    if after is not None and after.unit is not None and after.unit.is_up:
        return "the agent runs"
    return "we could not see whether the agent runs"


def _explained(switched: _Decision, outcome: Outcome) -> _Decision:
    """A switch that failed half-way, with the cause that it named itself: somebody has to act on
    that, as on a full disk, before another switch can work."""
    failure = outcome.failure
    if failure is None or failure.kind != "permanent" or failure.weight < _HEAVY:
        return switched
    kind, _, sentence, _ = switched
    is_file = failure.cause == "file-in-the-way"
    why = _in_the_way(outcome) if is_file else CAUSES[failure.cause].meaning
    return kind, failure.cause, f"{sentence}; {why}", failure.advised


def _in_the_way(outcome: Outcome) -> str:
    """The first file that Home Manager would overwrite, and how many more there are."""
    first, more = outcome.in_the_way[:1], len(set(outcome.in_the_way)) - 1
    named = f": {first[0]}" if first else ""
    return f"{CAUSES['file-in-the-way'].meaning}{named}{f' and {more} more' if more > 0 else ''}"


_HEAVY: Final = 2
"""The weight of a text that is the cause of the failures after it."""


_AFTER_THE_LOG: Final = Advice(
    "read the log's last lines, then force update again", ("log", "update")
)


def _decide_switch(
    before: Facts, after: Facts, gap: Finding | None, outcome: Outcome
) -> _Decision | None:
    """A rebuild that failed after the profile had moved; None if it did not get that far.

    The exit codes are those of switch-to-configuration, but the bash nixos-rebuild turns all of
    them into 1. So we judge by the profile and the running system.
    """
    if after.system.profile in (None, before.system.profile):
        return None
    if after.system.is_apart:
        waits = waits_for_boot(after.system, outcome.rc)
        if waits is not None:
            return "stale", waits.cause, waits.sentence, waits.advised
        return (
            "failed",
            "switch-incomplete",
            f"the switch ended with code {outcome.rc}: the profile is new, but {_old_one(after)}",
            _AFTER_THE_LOG,
        )
    if gap is not None:
        return (
            "failed",
            "switch-incomplete",
            f"the switch ended with code {outcome.rc}: the profile is new, but {gap.sentence}",
            _AFTER_THE_LOG,
        )
    if outcome.units or outcome.rc == 4:
        names = ", ".join(outcome.units[:5]) or "see the log"
        return (
            "partial",
            "units-failed",
            f"{CAUSES['units-failed'].meaning}: {names}",
            CAUSES["units-failed"].advice,
        )
    return (
        "partial",
        "switch-failed",
        f"the new agent runs, but the switch ended with code {outcome.rc}",
        CAUSES["switch-failed"].advice,
    )


def _old_one(after: Facts) -> str:
    return "the home is the old one" if after.platform == "home-manager" else "the old system runs"


def _step_words(outcome: Outcome) -> str:
    if outcome.kind == "cancelled":
        return "the job was cancelled"
    what = f"the step {outcome.failed_step}" if outcome.failed_step else "the job"
    if outcome.kind == "failed" and outcome.rc == TOO_LONG:
        return f"{what} took too long and was ended"
    if outcome.kind == "failed" and outcome.rc in KILLED_BY:
        return f"{what} was killed by {KILLED_BY[outcome.rc]} (code {outcome.rc})"
    return f"{what} failed with code {outcome.rc}"


def _left_alone(why: str) -> str:
    return f"refused before anything was touched: {why}"


def unreachable(
    why: str,
    advice: str,
    cause: NoAnswer = "unreachable",
    remedies: tuple[Remedy, ...] = (),
) -> Verdict:
    """The verdict on a host that did not answer, or whose answer cannot be used."""
    return Verdict(kind="unreachable", cause=cause, sentence=why, advice=advice, remedies=remedies)


def refused(check: CheckId, why: str, advice: str, before: Snapshot) -> Verdict:
    """The verdict on a host whose update the plan already refuses."""
    words = CAUSES[CHECK_CAUSES[check]]
    return Verdict(
        kind="failed",
        cause=CHECK_CAUSES[check],
        sentence=_left_alone(why),
        advice=advice,
        remedies=words.remedies if advice == words.cure else (),
        before=before,
        after=before,
    )


_SUDO_SETTING: Final = (
    'security.sudo.extraRules = [ { users = [ "USER" ]; commands = [ { command = "ALL"; '
    'options = [ "NOPASSWD" ]; } ]; } ];'
)


def no_elevation(why: str, user: str, setting: str = "") -> Verdict:
    """The verdict on a host where we cannot become root; we log in there as `user`. `setting` is
    what the host lacks, with USER for that user."""
    cure = setting or f"{CAUSES['preflight-elevation'].cure}: {_SUDO_SETTING}"
    return Verdict(
        kind="failed",
        cause="preflight-elevation",
        sentence=_left_alone(why),
        advice=re.sub(r"\bUSER\b", lambda _: user, cure),
    )


def not_launched(why: str) -> Verdict:
    """The verdict on a host that could not start the job."""
    return Verdict(
        kind="failed",
        cause="launch-failed",
        sentence=f"{CAUSES['launch-failed'].meaning}: {why}",
        advice=CAUSES["launch-failed"].cure,
    )
