"""Which commit of the input the running agent was built from, by proof. Pure.

It is never guessed from a version, nor from flake.lock: that may have moved since the build.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from nixfleet_core.facts.origins import origins_of

if TYPE_CHECKING:
    from nixfleet_core.facts.model import Facts
    from nixfleet_core.facts.origins import Origin


class RunningCommit(msgspec.Struct, frozen=True, kw_only=True):
    """The running program was built from this commit, or from one that builds the same."""

    commit: str
    """Of several that are proven to build it, the one that was proven last."""
    made: int | None = None
    """The commit's own date, in seconds since the epoch, if it is known."""
    age: int | None = None
    """Seconds from that date to the look at the host."""
    proven: int
    """When that was proven, by the host's clock."""
    same: tuple[str, ...] = ()
    """The others that are proven to build the same program."""


def running_origins(facts: Facts, flake_input: str) -> tuple[Origin, ...]:
    """The proofs of this host of what its running program was built from, newest first. None if
    only the process itself says what it runs. The facts are those with the proofs filled in."""
    running = facts.running
    if running is None or running.proof not in ("exe", "script"):
        return ()
    program = running.binary.store_path
    return tuple(one for one in origins_of(facts, flake_input) if program in one.programs)


def running_commit(facts: Facts, flake_input: str) -> RunningCommit | None:
    """The commit, or None if nobody has proven it; of the facts with the proofs filled in."""
    origins = running_origins(facts, flake_input)
    if not origins:
        return None
    first = origins[0]
    others = dict.fromkeys(one.commit for one in origins if one.commit != first.commit)
    made = next((o.made for o in origins if o.commit == first.commit and o.made is not None), None)
    return RunningCommit(
        commit=first.commit,
        made=made,
        age=max(0, facts.now - made) if made is not None and facts.now else None,
        proven=first.at,
        same=tuple(others),
    )
