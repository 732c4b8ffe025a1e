"""Which hosts run a fix: their proofs, and what the input's repository says of these commits."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from nixfleet_core.ids import is_commit
from nixfleet_core.judge.fix import Change
from nixfleet_core.judge.has import HasIt, Witness, commits_of, has_it
from nixfleet_core.judge.proofs import recall
from nixfleet_core.judge.running_commit import running_origins
from nixfleet_core.nix.lock import Source
from nixfleet_core.session.boundary import drawn
from nixfleet_core.session.latest import question_of
from nixfleet_core.session.repository import MOST_FOUND, Repository

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nixfleet_core.facts.model import Facts
    from nixfleet_core.facts.origins import Origin
    from nixfleet_core.host import Host
    from nixfleet_core.judge.fix import Past
    from nixfleet_core.judge.proofs import Recalled
    from nixfleet_core.session.latest import Question


@dataclass(frozen=True, slots=True)
class SeenHost:
    """One host as it was seen; without facts, why it was not."""

    host: Host
    facts: Facts | None
    why: str = ""
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Answers:
    """The fix, and the answer for each host, by its name."""

    fix: Change
    hosts: dict[str, HasIt]
    notes: tuple[str, ...] = ()
    """What else to know of the repositories."""


@dataclass(frozen=True, slots=True)
class Unclear:
    """No commit, or several, are meant. `found`: those that could be."""

    why: str
    found: tuple[Change, ...] = ()


NO_GIT: Final = "the input is no repository that git can be asked about"
_NO_LOCK: Final = "flake.lock could not be read, so its repository is not known"


@dataclass(slots=True)
class _Place:
    """A repository, and what is known of it."""

    repository: Repository
    problem: str = ""
    """Why it cannot be read."""
    found: tuple[Change, ...] = ()
    pasts: dict[str, Past] = field(default_factory=dict)


async def which_have(
    seen: Sequence[SeenHost],
    word: str,
    known: Mapping[str, Sequence[Origin]],
    *,
    here: bool = False,
) -> Answers | Unclear:
    """Find the commit that `word` names, and say for each host whether it runs it. `known` is what
    each host is known to have proven. `here`: the hosts are folders of this machine, as in the
    demo. Raises OSError if there is no place for the clones."""
    places: dict[Question, _Place] = {}
    asked: dict[str, Question] = {}
    recalled: dict[str, Recalled] = {}
    for one in seen:
        if one.facts is None:
            continue
        recalled[one.host.name] = recall(one.facts, one.host)
        source = source_of(one.host, recalled[one.host.name].facts)
        if source is not None and source.url is not None:
            question = replace(question_of(source, one.host, here=here), ref=None, any_kind=False)
            asked[one.host.name] = question
            places.setdefault(question, _Place(Repository.of(question)))
    notes = await _read(list(places.values()), word)
    fix = _choose(word, list(places.values()))
    if isinstance(fix, Unclear):
        return replace(fix, why="; ".join((fix.why, *notes)))
    answers: dict[str, HasIt] = {}
    for one in seen:
        name = one.host.name
        if one.facts is None:
            answers[name] = HasIt("unreachable", one.why, advice=one.advice)
            continue
        others = [
            Witness(host, origin)
            for host, origins in known.items()
            if host != name
            for origin in origins
        ]
        place = places.get(asked[name]) if name in asked else None
        answers[name] = await _answer(one.host, recalled[name], fix, place, others)
    return Answers(fix, answers, notes)


async def _answer(
    host: Host, known: Recalled, fix: Change, place: _Place | None, others: list[Witness]
) -> HasIt:
    unread = _unread(host, known.facts, fix, place)
    pasts: Mapping[str, Past] = {}
    if place is not None and not unread:
        await _learn(place, fix, commits_of(known.facts, host.input, others))
        pasts = place.pasts
    return drawn(
        host.name,
        lambda: has_it(known.facts, known.gaps, host.input, fix, pasts, others, unread),
        lambda why: HasIt("not proven", why),
    )


def source_of(host: Host, facts: Facts) -> Source | None:
    """Where the input comes from: by flake.lock, else as it was when somebody last proved it."""
    found = facts.find_input(host.input)
    if found is not None:
        return found.source
    remembered = (one.url for one in running_origins(facts, host.input) if one.url)
    url = next(remembered, None)
    return Source(url) if url is not None else None


def _unread(host: Host, facts: Facts, fix: Change, place: _Place | None) -> str:
    """Why the host's repository cannot be read; empty if it can."""
    if place is None:
        return NO_GIT if facts.find_input(host.input) is not None else _NO_LOCK
    if place.problem:
        return place.problem
    if fix in place.found:
        return ""
    return f"its repository has no commit {fix.rev[:7]}{_shallow([place])}"


async def _read(places: list[_Place], word: str) -> tuple[str, ...]:
    """Fetch the repositories and look for the commit; what to know of them."""
    notes: list[str] = []

    async def read(place: _Place) -> None:
        repository = place.repository
        failed = await repository.fetch()
        if not repository.exists:
            place.problem = failed.why if failed is not None else "its repository has no commit"
            notes.append(place.problem)
            return
        if failed is not None:
            notes.append(f"{failed.why}: it is as it was when it was fetched last")
        place.found = await repository.find(word)
        if not place.found and is_commit(word):
            await repository.bring([word])
            place.found = await repository.find(word)

    await asyncio.gather(*(read(place) for place in places))
    return tuple(dict.fromkeys(notes))


def _choose(word: str, places: list[_Place]) -> Change | Unclear:
    found = {change.rev: change for place in places for change in place.found}
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        more = " or more" if any(len(place.found) >= MOST_FOUND for place in places) else ""
        return Unclear(f"{word!r} names {len(found)} commits{more}", tuple(found.values()))
    if is_commit(word):
        return Change(word, "")  # a host that is built from it has it, whatever else is known
    if all(place.problem for place in places):
        return Change("", word)  # nobody could be asked which commit that is
    return Unclear(f"no commit is named {word!r}, nor has it in its title{_shallow(places)}")


def _shallow(places: Sequence[_Place]) -> str:
    """Why a commit may be missing there; empty if it may not."""
    if not any(place.repository.is_shallow for place in places):
        return ""
    return "; the repository is shallow, and older commits are not there"


async def _learn(place: _Place, fix: Change, commits: Sequence[str]) -> None:
    """Learn what the repository says of these commits."""
    repository = place.repository
    new = [commit for commit in commits if commit not in place.pasts]
    missing = [commit for commit in new if not await repository.has(commit)]
    if missing:
        await repository.bring(missing)
    for commit in new:
        place.pasts[commit] = await repository.past(fix, commit)
