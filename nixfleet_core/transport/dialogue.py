"""The dialogue with a shell on a host to become root there, in the way that the host takes.

The host names its way in the same exchange (become_root.sh); the classes are in roots.py. We send
sudo's password only if the last output is sudo's own prompt, a random mark. The host joins the mark
from two halves, so an echo of our words cannot show it. A shell that traces would print sudo's
arguments with the whole mark. So we turn tracing off first, and then send a word that does nothing:
if it comes back, we stop.

Whoever controls the start-up of the account's shell can replace all of this.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Final

from nixfleet_core.errors import NotAllowed
from nixfleet_core.scripts.compose import assignments, part
from nixfleet_core.transport.roots import WAYS, Heard, Next, OnHost, Way, last_words


@dataclass(frozen=True, slots=True)
class RootPrograms:
    """The sudo or doas that we trust: the first in these folders that is a regular file (behind
    links), setuid, owned by `owner`, and writable by its owner alone."""

    folders: tuple[str, ...] = ("/run/wrappers/bin", "/usr/bin", "/bin", "/usr/local/bin")
    owner: int = 0

    @property
    def values(self) -> dict[str, str]:
        """How a script on the host is told."""
        return {"NF_FOLDERS": " ".join(self.folders), "NF_ROOT_UID": str(self.owner)}


ROOTS_OWN: Final = RootPrograms()

_TOOLS: Final = ("/run/current-system/sw/bin", "/usr/bin", "/bin")
"""The place of id and ls, if they are not beside sudo."""

_REPEATS: Final = (
    "the shell there repeats its input, so no password goes to it: look at SHELLOPTS, at the "
    "account's start-up files and at a forced command in authorized_keys"
)


def _random() -> str:
    return secrets.token_hex(12)


@dataclass(slots=True)
class Dialogue(Way):
    """One attempt with a mark of its own, in the way that the host announces."""

    programs: RootPrograms = ROOTS_OWN
    halves: tuple[str, str] = field(default_factory=lambda: (f"nixfleet-{_random()}", _random()))
    canary: str = field(default_factory=lambda: f"nixfleet-said-{_random()}")
    _way: OnHost | None = field(default=None, init=False)

    @property
    def opening(self) -> bytes:
        """The script, sent as a whole: the shell reads no further while it waits for sudo's end."""
        values = {
            "NF_MARK": self.halves[0],
            "NF_MORE": self.halves[1],
            **self.programs.values,
            "NF_SAFE_PATH": ":".join(dict.fromkeys((*self.programs.folders, *_TOOLS))),
        }
        begin = f"set +vx\n: {self.canary}\n{assignments(values)}"
        return f"{begin}{part('become_root')}{{\nbecome_root\n}}\n".encode()

    @property
    def mark(self) -> bytes:
        return "".join(self.halves).encode()

    def hear(self, heard: Heard) -> Next:
        canary = self.canary.encode()
        if canary in heard.stderr or canary in heard.stdout:
            raise NotAllowed(_REPEATS)  # it could keep a password as well
        then, said = Next.LISTEN, heard.stderr
        self._way = self._way or self._announced(said)
        if self._way is not None:
            said = said.replace(self._way.announcement, b"")
            then = self._way.hear(heard._replace(stderr=said))
        if then is Next.LISTEN and heard.over:
            raise NotAllowed(last_words(said, self.mark) or "becoming root was refused")
        return then

    def _announced(self, said: bytes) -> OnHost | None:
        ways = (way(self.mark) for way in WAYS)
        return next((way for way in ways if way.announcement in said), None)
