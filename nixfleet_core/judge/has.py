"""Whether a host runs a fix: yes, no, or not proven, with the evidence. Pure.

Yes: some commit that is proven to build the running path has the fix. No: none has it, and the fix
is proven to build another path. What one host says of a commit is believed of that host alone; of
any other it is a hint.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from nixfleet_core.facts.origins import origins_of
from nixfleet_core.judge.fix import Past, Standing, standing
from nixfleet_core.judge.running_commit import running_origins

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nixfleet_core.facts.model import Facts
    from nixfleet_core.facts.origins import Origin
    from nixfleet_core.judge.fix import Change
    from nixfleet_core.judge.proofs import Gaps

Answer = Literal["yes", "no", "not proven", "unreachable"]

VERIFY: Final = "prove what it runs: v in the app, or nixfleet verify"


@dataclass(frozen=True, slots=True)
class HasIt:
    """The answer for one host."""

    answer: Answer
    why: str
    evidence: tuple[str, ...] = ()
    """What else is known, each a sentence."""
    commit: str | None = None
    """What the running agent was built from."""
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Witness:
    """What another host has proven."""

    host: str
    origin: Origin


def commits_of(
    facts: Facts, flake_input: str, witnesses: Sequence[Witness] = ()
) -> tuple[str, ...]:
    """The commits on which the answer for this host depends."""
    own = (one.commit for one in running_origins(facts, flake_input))
    theirs = (one.origin.commit for one in _of_its_path(facts, witnesses))
    return tuple(dict.fromkeys((*own, *theirs)))


def has_it(
    facts: Facts,
    gaps: Gaps,
    flake_input: str,
    fix: Change,
    pasts: Mapping[str, Past],
    witnesses: Sequence[Witness],
    unread: str = "",
) -> HasIt:
    """The answer for a host. `facts` are those with the proofs filled in. `pasts` has the commits
    of `commits_of`; `unread` says why the input's repository could not be read."""
    origins = running_origins(facts, flake_input)
    hints = () if unread else tuple(_hints(facts, fix, pasts, witnesses))
    if not origins:
        return HasIt("not proven", _why_unknown(facts, gaps), hints, advice=VERIFY)
    commits = tuple(dict.fromkeys(one.commit for one in origins))
    stands = {commit: _standing(commit, fix, pasts) for commit in commits}
    if unread:
        stands = {
            commit: one if one.has else Standing(None, f"and more is not known: {unread}")
            for commit, one in stands.items()
        }
    said = {commit: f"built from {commit[:7]}, {one.words}" for commit, one in stands.items()}
    first = next((commit for commit in commits if stands[commit].has), commits[0])
    others = tuple(said[commit] for commit in commits if commit != first)
    if stands[first].has:
        return HasIt("yes", said[first], others, first)
    if all(one.has is False for one in stands.values()) and _builds_another(
        facts, flake_input, fix, witnesses
    ):
        why = f"{said[first]}; the fix itself is proven to build another path"
        return HasIt("no", why, (*others, *hints), first)
    return HasIt("not proven", said[first], (*others, *hints), first, VERIFY if hints else "")


def _standing(commit: str, fix: Change, pasts: Mapping[str, Past]) -> Standing:
    # a commit is itself, whether its repository can be read or not
    return standing(fix, pasts.get(commit, Past(commit, known=False)))


def _why_unknown(facts: Facts, gaps: Gaps) -> str:
    running = facts.running
    if running is None or running.proof not in ("exe", "script"):
        return gaps.process or "the agent's process was not seen"
    return "nobody has proven which commit builds the path that runs"


def _of_its_path(facts: Facts, witnesses: Sequence[Witness]) -> Iterator[Witness]:
    """Those who have proven something of the path that runs here."""
    program = facts.running.binary.store_path if facts.running else None
    return (one for one in witnesses if program in one.origin.programs)


def _hints(
    facts: Facts, fix: Change, pasts: Mapping[str, Past], witnesses: Sequence[Witness]
) -> Iterator[str]:
    """What others have proven of the path that runs here, each commit once."""
    told: set[str] = set()
    for one in _of_its_path(facts, witnesses):
        commit = one.origin.commit
        if commit not in told:
            told.add(commit)
            words = _standing(commit, fix, pasts).words
            yield f"{one.host} says that {commit[:7]} builds the path that runs here, {words}"


def _builds_another(
    facts: Facts, flake_input: str, fix: Change, witnesses: Sequence[Witness]
) -> bool:
    """Whether the fix is proven to build another path for such a machine than the one that runs."""
    theirs = (one.origin for one in witnesses if one.origin.machine == facts.machine)
    known = [o for o in (*origins_of(facts, flake_input), *theirs) if o.commit == fix.rev]
    program = facts.running.binary.store_path if facts.running else None
    return bool(known) and all(program not in one.programs for one in known)
