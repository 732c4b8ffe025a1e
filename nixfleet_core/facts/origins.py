"""Origins: which commit of the input a program was built from, as proofs have shown. Pure.

A version is a label. A proof says that the input at a commit builds a path of the store, and that
stays true: such a path is named by all that it is made of. So origins are remembered for longer
than proofs, which are about the host of that moment. An origin is the word of the host that proved
it. It is believed of that host alone (docs/has.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from nixfleet_core.facts.model import Binary
from nixfleet_core.ids import is_commit
from nixfleet_core.limits import LAST_SECOND, TEXT_LIMIT, Second

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nixfleet_core.facts.model import Facts
    from nixfleet_core.facts.proofs import Proven

MOST_ORIGINS: Final = 100
"""So many origins of a host are remembered; the newest count."""

MOST_PROGRAMS: Final = 50
"""So many programs of one origin: the agent, and those that it starts."""

_Text = Annotated[str, msgspec.Meta(max_length=TEXT_LIMIT)]


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """One proof that the input at a commit builds these programs."""

    commit: _Text
    programs: Annotated[tuple[_Text, ...], msgspec.Meta(max_length=MOST_PROGRAMS)]
    """Paths of the store."""
    at: Annotated[int, msgspec.Meta(ge=0, le=LAST_SECOND)]
    """When it was proven, by the host's clock."""
    url: _Text = ""
    """The input's repository, without credentials; empty if flake.lock could not be read."""
    machine: _Text = ""
    """The kind of machine that it was built for, such as `x86_64`."""
    made: Second | None = None
    """The commit's own date, if flake.lock said it."""


def origins_of(facts: Facts, flake_input: str) -> tuple[Origin, ...]:
    """All that is known of the host: what it remembers itself, and what we do; newest first."""
    proofs = facts.proofs if facts.proof is None else (facts.proof, *facts.proofs)
    found = (_origin(proof, facts, flake_input) for proof in proofs)
    return merge([*filter(None, found), *facts.origins])


def merge(origins: Iterable[Origin]) -> tuple[Origin, ...]:
    """The newest origins, each once; what one of two equals does not know, the other says."""
    known: dict[tuple[str, tuple[str, ...]], Origin] = {}
    for origin in sorted(origins, key=lambda one: one.at, reverse=True):
        key = (origin.commit, origin.programs)
        known[key] = _completed(known.get(key, origin), origin)
    return tuple(known.values())[:MOST_ORIGINS]


def _completed(newer: Origin, older: Origin) -> Origin:
    return msgspec.structs.replace(
        newer,
        url=newer.url or older.url,
        machine=newer.machine or older.machine,
        made=older.made if newer.made is None else newer.made,
    )


def _origin(proof: Proven, facts: Facts, flake_input: str) -> Origin | None:
    found = facts.find_input(flake_input)
    locked = found.rev if found else None
    # a look from here leaves it to us to read the commit in flake.lock
    commit = proof.commit or (locked or "" if proof is facts.proof else "")
    programs = tuple(_programs(proof))
    if proof.input != flake_input or not is_commit(commit) or not programs:
        return None
    return Origin(
        commit=commit,
        programs=programs[:MOST_PROGRAMS],
        at=proof.at,
        url=(found.source.url or "") if found else "",
        machine=facts.machine[:TEXT_LIMIT],
        made=found.last_modified if found and locked == commit else None,
    )


def _programs(proof: Proven) -> Iterator[str]:
    """The agent that was built, and what it starts if it was installed. A path outside of the store
    may hold another program tomorrow."""
    starts = proof.starts.split() if proof.installs_what_it_builds else ()
    for path in dict.fromkeys((proof.builds, *starts)):
        store_path = Binary(path).store_path
        if store_path is not None:
            yield store_path


def read_origins(data: bytes) -> tuple[Origin, ...]:
    """The origins that this client keeps of a host; none if the file is damaged."""
    try:
        kept = msgspec.json.decode(data, type=tuple[Origin, ...])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ()
    return merge(origin for origin in kept if is_commit(origin.commit))
