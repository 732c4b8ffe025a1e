"""The dialogue with a shell on a host to become root there, in the way that the host takes.

The host names its way in the same exchange (become_root.sh); the classes are in roots.py. We send
sudo's password only if the last output is sudo's own prompt, a random mark. The host joins the mark
from two halves, so an echo of our words cannot show it. A shell that traces would print the whole
mark where it is joined. So we turn tracing off first, and then send a word that does nothing:
if it comes back, we stop.

Whoever controls the start-up of the account's shell can replace all of this.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from typing import Final

from nixfleet_core.errors import NotAllowed
from nixfleet_core.scripts.compose import assignments, part
from nixfleet_core.transport.roots import WAYS, Heard, Next, OnHost, Way, last_words

_TOOLS: Final = ("/run/current-system/sw/bin", "/usr/bin", "/bin")
"""The place of id and ls, if they are not beside sudo; and of run0."""


@dataclass(frozen=True, slots=True)
class RootPrograms:
    """The programs that we trust. sudo or doas: the first in `folders` that is a regular file
    (behind links), setuid, owned by `owner`, and writable by its owner alone. run0: the first in
    `run0_folders`, with the same but for setuid; so the folder, too, has to be the owner's and
    writable by its owner alone."""

    folders: tuple[str, ...] = ("/run/wrappers/bin", "/usr/bin", "/bin", "/usr/local/bin")
    run0_folders: tuple[str, ...] = _TOOLS
    owner: int = 0

    @property
    def values(self) -> dict[str, str]:
        """How a script on the host is told."""
        return {
            "NF_FOLDERS": " ".join(self.folders),
            "NF_RUN0_FOLDERS": " ".join(self.run0_folders),
            "NF_ROOT_UID": str(self.owner),
        }


ROOTS_OWN: Final = RootPrograms()

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
    _process: int | None = field(default=None, init=False)
    _greeting: int = field(default=0, init=False)
    """Bytes of stdout that came before the announcement: words of the account's start-up."""

    @property
    def process(self) -> int | None:
        return self._process

    @property
    def said(self) -> str:
        return self._way.said if self._way else ""

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
        if self._way is None:
            self._announce(heard)
        if self._way is not None:
            stderr = _announcement(self._way).split(heard.stderr)[-1]
            stdout = heard.stdout[self._greeting :]
            return self._way.hear(heard._replace(stderr=stderr, stdout=stdout))
        if heard.over:
            raise NotAllowed(last_words(heard.stderr, self.mark) or "becoming root was refused")
        return Next.LISTEN

    def _announce(self, heard: Heard) -> None:
        for kind in WAYS:
            way = kind(self.mark)
            if found := _announcement(way).search(heard.stderr):
                self._way, self._process = way, int(found["process"])
                self._greeting = len(heard.stdout)


def _announcement(way: OnHost) -> re.Pattern[bytes]:
    return re.compile(rb"%b%b (?P<process>[1-9]\d{0,9})\n" % (way.word, way.mark))
