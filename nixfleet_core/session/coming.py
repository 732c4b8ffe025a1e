"""What of the input an update brings along: asks the clone of the input's repository."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from nixfleet_core.judge.coming import MOST_NAMED, Coming, coming, target_of
from nixfleet_core.judge.proofs import recall
from nixfleet_core.judge.running_commit import running_commit
from nixfleet_core.nix.git_url import NotKnown
from nixfleet_core.session.boundary import drawn
from nixfleet_core.session.has import NO_GIT, source_of
from nixfleet_core.session.latest import question_of
from nixfleet_core.session.repository import Repository

if TYPE_CHECKING:
    from nixfleet_core.facts.model import Facts
    from nixfleet_core.host import Host
    from nixfleet_core.nix.git_url import Latest
    from nixfleet_core.plan.model import Options

PATIENCE: Final = 30.0
"""Seconds that a plan waits for the repository: it can be read without."""


async def what_comes(
    host: Host, facts: Facts, options: Options, latest: Latest, *, here: bool = False
) -> Coming:
    """The commits of the input between what runs on the host and what will run there. `latest` is
    what an update leads to; `here`: the hosts are folders of this machine. No failure is raised:
    the answer says what is not known."""
    target = target_of(facts, host, options, latest)
    known = drawn(host.name, lambda: recall(facts, host).facts, lambda _: facts)
    running = running_commit(known, host.input)
    if isinstance(target, NotKnown):
        return Coming(unknown=target.why)
    if running is None:
        return Coming(unknown="nobody has proven which commit the running agent was built from")
    if target in (running.commit, *running.same):
        return Coming(running=target, target=target)
    source = source_of(host, known)
    if source is None or source.url is None:
        return Coming(unknown=NO_GIT)
    question = replace(question_of(source, host, here=here), ref=None, any_kind=False)
    try:
        async with asyncio.timeout(PATIENCE):
            return await _between(Repository.of(question), running.commit, target)
    except TimeoutError:
        return Coming(unknown=f"its repository did not answer within {PATIENCE:.0f} s")
    except OSError as error:
        return Coming(unknown=f"there is no place for its repository: {error}")


async def _between(repository: Repository, old: str, new: str) -> Coming:
    failed = await repository.fetch()
    if not repository.exists:
        return Coming(unknown=failed.why if failed is not None else "its repository has no commit")
    missing = [rev for rev in (old, new) if not await repository.has(rev)]
    if missing:
        await repository.bring(missing)
    for rev in missing:
        if not await repository.has(rev):
            return Coming(unknown=f"its repository has no commit {rev[:7]}")
    sides = await repository.apart(new, old, MOST_NAMED)
    if sides is None:
        return Coming(unknown="its repository has too little history")
    return coming(old, new, *sides)
