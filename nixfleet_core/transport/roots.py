"""The ways to become root on a host. Each is a class that reads the output and says what is next.

None of them holds the password. The shell sends it only when sudo's prompt has come.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import ClassVar, Final, NamedTuple

from nixfleet_core.errors import NotAllowed

_CROWDED: Final = "sudo's prompt stands among other words, so no password goes there: "


class Next(Enum):
    """Our next step."""

    LISTEN = auto()
    GIVE_PASSWORD = auto()
    GIVE_ANOTHER = auto()
    """The password was wrong."""
    GO_ON = auto()
    """Send the script."""


class Heard(NamedTuple):
    """All output of the host so far. `over`: the shell has ended, and not by a broken link."""

    stderr: bytes = b""
    stdout: bytes = b""
    over: bool = False


class Way(ABC):
    """One attempt to become root."""

    @property
    def opening(self) -> bytes:
        """The words that we send first."""
        return b""

    @abstractmethod
    def hear(self, heard: Heard) -> Next:
        """Read the output so far. Raises NotAllowed."""


class NoNeed(Way):
    """The user who is logged in may do everything already, as in the sandbox."""

    def hear(self, heard: Heard) -> Next:
        del heard
        return Next.GO_ON


@dataclass(slots=True)
class OnHost(Way):
    """A way that the host takes, and announces by a word and the mark. Most ways ask nothing: a
    shell of root starts, and says READY and the mark."""

    mark: bytes
    word: ClassVar[bytes]

    @property
    def announcement(self) -> bytes:
        return self.word + self.mark

    def hear(self, heard: Heard) -> Next:
        return Next.GO_ON if b"READY" + self.mark in heard.stderr else Next.LISTEN


class RootLogin(OnHost):
    """The user who is logged in is root."""

    word = b"LOGIN"


class Doas(OnHost):
    """doas, if it needs no password (`nopass`); we tell it not to ask for one."""

    word = b"DOAS"


@dataclass(slots=True)
class Sudo(OnHost):
    """sudo, whose prompt is the mark. If it asks again, our answer was wrong."""

    word = b"SUDO"
    _answered: int = field(default=0, init=False)
    """The number of prompts that we have answered."""

    def hear(self, heard: Heard) -> Next:
        then = OnHost.hear(self, heard)
        prompts = heard.stderr.count(self.mark)
        if then is Next.GO_ON or prompts <= self._answered:
            return then
        if self._answered:
            return Next.GIVE_ANOTHER
        if not self._asks_last(heard.stderr):
            raise NotAllowed(f"{_CROWDED}{last_words(heard.stderr, self.mark)}")
        self._answered = prompts
        return Next.GIVE_PASSWORD

    def _asks_last(self, said: bytes) -> bool:
        """Whether the prompt is the last output. sudo-rs adds words to it."""
        prompt = rb"(?:%b|\[sudo: %b\] [^\n]*)\Z" % (self.mark, self.mark)
        return re.search(prompt, said) is not None


WAYS: Final = (RootLogin, Sudo, Doas)
"""Those that a host can take."""


def last_words(said: bytes, mark: bytes) -> str:
    """The last line that holds more than the mark; it says why we cannot become root."""
    lines = said.replace(mark, b"").decode("utf-8", "replace").splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
