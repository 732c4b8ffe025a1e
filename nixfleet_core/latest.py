"""What commit a flake input's repository names now: asked by the client, once for each source."""

from __future__ import annotations

import asyncio
import os
import re
from typing import TYPE_CHECKING, Final

from nixfleet_core.tee import run

if TYPE_CHECKING:
    from nixfleet_core.nix.lock import Source

ASK_SECONDS: Final = 20.0

_ANSWER: Final = re.compile(rb"([0-9a-f]{40})\t")


class GitLatest:
    """Asks `git ls-remote`; what is not 40 hex digits is no answer.

    git exits 0 with no output for a branch that is missing, and so do captive portals.
    """

    def __init__(self) -> None:
        self._asked: dict[tuple[str, str | None], asyncio.Task[str | None]] = {}

    async def latest(self, source: Source) -> str | None:
        """The commit, or None when nobody says it. A pinned source is its own answer."""
        if source.pinned is not None or source.url is None:
            return source.pinned
        key = (source.url, source.ref)
        if key not in self._asked:
            self._asked[key] = asyncio.create_task(_ask(source.url, source.ref))
        return await asyncio.shield(self._asked[key])

    def forget(self) -> None:
        """Ask anew the next time."""
        self._asked.clear()


async def _ask(url: str, ref: str | None) -> str | None:
    name = "HEAD" if ref is None else ref if ref.startswith("refs/") else f"refs/heads/{ref}"
    env = {
        **os.environ,
        "LC_ALL": "C",
        "LANGUAGE": "",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_SSH_COMMAND": "ssh -o BatchMode=yes -o ConnectTimeout=10",
    }
    try:
        done = await run(("git", "ls-remote", "--", url, name), env=env, limit=ASK_SECONDS)
    except OSError:
        return None
    match = _ANSWER.match(done.stdout)
    return match[1].decode() if match and done.rc == 0 else None
