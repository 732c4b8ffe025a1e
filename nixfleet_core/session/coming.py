"""What of the input an update brings along: asks the clone of the input's repository."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from nixfleet_core.errors import HostError
from nixfleet_core.judge.coming import MOST_NAMED, Coming, coming, target_of
from nixfleet_core.judge.proofs import recall
from nixfleet_core.judge.running_commit import running_commit
from nixfleet_core.nix.git_url import NotKnown
from nixfleet_core.session.boundary import drawn, one_host
from nixfleet_core.session.has import NO_GIT, source_of
from nixfleet_core.session.latest import question_of
from nixfleet_core.session.repository import Repository

if TYPE_CHECKING:
    from collections.abc import Callable

    from nixfleet_core.facts.model import Facts
    from nixfleet_core.host import Host
    from nixfleet_core.nix.git_url import Latest
    from nixfleet_core.plan.model import Options
    from nixfleet_core.session.latest import Question

PATIENCE: Final = 30.0
"""Seconds that a plan waits for the repository: it can be read without."""


@dataclass(frozen=True, slots=True)
class _Ends:
    """Two commits of one repository. What lies between them is the same for all hosts."""

    question: Question
    running: str
    target: str
    may_fetch: bool


@dataclass(slots=True)
class _Place:
    """A repository. One question after the other is asked there, so few programs run at once."""

    repository: Repository
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    fetched: bool = False
    failed: NotKnown | None = None
    """Why it could not be fetched."""


class InputCommits:
    """Asks what lies between commits of inputs, for hosts that are looked at together: each
    repository is fetched once, and hosts with the same two ends share one question and its answer.
    No failure is raised: the answer says what is not known. `here`: the hosts are folders of this
    machine."""

    def __init__(self) -> None:
        self._places: dict[Question, _Place] = {}
        self._answers: dict[_Ends, asyncio.Task[Coming]] = {}

    async def between(
        self, host: Host, facts: Facts, options: Options, latest: Latest, *, here: bool = False
    ) -> Coming:
        """The commits of the input between what runs on the host and what will run there. `latest`
        is what an update leads to."""
        planned = partial(_ends_of_update, host, facts, options, latest, here=here)
        return await self._answer(host, planned)

    async def kept(
        self, host: Host, facts: Facts, old: str, new: str, *, here: bool = False
    ) -> Coming:
        """What lies between two commits of the host's input, as far as the clone has it that is
        here: nothing is fetched."""
        named = partial(_ends, host, facts, (old, new), here=here, may_fetch=False)
        return await self._answer(host, named)

    async def _answer(self, host: Host, find: Callable[[], _Ends | Coming]) -> Coming:
        ends = drawn(host.name, find, lambda why: Coming(unknown=why))
        if isinstance(ends, Coming):
            return ends
        if ends not in self._answers:
            self._answers[ends] = asyncio.create_task(self._ask(ends, host.name))
        # one host may stop to wait while another one goes on
        return await asyncio.shield(self._answers[ends])

    async def _ask(self, ends: _Ends, host: str) -> Coming:
        """Never fails. A fault is noted under the first host that asks."""
        try:
            with one_host(host):
                return await self._ask_there(ends)
        except HostError as error:
            return Coming(unknown=str(error))

    async def _ask_there(self, ends: _Ends) -> Coming:
        place = self._places.setdefault(ends.question, _Place(Repository.of(ends.question)))
        try:
            async with asyncio.timeout(PATIENCE), place.turn:
                if ends.may_fetch and not place.fetched:
                    place.failed = await place.repository.fetch()
                    place.fetched = True
                return await _between(place, ends)
        except TimeoutError:
            return Coming(unknown=f"its repository did not answer within {PATIENCE:.0f} s")
        except OSError as error:
            return Coming(unknown=f"there is no place for its repository: {error}")


def _ends_of_update(
    host: Host, facts: Facts, options: Options, latest: Latest, *, here: bool
) -> _Ends | Coming:
    """What runs, and what will; or the answer, if nobody needs to be asked."""
    target = target_of(facts, host, options, latest)
    known = drawn(host.name, lambda: recall(facts, host).facts, lambda _: facts)
    running = running_commit(known, host.input)
    if isinstance(target, NotKnown):
        return Coming(unknown=target.why)
    if running is None:
        return Coming(unknown="nobody has proven which commit the running agent was built from")
    if target in (running.commit, *running.same):
        return Coming(running=target, target=target)
    return _ends(host, known, (running.commit, target), here=here, may_fetch=True)


def _ends(
    host: Host, facts: Facts, commits: tuple[str, str], *, here: bool, may_fetch: bool
) -> _Ends | Coming:
    source = source_of(host, facts)
    if source is None or source.url is None:
        return Coming(unknown=NO_GIT)
    question = replace(question_of(source, host, here=here), ref=None, any_kind=False)
    return _Ends(question, *commits, may_fetch)


async def _between(place: _Place, ends: _Ends) -> Coming:
    repository, old, new = place.repository, ends.running, ends.target
    if not repository.exists:
        why = place.failed.why if place.failed is not None else "its repository has no commit"
        return Coming(unknown=why)
    missing = [rev for rev in (old, new) if not await repository.has(rev)]
    if missing and ends.may_fetch:
        await repository.bring(missing)
    for rev in missing:
        if not await repository.has(rev):
            return Coming(unknown=f"its repository has no commit {rev[:7]}")
    sides = await repository.apart(new, old, MOST_NAMED)
    if sides is None:
        return Coming(unknown="its repository has too little history")
    return coming(old, new, *sides)
