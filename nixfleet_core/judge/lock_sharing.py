"""What became of flake.lock after an update: committed, pushed, or neither; and why not. Pure.

An update leaves flake.lock changed in the checkout. The next pull fails on that change or loses it,
and the agent resets its own repository. In both cases the next rebuild brings the old agent back.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from nixfleet_core.facts.checkouts import is_isolated
from nixfleet_core.nix.lock import locked_rev
from nixfleet_core.plan.steps import lock_message
from nixfleet_core.vocabulary import CAUSES, STEP_CAUSES, STEP_REASONS, Words

if TYPE_CHECKING:
    from nixfleet_core.facts.model import Checkout, Facts
    from nixfleet_core.job.outcome import Kind, Outcome
    from nixfleet_core.vocabulary import Advice, Cause


def lock_notes(
    kind: Kind, after: Facts | None, outcome: Outcome | None, flake_input: str
) -> tuple[str, ...]:
    """Notes on flake.lock beside the verdict. The first sentence of each is enough by itself."""
    checkout = after.checkout if after else None
    if checkout is None or checkout.lock is None or checkout.head_lock is None:
        return ()  # not seen, or the same as in HEAD
    committed, locked = (
        locked_rev(checkout.head_lock, flake_input),
        locked_rev(checkout.lock, flake_input),
    )
    message = lock_message(flake_input, committed, locked)
    if kind == "rolled-back":
        return (_gone_back(committed, locked),)
    if kind not in ("updated", "current", "partial"):
        return ()
    if outcome is not None and outcome.pushed:
        return (f"flake.lock is committed and pushed. The commit says {message!r}",)
    if outcome is not None and outcome.committed:
        return (_not_pushed(checkout, message),)
    return (_not_committed(checkout, message),)


def _not_committed(checkout: Checkout, message: str) -> str:
    if is_isolated(checkout.path):
        undone = "the agent's own pull resets its repository, and a rebuild then undoes this update"
    else:
        undone = "the next pull or reset there can undo this update"
    command = shlex.join(("git", "-C", checkout.path, "commit", "-m", message, "--", "flake.lock"))
    kept = f"nixfleet commit HOST commits it, or: {command}"
    return f"flake.lock is changed, but not committed: {undone}. {kept}"


def _not_pushed(checkout: Checkout, message: str) -> str:
    if is_isolated(checkout.path):
        undone = "the agent resets its repository to what upstream has"
    else:
        undone = "the next pull is refused once upstream has other commits"
    command = shlex.join(("git", "-C", checkout.path, "push"))
    said = f"The commit says {message!r}; --push does it, or: {command}"
    return f"flake.lock is committed, but not pushed: {undone}. {said}"


def _gone_back(committed: str | None, locked: str | None) -> str:
    if committed is None or locked is None or committed == locked:
        return "flake.lock is as it was before that update, and differs from HEAD"
    return (
        f"flake.lock is back at {locked[:7]}, but HEAD has {committed[:7]}: it shows as changed. "
        "The next update takes the newer one again"
    )


def share_failure(outcome: Outcome) -> tuple[Cause, str, Advice] | None:
    """The cause, what went wrong and advice, where a proven update's flake.lock was not shared."""
    step = outcome.failed_step
    if step not in ("commit", "push"):
        return None
    cause = STEP_CAUSES[step]
    general = CAUSES[cause]
    words = STEP_REASONS.get(outcome.reason) or Words(
        f"git ended with code {outcome.rc}",
        *(outcome.failure.advised if outcome.failure else general.advice),
    )
    if (step, outcome.reason) == ("push", "refused"):
        cause = "push-refused"
    return cause, f"{general.meaning}: {words.meaning}", words.advice
