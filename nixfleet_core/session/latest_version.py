"""What version the latest commit is said to be, where a clone of its repository is there already.

Nothing is fetched for it, and nothing rests on it: the version is a label.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nixfleet_core.judge.causes import expectation
from nixfleet_core.nix.git_url import commit_of
from nixfleet_core.session.latest import question_of
from nixfleet_core.session.repository import Repository

if TYPE_CHECKING:
    from pathlib import Path

    from nixfleet_core.facts.model import Facts
    from nixfleet_core.host import Host
    from nixfleet_core.judge.causes import Expectation
    from nixfleet_core.nix.git_url import Latest

    _Key = tuple[Path, float, str]


@dataclass(slots=True)
class Versions:
    """Asks the clones, once for each commit after each fetch. `here`: all hosts are folders on this
    machine, as in the demo."""

    here: bool = False
    _asked: dict[_Key, asyncio.Task[str | None]] = field(default_factory=dict)

    async def of(self, host: Host, facts: Facts | None, latest: Latest) -> str | None:
        """The version of the latest commit of the host's input, if that is known."""
        commit = commit_of(latest)
        found = facts.find_input(host.input) if facts is not None else None
        if commit is None or found is None:
            return None
        repository = Repository.of(question_of(found.source, host, here=self.here))
        if not repository.exists:
            return None
        key = (repository.folder, repository.fetched, commit)
        if key not in self._asked:
            self._forget_before(key)
            self._asked[key] = asyncio.create_task(_ask(repository, commit))
        return await asyncio.shield(self._asked[key])

    def _forget_before(self, new: _Key) -> None:
        """Drop what an earlier state of the clone has said."""
        for key in [key for key in self._asked if key[0] == new[0] and key[1] != new[1]]:
            del self._asked[key]


async def named_expectation(
    host: Host, facts: Facts | None, latest: Latest, *, here: bool = False
) -> Expectation:
    """What the host should have, with the version of the latest commit."""
    version = await Versions(here=here).of(host, facts, latest)
    return expectation(host, facts, latest, version)


async def _ask(repository: Repository, commit: str) -> str | None:
    try:
        return await repository.version(commit)
    except OSError:  # somebody has just cleared the cache, or there is no git
        return None
