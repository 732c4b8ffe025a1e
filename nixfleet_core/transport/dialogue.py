"""What is said to a shell on a host to become root there, and how its answers are read.

sudo's password goes out only when sudo's own prompt, a random mark, is the last that has come. The
mark is put together on the host from two halves, so what merely repeats our words cannot show it. A
shell that traces shows commands as they run, with the whole mark among sudo's arguments: tracing is
turned off first, and then a word is sent that does nothing; where that comes back, we stop.

Whoever controls the start-up of the account's shell can put something else in the place of this.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from typing import Final

from nixfleet_core.scripts.compose import assignments, part


@dataclass(frozen=True, slots=True)
class RootPrograms:
    """Which sudo or doas is trusted: the first in these folders that is a regular file (behind
    links), setuid, and its owner's, whom alone it lets write."""

    folders: tuple[str, ...] = ("/run/wrappers/bin", "/usr/bin", "/bin", "/usr/local/bin")
    owner: int = 0


ROOTS_OWN: Final = RootPrograms()

_TOOLS: Final = ("/run/current-system/sw/bin", "/usr/bin", "/bin")
"""Where id and ls lie, if not beside sudo."""


def _random() -> str:
    return secrets.token_hex(12)


@dataclass(frozen=True, slots=True)
class Dialogue:
    """One attempt to become root, with a mark of its own. `said` is what has come on stderr."""

    programs: RootPrograms = ROOTS_OWN
    halves: tuple[str, str] = field(default_factory=lambda: (f"nixfleet-{_random()}", _random()))
    canary: str = field(default_factory=lambda: f"nixfleet-said-{_random()}")

    @property
    def text(self) -> bytes:
        """What is sent, as a whole: the shell reads no further while it waits for sudo's end."""
        values = {
            "NF_MARK": self.halves[0],
            "NF_MORE": self.halves[1],
            "NF_FOLDERS": " ".join(self.programs.folders),
            "NF_TRUSTED": str(self.programs.owner),
            "NF_SAFE_PATH": ":".join(dict.fromkeys((*self.programs.folders, *_TOOLS))),
        }
        begin = f"set +vx\n: {self.canary}\n{assignments(values)}"
        return f"{begin}{part('become_root')}{{\nbecome_root\n}}\n".encode()

    @property
    def _mark(self) -> bytes:
        return "".join(self.halves).encode()

    def is_repeated(self, output: bytes) -> bool:
        """Whether the host sends back what it is sent; then it could keep a password as well."""
        return self.canary.encode() in output

    def is_ready(self, said: bytes) -> bool:
        """Whether a shell of root's waits for the script."""
        return b"READY" + self._mark in said

    def prompts(self, said: bytes) -> int:
        """How often the mark has come: once a prompt."""
        return said.count(self._mark)

    def is_asking(self, said: bytes) -> bool:
        """Whether sudo's prompt is the last thing that has come. sudo-rs adds words."""
        prompt = rb"(?:%b|\[sudo: %b\] [^\n]*)\Z" % (self._mark, self._mark)
        return re.search(prompt, said) is not None

    def last_words(self, said: bytes) -> str:
        """The last line that holds more than the mark: why we cannot become root."""
        lines = said.replace(self._mark, b"").decode("utf-8", "replace").splitlines()
        return next((line.strip() for line in reversed(lines) if line.strip()), "")
